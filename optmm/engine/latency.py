"""How long a message is on its way: feed and order latency, constant or drawn, longer under stress.

What the desk sees at its place is the market of one feed latency ago, and what it decides reaches
the venue one order latency later. A desk whose inputs are all late by the same time decides the
same, later; so a decision taken on the market of t lands at t + feed + order, and the loop may
decide at t. Draws are counter-based: message k of a run has its latency whatever came between.

Source  G. Steele, D. Lea, C. Flood, OOPSLA 2014: SplitMix64. Box and Muller (1958) for normals.
"""

import math

import numba as nb
import numpy as np

from optmm.engine.compiled import inner

FAST_NS, SLOW_NS = 60e9, 1800e9  # half-lives of recent variance and of its average
MOST_STRESS = 10.0
LOW, HALF, ONE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(1)
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@nb.njit(cache=True, error_model="numpy")
def times(a, b):
    """a x b modulo 2**64 of uint64, in halves: plain Python warns of a product that wraps."""
    low = (a & LOW) * (b & LOW)
    cross = ((a >> HALF) * (b & LOW) & LOW) + ((a & LOW) * (b >> HALF) & LOW)
    return (((low >> HALF) + cross & LOW) << HALF) | (low & LOW)


@nb.njit(cache=True, error_model="numpy")
def plus(a, b):
    """a + b modulo 2**64 of uint64, in halves."""
    low = (a & LOW) + (b & LOW)
    return (((a >> HALF) + (b >> HALF) + (low >> HALF) & LOW) << HALF) | (low & LOW)


@nb.njit(cache=True, error_model="numpy")
def splitmix64(seed, k):
    """Output k (from 0) of the generator started at `seed`; both uint64."""
    z = plus(seed, times(plus(k, ONE), GAMMA))
    z = times(z ^ (z >> S30), MIX_1)
    z = times(z ^ (z >> S27), MIX_2)
    return z ^ (z >> S31)


@nb.njit(cache=True, error_model="numpy")
def uniform(seed, k):
    """Draw k in (0, 1)."""
    return (float(splitmix64(seed, k) >> S11) + 0.5) * 2.0**-53


@inner
def learn(h):
    """Take a new mid into recent and average variance (h: the head's row, its `mid` set)."""
    if h["move_mid"] > 0.0 and h["now_ns"] > h["move_ns"]:
        waited = float(h["now_ns"] - h["move_ns"])
        move = math.log(h["mid"] / h["move_mid"])
        fast, slow = 2.0 ** (-waited / FAST_NS), 2.0 ** (-waited / SLOW_NS)
        h["fast_var"] = h["fast_var"] * fast + move * move
        h["fast_weight"] = h["fast_weight"] * fast + waited
        h["slow_var"] = h["slow_var"] * slow + move * move
        h["slow_weight"] = h["slow_weight"] * slow + waited
    elif h["move_mid"] > 0.0:
        move = math.log(h["mid"] / h["move_mid"])
        h["fast_var"] += move * move
        h["slow_var"] += move * move
    h["move_ns"] = h["now_ns"]
    h["move_mid"] = h["mid"]


@inner
def strained(h):
    """The factor on latency: 1 + stress x (recent vol / its average - 1), from 1 to MOST_STRESS."""
    if h["latency_stress"] <= 0.0 or h["slow_var"] <= 0.0:
        return 1.0
    waited = float(h["now_ns"] - h["move_ns"])
    fast, slow = 2.0 ** (-waited / FAST_NS), 2.0 ** (-waited / SLOW_NS)
    fast_rate = h["fast_var"] * fast / (h["fast_weight"] * fast + waited + 1.0)
    slow_rate = h["slow_var"] * slow / (h["slow_weight"] * slow + waited + 1.0)
    excess = math.sqrt(fast_rate / slow_rate) - 1.0
    return min(1.0 + h["latency_stress"] * max(excess, 0.0), MOST_STRESS)


@nb.njit(cache=True, error_model="numpy")
def landing(head):
    """When a message sent now reaches the venue, ns; never before one sent earlier."""
    h = head[0]
    if h["latency_sigma"] <= 0.0:
        way = float(h["feed_ns"] + h["order_ns"])
    else:
        seed, k = np.uint64(h["seed"]), np.uint64(2 * h["draws"])
        h["draws"] += 1
        radius = h["latency_sigma"] * math.sqrt(-2.0 * math.log(uniform(seed, k)))
        angle = 2.0 * math.pi * uniform(seed, k + ONE)
        way = h["feed_ns"] * math.exp(radius * math.cos(angle))
        way += h["order_ns"] * math.exp(radius * math.sin(angle))
    land_ns = h["now_ns"] + int(way * strained(h) + 0.5)
    land_ns = max(land_ns, h["landed_ns"])
    h["landed_ns"] = land_ns
    return land_ns

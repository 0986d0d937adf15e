"""When messages land: the sum of both ways, drawn by counter, in order, longer under stress."""

import math

import numpy as np
import pytest
import tape

from optmm.engine import latency
from optmm.engine import state as tables

E9 = tape.E9
MASK = (1 << 64) - 1
# the generator's first outputs for seed 1234567, as published with its reference code
REFERENCE = [
    6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
    16408922859458223821,
]  # fmt: skip


def splitmix64(seed: int, k: int) -> int:
    """Output k in Python ints."""
    z = (seed + (k + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def head_of(**fields: float) -> np.ndarray:
    """A head at time zero with a feed of 2 ms and orders of 5 ms."""
    head = np.zeros(1, tables.HEAD)
    for name, value in {"feed_ns": 2_000_000, "order_ns": 5_000_000, **fields}.items():
        head[name] = value
    return head


def test_the_generator_gives_its_published_outputs():
    seed = np.uint64(1234567)
    assert [int(latency.splitmix64(seed, np.uint64(k))) for k in range(5)] == REFERENCE
    for k in (2**40, 2**63 + 5):
        assert int(latency.splitmix64(np.uint64(MASK), np.uint64(k))) == splitmix64(MASK, k)


def test_constant_latency_is_feed_and_order():
    assert latency.landing(head_of(now_ns=1_000)) == 7_001_000


def test_draws_are_lognormal_about_both_medians_and_depend_on_the_message_alone():
    """Message k of a run is as late whatever the other messages did; z by Box and Muller."""
    head = head_of(latency_sigma=0.7, seed=99)
    ways = []
    for k in range(4_000):
        head["landed_ns"] = 0
        ways.append(int(latency.landing(head)))
        u, v = (((splitmix64(99, 2 * k + j) >> 11) + 0.5) * 2.0**-53 for j in (0, 1))
        radius, angle = 0.7 * math.sqrt(-2.0 * math.log(u)), 2.0 * math.pi * v
        due = 2e6 * math.exp(radius * math.cos(angle)) + 5e6 * math.exp(radius * math.sin(angle))
        assert abs(ways[-1] - due) <= 1.0, k
    # E exp(0.7 z) = exp(0.245); its standard error over 4,000 draws of each
    sd = math.hypot(2e6, 5e6) * math.exp(0.245) * math.sqrt(math.expm1(0.49))
    assert abs(np.mean(ways) - 7e6 * math.exp(0.245)) < 4.0 * sd / math.sqrt(4_000)


def test_nothing_overtakes():
    """A message drawn short waits for the one sent before it."""
    head, landed = head_of(latency_sigma=1.5, seed=3), []
    for now_ns in range(0, 200_000_000, 1_000_000):
        head["now_ns"] = now_ns
        landed.append(int(latency.landing(head)))
    gaps = np.diff(landed)
    assert (gaps >= 0).all() and (gaps == 0).sum() > 20


def test_a_hedge_waits_for_quotes_sent_before_it():
    state = tape.make_state(tape.Setup(options=2), tape.make_chain(tape.Setup(options=2)))
    state.head["landed_ns"] = 5 * E9
    assert tables.send_hedge(state, lots=3, land_ns=4 * E9) == 5 * E9


@pytest.mark.parametrize(
    ("stress", "least", "most"), [(0.0, 1.0, 1.0), (1.0, 1.5, 3.2), (50.0, 10.0, 10.0)]
)
def test_latency_grows_with_recent_volatility_over_its_average(stress, least, most):
    """An hour of 1 bp moves a second, then a minute of 4 bp: recent vol is about thrice as high."""
    head = head_of(latency_stress=stress)
    h = head[0]
    for second in range(3_660):
        size = 1e-4 if second < 3_600 else 4e-4
        h["now_ns"] = second * E9
        h["mid"] = 100.0 * math.exp(size * (second % 2))
        learn(h)
    way = (int(latency.landing(head)) - int(h["now_ns"])) / 7e6
    assert least <= way <= most


def test_a_night_is_no_part_of_the_average():
    """Quiet hours would lower the average, and make every morning look like stress."""
    setup = tape.Setup(options=2)
    state = tape.make_state(setup, tape.make_chain(setup))
    h = state.head[0]
    for name in ("feed_ns", "order_ns", "latency_stress"):
        h[name] = 1_000_000
    for start in (0, 24 * 3_600):
        for second in range(3_600):
            h["now_ns"], h["mid"] = (start + second) * E9, 100.0 * math.exp(1e-4 * (second % 2))
            learn(h)
        assert int(latency.landing(state.head)) - int(h["now_ns"]) == 2_000_000
        h["landed_ns"] = 0
        tables.begin_session(state)


def learn(h: np.void) -> None:
    """The engine's estimator, which only it calls, as plain Python."""
    getattr(latency.learn, "py_func", latency.learn)(h)

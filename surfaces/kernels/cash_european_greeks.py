"""Greeks of European options with cash dividends: nopython, unchecked, scratch apart no allocation.

Escrowed: the chain rule on Black's. Spot model: derivatives in spot are those of the first
transition density, under the sum; derivatives in the strike are those of the payoff; derivatives in
time follow by the pricing equation; derivatives in vol and rate are five-point differences, whose
steps cost 1e-8 of a Greek, a volga more.
"""

import math

import numba as nb
import numpy as np

from surfaces.kernels.black import greeks_one, spot_greeks_one
from surfaces.kernels.cash_european import (
    CALM,
    DENSITY,
    DUAL,
    PRICE,
    WILD,
    before_expiry,
    due,
    forward_jet,
    jet,
    sure_share,
)

VOL_STEP = 0.005  # share of the vol
RATE_STEP = 1e-3  # per year


@nb.njit(cache=True, error_model="numpy")
def escrowed_greeks_one(w, S, K, T, vol, r, q, years, keep, cash):
    """The numbers of `surfaces.pricing.greeks` on spot, by the chain rule on the forward."""
    b = r - q
    F, a, by_rate = forward_jet(S, T, b, years, keep, cash)
    row = greeks_one(w, max(F, 0.0), K, T, vol, math.exp(-r * T))
    price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, zomma, color = row[:12]
    if T == 0.0:  # the forward kernel cannot see a rate in df = 1
        theta, charm = r * price, r * delta
    slide = b * S * a  # -dF/dt
    spot_row = (
        price,
        a * delta,
        a * a * gamma,
        vega,
        theta - slide * delta,
        rho + by_rate * delta,
        a * vanna,
        volga,
        a * (charm - slide * gamma - b * delta),
        a * a * a * speed,
        a * a * zomma,
        a * a * (color - slide * speed - 2.0 * b * gamma),
    )
    return F, (*spot_row, row[12], row[13])


@nb.njit(cache=True, error_model="numpy")
def fill_escrowed_greeks(w, S, K, T, vol, r, q, years, keep, cash, out):
    """Write escrowed Greeks into the columns of `out` (14, n); False if a forward is negative."""
    fine = True
    for i in range(out.shape[1]):
        F, row = escrowed_greeks_one(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], years, keep, cash)
        fine &= F >= 0.0
        for j in range(out.shape[0]):
            out[j, i] = row[j]
    return fine


@nb.njit(cache=True, error_model="numpy")
def to_spot(S, df, g, out):
    """From derivatives in ln S, undiscounted, to derivatives in S, discounted."""
    out[0] = df * g[0]
    out[1] = df * g[1] / S
    out[2] = df * (g[2] - g[1]) / (S * S)
    out[3] = df * (g[3] - 3.0 * g[2] + 2.0 * g[1]) / (S * S * S)
    out[4] = df * (g[4] - 6.0 * g[3] + 11.0 * g[2] - 6.0 * g[1]) / (S * S * S * S)


@nb.njit(cache=True, error_model="numpy")
def first(f, h):
    """First derivative at the middle of five points `h` apart."""
    return (f[0] - 8.0 * f[1] + 8.0 * f[3] - f[4]) / (12.0 * h)


@nb.njit(cache=True, error_model="numpy")
def assemble(S, vol, r, b, at, row):
    """Greeks from prices and their spot slopes.

    at[:5] at five vols, at[5:10] at five rates; at[10, 0] and at[11, 0] are slope and bend in
    the strike.
    """
    h = VOL_STEP * vol
    price, delta, gamma, speed, fourth = at[2, 0], at[2, 1], at[2, 2], at[2, 3], at[2, 4]
    half = 0.5 * vol * vol * S
    row[0], row[1], row[2], row[9] = price, delta, gamma, speed
    row[3], row[6], row[10] = first(at[:, 0], h), first(at[:, 1], h), first(at[:, 2], h)
    row[4] = r * price - b * S * delta - half * S * gamma
    row[5] = first(at[5:, 0], RATE_STEP)
    outer, inner = at[0, 0] + at[4, 0], at[1, 0] + at[3, 0]
    row[7] = (16.0 * inner - outer - 30.0 * price) / (12.0 * h * h)
    row[8] = (r - b) * delta - b * S * gamma - half * (2.0 * gamma + S * speed)
    bend = 2.0 * gamma + 4.0 * S * speed + S * S * fourth
    row[11] = (r - 2.0 * b) * gamma - b * S * speed - 0.5 * vol * vol * bend
    row[12], row[13] = at[10, 0], at[11, 0]


@nb.njit(cache=True, error_model="numpy")
def late_greeks(w, S, K, T, vol, r, q, keep, cash, row):
    """Greeks into `row` where no dividend comes but one at expiry: options on the share before."""
    floor = cash / keep
    whole = spot_greeks_one(w, S, K / keep + floor, T, vol, r, q)
    for j in range(12):
        row[j] = keep * whole[j]
    row[12] = whole[12]
    row[13] = whole[13] / keep
    if w < 0.0 and floor > 0.0:
        less = spot_greeks_one(-1.0, S, floor, T, vol, r, q)
        for j in range(12):
            row[j] -= keep * less[j]


@nb.njit(cache=True, error_model="numpy")
def sure_greeks(w, S, K, T, vol, r, q, years, keep, cash, row):
    """Greeks into `row` without vol, or of a share that is worth nothing: a bond of the strike."""
    if sure_share(S, T, r - q, years, keep, cash) > 0.0:
        _, found = escrowed_greeks_one(w, S, K, T, vol, r, q, years, keep, cash)
        for j in range(row.size):
            row[j] = found[j]
        return
    for j in range(row.size):
        row[j] = 0.0
    if w < 0.0:
        row[12] = math.exp(-r * T)
        row[0] = K * row[12]
        row[4], row[5] = r * row[0], -T * row[0]


@nb.njit(cache=True, error_model="numpy")
def fill_spot_greeks(w, S, K, T, vol, r, q, years, keep, cash, out):
    """Write spot-model Greeks into the columns of `out` (14, n).

    `jet` is called from one place, because the compiler copies it wherever it is called.
    """
    at, found, row = np.empty((12, 5)), np.empty(5), np.empty(out.shape[0])
    for i in range(out.shape[1]):
        n, b = before_expiry(T[i], years), r[i] - q[i]
        if due(T[i], years) == 0:
            late_greeks(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], 1.0, 0.0, row)
        elif not (S[i] > 0.0 and vol[i] * math.sqrt(T[i]) > CALM):
            sure_greeks(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], years, keep, cash, row)
        elif n == 0:
            late_greeks(w[i], S[i], K[i], T[i], vol[i], r[i], q[i], keep[0], cash[0], row)
        else:
            for j in range(12):
                kind = PRICE if j < 10 else (DUAL if j == 10 else DENSITY)
                v = vol[i] * (1.0 + (j - 2) * VOL_STEP) if j < 5 else vol[i]
                v = min(v, WILD / math.sqrt(T[i]))
                up = (j - 7) * RATE_STEP if 5 <= j < 10 else 0.0
                jet(kind, w[i], S[i], K[i], T[i], v, b + up, n, years, keep, cash, found)
                df = 1.0 if kind == DENSITY else math.exp(-(r[i] + up) * T[i])
                to_spot(S[i], df, found, at[j])
            assemble(S[i], vol[i], r[i], b, at, row)
        for j in range(row.size):
            out[j, i] = row[j]

"""New prices for the whole chain inside the loop, when the underlying has left the sheet's range.

Black prices, deltas and gammas at the new spot, from what the sheet was made of: every strike keeps
its vol, moved by its smile's slope in ln(spot) as the sheet's deltas assume; forwards move in
proportion; time has passed. What the sheet holds beyond Black (early exercise) is taken off once,
when it is published, and carried as a parabola in spot. So at the sheet's own spot and time these
are the sheet's numbers, and elsewhere those of `quoting.theo` to the premium's own expansion.

`book` is one row of float64 a quantity, one column an option: rows as `engine.layout` names them.
"""

import math

import numba as nb

from optmm.engine.compiled import inner
from optmm.engine.layout import (
    BEND,
    BLACK_DELTA,
    BLACK_GAMMA,
    D1,
    DELTA,
    DF,
    FIRST,
    FORWARD,
    GAMMA_HALF,
    GROWTH,
    MARK,
    NOW_DF,
    NOW_VOL,
    OTM,
    PHI,
    PRICE,
    RATE,
    RIGHT,
    ROOT,
    SLOPE,
    STRIKE,
    TAIL1,
    TAIL2,
    THEO,
    VALUE,
    VEGA,
    VOL,
    YEARS,
)
from surfaces.kernels.black import greeks_one
from surfaces.kernels.black_lanes import BLOCK, share
from surfaces.kernels.black_lanes import state as black_state
from surfaces.kernels.normal import exp

LEAST_YEARS = 1e-7
YEAR_NS = 365.0 * 86_400e9


@inner
def black_rows(book, n, spot, log_move, passed):
    """Black price, delta, gamma in spot and vega of the first `n` columns at `spot` USD.

    `log_move` is ln(spot / the sheet's spot), `passed` years since the sheet.
    """
    for at in range(0, n, BLOCK):
        to = min(at + BLOCK, n)
        F, K, w = book[FORWARD, at:to], book[STRIKE, at:to], book[RIGHT, at:to]
        vol, root, df = book[NOW_VOL, at:to], book[ROOT, at:to], book[NOW_DF, at:to]
        growth, fitted, slope = book[GROWTH, at:to], book[VOL, at:to], book[SLOPE, at:to]
        years, rate, df_then = book[YEARS, at:to], book[RATE, at:to], book[DF, at:to]
        for i in range(F.size):
            F[i] = growth[i] * spot
            moved, least = fitted[i] + slope[i] * log_move, 0.25 * fitted[i]
            vol[i] = moved if moved > least else least
            left = years[i] - passed
            left = left if left > LEAST_YEARS else LEAST_YEARS
            root[i] = math.sqrt(left)
            df[i] = df_then[i] * exp(rate[i] * (years[i] - left))
        d1, phi, t1, t2 = (
            book[D1, at:to],
            book[PHI, at:to],
            book[TAIL1, at:to],
            book[TAIL2, at:to],
        )
        otm, mark = book[OTM, at:to], book[MARK, at:to]
        hard = black_state(w, F, K, root, vol, d1, phi, t1, t2, otm, mark)
        price, delta = book[PRICE, at:to], book[BLACK_DELTA, at:to]
        gamma, vega = book[BLACK_GAMMA, at:to], book[VEGA, at:to]
        for i in range(F.size):
            intrinsic = w[i] * (F[i] - K[i])
            price[i] = df[i] * ((intrinsic if intrinsic > 0.0 else 0.0) + otm[i])
            delta[i] = growth[i] * df[i] * share(w[i], F[i] - K[i], phi[i] * t1[i])
            gamma[i] = growth[i] * growth[i] * df[i] * phi[i] / (F[i] * vol[i] * root[i])
            vega[i] = df[i] * F[i] * phi[i] * root[i]
        if hard > 0:
            for i in range(F.size):
                if mark[i] != 0.0:
                    row = greeks_one(w[i], F[i], K[i], root[i] * root[i], vol[i], df[i])
                    price[i], delta[i] = row[0], row[1] * growth[i]
                    gamma[i], vega[i] = row[2] * growth[i] * growth[i], row[3]


@nb.njit(cache=True, error_model="numpy")
def anchor(state, delta_at_strike):
    """Take Black's part off the sheet just published: what is left is carried as a parabola.

    `delta_at_strike` (n,) is the sheet's delta at a fixed strike's vol.
    """
    head, mkt, book = state[0], state[1], state[11]
    spot, n = head[0]["spot_ref"], mkt.size - 1
    black_rows(book, n, spot, 0.0, 0.0)
    for i in range(n):
        m, vega = mkt[i], book[VEGA, i]
        bends = m["delta"] - delta_at_strike[i]
        book[SLOPE, i] = bends * spot / vega if vega > 1e-9 * spot else 0.0
        book[VALUE, i] = m["theo"] - book[PRICE, i]
        book[FIRST, i] = delta_at_strike[i] - book[BLACK_DELTA, i]
        book[BEND, i] = 2.0 * m["gamma_half"] - book[BLACK_GAMMA, i]
    head[0]["has_book"] = 1


@nb.njit(cache=True, error_model="numpy")
def reprice(state):
    """Put a fresh sheet at the present spot and time under the quotes.

    Certificates stand: they bound fair value itself, however it was come by.
    """
    h, mkt, sheet, book = state[0][0], state[1], state[6], state[11]
    n = mkt.size - 1
    spot, was = h["spot"], h["book_spot"]
    move, log_move = spot - was, math.log(spot / was)
    black_rows(book, n, spot, log_move, (h["now_ns"] - h["book_ns"]) / YEAR_NS)
    theo, delta, bend = sheet[THEO], sheet[DELTA], sheet[GAMMA_HALF]
    price, slope, curve = book[PRICE], book[BLACK_DELTA], book[BLACK_GAMMA]
    value, first, second = book[VALUE], book[FIRST], book[BEND]
    vega, smile = book[VEGA], book[SLOPE]
    for i in range(n):
        premium = value[i] + (first[i] + 0.5 * second[i] * move) * move
        held = 1.0 if premium > 0.0 else 0.0
        total = price[i] + held * premium
        known = 1.0 if value[i] == value[i] else 0.0  # NaN where the sheet had no fair value
        tilt = slope[i] + held * (first[i] + second[i] * move) + vega[i] * smile[i] / spot
        theo[i] = total if known > 0.0 else 0.0
        delta[i] = tilt if known > 0.0 else 0.0
        bend[i] = 0.5 * (curve[i] + held * second[i]) if known > 0.0 else 0.0
    for i in range(n):
        m = mkt[i]
        m["spot_ref"] = spot
        if not math.isnan(m["theo"]):
            m["theo"] = theo[i]
            m["delta"] = delta[i]
            m["gamma_half"] = bend[i]
    reach = h["spot_hi"] / h["spot_ref"] - 1.0
    h["spot_ref"] = spot
    h["spot_lo"] = spot * (1.0 - reach)
    h["spot_hi"] = spot * (1.0 + reach)
    h["reprices"] += 1

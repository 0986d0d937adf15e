"""Where a row's decision holds: bounds on fair value, spot and market inside which nothing moves.

A quote stays while its target stays within a band of it. The target is the lower, for a bid, of
what fair value gives and what the displayed middle allows, rounded out to the tick; so the band
turns into an interval of fair value and one of the displayed bid + ask. What is lower now decides
which of the two has to keep the target down. The intervals are drawn in by a unit of 1e-9 USD,
far more than rounding can move them; an input that is then outside its own interval is pinned to
its present value, where the decision is known. Between two decisions of a row, an event inside its
intervals costs a few comparisons and a sweep reads fair value's alone.

Outside the intervals nothing is claimed: the row is decided again. A market that is not two-sided
always is. The numbers below are prices in 1e-9 USD as floats, exact as such below 2^53.
"""

import math

from optmm.engine.compiled import inlined
from optmm.engine.layout import FAIR_HI, FAIR_LO, FAR, ROUNDED_NS, SPOT_HI, SPOT_LO, UNTIL
from optmm.engine.quote import (
    CROSS_GUARD,
    HALTED,
    NO_MARKET,
    band_of,
    bounds,
    ceil_tick,
    displayed_middle,
    floor_tick,
    theo_now,
    tick_over,
    tick_under,
)

USD = 1e-9


@inlined
def bid_interval(h, m, o, why):
    """Target of the bid: not under the first, under the second; both e9, infinite if unbound."""
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    if o["sent_bid_lots"] == 0:
        return -math.inf, float(ceil_tick(1, split, below, above))
    if why & CROSS_GUARD != 0:
        return float(ceil_tick(m["ask_e9"], split, below, above)), math.inf
    sent = o["sent_bid_e9"]
    band = band_of(h, m, o["half_bid"], sent, why)
    low = float(ceil_tick(max(sent - band, 1), split, below, above))
    high = float(tick_over(floor_tick(sent + band, split, below, above), split, below, above))
    return low, high


@inlined
def ask_interval(h, m, o, why):
    """Target of the ask: over the first, not over the second; both e9, infinite if unbound."""
    split, below, above = m["tick_split_e9"], m["tick_below_e9"], m["tick_above_e9"]
    if why & CROSS_GUARD != 0:
        return -math.inf, float(floor_tick(m["bid_e9"], split, below, above))
    sent = o["sent_ask_e9"]
    band = band_of(h, m, o["half_ask"], sent, why)
    high = float(floor_tick(sent + band, split, below, above))
    low = -math.inf
    if sent - band > below:
        least = ceil_tick(sent - band, split, below, above)
        low = float(tick_under(least, split, below, above))
    return low, high


@inlined
def spot_interval(m, spot, least_cap, most_floor):
    """Spot in which the no-arbitrage cap stays over the first and the floor under the second, USD.

    The present spot alone where they are already too near.
    """
    low, high = -math.inf, math.inf
    carry, strike = m["df"] * m["growth"], m["df"] * m["strike"]
    american = m["american"] != 0
    floor, cap = bounds(m, spot)
    if m["right"] > 0:
        low = least_cap / (max(carry, 1.0) if american else carry)
        high = (most_floor + strike) / carry
        if american:
            high = min(high, most_floor + m["strike"])
    else:
        low = (strike - most_floor) / carry
        if american:
            low = max(low, m["strike"] - most_floor)
    if cap < least_cap or floor > most_floor or not low <= spot <= high:
        return spot, spot
    return low, high


@inlined
def write(state, i, fair_lo, fair_hi, spot_lo, spot_hi, sum_lo, sum_hi, bid_hi, ask_lo, by_middle):
    """Put the certificate where events and sweeps look for it."""
    h, m, c, sheet = state[0][0], state[1][i], state[5][i], state[6]
    c["fair_lo"] = fair_lo
    c["fair_hi"] = fair_hi
    c["spot_lo"] = spot_lo
    c["spot_hi"] = spot_hi
    c["sum_lo"] = sum_lo
    c["sum_hi"] = sum_hi
    c["bid_hi"] = bid_hi
    c["ask_lo"] = ask_lo
    state[2][i]["by_middle"] = by_middle
    sheet[FAIR_LO, i] = fair_lo
    sheet[FAIR_HI, i] = fair_hi
    sheet[SPOT_LO, i] = spot_lo
    sheet[SPOT_HI, i] = spot_hi
    # a market shown again lives longer than this says: the row is then decided once too often
    sheet[UNTIL, i] = math.inf
    if by_middle != 0:
        sheet[UNTIL, i] = float(m["quote_ns"] + h["middle_ns"] - ROUNDED_NS)


@inlined
def certify_absent(state, i, why):
    """Nothing may be quoted here and nothing is: so it stays until what forbids it goes."""
    bid_hi = -1 if why & (NO_MARKET | HALTED) != 0 else FAR  # a new market can end these two
    inf = math.inf
    write(state, i, -inf, inf, -inf, inf, -FAR, FAR, bid_hi, 0, 0)


@inlined
def bid_limits(h, m, o, fair, middle, cap, why):
    """What the bid asks for: fair value from, to; sum of the market from, to; least no-arbitrage
    cap, USD; whether it is the middle that keeps it down; whether only the present spot is known;
    least displayed ask.

    A target that reaches the displayed ask follows it tick by tick. A fresh middle keeps it off;
    once that is too old fair value has to, from every ask that the certificate admits.
    """
    fair_lo, fair_hi, sum_lo, sum_hi = -math.inf, math.inf, -FAR, FAR
    least_cap, by_middle, pinned, least_ask = -math.inf, 0, False, 0
    if o["cap_bid"] <= 0:
        return fair_lo, fair_hi, sum_lo, sum_hi, least_cap, by_middle, pinned, least_ask
    low, high = bid_interval(h, m, o, why)
    gap, hold = min(o["skew"] - o["half_bid"], 0.0), h["middle_edge"] * o["half_bid"]
    if high < math.inf:
        if middle > 0.0 and fair + gap > middle - hold:
            sum_hi = int(2.0 * (high + hold * 1e9)) - 4
            by_middle = 1
        else:
            high = min(high, float(m["ask_e9"]))
            fair_hi = (high - 1.0) * USD - gap
            least_ask = int(high)
        pinned = cap < fair + gap
    if low > -math.inf:
        fair_lo = (low + 1.0) * USD - gap
        sum_lo = int(2.0 * (low + hold * 1e9)) + 4
        least_cap = (low + 2.0) * USD
    if o["sent_bid_lots"] > 0:
        fair_lo = max(fair_lo, (o["sent_bid_e9"] + 1) * USD)
        least_cap = max(least_cap, (o["sent_bid_e9"] + 2) * USD)
    elif m["ask_e9"] <= m["tick_below_e9"]:
        # the displayed ask leaves no room for a bid at any fair value, until it rises
        fair_hi, sum_hi, pinned, by_middle, least_ask = math.inf, m["ask_e9"], False, 0, 0
    return fair_lo, fair_hi, sum_lo, sum_hi, least_cap, by_middle, pinned, least_ask


@inlined
def ask_limits(h, m, o, fair, middle, floor, why):
    """What the ask asks for, as `bid_limits`; the fifth is the greatest no-arbitrage floor, USD,
    the last the greatest displayed bid.
    """
    fair_lo, fair_hi, sum_lo, sum_hi = -math.inf, math.inf, -FAR, FAR
    if o["cap_ask"] <= 0:
        return fair_lo, fair_hi, sum_lo, sum_hi, math.inf, 0, False, FAR
    low, high = ask_interval(h, m, o, why)
    gap, hold = max(o["skew"] + o["half_ask"], 0.0), h["middle_edge"] * o["half_ask"]
    fair_hi = min((high - 1.0) * USD - gap, (o["sent_ask_e9"] - 1) * USD)
    sum_hi = int(2.0 * (high - hold * 1e9)) - 4
    most_floor = (min(high, float(o["sent_ask_e9"])) - 2.0) * USD
    if why & CROSS_GUARD != 0:
        return fair_lo, fair_hi, sum_lo, sum_hi, most_floor, 0, False, -1
    if middle > 0.0 and fair + gap < middle + hold:
        if low == -math.inf:
            return fair_lo, fair_hi, sum_lo, sum_hi, most_floor, 1, False, FAR
        sum_lo = int(2.0 * (low - hold * 1e9)) + 4
        return fair_lo, fair_hi, sum_lo, sum_hi, most_floor, 1, floor > fair + gap, FAR
    if m["bid_e9"] > 0:
        low = max(low, float(m["bid_e9"]))
    if low == -math.inf:
        return fair_lo, fair_hi, sum_lo, sum_hi, most_floor, 0, False, -1
    fair_lo = (low + 1.0) * USD - gap
    return fair_lo, fair_hi, sum_lo, sum_hi, most_floor, 0, floor > fair + gap, int(low)


@inlined
def certify(state, i, why_bid, why_ask):
    """Write where the decision just taken for row `i` holds; both sides stay as sent."""
    h, m, o = state[0][0], state[1][i], state[2][i]
    spot, fair, middle = h["spot"], theo_now(m, h["spot"]), displayed_middle(h, m)
    floor, cap = bounds(m, spot)
    bid_lo, bid_hi, sum_lo, sum_hi, least_cap, held, pinned, least_ask = bid_limits(
        h, m, o, fair, middle, cap, why_bid
    )
    ask_lo, ask_hi, other_lo, other_hi, most_floor, also_held, also_pinned, most_bid = ask_limits(
        h, m, o, fair, middle, floor, why_ask
    )
    fair_lo, fair_hi = max(bid_lo, ask_lo), min(bid_hi, ask_hi)
    sum_lo, sum_hi = max(sum_lo, other_lo), min(sum_hi, other_hi)
    spot_lo, spot_hi = spot_interval(m, spot, least_cap, most_floor)
    if pinned or also_pinned:
        spot_lo = spot_hi = spot
    if pinned or also_pinned or not fair_lo <= fair <= fair_hi:
        fair_lo = fair_hi = fair
    if fair_lo <= 0.0:
        fair_lo = -math.inf  # fair value is never below zero, its Taylor terms may be
    if o["sent_ask_lots"] > 0:
        most_bid = min(most_bid, o["sent_ask_e9"] - 1)
    if o["sent_bid_lots"] > 0:
        least_ask = max(least_ask, o["sent_bid_e9"] + 1)
    shown = m["bid_e9"] + m["ask_e9"]
    if 0 < m["bid_e9"] < m["ask_e9"] and not sum_lo <= shown <= sum_hi:
        sum_lo = sum_hi = shown
        most_bid = most_bid if middle > 0.0 else -1  # too old to have counted: it will, shown again
    if (why_bid | why_ask) & CROSS_GUARD != 0:
        most_bid = -1
    write(
        state, i, fair_lo, fair_hi, spot_lo, spot_hi, sum_lo, sum_hi, most_bid, least_ask,
        held | also_held,
    )  # fmt: skip

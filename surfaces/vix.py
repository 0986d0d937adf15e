"""A VIX-style index by Cboe's published rule: two strips of quotes, interpolated to thirty days.

The rule is a convention, kept as printed: discrete strikes, middles of quotes, a cut at two empty
bids, minutes to settlement. Only quotes with a bid are used, and the strike at the forward (K0)
needs both of its own: the published rule has no strip without them. What the curve itself says is
`surfaces.variance_swap`.

Units   prices and strikes in index points; minutes and years of calendar time, 525,600 minutes a
        year; rates continuous, decimal; variances per year; the index in vol points (13.93).
Source  Cboe, Volatility Index Methodology: Cboe Volatility Index (version 6.0, 2022), Appendices 3
        and 5 hold a worked example.
Checked tests/surfaces/surface/test_vix.py: that example, strike by strike;
        tests/real/test_vix_days.py: closing chains against the published closes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.checks import Floats
from surfaces.errors import InvalidInput
from surfaces.quote_frames import CLOSE, chain_of_columns, columns_of, side

YEAR_MINUTES = 525_600.0
THIRTY_DAYS = 43_200.0
SHORTEST_DAYS, LONGEST_DAYS = 23, 37  # both excluded
Rate = float | Callable[[float], float]


@dataclass(frozen=True, slots=True, eq=False)
class VixQuotes:
    """One expiry's quotes: rising strikes (n,), no bid as zero or NaN; minutes to settlement."""

    strike: Floats
    call_bid: Floats
    call_ask: Floats
    put_bid: Floats
    put_ask: Floats
    minutes: float
    rate: float


@dataclass(frozen=True, slots=True, eq=False)
class TermVariance:
    """One expiry's variance and the strip it is made of; arrays over the strikes used."""

    variance: float  # per year
    forward: float
    forward_strike: float  # where call and put are closest
    k0: float  # the first strike at or below the forward
    strike: Floats
    middle: Floats  # of the put below k0, of the call above, of both at k0
    delta_k: Floats
    contribution: Floats  # delta_k / strike^2 e^(rate years) middle
    minutes: float
    years: float
    rate: float


@dataclass(frozen=True, slots=True, eq=False)
class VixIndex:
    """The index and its two terms; `weights` of the terms' total variances add up to one."""

    index: float
    near: TermVariance
    next: TermVariance
    weights: tuple[float, float]


def vix_index(near: VixQuotes, next: VixQuotes, *, minutes: float = THIRTY_DAYS) -> VixIndex:
    """The index of two expiries, at `minutes` from now (43,200: thirty days).

    Total variance is linear in minutes between the two expiries, and beyond them where both lie on
    one side.

    Raises
    ------
    InvalidInput
        An expiry without a call-put pair, without a strike at or below its forward, without bids
        at that strike or on one side of it, with an ask below its bid or a negative variance; the
        near expiry not before the next one; a negative total.
    """
    at = check.one("minutes", check.above("minutes", minutes, 0.0, unit="", hint="43200 is usual."))
    first, second = term_variance(near), term_variance(next)
    if not first.minutes < second.minutes:
        raise InvalidInput(
            f"near settles in {first.minutes:g} minutes and next in {second.minutes:g}, must be "
            "later. Swap them."
        )
    span = second.minutes - first.minutes
    weights = ((second.minutes - at) / span, (at - first.minutes) / span)
    total = first.years * first.variance * weights[0] + second.years * second.variance * weights[1]
    if total < 0.0:
        raise InvalidInput(
            f"total variance at {at:g} minutes is {total:g}, must be >= 0. The expiries lie too "
            "far from it, or their quotes are wrong."
        )
    return VixIndex(float(100.0 * np.sqrt(total * YEAR_MINUTES / at)), first, second, weights)


def term_variance(quotes: VixQuotes) -> TermVariance:
    """One expiry's variance by the rule; errors as `vix_index`."""
    strike, sides = _checked(quotes)
    call_bid, call_ask, put_bid, put_ask = sides
    years = quotes.minutes / YEAR_MINUTES
    growth = float(np.exp(quotes.rate * years))
    call, put = 0.5 * (call_bid + call_ask), 0.5 * (put_bid + put_ask)
    both = (call_bid > 0.0) & (put_bid > 0.0) & np.isfinite(call_ask) & np.isfinite(put_ask)
    if not both.any():
        raise InvalidInput("no strike has a bid on its call and on its put: there is no forward")
    gap = np.where(both, np.abs(call - put), np.inf)
    pair = int(np.argmin(gap))
    forward = float(strike[pair] + growth * (call[pair] - put[pair]))
    below = np.flatnonzero(strike <= forward)
    if not below.size:
        raise InvalidInput(f"forward is {forward:g}, below the lowest strike {strike[0]:g}")
    at = int(below[-1])
    puts = _walk(put_bid[:at][::-1], put_ask[:at][::-1])
    calls = _walk(call_bid[at + 1 :], call_ask[at + 1 :])
    if not both[at]:
        raise InvalidInput(
            f"strike {strike[at]:g} at the forward lacks a bid or an ask on its call or put, and "
            "the rule needs both there. Take another snapshot, or drop the expiry."
        )
    if not puts.size or not calls.size:
        raise InvalidInput(
            f"there is no {'call' if puts.size else 'put'} with a bid beyond strike "
            f"{strike[at]:g} at the forward: the strip cannot be made"
        )
    used = np.concatenate((at - 1 - puts[::-1], [at], at + 1 + calls))
    middle = np.concatenate(
        (put[used[used < at]], [0.5 * (call[at] + put[at])], call[used[used > at]])
    )
    K = strike[used]
    delta = np.empty(K.size)
    delta[1:-1] = 0.5 * (K[2:] - K[:-2])
    delta[0], delta[-1] = K[1] - K[0], K[-1] - K[-2]
    each = delta / (K * K) * growth * middle
    off = forward / strike[at] - 1.0
    variance = (2.0 * float(each.sum()) - off * off) / years
    if not variance >= 0.0:
        raise InvalidInput(
            f"variance is {variance:g}, must be >= 0: the strip is worth less than the gap between "
            f"the forward {forward:g} and strike {strike[at]:g}. Its quotes are wrong."
        )
    return TermVariance(
        variance, forward, float(strike[pair]), float(strike[at]), K, middle, delta, each,
        float(quotes.minutes), years, float(quotes.rate),
    )  # fmt: skip


def vix_of_chain(quotes: Any, valuation_ns: int, *, rate: Rate) -> VixIndex:
    """The index of a chain: its two expiries around thirty days, chosen by the rule.

    Candidates lie more than 23 and less than 37 days ahead, one a week: the week's last date, and
    on it the earliest settlement (the AM-settled monthly, where weeklies expire on the same day).
    The near term is the last one up to thirty days, the next term the first one after.

    Parameters
    ----------
    quotes : a frame of a European chain, as `surfaces.fit` takes it: expiry (ns UTC or dates,
        which settle at 16:00 New York), strike, right, bid, ask and, where two settlements share
        a date, root
    valuation_ns : ns UTC
    rate : continuous, one for both terms or a function of years

    Raises
    ------
    InvalidInput
        The chain lacks one of the terms, or as `vix_index`.
    """
    columns = columns_of(quotes)
    chain, order = chain_of_columns(columns)
    bid, ask = side(columns, "bid")[order], side(columns, "ask")[order]
    near, after = pick_terms(chain.fixing_ns, valuation_ns)
    made = []
    for j in (near, after):
        rows = chain.rows(j)
        table = _strikes(chain.strike[rows], chain.right[rows], bid[rows], ask[rows])
        minutes = minutes_between(valuation_ns, int(chain.fixing_ns[j]))
        r = rate(minutes / YEAR_MINUTES) if callable(rate) else rate
        held = check.one("rate", check.finite("rate", r, unit="", hint="Continuous, decimal."))
        made.append(VixQuotes(*table, minutes=minutes, rate=held))
    return vix_index(made[0], made[1])


def pick_terms(fixing_ns: ArrayLike, valuation_ns: int) -> tuple[int, int]:
    """Numbers of the near and the next term among expiries' settlements, ns UTC."""
    fixing = np.asarray(fixing_ns, np.int64)
    today = _local(valuation_ns).date()
    weeks: dict[tuple[int, int], tuple[date, int, int]] = {}
    for j, ns in enumerate(fixing.tolist()):
        day = _local(ns).date()
        week = day.isocalendar()[:2]
        held = weeks.get(week)
        if held is None or day > held[0] or (day == held[0] and ns < held[1]):
            weeks[week] = (day, ns, j)
    days = {j: (day - today).days for day, _, j in weeks.values()}
    inside = {j: d for j, d in days.items() if SHORTEST_DAYS < d < LONGEST_DAYS}
    near = [j for j, d in inside.items() if d <= 30]
    after = [j for j, d in inside.items() if d > 30]
    if not near or not after:
        raise InvalidInput(
            f"expiries more than {SHORTEST_DAYS} and less than {LONGEST_DAYS} days ahead are at "
            f"{sorted(inside.values())} days, must be on both sides of 30. Give vix_index two "
            "expiries of your choice."
        )
    return max(near, key=inside.__getitem__), min(after, key=inside.__getitem__)


def minutes_between(from_ns: int, to_ns: int) -> float:
    """Minutes on New York's wall clock: the rule counts a day as 1,440 of them."""
    start, end = (_local(ns).replace(tzinfo=None) for ns in (from_ns, to_ns))
    return (end - start).total_seconds() / 60.0


def _local(ns: int) -> datetime:
    return datetime.fromtimestamp(int(ns) // 10**9, UTC).astimezone(CLOSE.tzinfo)


def _walk(bid: Floats, ask: Floats) -> NDArray[np.int64]:
    """Places with a bid, going outwards up to two in a row without."""
    out, empty = [], 0
    for i in range(bid.size):
        if bid[i] > 0.0 and np.isfinite(ask[i]):
            out.append(i)
            empty = 0
        else:
            empty += 1
            if empty == 2:
                break
    return np.array(out, np.int64)


def _strikes(
    strike: Floats, right: Floats, bid: Floats, ask: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Strikes, call bid, call ask, put bid and put ask of one expiry; NaN where not listed."""
    K, where = np.unique(strike, return_inverse=True)
    out = np.full((4, K.size), np.nan)
    for first, sign in ((0, 1.0), (2, -1.0)):
        rows = right == sign
        out[first, where[rows]] = bid[rows]
        out[first + 1, where[rows]] = ask[rows]
    return K, out[0], out[1], out[2], out[3]


def _checked(quotes: VixQuotes) -> tuple[Floats, list[Floats]]:
    check.kind("quotes", quotes, VixQuotes, hint="One expiry's strikes, quotes, minutes and rate.")
    strike = check.above("strike", quotes.strike, 0.0, unit="points", hint="Strikes are prices.")
    if strike.ndim != 1 or not strike.size or (np.diff(strike) <= 0.0).any():
        raise InvalidInput("strike must be one row of rising strikes; sort them, each one once")
    check.above("minutes", quotes.minutes, 0.0, unit="minutes", hint="Drop expired terms.")
    check.finite("rate", quotes.rate, unit="", hint="Continuous, decimal.")
    sides = []
    for name in ("call_bid", "call_ask", "put_bid", "put_ask"):
        values = check.numbers(name, getattr(quotes, name))
        if values.shape != strike.shape:
            raise InvalidInput(f"{name} has shape {values.shape}, must be {strike.shape}")
        sides.append(values)
    for name, bid, ask in (("call", sides[0], sides[1]), ("put", sides[2], sides[3])):
        crossed = (bid > 0.0) & (ask < bid)
        if crossed.any():
            i = int(np.argmax(crossed))
            raise InvalidInput(
                f"{name}_ask[{i}] is {ask[i]:g} points, below its bid {bid[i]:g} at strike "
                f"{strike[i]:g} ({int(crossed.sum())} of {bid.size} fail). Set crossed quotes to "
                "NaN to leave them out."
            )
    return strike, sides

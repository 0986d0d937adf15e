"""`fit`: one chain in a data frame, one surface out. For notebooks, files and the command line.

The same code as the live fitter, started cold; row order does not matter.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surfaces import DEFAULT_MODEL
from surfaces import checks as check
from surfaces.curves import parity
from surfaces.curves.cash import MOST_PAID, CashDividends
from surfaces.curves.clock import CALENDAR, VolClock, years_to
from surfaces.curves.discount import DiscountCurve
from surfaces.errors import InvalidInput
from surfaces.fit_config import DECIMALS, MOST_RATE, FitConfig
from surfaces.instants import instant
from surfaces.live import LiveFitter
from surfaces.quote_frames import chain_of, chain_of_columns, columns_of, side
from surfaces.smiles.base import SMILES
from surfaces.surface import ChainSlices, VolSurface

__all__ = ["chain_of", "fit"]

GIVEN_RATE_SD = 1e-5
CURVE_SD = 0.005  # per year: options are financed at neither Treasuries nor SOFR


def fit(
    quotes: Any,
    *,
    valuation_ns: Any,
    model: str = DEFAULT_MODEL,
    spot: float | None = None,
    rate: float | None = None,
    curve: DiscountCurve | None = None,
    dividends: CashDividends | None = None,
    clock: VolClock = CALENDAR,
) -> VolSurface:
    """Fit a surface to one snapshot of a chain.

    Parameters
    ----------
    quotes : polars or pandas frame, Arrow table or dict of columns, one row an option: `expiry` (a
        date, or a midnight without a zone: 16:00 New York of that day; or an instant: int ns UTC,
        or a timestamp, which is UTC where it has no zone, so that a naive 16:00 is 16:00 UTC),
        `strike` (USD), `right` (+1/-1, "c"/"p", "call"/"put"), `bid`, `ask` (USD, NaN, None or 0
        where absent), and optionally `style` ("american" or "european", the default), `root`
        (settlement classes that share an expiry are fitted apart), `bid_size`, `ask_size` (0: that
        side is absent)
    valuation_ns : when the quotes were in force: int ns UTC, or a datetime (UTC without a zone)
    model : a name on the smile shelf
    spot : USD; without it the nearest parity forward stands in, and `status` says so. Then ln(F/S)
        of the first expiry is zero, and its carry its rate, whatever they are
    rate : decimal, continuously compounded per year; without it, implied from the quotes
    curve : what rates are expected to be, within `CURVE_SD`; the quotes decide. Not with `rate`
    dividends : cash an American chain's share will pay, declared or expected, by ex-date
    clock : of the variance between expiries: calendar time, or trading time with events

    Returns
    -------
    VolSurface with `diagnostics` (a row an expiry) and `residuals` (a row a quote).

    Raises
    ------
    InvalidInput
        For missing or ragged columns, unknown codes, an expiry that is none, a contract listed
        twice, an unknown model, times outside 1990 to 2200, or a spot that is neither given nor to
        be had from parity. A bad quote never raises: it is left out, and `removed` counts it.
    """
    if not isinstance(model, str) or model not in SMILES:
        raise InvalidInput(f"model is {model!r}; choose one of {', '.join(sorted(SMILES))}")
    now = instant("valuation_ns", valuation_ns)
    config = FitConfig(model=model, clock=clock, dividends=dividends)
    if curve is not None:
        hint = "DiscountCurve.from_par_yields makes one; a flat rate is `rate`."
        check.kind("curve", curve, DiscountCurve, hint=hint)
        if rate is not None:
            raise InvalidInput("both rate and curve are given; leave one out")
    columns = columns_of(quotes)
    slices, order = chain_of_columns(columns)
    bid, ask = (side(columns, name)[order] for name in ("bid", "ask"))
    proxy = spot is None
    value = _spot_from_parity(slices, bid, ask) if spot is None else _positive(spot)
    if dividends is not None:
        _affordable(dividends, now, int(slices.fixing_ns.max()), value)
    if rate is not None:
        config = replace(config, rate_prior=_decimal(rate), rate_prior_sd=GIVEN_RATE_SD)
    elif curve is not None:
        zero = curve.zero(years_to(slices.fixing_ns, now))
        config = replace(config, rate_prior=zero.tolist(), rate_prior_sd=CURVE_SD)
    surface = LiveFitter(slices, config).update(now, spot=value, bid=bid, ask=ask)
    if proxy:
        marked = (f"{s},spot_from_parity".removeprefix("ok,") for s in surface.status)
        surface = replace(surface, status=tuple(marked))
    return surface


def _positive(spot: float) -> float:
    hint = "Leave spot out to use the parity forward."
    return check.one("spot", check.above("spot", spot, 0.0, unit="USD", hint=hint))


def _decimal(rate: float) -> float:
    hint = "Leave rate out to imply it from the quotes."
    value = check.one("rate", check.finite("rate", rate, unit="per year", hint=hint))
    if abs(value) > MOST_RATE:
        raise InvalidInput(
            f"rate is {value:g} per year, {100.0 * value:g} %, must lie from -1 to 1. {DECIMALS}"
        )
    return value


def _affordable(dividends: CashDividends, now: int, last: int, spot: float) -> None:
    """Refuse dividends that would take the share."""
    due = dividends.cash[(dividends.ex_ns > now) & (dividends.ex_ns <= last)]
    if due.sum() >= MOST_PAID * spot:
        raise InvalidInput(
            f"dividends until the last expiry add up to {due.sum():g} USD in {due.size} ex-dates, "
            f"must be below {MOST_PAID:g} of spot, {MOST_PAID * spot:g} USD; give USD per share"
        )


def _spot_from_parity(
    slices: ChainSlices, bid: NDArray[np.float64], ask: NDArray[np.float64]
) -> float:
    """The forward of the first expiry that has a call-put pair, discounting ignored."""
    listed = quoted = 0
    for j in range(slices.slices):
        rows = np.arange(*slices.slice_start[j : j + 2])
        call, put = (rows[slices.right[rows] == w] for w in (1.0, -1.0))
        _, c, p = np.intersect1d(slices.strike[call], slices.strike[put], return_indices=True)
        call, put = call[c], put[p]
        two = np.isfinite(ask[call]) & np.isfinite(ask[put]) & (bid[call] > 0.0) & (bid[put] > 0.0)
        good = two & (ask[call] > bid[call]) & (ask[put] > bid[put])
        listed, quoted = listed + call.size, quoted + int(two.sum())
        call, put = call[good], put[good]
        pairs = parity.make_pairs(
            strike=slices.strike[call],
            call_bid=bid[call],
            call_ask=ask[call],
            put_bid=bid[put],
            put_ask=ask[put],
        )
        found = parity.forward_given_df(pairs, 1.0)
        if found is not None and found.forward > 0.0:
            return found.forward
    why = "no strike has both a call and a put"
    if listed:
        why = f"none of {listed} call-put pairs has a bid and a finite ask on both legs"
    if quoted:
        why = f"all {quoted} call-put pairs with bids and asks are crossed or locked"
    raise InvalidInput(f"spot is not given and parity tells none: {why}. Give spot=.")

"""`fit`: one chain in a data frame, one surface out. For notebooks, files and the command line.

The same code as the live fitter, started cold; row order does not matter.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from surfaces import DEFAULT_MODEL
from surfaces import checks as check
from surfaces.curves import parity
from surfaces.curves.cash import CashDividends
from surfaces.curves.clock import CALENDAR, VolClock, years_to
from surfaces.curves.discount import DiscountCurve
from surfaces.errors import InvalidInput
from surfaces.live import FitConfig, LiveFitter
from surfaces.smiles.base import SMILES
from surfaces.surface import ChainSlices, VolSurface

REQUIRED = ("expiry", "strike", "right", "bid", "ask")
CLOSE = time(16, 0, tzinfo=ZoneInfo("America/New_York"))
STYLES = {"american": True, "a": True, "european": False, "e": False}
GIVEN_RATE_SD = 1e-5
CURVE_SD = 0.005  # per year: options are financed at neither Treasuries nor SOFR


def fit(
    quotes: Any,
    *,
    valuation_ns: int,
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
    quotes : polars or pandas frame (or a dict of columns), one row an option: `expiry` (a date or
        a midnight without a zone, then 16:00 New York, or an instant: int ns UTC or a timestamp,
        UTC unless it has a zone), `strike` (USD), `right`
        (+1/-1, "c"/"p", "call"/"put"), `bid`, `ask` (USD, NaN, None or 0 where absent), and
        optionally `style` ("american" or "european", the default), `root` (settlement classes that
        share an expiry are fitted apart), `bid_size`, `ask_size` (0: that side is absent)
    valuation_ns : when the quotes were in force, ns UTC
    model : a name on the smile shelf
    spot : USD; without it the nearest parity forward stands in, and `status` says so
    rate : decimal, continuously compounded per year; without it, implied from the quotes
    curve : what rates are expected to be, within `CURVE_SD`; the quotes decide. Not read if `rate`
        is given
    dividends : cash an American chain's share will pay, declared or expected, by ex-date
    clock : of the variance between expiries: calendar time, or trading time with events

    Returns
    -------
    VolSurface with `diagnostics` (a row an expiry) and `residuals` (a row a quote).

    Raises
    ------
    InvalidInput
        For missing columns, unknown codes, a contract listed twice, an unknown model, or a spot
        that is neither given nor to be had from parity. A bad quote never raises: it is left out,
        and `removed` counts it.
    """
    if model not in SMILES:
        raise InvalidInput(f"model is {model!r}; choose one of {', '.join(sorted(SMILES))}")
    columns = _columns(quotes)
    slices, order = _chain(columns)
    bid, ask = (_side(columns, name)[order] for name in ("bid", "ask"))
    proxy = spot is None
    value = _spot_from_parity(slices, bid, ask) if spot is None else _positive(spot)
    config = FitConfig(model=model, clock=clock)
    if rate is not None:
        config = replace(config, rate_prior=_finite_rate(rate), rate_prior_sd=GIVEN_RATE_SD)
    elif curve is not None:
        zero = curve.zero(years_to(slices.fixing_ns, int(valuation_ns)))
        config = replace(config, rate_prior=zero.tolist(), rate_prior_sd=CURVE_SD)
    if dividends is not None:
        config = replace(config, dividends=dividends)
    surface = LiveFitter(slices, config).update(int(valuation_ns), spot=value, bid=bid, ask=ask)
    if proxy:
        marked = (f"{s},spot_from_parity".removeprefix("ok,") for s in surface.status)
        surface = replace(surface, status=tuple(marked))
    return surface


def _positive(spot: float) -> float:
    hint = "Leave spot out to use the parity forward."
    return float(check.above("spot", spot, 0.0, unit="USD", hint=hint))


def _finite_rate(rate: float) -> float:
    hint = "Leave rate out to imply it from the quotes."
    return float(check.finite("rate", rate, unit="per year", hint=hint))


def _columns(quotes: Any) -> dict[str, list[Any]]:
    """Known columns as lists, whatever the frame is."""
    names = list(quotes.keys() if isinstance(quotes, dict) else quotes.columns)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidInput(
            f"quotes lack {', '.join(missing)}; needed are {', '.join(REQUIRED)}, and the columns "
            f"here are {', '.join(map(str, names))}"
        )
    known = (*REQUIRED, "style", "root", "bid_size", "ask_size")
    out = {name: list(quotes[name]) for name in known if name in names}
    if not out["strike"]:
        raise InvalidInput("quotes have no rows")
    return out


def _side(columns: dict[str, list[Any]], name: str) -> NDArray[np.float64]:
    """Prices of one side, NaN where absent."""
    price = _numbers(name, columns[name])
    if f"{name}_size" in columns:
        price[_numbers(f"{name}_size", columns[f"{name}_size"]) == 0.0] = np.nan
    return price


def _numbers(name: str, values: list[Any]) -> NDArray[np.float64]:
    return np.array(check.numbers(name, [np.nan if v is None else v for v in values]))


def _chain(columns: dict[str, list[Any]]) -> tuple[ChainSlices, NDArray[np.int64]]:
    """The chain in canonical order, and the order that puts rows into it."""
    strike = check.above(
        "strike", _numbers("strike", columns["strike"]), 0.0, unit="USD", hint="Drop such rows."
    )
    right = check.right(np.array(columns["right"], dtype=object).tolist())
    fixing = np.array([_instant(v) for v in columns["expiry"]], np.int64)
    root = np.array([str(r) for r in columns.get("root", [""] * strike.size)])
    style = columns.get("style", ["european"] * strike.size)
    american = np.array([_american(s) for s in style])
    order = np.lexsort((-right, strike, root, fixing))
    f, r, k, w = fixing[order], root[order], strike[order], right[order]
    new = np.ones(f.size, bool)
    new[1:] = (f[1:] != f[:-1]) | (r[1:] != r[:-1])
    twice = ~new[1:] & (k[1:] == k[:-1]) & (w[1:] == w[:-1])
    if twice.any():
        at = int(np.argmax(twice))
        raise InvalidInput(
            f"{int(twice.sum())} contracts are listed twice, first strike {k[at]:g} of expiry "
            f"{columns['expiry'][order[at]]}; give settlement classes a `root` column, or keep "
            "the latest quote"
        )
    starts = np.flatnonzero(new)
    slices = ChainSlices(
        right=w,
        strike=k,
        american=american[order],
        fixing_ns=f[starts],
        slice_start=np.append(starts, f.size),
        expiry_labels=tuple(_label(f[i]) for i in starts),
        roots=tuple(r[starts].tolist()),
    )
    return slices, order


def _american(style: Any) -> bool:
    try:
        return STYLES[str(style).strip().lower()]
    except KeyError:
        raise InvalidInput(f"style is {style!r}, must be 'american' or 'european'") from None


def _instant(expiry: Any) -> int:
    """Fixing in ns UTC: dates (and midnights) mean 16:00 New York."""
    if isinstance(expiry, int | np.integer):
        return int(expiry)
    try:
        if getattr(expiry, "tzinfo", None) is not None:
            return round(expiry.timestamp() * 1e6) * 1000
        when = np.datetime64(expiry).astype("datetime64[ns]")
        midnight = when == when.astype("datetime64[D]")
        if not midnight:
            return int(when.astype(np.int64))
        day: date = when.astype("datetime64[D]").astype(object)
        return int(datetime.combine(day, CLOSE).timestamp()) * 10**9
    except (TypeError, ValueError, AttributeError):
        raise InvalidInput(
            f"expiry is {expiry!r}, must be a date, a timestamp or an integer in ns UTC"
        ) from None


def _label(fixing_ns: np.int64) -> date:
    """New York date of an instant."""
    seconds = int(fixing_ns) // 10**9
    return datetime.fromtimestamp(seconds, UTC).astimezone(CLOSE.tzinfo).date()


def _spot_from_parity(
    slices: ChainSlices, bid: NDArray[np.float64], ask: NDArray[np.float64]
) -> float:
    """The forward of the first expiry that has a call-put pair, discounting ignored."""
    for j in range(slices.slices):
        rows = np.arange(*slices.slice_start[j : j + 2])
        call, put = (rows[slices.right[rows] == w] for w in (1.0, -1.0))
        _, c, p = np.intersect1d(slices.strike[call], slices.strike[put], return_indices=True)
        call, put = call[c], put[p]
        good = (bid[call] > 0.0) & (bid[put] > 0.0)
        pairs = parity.make_pairs(
            strike=slices.strike[call[good]],
            call_bid=bid[call[good]],
            call_ask=ask[call[good]],
            put_bid=bid[put[good]],
            put_ask=ask[put[good]],
        )
        found = parity.forward_given_df(pairs, 1.0)
        if found is not None and found.forward > 0.0:
            return found.forward
    raise InvalidInput("no expiry has a call and a put quoted at one strike; give spot=")

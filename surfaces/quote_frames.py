"""A chain in a data frame: its columns read and checked, its rows put into chain order."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from surfaces import checks as check
from surfaces.chain_slices import ChainSlices
from surfaces.errors import InvalidInput
from surfaces.instants import of_time, within

REQUIRED = ("expiry", "strike", "right", "bid", "ask")
KNOWN = (*REQUIRED, "style", "root", "bid_size", "ask_size")
CLOSE = time(16, 0, tzinfo=ZoneInfo("America/New_York"))
STYLES = {"american": True, "a": True, "european": False, "e": False}
EXPIRIES = "must be a date, a timestamp or an integer in ns UTC"
FRAMES = "a polars or pandas frame, an Arrow table, or a dict of columns"

Columns = dict[str, list[Any]]


def chain_of(quotes: Any) -> tuple[ChainSlices, NDArray[np.int64]]:
    """The chain in a frame as `LiveFitter` wants it, and the order that puts rows into it.

    `quotes` as of `fit`, the prices not looked at. Chain order is by expiry, root, strike, calls
    before puts; give the fitter `bid[order]` and `ask[order]` of the same frame.
    """
    return chain_of_columns(columns_of(quotes))


def columns_of(quotes: Any) -> Columns:
    """Known columns as lists of one length, whatever the frame is."""
    kind = type(quotes).__name__
    if kind == "LazyFrame":
        raise InvalidInput("quotes is a LazyFrame; call .collect() on it first")
    if hasattr(quotes, "to_pydict"):  # Arrow's `columns` are the data
        quotes = quotes.to_pydict()
    names = quotes.keys() if isinstance(quotes, dict) else getattr(quotes, "columns", None)
    if names is None or callable(names):
        rows = "; polars.DataFrame(rows) makes one of a list of rows"
        said = "None" if quotes is None else f"a {kind}"
        listed = isinstance(quotes, list | tuple)
        raise InvalidInput(f"quotes is {said}, must be {FRAMES}{rows if listed else ''}")
    names = list(names)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InvalidInput(
            f"quotes lack {', '.join(missing)}; needed are {', '.join(REQUIRED)}, and the columns "
            f"here are {', '.join(map(str, names))}"
        )
    out = {name: _listed(name, quotes[name]) for name in KNOWN if name in names}
    lengths = {name: len(values) for name, values in out.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InvalidInput(f"columns of quotes differ in length: {said}; give each a value a row")
    if not out["strike"]:
        raise InvalidInput("quotes have no rows")
    return out


def _listed(name: str, values: Any) -> list[Any]:
    if (
        isinstance(values, str | bytes)
        or not isinstance(values, Iterable)
        or not getattr(values, "ndim", 1)
    ):
        raise InvalidInput(
            f"column {name} of quotes is {values!r:.80}, must be a list, a value a row; write "
            f"[{values!r:.20}] * rows"
        )
    return list(values)


def side(columns: Columns, name: str) -> NDArray[np.float64]:
    """Prices of one side, NaN where absent."""
    price = _numbers(name, columns[name])
    if f"{name}_size" in columns:
        price[_numbers(f"{name}_size", columns[f"{name}_size"]) == 0.0] = np.nan
    return price


def _numbers(name: str, values: list[Any]) -> NDArray[np.float64]:
    plain = [np.nan if _missing(v) else v for v in values]
    try:
        return np.array(check.numbers(name, plain))
    except InvalidInput:
        bad = [i for i, v in enumerate(plain) if not _is_number(v)]
        if not bad:
            raise
        raise InvalidInput(
            f"{name}[{bad[0]}] is {plain[bad[0]]!r:.80}, must be a number ({len(bad)} of "
            f"{len(plain)} fail). Cast the column to floats, absent prices to None."
        ) from None


def _missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"  # pandas' <NA>


def _is_number(value: Any) -> bool:
    try:
        return check.numbers("", value).ndim == 0
    except InvalidInput:
        return False


def chain_of_columns(columns: Columns) -> tuple[ChainSlices, NDArray[np.int64]]:
    """`chain_of` what `columns_of` read."""
    strike = check.above(
        "strike", _numbers("strike", columns["strike"]), 0.0, unit="USD", hint="Drop such rows."
    )
    right = check.right(np.array(columns["right"], dtype=object).tolist())
    fixing = np.array([_fixing(i, v) for i, v in enumerate(columns["expiry"])], np.int64)
    roots = columns.get("root", [""] * strike.size)
    root = np.array(["" if _missing(r) else str(r) for r in roots])
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


def _fixing(row: int, expiry: Any) -> int:
    """Fixing in ns UTC: dates (and midnights without a zone) mean 16:00 New York."""
    name = f"expiry[{row}]"
    if isinstance(expiry, int | np.integer):
        return within(name, int(expiry))
    if _missing(expiry) or expiry != expiry:  # noqa: PLR0124  NaN and NaT
        raise InvalidInput(f"{name} is {expiry}, {EXPIRIES}; drop rows without one")
    try:
        ns = within(name, of_time(name, expiry), expiry)
        if getattr(expiry, "tzinfo", None) is not None or ns % (86_400 * 10**9):
            return ns
        day: date = np.datetime64(expiry).astype("datetime64[D]").astype(object)
        return int(datetime.combine(day, CLOSE).timestamp()) * 10**9
    except InvalidInput:
        raise
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise InvalidInput(f"{name} is {expiry!r:.80}, {EXPIRIES}") from None


def _label(fixing_ns: np.int64) -> date:
    """New York date of an instant."""
    seconds = int(fixing_ns) // 10**9
    return datetime.fromtimestamp(seconds, UTC).astimezone(CLOSE.tzinfo).date()

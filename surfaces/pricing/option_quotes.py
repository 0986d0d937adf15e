"""Quotes of a chain as a parametric model is fitted to: rows read, checked, put in order of expiry.

Prices become Black vols here, once; the fit sees vols, their half spreads and their vegas. A bad
quote is left out and counted, a column that is none raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces.errors import InvalidInput
from surfaces.pricing import black, implied

if TYPE_CHECKING:
    from surfaces.surface import VolSurface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Fit = Literal["vol", "price"]

VALUES: tuple[tuple[str, ...], ...] = (
    ("vol",),
    ("price",),
    ("bid_vol", "ask_vol"),
    ("bid", "ask"),
)
WEIGHTS = ("equal", "spread", "vega")
NARROWEST = 0.1  # of the median half spread: a locked quote is not worth more than this says
FRAMES = "a VolSurface, a polars or pandas frame, or a mapping of arrays"


@dataclass(frozen=True, slots=True, eq=False)
class OptionQuotes:
    """n usable quotes in order of expiry, m expiries. All arrays (n,) but `years` and `edges`."""

    years: Floats  # (m,), rising
    edges: Ints  # (m + 1,): rows of each expiry
    row: Ints  # where the quote stands in what was given
    right: Floats
    forward: Floats
    strike: Floats
    df: Floats
    vol: Floats  # Black vol of the quote or of its mid price
    half: Floats  # half of its spread, in vol; zero where only one value was given
    weight: Floats  # of the residual that is fitted, in vol or in price
    removed: dict[str, int]  # quotes left out, by reason

    def __len__(self) -> int:
        return self.vol.size

    @property
    def k(self) -> Floats:
        """ln(strike/forward)."""
        return np.log(self.strike / self.forward)

    def half_spreads_rms(self, off: Floats) -> float:
        """Root mean square of vol differences (n,) in half spreads, as "spread" weights have them:
        none narrower than NARROWEST; quotes of no weight have no say. NaN without spreads."""
        used = self.weight > 0.0
        if not self.half[used].any():
            return float("nan")
        return float(np.sqrt(np.mean((off * _by_spread(self.half))[used] ** 2)))

    @property
    def each_years(self) -> Floats:
        """Years to expiry of each quote."""
        return np.repeat(self.years, np.diff(self.edges))

    @property
    def vega(self) -> Floats:
        """USD per 1.00 of vol at the quote, discounted."""
        return np.asarray(
            black.greeks(
                right=self.right, forward=self.forward, strike=self.strike, years=self.each_years,
                vol=self.vol, df=self.df, which=["vega"],
            ).vega
        )  # fmt: skip

    @property
    def price(self) -> Floats:
        """USD, of the quote's own right, discounted."""
        return np.asarray(
            black.price(
                right=self.right, forward=self.forward, strike=self.strike, years=self.each_years,
                vol=self.vol, df=self.df,
            )
        )  # fmt: skip


def read(quotes: Any, weights: str | ArrayLike | None = None, fit: Fit = "vol") -> OptionQuotes:
    """Quotes from a surface, a frame or a mapping, sorted by expiry.

    Parameters
    ----------
    quotes : a VolSurface (its used out-of-the-money quotes), or columns `years`, `strike`,
        `forward`, `df` (default 1), `right` (default the out-of-the-money one; needed with prices)
        and one of: `vol`; `price`; `bid_vol` and `ask_vol`; `bid` and `ask`; and `weight` if wanted
    weights : of a residual, as in `heston.calibrate`; one number a row, or a name.
        Default: the column `weight`, else "spread" if there are bids and asks, else "equal"
    fit : what the residuals are, Black vols or discounted prices

    Raises
    ------
    InvalidInput
        For columns that are missing, ragged or not numbers, years, strikes or forwards that are not
        positive, and if no quote is left.
    """
    # by name: a caller without a surface need not load its kernels
    surface = type(quotes).__name__ == "VolSurface"
    columns = _of_surface(quotes) if surface else _columns(quotes)
    years = check.above("years", columns["years"], 0.0, unit="years", hint="Drop expired rows.")
    strike = check.above("strike", columns["strike"], 0.0, unit="USD", hint="Drop such rows.")
    forward = check.above("forward", columns["forward"], 0.0, unit="USD", hint="Drop such rows.")
    size = years.size
    _same_length(years=years, strike=strike, forward=forward)
    df = check.above(
        "df", columns.get("df", np.ones(size)), 0.0, unit="", hint="Discount factors, not rates."
    )
    given = columns.get("right")
    right = np.where(strike >= forward, 1.0, -1.0) if given is None else check.right(given)
    _same_length(years=years, df=df, right=right)
    vol, half, why = _vols(columns, right, forward, strike, years, df)
    reasons = dict.fromkeys(why[why != ""].tolist())
    removed = {reason: int(np.sum(why == reason)) for reason in reasons}
    keep = np.flatnonzero(why == "")
    if keep.size == 0:
        said = ", ".join(f"{n} {reason}" for reason, n in removed.items())
        raise InvalidInput(f"none of {size} quotes is usable: {said}. Check units and rights.")
    order = keep[np.argsort(years[keep], kind="stable")]
    times, first = np.unique(years[order], return_index=True)
    out = OptionQuotes(
        years=times,
        edges=np.append(first, order.size).astype(np.int64),
        row=columns.get("row", np.arange(size))[order].astype(np.int64),
        right=right[order],
        forward=forward[order],
        strike=strike[order],
        df=df[order],
        vol=vol[order],
        half=half[order],
        weight=np.ones(order.size),
        removed=removed,
    )
    if weights is None:
        weights = columns.get("weight", "spread" if out.half.any() else "equal")
    if isinstance(weights, str):
        raw = _named(out, weights, fit)
    else:
        hint = "Zero leaves a quote out of the fit."
        each = check.at_least("weight", weights, 0.0, unit="", hint=hint)
        if each.shape != (size,):
            raise InvalidInput(f"weights have shape {each.shape}, must be one a row, ({size},)")
        raw = each[order]
    if not raw.any():
        raise InvalidInput("all weights are zero; give some quote a weight")
    return replace(out, weight=raw / np.sqrt(np.mean(raw**2)))


def _of_surface(surface: "VolSurface") -> dict[str, Any]:
    """The used quotes of a surface as columns."""
    table, chain = surface.quotes, surface.chain
    row = table.row[table.used]
    of = chain.slice_of[row]
    return {
        "row": row,
        "years": surface.years[of],
        "strike": chain.strike[row],
        "forward": surface.forwards[of],
        "df": surface.dfs[of],
        "right": chain.right[row],
        "bid_vol": table.bid_vol[table.used],
        "ask_vol": table.ask_vol[table.used],
    }


def _columns(quotes: Any) -> dict[str, Any]:
    """Known columns of a frame or mapping as arrays; numbers are left to the checks."""
    if type(quotes).__name__ == "LazyFrame":
        raise InvalidInput("quotes is a LazyFrame; call .collect() on it first")
    if hasattr(quotes, "to_pydict"):  # Arrow's `columns` are the data
        quotes = quotes.to_pydict()
    names = quotes.keys() if hasattr(quotes, "keys") else getattr(quotes, "columns", None)
    if names is None or not hasattr(quotes, "__getitem__"):
        raise InvalidInput(f"quotes is a {type(quotes).__name__}, must be {FRAMES}")
    have = [str(name) for name in names]
    missing = [name for name in ("years", "strike", "forward") if name not in have]
    kinds = [kind for kind in VALUES if set(kind) <= set(have)]
    if missing or not kinds:
        lack = ", ".join(missing) or "a value: vol, price, bid_vol and ask_vol, or bid and ask"
        raise InvalidInput(f"quotes lack {lack}; the columns here are {', '.join(have)}")
    if len(kinds) > 1:
        said = " and of ".join(" and ".join(kind) for kind in kinds)
        raise InvalidInput(f"quotes have values of {said}; leave all but one kind out")
    if kinds[0] in (("price",), ("bid", "ask")) and "right" not in have:
        raise InvalidInput("prices need a column right, +1 or 'c' for a call, -1 or 'p' for a put")
    wanted = ("years", "strike", "forward", "df", "right", "weight", *kinds[0])
    out: dict[str, Any] = {}
    for name in wanted:
        if name in have:
            column = quotes[name]
            out[name] = column.to_numpy() if hasattr(column, "to_numpy") else column
            if np.ndim(out[name]) != 1:
                raise InvalidInput(
                    f"column {name} of quotes has shape {np.shape(out[name])}, must be one value "
                    "a row"
                )
    return out


def _same_length(**columns: Floats) -> None:
    if len({a.size for a in columns.values()}) > 1:
        said = ", ".join(f"{name} {a.size}" for name, a in columns.items())
        raise InvalidInput(f"columns of quotes differ in length: {said}; give each a value a row")


def _vols(
    columns: dict[str, Any], right: Floats, forward: Floats, strike: Floats, years: Floats,
    df: Floats,
) -> tuple[Floats, Floats, NDArray[np.str_]]:  # fmt: skip
    """(vol, half spread in vol, why not), a row each."""
    (name, *more) = next(kind for kind in VALUES if set(kind) <= set(columns))
    sides = [check.numbers(n, columns[n]) for n in (name, *more)]
    _same_length(years=years, **dict(zip((name, *more), sides, strict=True)))
    low, high = sides[0], sides[-1]
    with np.errstate(invalid="ignore"):
        mid, half = 0.5 * (low + high), 0.5 * (high - low)
        why = np.full(mid.size, "", "<U40")
        why[half < 0.0] = "crossed: bid above ask"
        if more:  # half an ask is nobody's price
            why[low <= 0.0] = "no bid"
        else:
            why[low < 0.0] = "negative"
        why[~np.isfinite(mid)] = "missing"
        if name in ("vol", "bid_vol"):
            why[(why == "") & ~(mid > 0.0)] = "no vol"
            return mid, half, why
    got = implied.vol(price=mid, right=right, forward=forward, strike=strike, years=years, df=df)
    status, vol = np.asarray(got.status), np.asarray(got.vol)
    why[(why == "") & ((status != 0) | ~(vol > 0.0))] = "no vol at its price"
    fine = why == ""
    vega = np.ones(mid.size)
    vega[fine] = black.greeks(
        right=right[fine], forward=forward[fine], strike=strike[fine], years=years[fine],
        vol=vol[fine], df=df[fine], which=["vega"],
    ).vega  # fmt: skip
    return vol, half / np.maximum(vega, 1e-300), why


def _named(quotes: OptionQuotes, weights: str, fit: Fit) -> Floats:
    """Weights of residuals in vol or in price by their name."""
    if weights not in WEIGHTS:
        raise InvalidInput(
            f"weights is {weights!r}, must be one of {', '.join(WEIGHTS)} or a number a row"
        )
    if weights == "spread":
        if not quotes.half.any():
            raise InvalidInput("weights is 'spread', but the quotes have no bid and ask")
        half = quotes.half if fit == "vol" else quotes.half * quotes.vega
        return _by_spread(half)
    if weights == "vega" and fit == "vol":
        return quotes.vega
    return np.ones(len(quotes))  # a price's own unit is already what vega makes of a vol's


def _by_spread(half: Floats) -> Floats:
    """1/half spread, none of them narrower than NARROWEST of the median."""
    return 1.0 / np.maximum(half, NARROWEST * np.median(half[half > 0.0]))


def fewest(quotes: OptionQuotes, names: Sequence[str]) -> None:
    """Raise if there are fewer weighed quotes than parameters."""
    have = int(np.count_nonzero(quotes.weight))
    if have < len(names):
        said = f" ({', '.join(f'{n} {why}' for why, n in quotes.removed.items())})"
        raise InvalidInput(
            f"{have} usable quotes{said if quotes.removed else ''} for {len(names)} parameters, "
            f"{', '.join(names)}; give at least {len(names)}, from two expiries or more"
        )

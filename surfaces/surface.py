"""The volatility surface: one immutable, versioned snapshot of what a chain is worth.

A surface is m expiries (slices), each a smile in k = ln(strike/forward), with forwards, discount
factors, carry and the early-exercise premia of the chain it was fitted on. Between expiries total
variance is linear in the time of its clock at equal k (`surfaces.term`).

Units   prices USD per share; years ACT/365; vols decimal; `_ns` int64 ns UTC; F = S exp((rate -
        carry) years), df = exp(-rate years).
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import term
from surfaces.certificate import Certificate
from surfaces.chain_slices import ChainSlices
from surfaces.curves.clock import CALENDAR, VolClock
from surfaces.premium import PremiumSnapshot
from surfaces.smiles.base import SMILES, Array, CurveStack, SmileModel

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl

__all__ = ["ChainSlices", "QuoteTable", "Scores", "VolSurface"]

AGE_DOUBLING_S = 300.0  # a curve this old is half again as uncertain
OUTSIDE = 0.5  # share of uncertainty added per deviation beyond the quoted range
UNKNOWN_VOL_ERROR = 0.10  # of a vol borrowed from other expiries, as a share of it


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How well each slice fits its own quotes, (m,); denominators were fixed before the fit."""

    quotes: NDArray[np.int64]
    hits: NDArray[np.int64]
    core_quotes: NDArray[np.int64]
    core_hits: NDArray[np.int64]
    chi2: Array  # per degree of freedom, residuals in half spreads
    loo_hits: NDArray[np.int64]  # by the fit without the quote; zero from a model that has none
    verticals: NDArray[np.int64]  # arbitrages of neighbouring quotes at executable prices
    butterflies: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class QuoteTable:
    """The out-of-the-money quotes a surface was judged on, (q,): chain row, vols, used or not.

    `loo`: (model fitted without the quote - mid) / half spread; `loo_sd`: one standard error of it.
    """

    row: NDArray[np.int64]
    k: Array
    bid_vol: Array
    ask_vol: Array
    model_vol: Array
    used: NDArray[np.bool_]
    loo: Array
    loo_sd: Array

    @property
    def edge(self) -> Array:
        """(mid - fair value without the quote) in standard errors: > 0 is dear."""
        return -self.loo / self.loo_sd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VolSurface:
    """One fitted surface. Per-slice arrays have shape (m,), per-row arrays (n,), all read-only."""

    version: int
    ts_ns: int
    spot: float
    chain: ChainSlices
    years: Array
    forwards: Array
    forward_error: Array  # one standard error, USD
    dfs: Array
    rate: Array
    carry: Array
    models: tuple[str, ...]  # the smile on the shelf that `thetas` belong to; "" for none
    thetas: tuple[Array, ...]
    path: tuple[str, ...]
    status: tuple[str, ...]
    quoted_range: Array  # (m, 2) in k
    fit_error: Array  # vol, one standard error of a quoted strike, all strikes alike
    fit_ns: NDArray[np.int64]  # when each curve was fitted
    error_k: tuple[Array | None, ...]  # where a curve's model knows the error of its vol, rising,
    error_vol: tuple[Array | None, ...]  # and that error; None where it does not
    scores: Scores
    certificate: Certificate
    removed: dict[str, int]  # options whose quotes were not believed, by reason
    quotes: QuoteTable
    premiums: PremiumSnapshot
    clock: VolClock = CALENDAR
    params: Array = field(init=False)  # (m, 5) raw SVI, NaN in a fallback
    atm_vol: Array = field(init=False)
    skew: Array = field(init=False)  # dvol/dk at the forward
    row_vol: Array = field(init=False)
    row_error: Array = field(init=False)
    row_certified: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        m, of = self.chain.slices, self.chain.slice_of
        stack = CurveStack.of_curves(self._models(), self.thetas)
        params = np.full((m, 5), np.nan)
        for j, name in enumerate(self.models):
            if name == "svi":
                params[j] = self.thetas[j]
        w, w1, _ = stack.derivatives(np.arange(m), np.zeros(m))
        level = np.sqrt(w / self.years)
        skew = w1 / (2.0 * level * self.years)
        k = np.log(self.chain.strike / self.forwards[of])
        row_vol = np.sqrt(np.maximum(stack.total_variance(of, k), 0.0) / self.years[of])
        made = {"params": params, "atm_vol": level, "skew": skew}
        made |= {"row_vol": row_vol, "row_certified": self.certificate.covers(of, k)}
        for name, value in made.items():
            object.__setattr__(self, name, value)
        parts = [self.error(j, k[self.chain.rows(j)]) for j in range(m)]
        object.__setattr__(self, "row_error", np.concatenate(parts))
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __repr__(self) -> str:
        judged, m = int(self.scores.quotes.sum()), self.chain.slices
        hit = f"{100.0 * int(self.scores.hits.sum()) / judged:.1f} %" if judged else "none"
        at = np.datetime64(self.ts_ns // 10**9, "s")
        return (
            f"<VolSurface version {self.version}, {at}Z, spot {self.spot:g}, {m} expiries, "
            f"{int(self.certificate.certified.sum())} certified, {hit} of {judged} quotes hit>"
        )

    def _models(self) -> list[SmileModel | None]:
        return [SMILES[name] if name else None for name in self.models]

    def error(self, j: int, k: Array) -> Array:
        """One standard error of slice j's vol at k: wider where less is known, and with age.

        Past the last place the model speaks of, the error grows with the distance.
        """
        width = max(float(self.atm_vol[j]) * np.sqrt(self.years[j]), 1e-9)
        at, known = self.error_k[j], self.error_vol[j]
        if at is None or known is None:
            (low, high), base = self.quoted_range[j], self.fit_error[j]
        else:
            low, high, base = at[0], at[-1], np.interp(k, at, known)
        outside = np.maximum(np.maximum(low - k, k - high), 0.0) / width
        made = int(self.fit_ns[j]) or self.ts_ns  # zero: a vol borrowed just now
        age = max(self.ts_ns - made, 0) / 1e9
        return base * (1.0 + OUTSIDE * outside) * np.sqrt(1.0 + age / AGE_DOUBLING_S)

    def total_variance(self, k: ArrayLike, years: ArrayLike) -> Array:
        """w = vol^2 years at log-moneyness `k`; arguments broadcast; NaN if nothing is fitted."""
        k, years = check.together(
            k=check.finite("k", k, unit="", hint="k is ln(strike/forward)."),
            years=check.above("years", years, 0.0, unit="years", hint="Remove expired rows."),
        )
        return term.total_variance(self, k, years)

    def on_clock(self, clock: VolClock) -> "VolSurface":
        """The same curves with another clock between them."""
        check.kind("clock", clock, VolClock, hint="CALENDAR is calendar time.")
        return replace(self, clock=clock)

    def implied_events(
        self, clock: VolClock | None = None, false_alarm: float = 1e-3
    ) -> "term.ImpliedEvents":
        """Event variance that the at-the-money term structure shows, one row a gap.

        `clock`: trading time with its default weights unless given, or weekends would look like
        events. `false_alarm`: chance that anything is found where there is nothing.

        The variance is that of the vol quoted at the forward. Of a jump between two points that is
        more than the variance of the jump, its move up to sqrt(pi/2) times what it is: 6.5 % can
        read 7.2 %.
        """
        return term.implied_events(self, clock or VolClock(), false_alarm)

    def _in_time(self) -> NDArray[np.int64]:
        """Slices in rising time, without the expired ones unless all are."""
        order = np.argsort(self.years, kind="stable")
        alive = self.chain.fixing_ns[order] > self.ts_ns
        return order[alive] if alive.any() else order

    def forward(self, years: ArrayLike) -> Array:
        """Forward for any maturity, USD: ln(F/S) linear between expiries, through zero at now."""
        years = check.at_least("years", years, 0.0, unit="years", hint="Remove expired rows.")
        order = self._in_time()
        at = np.concatenate(([0.0], self.years[order]))
        x = np.concatenate(([0.0], np.log(self.forwards[order] / self.spot)))
        inside = np.interp(years, at, x)
        return self.spot * np.exp(np.where(years > at[-1], x[-1] * years / at[-1], inside))

    def df(self, years: ArrayLike) -> Array:
        """Discount factor for any maturity: rates linear between expiries, flat outside."""
        years = check.at_least("years", years, 0.0, unit="years", hint="Remove expired rows.")
        order = self._in_time()
        return np.exp(-np.interp(years, self.years[order], self.rate[order]) * years)

    def vol(self, strike: ArrayLike, years: ArrayLike) -> Array:
        """Implied vol at any strike (USD) and maturity; arguments broadcast."""
        strike, years = self._asked(strike, years)
        w = self.total_variance(np.log(strike / self.forward(years)), years)
        return np.sqrt(w / years)

    def slice_vol(self, j: int, strike: ArrayLike) -> Array:
        """Vol of slice `j`'s own curve, 0 to m-1, at strikes in USD; NaN if it has none."""
        strike = check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices.")
        j = self.chain.numbered(j)
        if not self.models[j]:
            return np.full(strike.shape, np.nan)
        k = np.log(strike / self.forwards[j])
        w = SMILES[self.models[j]].total_variance(k, self.thetas[j])
        return np.sqrt(np.maximum(w, 0.0) / self.years[j])

    def uncertainty(self, strike: ArrayLike, years: ArrayLike) -> Array:
        """One standard error of `vol`, in vol; grows beyond the quotes and with the fit's age."""
        strike, years = self._asked(strike, years)
        k = np.log(strike / self.forward(years))
        slices = term.live_slices(self)
        if slices.size == 0:
            return np.full(k.shape, np.nan)
        at = self.years[slices]
        each = np.stack([self.error(int(j), k) for j in slices])
        after = np.clip(np.searchsorted(at, years), 0, slices.size - 1)
        before = np.clip(np.searchsorted(at, years, side="right") - 1, 0, slices.size - 1)
        pick = [np.take_along_axis(each, i[None], axis=0)[0] for i in (before, after)]
        return np.maximum(*pick)

    def density(self, strike: ArrayLike, years: ArrayLike) -> Array:
        """Risk-neutral density of the underlying at `years`, per USD; arguments broadcast."""
        strike, years = self._asked(strike, years)
        return term.density(self, strike, years)

    def fair_value(self, right: ArrayLike, strike: ArrayLike, years: ArrayLike) -> "term.FairValue":
        """European price and one standard error of it, USD per share; arguments broadcast.

        The error joins that of the vol (quotes, distance from them, age) with the forward's. NaN
        if nothing is fitted.
        """
        strike, years = self._asked(strike, years)
        right, strike, years = check.together(right=check.right(right), strike=strike, years=years)
        return term.fair_value(self, right, strike, years)

    def _asked(self, strike: ArrayLike, years: ArrayLike) -> tuple[Array, Array]:
        """Checked and broadcast together."""
        strike = check.above("strike", strike, 0.0, unit="USD", hint="Strikes are prices.")
        years = check.above("years", years, 0.0, unit="years", hint="Remove expired rows.")
        strike, years = check.together(strike=strike, years=years)
        return strike, years

    def row_vols(self, rows: Any = slice(None)) -> Array:
        """Vol of chain rows (all by default) on their own slice's curve; NaN where it has none."""
        return self.row_vol[rows]

    def row_uncertainty(self, rows: Any = slice(None)) -> Array:
        """One standard error of `row_vols`, in vol."""
        return self.row_error[rows]

    def premium(self, spot: float) -> tuple[Array, Array, Array]:
        """Early-exercise premium of every row at `spot`, and its first two spot derivatives."""
        return self.premiums.at(spot)

    @property
    def records(self) -> list[dict[str, Any]]:
        """One record a slice, with the columns of surface.parquet in docs/run_folder.md."""
        from surfaces.tables import records

        return records(self)

    @property
    def diagnostics(self) -> "pl.DataFrame":
        """`records` as a frame."""
        from surfaces.tables import diagnostics

        return diagnostics(self)

    @property
    def residuals(self) -> "pl.DataFrame":
        """One row a judged quote, with the columns of smiles.parquet in docs/run_folder.md."""
        from surfaces.tables import residuals

        return residuals(self)

    def to_json(self) -> str:
        """The surface as a JSON document; `from_json` reads it back bit for bit."""
        from surfaces import storage

        return storage.to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "VolSurface":
        """The surface of `to_json`; InvalidInput for what is foreign, damaged or newer."""
        from surfaces import storage

        return storage.from_json(text)

    def to_parquet(self, path: "str | Path") -> None:
        """Write `to_polars` and all else that the surface is made from, whole or not at all."""
        from surfaces import storage

        storage.to_parquet(self, path)

    @classmethod
    def from_parquet(cls, path: "str | Path") -> "VolSurface":
        """The surface of `to_parquet`, bit for bit; InvalidInput as `from_json`."""
        from surfaces import storage

        return storage.from_parquet(path)

    def to_polars(self) -> "pl.DataFrame":
        """One row an option of the chain: strike, forward, vol and its error, premium."""
        from surfaces import storage

        return storage.to_polars(self)

    def to_pandas(self) -> "pd.DataFrame":
        """`to_polars` as a pandas frame."""
        from surfaces import storage

        return storage.to_pandas(self)

    def to_quantlib(self, strikes: ArrayLike | None = None) -> Any:
        """A QuantLib `BlackVarianceSurface`; see `surfaces.quantlib` for its dates and clock.

        `strikes`: its grid, USD, rising; by default the chain's, within the quoted ranges.
        """
        from surfaces import quantlib

        return quantlib.to_quantlib(self, strikes)

"""The live fitter: quotes in, a new version of the surface out, as often as the desk likes.

One refit is: premium off the quotes, forwards and rates from parity, one smile per expiry from the
shortest to the longest, premium again if it moved, marks and certificate, publish. What the
fitter remembers between refits is the last surface, the belief about carry, and the premia. A
slice that cannot be fitted keeps its last good curve, and says so.

The same updates in the same order give the same surfaces, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import scoring
from surfaces.curves import carry as carry_curve
from surfaces.curves import parity
from surfaces.curves.carry import CarryConfig, CarryState, CashDividends
from surfaces.curves.clock import FLOOR_SECONDS, years_to
from surfaces.errors import InvalidInput
from surfaces.premium import PremiumCache, PremiumLimits
from surfaces.pricing import black
from surfaces.scoring import Curve
from surfaces.slices import SliceTask, fit_slices, quote_table
from surfaces.smiles.base import Array, CurveStack, smile
from surfaces.smiles.quotes import quote_vols
from surfaces.surface import ChainSlices, QuoteTable, Scores, VolSurface

__all__ = ["ChainSlices", "FitConfig", "LiveFitter", "VolSurface"]

BUTTERFLY_TOLERANCE = 1e-6
CALENDAR_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How to fit. Rates are continuously compounded per year; times in seconds.

    `future`: the underlying is the future of the same expiry, so the forward is spot, carry is the
    rate, and parity only informs the rate. `rate_prior` and its error may be given for each slice,
    (m,), as of a bootstrapped curve. `dividends`: the cash an American chain's share will pay, also
    what is only expected; without them dividends are a yield implied from the forwards, the premia
    near an ex-date are rough, and only the prior and the slopes of parity tell the rate.
    """

    model: str = "svi"
    future: bool = False
    rate_prior: float | Sequence[float] = 0.03
    rate_prior_sd: float | Sequence[float] = 0.015
    carry_prior_sd: float = 0.03
    borrow_sd: float = 0.0025  # per year, of a share whose dividends are given
    dividends: CashDividends | None = None
    forward_noise: float = 1e-4  # of ln(F/S) per square root of an hour
    rate_memory_s: float = 1800.0
    last_good_s: float = 900.0  # a curve this young is kept rather than replaced by a lower rung
    cold_rounds: int = 4  # premium <-> vol rounds of the first fit
    floor_seconds: float = FLOOR_SECONDS
    premium: PremiumLimits = field(default_factory=PremiumLimits)

    def __post_init__(self) -> None:
        for name in ("rate_prior", "rate_prior_sd"):
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, tuple(value.tolist()) if value.ndim else float(value))

    @property
    def carry(self) -> CarryConfig:
        """The part about forwards."""
        return CarryConfig(
            rate_prior=self.rate_prior,
            rate_prior_sd=self.rate_prior_sd,
            carry_prior_sd=self.carry_prior_sd,
            borrow_sd=self.borrow_sd,
            forward_noise=self.forward_noise,
            rate_memory_s=self.rate_memory_s,
        )


@dataclass(frozen=True, slots=True)
class _Book:
    """One refit's cleaned quotes, (n,), NaN where absent, and the times to expiry, (m,)."""

    now_ns: int
    spot: float
    bid: Array
    ask: Array
    two_sided: NDArray[np.bool_]
    years: Array
    alive: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Market:
    """Forwards and rates of one refit, (m,), and what to say about each."""

    belief: CarryState
    forwards: Array
    errors: Array
    notes: list[tuple[str, ...]]


class LiveFitter:
    """Fits one chain again and again; `update` is the only way in."""

    def __init__(self, slices: ChainSlices, config: FitConfig | None = None) -> None:
        self.chain = slices
        self.config = config or FitConfig()
        smile(self.config.model)  # an unknown name fails here, not at the first quote
        rows = (slices.right, slices.strike, slices.american, slices.slice_start)
        self._premiums = PremiumCache(*rows, self.config.premium, self.config.dividends)
        self.config.carry.prior(slices.slices)  # so does a curve of another length
        self._last: VolSurface | None = None
        self._belief: CarryState | None = None
        self._rate_ns = 0
        self._american = np.array(
            [bool(slices.american[slices.rows(j)].any()) for j in range(slices.slices)]
        )
        self._pairs = _pair_rows(slices)

    @property
    def surface(self) -> VolSurface | None:
        """The last surface published."""
        return self._last

    def update(
        self,
        now_ns: int,
        *,
        spot: float,
        bid: ArrayLike,
        ask: ArrayLike,
        usable: ArrayLike | None = None,
    ) -> VolSurface:
        """Fit the quotes of this instant and publish the next version.

        `bid`, `ask` USD (n,), NaN or zero where absent; `usable` (n,) bool, default all. `spot`
        USD; not finite means the last one known. Bad quotes never raise; a wrong shape does.
        """
        book = self._clean(now_ns, spot, bid, ask, usable)
        years = book.years
        traded, config = self._american, self.config.carry
        belief = self._belief or carry_curve.start(book.now_ns, years, traded, config)
        belief = carry_curve.predict(belief, book.now_ns, years, traded, config)
        vols = self._last.row_vol if self._last else np.full(len(self.chain), np.nan)
        cold = self._last is None and self._american.any()
        market, prior = None, belief
        for turn in range(self.config.cold_rounds if cold else 1):
            net = self._log_forward(book, belief)
            self._premiums.refresh(
                now_ns=book.now_ns,
                spot=book.spot,
                years=years,
                vols=vols,
                rate=belief.rate,
                log_forward=net,
            )
            premium = self._premiums.snapshot(belief.rate, net).at(book.spot)[0]
            market = self._imply(book, premium, prior, belief.rate, learn_rate=not cold or turn > 0)
            belief = market.belief
            surface = self._assemble(book, market)
            vols = surface.row_vol
        assert market is not None
        self._belief, self._last = belief, surface
        self._rate_ns = book.now_ns
        return surface

    def _log_forward(self, book: _Book, belief: CarryState) -> Array:
        """ln(F/S) of every slice."""
        net = carry_curve.log_forward(belief, book.years)[0]
        return np.asarray(net + self._paid(book, belief.rate)) * (not self.config.future)

    def _paid(self, book: _Book, rate: Array) -> Array | float:
        """What the given dividends take off ln(F/S), (m,); zero without."""
        if self.config.dividends is None or self.config.future:
            return 0.0
        return self.config.dividends.log_paid(book.now_ns, book.spot, book.years, rate)

    def _clean(
        self, now_ns: int, spot: float, bid: ArrayLike, ask: ArrayLike, usable: ArrayLike | None
    ) -> _Book:
        """Copies with every unusable side NaN. A wrong shape is the caller's mistake and raises."""
        n = len(self.chain)
        good = np.ones(n, bool) if usable is None else np.array(usable, bool)
        for name, values in (("bid", bid), ("ask", ask), ("usable", good)):
            if np.shape(values) != (n,):
                raise InvalidInput(f"{name} has shape {np.shape(values)}, must be ({n},)")
        spot = float(spot)
        if not (0.0 < spot < np.inf):
            spot = self._last.spot if self._last else float(np.median(self.chain.strike))
        # No option is worth more than its underlying (call) or its strike (put).
        most = 2.0 * np.maximum(self.chain.strike, spot)
        low, high = (np.array(check.numbers("bid", bid)), np.array(check.numbers("ask", ask)))
        for side in (low, high):
            side[~(good & (side > 0.0) & (side < most))] = np.nan
        crossed = low >= high  # locked too: neither side of such a market is believed
        low[crossed], high[crossed] = np.nan, np.nan
        alive = self.chain.fixing_ns > now_ns
        return _Book(
            now_ns=int(now_ns),
            spot=spot,
            bid=low,
            ask=high,
            two_sided=np.isfinite(low) & np.isfinite(high) & alive[self.chain.slice_of],
            years=years_to(self.chain.fixing_ns, int(now_ns), self.config.floor_seconds),
            alive=alive,
        )

    def _imply(
        self, book: _Book, premium: Array, prior: CarryState, rate: Array, *, learn_rate: bool
    ) -> _Market:
        """Forwards and rates from parity, folded into the belief `prior`."""
        config, years = self.config, book.years
        m, european = self.chain.slices, ~self._american
        rate_prior, prior_sd = config.carry.prior(m)
        middle = np.exp(-rate_prior * years)
        found = parity.imply_chain(
            self._pairs,
            strike=self.chain.strike,
            bid=np.where(book.two_sided, book.bid, np.nan),
            ask=book.ask,
            premium=premium,
            by_rate=self._premiums.by_rate,
            american=self._american,
            years=years,
            df=np.where(european, middle, np.exp(-rate * years)),
            df_sd=prior_sd * years * middle,
            learn_rate=learn_rate,
        )
        there = found.forward > 0.0
        forward = np.where(there, found.forward, np.nan)
        notes = [("parity_outside",) if weak else () for weak in (found.inside < 0.5).tolist()]
        paid = self._paid(book, rate)
        rates, rate_sd = np.full(m, np.nan), prior_sd
        if learn_rate:
            readings = carry_curve.rate_readings(
                found,
                np.log(forward / book.spot),
                found.error / forward,
                years,
                paid=paid if isinstance(paid, np.ndarray) else None,
                config=config.carry,
            )
            rates, rate_sd = carry_curve.rate_curve(years, readings, config.carry)
            forward = np.where(there, found.at_rate(rates, years), np.nan)
        lean = np.nan_to_num(found.lean)
        x = np.log(np.where(forward > 0.0, forward, np.nan) / book.spot)
        sd = np.hypot(found.error, np.where(european, lean, 0.0) * rate_sd) / forward
        belief = carry_curve.observe_rate(prior, rates, self._rate_ns, config.carry)
        if config.future:
            net, labels = np.zeros(m), ["future"] * m
            belief = replace(belief, x=net, variance=np.zeros(m))
        else:
            belief = carry_curve.observe(belief, x - paid, sd, config.carry)
            net, labels = carry_curve.log_forward(belief, years)
            net = net + paid
        quiet = ("parity", "future")
        labelled = [
            note if label in quiet else (label, *note)
            for label, note in zip(labels, notes, strict=True)
        ]
        forwards = book.spot * np.exp(net)
        errors = np.sqrt(belief.variance)
        errors = np.where(np.isfinite(sd), np.maximum(errors, 0.25 * sd), errors) * forwards
        errors = np.hypot(errors, np.where(european, 0.0, lean) * rate_sd)
        return _Market(belief, forwards, errors * (not config.future), labelled)

    def _assemble(self, book: _Book, market: _Market) -> VolSurface:
        """Fit every slice against the given forwards and build the surface."""
        chain, of = self.chain, self.chain.slice_of
        net = np.log(market.forwards / book.spot)
        premiums = self._premiums.snapshot(market.belief.rate, net)
        premium = premiums.at(book.spot)[0]
        dfs = np.exp(-market.belief.rate * book.years)
        outside = np.where(
            chain.right > 0.0,
            chain.strike >= market.forwards[of],
            chain.strike < market.forwards[of],
        )
        some = np.flatnonzero(outside & np.isfinite(book.ask) & book.alive[of])
        where = of[some]
        vols = quote_vols(
            right=chain.right[some],
            strike=chain.strike[some],
            forward=market.forwards[where],
            years=book.years[where],
            df=dfs[where],
            bid=book.bid[some] - premium[some],
            ask=book.ask[some] - premium[some],
        )
        task = SliceTask(
            model=self.config.model,
            now_ns=book.now_ns,
            vols=vols,
            slice_of=where,
            two_sided=book.two_sided[some],
            years=book.years,
            alive=book.alive,
            last=self._last,
            last_good_s=self.config.last_good_s,
        )
        curves, used, chi2 = fit_slices(task)
        stack = scoring.stacked(curves)
        table = quote_table(task, stack, some, used)
        scores = self._score(book, market.forwards, dfs, premium, curves, stack, table, chi2)
        _annotate(curves, market, scores)
        last = self._last
        rate = market.belief.rate.copy()
        return VolSurface(
            version=last.version + 1 if last else 1,
            ts_ns=book.now_ns,
            spot=book.spot,
            chain=chain,
            years=book.years,
            forwards=market.forwards,
            forward_error=market.errors,
            dfs=dfs,
            rate=rate,
            carry=rate - net / book.years,
            models=tuple(c.model for c in curves),
            thetas=tuple(np.zeros(0) if c.theta is None else c.theta for c in curves),
            path=tuple(c.path for c in curves),
            status=tuple(",".join(c.notes) or "ok" for c in curves),
            quoted_range=np.array([(c.k_low, c.k_high) for c in curves]).reshape(-1, 2),
            fit_error=np.array([c.fit_error for c in curves]),
            fit_ns=np.array([c.fit_ns for c in curves], np.int64),
            scores=scores,
            quotes=table,
            premiums=premiums,
        )

    def _score(
        self,
        book: _Book,
        forwards: Array,
        dfs: Array,
        premium: Array,
        curves: list[Curve],
        stack: CurveStack,
        table: QuoteTable,
        chi2: Array,
    ) -> Scores:
        """Hits in price, chi-square and certificate of every slice."""
        row, of = table.row, self.chain.slice_of[table.row]
        known = np.isfinite(table.model_vol)
        price = black.price(
            right=self.chain.right[row],
            forward=forwards[of],
            strike=self.chain.strike[row],
            years=book.years[of],
            vol=np.where(known, table.model_vol, 0.0),
            df=dfs[of],
        )
        price = np.where(known, price + premium[row], np.nan)
        m = book.years.size
        w = stack.total_variance(np.arange(m), np.zeros(m))
        marks = scoring.marks(
            price=price,
            bid=book.bid[row],
            ask=book.ask[row],
            k=table.k,
            of=of,
            width=np.sqrt(w / book.years) * np.sqrt(book.years),
        )
        min_g, margin, wings = scoring.certify(curves, stack, book.years, book.alive)
        counts = (marks.quotes, marks.hits, marks.core_quotes, marks.core_hits)
        return Scores(*counts, chi2, min_g, margin, wings)


def _annotate(curves: list[Curve], market: _Market, scores: Scores) -> None:
    """Add to each curve's notes what its forward and its certificate have to say."""
    for j, curve in enumerate(curves):
        notes = [*curve.notes, *market.notes[j]]
        if scores.min_g[j] < -BUTTERFLY_TOLERANCE:
            notes.append("butterfly")
        if scores.calendar_margin[j] < -CALENDAR_TOLERANCE:
            notes.append("calendar")
        curve.notes = tuple(notes)


def _pair_rows(slices: ChainSlices) -> parity.PairRows:
    """Rows of the call and of the put at every strike of each slice that lists both."""
    calls, puts = [], []
    for j in range(slices.slices):
        rows = np.arange(*slices.slice_start[j : j + 2])
        call, put = (rows[slices.right[rows] == w] for w in (1.0, -1.0))
        _, in_call, in_put = np.intersect1d(
            slices.strike[call], slices.strike[put], assume_unique=False, return_indices=True
        )
        calls.append(call[in_call])
        puts.append(put[in_put])
    start = np.cumsum([0, *(c.size for c in calls)])
    return parity.PairRows(np.concatenate(calls), np.concatenate(puts), start)

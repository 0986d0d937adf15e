"""The live fitter: quotes in, a new version of the surface out, as often as the desk likes.

One refit is: premium off the quotes, forwards and rates from parity, the smiles of all expiries,
premium again if it moved, marks and certificate, publish. What the
fitter remembers between refits is the last surface, the belief about carry, and the premia. A
slice that cannot be fitted keeps its last good curve, and says so.

The same updates in the same order give the same surfaces, bit for bit.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import scoring
from surfaces.certificate import STOPGAPS, Certificate, Subject, certify
from surfaces.cleaning import Book, clean
from surfaces.curves import carry as carry_curve
from surfaces.curves import parity
from surfaces.curves.carry import CarryState
from surfaces.dynamics import Rule
from surfaces.errors import InvalidInput
from surfaces.fit_config import FitConfig
from surfaces.instants import instant
from surfaces.moving import moved
from surfaces.premium import PremiumCache
from surfaces.pricing import black
from surfaces.scoring import Curve
from surfaces.slices import Fitted, SliceTask, Together, fit_slices, quote_table
from surfaces.smiles.base import CHAINS, Array, CurveStack, smile
from surfaces.smiles.quotes import quote_vols
from surfaces.surface import ChainSlices, QuoteTable, Scores, VolSurface

__all__ = ["ChainSlices", "FitConfig", "LiveFitter", "VolSurface"]

PATIENCE = 3  # updates after which a spot that the quotes contradict is believed all the same
LATE = 5.0  # errors of a forward beyond which a gap that all expiries share is spot's
MENDS = ("svi", "essvi")  # what a slice falls back to that would not be certified, in this order


@dataclass(frozen=True, slots=True)
class _Market:
    """Forwards and rates of one refit, (m,), and what to say about each."""

    belief: CarryState
    forwards: Array
    errors: Array
    notes: list[tuple[str, ...]]
    spot_off: float  # ln of what the quotes make of spot; zero where they agree with it
    gap: float  # the same however small, where nearly all expiries say so


class LiveFitter:
    """Fits one chain again and again; `update` is the only way in."""

    def __init__(self, slices: ChainSlices, config: FitConfig | None = None) -> None:
        self.chain = slices
        self.config = config or FitConfig()
        check.kind("slices", slices, ChainSlices, hint="surfaces.fitting.chain_of makes one.")
        check.kind("config", self.config, FitConfig, hint="Leave it out for the usual settings.")
        smile(self.config.model)  # an unknown name fails here, not at the first quote
        rows = (slices.right, slices.strike, slices.american, slices.slice_start)
        self._premiums = PremiumCache(*rows, self.config.premium, self.config.dividends)
        self.config.carry.prior(slices.slices)  # so does a curve of another length
        self._last: VolSurface | None = None
        self._together: Together | None = None
        self._belief: CarryState | None = None
        self._rate_ns = 0
        self._spot_known = False
        self._spot_given = True
        self._off = 0  # updates in a row whose spot the quotes contradicted
        self._american = np.array(
            [bool(slices.american[slices.rows(j)].any()) for j in range(slices.slices)]
        )
        self._pairs = parity.pair_rows(slices.right, slices.strike, slices.slice_start)

    @property
    def surface(self) -> VolSurface | None:
        """The last surface published."""
        return self._last

    def update(
        self,
        now_ns: int,
        *,
        spot: float | None,
        bid: ArrayLike,
        ask: ArrayLike,
        usable: ArrayLike | None = None,
    ) -> VolSurface:
        """Fit the quotes of this instant and publish the next version.

        Rows are those of the chain in the order of the chain, whatever order quotes come in: see
        `surfaces.fitting.chain_of`. `now_ns` ns UTC, never before the last update's. `bid`, `ask`
        USD (n,), NaN or zero where absent; `usable` (n,) bool, default all. `spot` USD; None or
        not a finite price means the last one known; before there was any, the middle strike stands
        in and every status says spot_unknown. Bad quotes never raise; a wrong shape does.
        """
        book = self._clean(self._in_order(now_ns), spot, bid, ask, usable)
        years = book.years
        traded, config = self._american, self.config.carry
        belief = self._belief or carry_curve.start(book.now_ns, years, traded, config)
        belief = carry_curve.predict(belief, book.now_ns, years, traded, config)
        vols = self._last.row_vol if self._last else np.full(len(self.chain), np.nan)
        cold = self._last is None and self._american.any()
        market, prior, off = None, belief, 0.0
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
            learn = not cold or turn > 0
            market = self._imply(book, premium, prior, belief.rate, learn_rate=learn)
            shift = market.spot_off if self._spot_given else market.gap
            if shift != 0.0 and self._spot_given and self._off >= PATIENCE:  # it insists
                prior = replace(prior, x=prior.x + shift)
                market = self._imply(book, premium, prior, belief.rate, learn_rate=learn)
            elif shift != 0.0:  # the quotes agree with each other and not with this spot
                book = replace(book, spot=book.spot * float(np.exp(shift)))
                off = shift if self._spot_given else 0.0
                market = self._imply(book, premium, prior, belief.rate, learn_rate=learn)
            belief = market.belief
            if off != 0.0:
                market = replace(market, notes=[("spot_off", *n) for n in market.notes])
            surface = self._assemble(book, market)
            vols = surface.row_vol
        assert market is not None
        self._off = self._off + 1 if off != 0.0 else 0
        if not self._spot_known:
            said = (f"{s},spot_unknown".removeprefix("ok,") for s in surface.status)
            surface = replace(surface, status=tuple(said))
        self._belief, self._last = belief, surface
        self._rate_ns = book.now_ns
        return surface

    def move(self, spot: float, stickiness: Rule = 1.3, points: int = 101) -> VolSurface:
        """Carry the last surface to `spot` and publish it: the level moves, the shape does not.

        `stickiness` is met at the money; away from it the smile keeps its shape in deviations.

        For every move of the underlying between refits; the next `update` starts from its quotes.
        `spot` USD, within a fifth of the last; `stickiness` a ratio or a rule's name, see
        `surfaces.moving`; `points` of the new certificate, a slice and a pair.
        """
        if self._last is None:
            raise InvalidInput("there is no surface to move; call update with quotes first")
        self._last = moved(self._last, spot=spot, stickiness=stickiness, points=points)
        return self._last

    def _log_forward(self, book: Book, belief: CarryState) -> Array:
        """ln(F/S) of every slice."""
        net = carry_curve.log_forward(belief, book.years)[0]
        return np.asarray(net + self._paid(book, belief.rate)) * (not self.config.future)

    def _paid(self, book: Book, rate: Array) -> Array | float:
        """What the given dividends take off ln(F/S), (m,); zero without."""
        if self.config.dividends is None or self.config.future:
            return 0.0
        return self.config.dividends.log_paid(book.now_ns, book.spot, book.years, rate)

    def _in_order(self, now_ns: int) -> int:
        """`now_ns`, if time does not run backwards."""
        now = instant("now_ns", now_ns)
        if self._last is not None and now < self._last.ts_ns:
            raise InvalidInput(
                f"now_ns is {now}, must be >= {self._last.ts_ns}, the last update's; updates come "
                "in order of time. Make a new LiveFitter to start again."
            )
        return now

    def _clean(
        self,
        now_ns: int,
        spot: float | None,
        bid: ArrayLike,
        ask: ArrayLike,
        usable: ArrayLike | None,
    ) -> Book:
        """The quotes that are believed; a spot that is not finite is the last one known."""
        value = check.one("spot", check.numbers("spot", np.nan if spot is None else spot))
        self._spot_given = 0.0 < value < np.inf
        if self._spot_given:
            self._belief = self._belief if self._spot_known else None  # it was about no real spot
            self._spot_known = True
        else:
            value = self._last.spot if self._last else float(np.median(self.chain.strike))
        return clean(
            self.chain, now_ns=now_ns, spot=value, bid=bid, ask=ask, usable=usable,
            floor_seconds=self.config.floor_seconds,
        )  # fmt: skip

    def _imply(
        self, book: Book, premium: Array, prior: CarryState, rate: Array, *, learn_rate: bool
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
        gaps = x - paid - prior.x
        gap = 0.0 if config.future else carry_curve.common_gap(gaps, prior.seen)
        off = 0.0 if config.future else carry_curve.spot_off(gaps, prior.seen, years)
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
        if gap != 0.0 and prior.seen.any() and abs(gap) > LATE * np.nanmedian(sd):
            errors = np.hypot(errors, gap * forwards)
        return _Market(belief, forwards, errors * (not config.future), labelled, off, gap)

    def _assemble(self, book: Book, market: _Market) -> VolSurface:
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
            together=self._together,
        )
        fitted = fit_slices(task)
        subject, certificate = self._certify(book, fitted)
        for rung in MENDS if self.config.model in CHAINS else ():
            failed = subject.own & subject.there & ~certificate.certified
            if not failed.any():
                break
            instead = dict.fromkeys(np.flatnonzero(failed).tolist(), rung)
            trial = fit_slices(task, instead, fitted.together)
            judged = self._certify(book, trial)
            if judged[1].certified.sum() > certificate.certified.sum():
                fitted, (subject, certificate) = trial, judged
        curves, self._together, stack = fitted.curves, fitted.together, subject.stack
        table = quote_table(task, stack, some, fitted)
        scores = self._score(book, market.forwards, dfs, premium, stack, table, fitted.chi2)
        scoring.annotate(curves, market.notes, certificate, scores)
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
            quoted_range=_ranges(curves),
            fit_error=np.array([c.fit_error for c in curves]),
            fit_ns=np.array([c.fit_ns for c in curves], np.int64),
            error_k=tuple(c.error_k for c in curves),
            error_vol=tuple(c.error_vol for c in curves),
            scores=scores,
            certificate=certificate,
            removed=book.removed,
            quotes=table,
            premiums=premiums,
            clock=self.config.clock,
        )

    def _certify(self, book: Book, fitted: Fitted) -> tuple[Subject, Certificate]:
        """What is looked at, and what was found."""
        curves = fitted.curves
        there = np.array([c.theta is not None and c.path != "none" for c in curves])
        there &= book.alive
        subject = Subject(
            stack=scoring.stacked(curves),
            years=book.years,
            quoted=_ranges(curves),
            there=there,
            own=np.array([c.path not in STOPGAPS for c in curves]),
            models=tuple(c.model for c in curves),
        )
        return subject, certify(subject, self.config.certificate_points)

    def _score(
        self,
        book: Book,
        forwards: Array,
        dfs: Array,
        premium: Array,
        stack: CurveStack,
        table: QuoteTable,
        chi2: Array,
    ) -> Scores:
        """`scoring.score` of this refit."""
        chain, m = self.chain, book.years.size
        row, of = table.row, chain.slice_of[table.row]
        known = np.isfinite(table.model_vol)
        price = black.price(
            right=chain.right[row],
            forward=forwards[of],
            strike=chain.strike[row],
            years=book.years[of],
            vol=np.where(known, table.model_vol, 0.0),
            df=dfs[of],
        )
        w = stack.total_variance(np.arange(m), np.zeros(m))
        return scoring.score(
            scoring.Judged(
                chain=chain,
                bid=book.bid,
                ask=book.ask,
                cap=np.where(chain.american, 1.0, dfs[chain.slice_of]),
                table=table,
                price=np.where(known, price + premium[row], np.nan),
                width=np.sqrt(w / book.years) * np.sqrt(book.years),
                chi2=chi2,
            )
        )


def _ranges(curves: list[Curve]) -> Array:
    """The k-range quoted of every curve, (m, 2)."""
    return np.array([(c.k_low, c.k_high) for c in curves]).reshape(-1, 2)

"""The slow path of one world: plain Python, one decision at a time, between calls of the kernel.

A world is one fill assumption with its own quotes, fills, book and journal. Everything that market
data alone decide (surface, theo, widths) reaches it from `engine.market`, the same for all worlds.
"""

import hashlib

import numpy as np

from hedging import costs
from optmm.config import DeskConfig
from optmm.engine import books, explain, hedge, settings, settlement, stops, sweep
from optmm.engine import state as tables
from optmm.engine.closing_marks import Marked
from optmm.engine.fixing_prices import Fixing
from optmm.engine.journal import Journal
from optmm.engine.marks import Marks
from optmm.engine.positions_file import OpeningBook, Position
from optmm.engine.reasons import Reason, Why
from optmm.engine.records import FillLog, QuoteLog
from optmm.engine.tick_to_quote import Stopwatch
from optmm.market.chain import Session
from optmm.market.feed import Feed
from optmm.quoting import quoter
from optmm.quoting.obligations import Presence

E9 = 1_000_000_000
MARKET_STOPS = Reason.TIMER | Reason.TAYLOR | Reason.END | Reason.HALT
COMMIT_NS = 300 * E9  # a block of a replay, in event time: nothing of it leaves the process earlier
NOTIONAL_BOUND_E9 = 1_000_000_000 * E9


class World:
    """One fill assumption from the first open to the last close.

    Parameters
    ----------
    name : "pessimistic", "queue", "optimistic" or "simulated"
    feed, config : what is traded and how
    journal : open and empty
    quotes : where quote messages are logged
    watch : takes the time of some events; nothing of it enters the run
    seed : of the lots that are dealt and the latencies that are drawn
    opening : what is held before the first session
    keeps_prints : public prints are the same in every world; one of them keeps them
    """

    def __init__(
        self,
        name: str,
        feed: Feed,
        config: DeskConfig,
        journal: Journal,
        quotes: QuoteLog,
        *,
        watch: Stopwatch,
        seed: int = 0,
        opening: tuple[Position, ...] = (),
        keeps_prints: bool = True,
    ) -> None:
        self.name, self.feed, self.chain, self.config = name, feed, feed.chain, config
        self.session: Session = feed.session
        self.seed, self.opening = seed, OpeningBook(opening)
        self.journal, self._watch = journal, watch
        self.n = len(feed.chain)
        self.state = settings.configure(tables.create(feed.chain, name), config, feed, seed=seed)
        self.terms: quoter.Terms | None = None
        self.plan: quoter.Plan | None = None
        self.marks = Marks(self.n)
        self.fills = FillLog(name, feed.chain)
        self.quotes = quotes
        self.presence = Presence(self.n)
        self.hedge_kind: costs.HedgeKind = (
            "future" if feed.chain.underlying.kind == "future" else "equity"
        )
        self.pnl: list[dict] = []
        self.keeps_prints = keeps_prints
        self.prints: list[np.ndarray] = []
        self.print_vega: list[np.ndarray] = []
        self._held = (np.zeros(self.n, np.int64), 0.0)  # shares and hedge when the sheet came
        self.marked: Marked | None = None  # the last close, under every policy
        self.pins: list[dict] = []
        self.cash_lines: list[dict] = []
        self.explained = np.zeros(len(explain.LINES))  # USD, by line
        self.breaches: dict[str, float] = {}  # hard limits passed, and how far at worst
        self.fees_e9 = self.carry_e9 = 0
        self.hedges = self.hedge_lots = 0
        self.pending_hedge = 0
        self.worst_inventory_usd = 0.0
        self.tripped_ns: int | None = None
        self.stopped: str | None = None
        self._seen_ns = feed.session.open_ns
        self.hedged_ns = 0
        self._committed_ns = 0
        self.priced = False  # a sheet of this session is in force
        self.opening_net_e9 = 0  # at the last close
        self.close_e9 = 0  # of the underlying at the last close
        self.close_date = ""  # of the session before
        self.settled: set[int] = set()
        self.fees = costs.schedule(
            option=config.fees.option_usd_per_contract,
            share=config.fees.stock_usd_per_share,
            future=config.fees.future_usd_per_lot,
        )
        self.exercise_e9 = costs.to_e9(config.fees.exercise_usd_per_contract)

    # ---- the loop ------------------------------------------------------------------------------

    def run_to_stop(self, events: np.ndarray, start: int) -> tuple[int, int]:
        """Advance to the next stop that market data cause; return (next event, reasons)."""
        at = start
        while True:
            at, reasons = self._watch.advance(self.state, events, at)
            if reasons & Reason.WIRE_FULL:
                self.state = tables.grown(self.state)
            since = len(self.fills)
            self._drain()
            if reasons & (Reason.FILL | Reason.TRIP):
                self._after_fill(since)
            if reasons & MARKET_STOPS:
                # our own fills and hedges are handled above; a stop is what every world shares
                return at, int(reasons & MARKET_STOPS)

    def _drain(self) -> None:
        rows = tables.pending(self.state)
        if rows.size == 0:
            return
        quoted = (rows["kind"] == tables.ACT_QUOTE) | (rows["kind"] == tables.ACT_REJECT)
        self.quotes.add(rows if quoted.all() else rows[quoted])
        rows = rows[~quoted]  # a copy: from here on the buffer may be filled again
        tables.empty_acts(self.state)
        kind = rows["kind"]
        if self.keeps_prints and (kind == tables.ACT_PRINT).any():
            self._log_prints(rows[kind == tables.ACT_PRINT])
        for row in rows[np.isin(kind, (tables.ACT_FILL, tables.ACT_HEDGE))]:
            self._book(row)
        for row in rows[kind == tables.ACT_TRIP]:
            self.tripped_ns = int(row["ts_ns"])
            cause = "one side" if int(row["why"]) & Why.SAME_SIDE else "window"
            self.journal.append(
                self.tripped_ns, "trip", {"fills": int(row["lots"]), "cause": cause}
            )
        refused = rows[kind == tables.ACT_HEDGE_REJECT]
        if refused.size:
            self.pending_hedge -= int((refused["side"] * refused["lots"]).sum())
            self.journal.append(
                int(refused["ts_ns"][-1]), "hedge_refused", {"orders": refused.size}
            )

    def _log_prints(self, rows: np.ndarray) -> None:
        """Keep the public part of each print with the vega of now; its high is in `own_lots`."""
        unknown = np.full(rows.size, np.nan)
        sheet = None if self.terms is None else self.terms.sheet
        self.print_vega.append(unknown if sheet is None else sheet.vega[rows["instrument"]])
        self.prints.append(rows)

    def _book(self, row: np.void) -> None:
        """Turn an act row into a fill, its fee and its journal entry."""
        i, side, lots = int(row["instrument"]), int(row["side"]), int(row["lots"])
        kind = "quote" if row["kind"] == tables.ACT_FILL else "hedge"
        multiplier = int(self.state.mkt["multiplier"][i])
        if lots * int(row["px_e9"]) * multiplier > NOTIONAL_BOUND_E9:
            self.kill(int(row["ts_ns"]), f"a fill of {lots} lots exceeds USD 1e9 of notional")
        if kind == "hedge":
            fee = self.fees.hedge(lots, kind=self.hedge_kind)
            self.hedges += 1
            self.hedge_lots += lots
            self.pending_hedge -= side * lots
        else:
            fee = self.fees.option(lots)
        self.fees_e9 += fee
        vega = 0.0 if i == self.n or self.terms is None else float(self.terms.sheet.vega[i])
        self.fills.add(
            ts_ns=int(row["ts_ns"]), instrument=i, kind=kind, side=side, lots=lots,
            px_e9=int(row["px_e9"]), fee_e9=fee, mark_e9=int(row["mark_e9"]),
            spot_e9=int(row["spot_e9"]), delta=float(row["delta"]), vega=vega,
            bid_e9=int(row["bid_e9"]), ask_e9=int(row["ask_e9"]), own_lots=int(row["own_lots"]),
            picked_off=bool(int(row["why"]) & Why.PICKED_OFF),
        )  # fmt: skip
        self.journal_fill(int(row["ts_ns"]), "fill" if kind == "quote" else "hedge")

    def journal_fill(self, ts_ns: int, kind: str) -> None:
        """Put the newest fill on the chain."""
        self.journal.append(ts_ns, kind, self.fills.last_payload())

    def _after_fill(self, since: int) -> None:
        """A fill changed the book: measure it, and on event feeds move the quotes at once."""
        if self.terms is None:
            return
        self._replan()
        if self.feed.bar_ns or self.state.head["is_tripped"][0]:
            return
        # the expiries that traded share most of the new risk; the others follow at the next sweep
        traded = {row["instrument"] for row in self.fills.rows[since:]} - {self.n}
        for j in sorted({int(self.chain.slice_of[i]) for i in traded}):
            self._requote(self.chain.rows(j))

    # ---- decisions -----------------------------------------------------------------------------

    @property
    def lots(self) -> np.ndarray:
        """Signed option position (n,)."""
        return self.state.own["qty"][:-1]

    def publish(self, terms: quoter.Terms) -> None:
        """Install a new sheet: theo first, then skew and size for the book we hold."""
        sheet = terms.sheet
        tables.publish_theo(
            self.state, theo=sheet.theo, delta=sheet.delta, gamma=sheet.gamma, df=sheet.df,
            growth=sheet.growth, spot_ref=sheet.spot, vega=sheet.vega,
            taylor_range=self.config.surface.taylor_range,
            parts=tables.SheetParts(
                sheet.vol, sheet.years, sheet.rate, sheet.delta_at_strike
            ),
        )  # fmt: skip
        if self.terms is not None:
            self.explained += explain.between(self.terms.sheet, sheet, *self._held)
        self.revalue_from_here()
        self.terms, self.priced = terms, True
        self._replan()

    def revalue_from_here(self, *, split: bool = False) -> None:
        """The book held now is the one whose revaluation the next sheet explains.

        Through a split there is none: the two sheets are of different shares.
        """
        hedge_units = float(self.state.own["qty"][-1]) * self.chain.underlying.multiplier
        held = (self.lots * self.chain.multiplier, hedge_units)
        self._held = (np.zeros(self.n, np.int64), 0.0) if split else held

    def _replan(self) -> None:
        assert self.terms is not None
        unit = self.chain.underlying.multiplier
        hedge_usd = float(self.state.own["qty"][-1]) * unit * self.terms.sheet.spot
        self.plan = plan = quoter.plan(self.terms, self.lots, hedge_usd, self.config)
        self.worst_inventory_usd = max(self.worst_inventory_usd, plan.inventory.total_usd)
        tables.publish_quotes(
            self.state, half_bid=self.terms.half, half_ask=self.terms.half, skew=plan.skew,
            cap_bid=plan.cap_bid, cap_ask=plan.cap_ask, why_bid=plan.why_bid, why_ask=plan.why_ask,
        )  # fmt: skip
        tables.set_limits(
            self.state, headroom_usd=plan.headroom_usd,
            max_fill_usd=self.config.limits.max_fill_usd, unit_usd=self.terms.unit_usd,
        )  # fmt: skip

    def _requote(self, rows: slice | None = None) -> None:
        # the ring has to take two messages an option whatever is still in flight
        while int(self.state.head["wire_count"][0]) + 2 * self.n + 2 > self.state.wire.size:
            self.state = tables.grown(self.state)
        first, stop = (0, self.n) if rows is None else (rows.start, rows.stop)
        sweep.requote_rows(self.state, first, stop)

    def on_timer(self, now_ns: int, terms: quoter.Terms | None, fixings: dict[int, Fixing]) -> None:
        """One slow-path step: meter, settle, publish, mark, stop, hedge, requote, record."""
        self._meter(now_ns)
        # an expired position leaves before the sheet that no longer prices it arrives
        settlement.settle_expired(self, now_ns, fixings)
        if terms is not None:
            self.publish(terms)
        self.marks.refresh(self.state)
        for leg in self.opening.at_marks(self.marks.e9, self.marks.known()):
            books.book_leg(self, now_ns, leg)
        self.fills.capture(now_ns, self.marks.e9)
        books.snapshot(self, now_ns)
        stops.check(self, now_ns)
        if hedge.due(self, now_ns):
            self.hedged_ns = now_ns
            hedge.hedge(self, now_ns)
        # on event feeds the loop itself sweeps between sheets
        if self.terms is not None and (terms is not None or self.feed.bar_ns):
            self._requote()
        if now_ns - self._committed_ns >= COMMIT_NS:
            self.journal.commit()
            self._committed_ns = now_ns

    def _meter(self, now_ns: int) -> None:
        seconds = (now_ns - self._seen_ns) / E9
        self._seen_ns = now_ns
        if seconds <= 0.0 or self.state.head["is_open"][0] == 0:
            return
        mkt, own = self.state.mkt[:-1], self.state.own[:-1]
        sheet = None if self.terms is None else self.terms.sheet
        unknown = np.full(self.n, np.nan)
        self.presence.add(
            seconds,
            is_open=mkt["close_ns"] >= now_ns,
            delta=unknown if sheet is None else sheet.delta,
            years=(self.chain.fixing_ns - now_ns) / (365 * 86_400 * E9),
            market_two_sided=(mkt["bid_e9"] > 0) & (mkt["ask_e9"] > mkt["bid_e9"]),
            quoted=(own["bid_lots"] > 0) & (own["ask_lots"] > 0),
            why=own["why_bid"] | own["why_ask"],
        )

    def kill(self, now_ns: int, why: str) -> None:
        """Latch the kill switch: every quote is gone at once and none comes back in this run."""
        if self.stopped is None:
            self.stopped = why
            self.journal.append(now_ns, "kill", {"why": why})
        self.quotes.add(tables.kill(self.state))

    # ---- sessions ------------------------------------------------------------------------------

    def begin(self, session: Session) -> None:
        """Start a session: nothing is known of its market yet."""
        self.session, self._seen_ns = session, session.open_ns
        self.priced = False
        tables.begin_session(self.state)
        self.journal.append(session.open_ns, "session", {
            "date": session.date, "close_ns": session.close_ns,
        })  # fmt: skip
        for leg in self.opening.at_open():
            self.marks.given(leg.instrument, leg.px_e9)
            books.book_leg(self, session.open_ns, leg)

    def end(self, now_ns: int, fixings: dict[int, Fixing], official_e9: np.ndarray) -> None:
        """End a session: settle, mark the close, and let no markout reach beyond it.

        `official_e9` (n + 1,) are official closes, `closing_marks.ABSENT` where there is none.
        """
        settlement.settle_expired(self, now_ns, fixings)
        self.marked = books.mark_close(self, official_e9)
        self.close_e9, self.close_date = int(self.marks.e9[-1]), self.session.date
        self.opening_net_e9 = books.net_e9(self)
        self.fills.capture(None, self.marks.e9)
        self.presence.close()
        books.snapshot(self, now_ns)
        self._seen_ns = now_ns
        self.journal.commit()

    def close(self, files: dict[str, str]) -> None:
        """End the journal with what its fold must give, and the digests of the tables beside it.

        The quotes were sealed before.
        """
        own = self.state.own
        held = np.flatnonzero((own["qty"] != 0) | (own["cash_e9"] != 0))
        self.journal.append(
            self._seen_ns,
            "close",
            {
                "positions": {str(i): [int(own["qty"][i]), int(own["cash_e9"][i])] for i in held},
                "fees_e9": self.fees_e9,
                "carry_e9": self.carry_e9,
                "net_e9": books.net_e9(self),
                "spot_e9": int(self.marks.e9[-1]),
                "marks": hashlib.sha256(self.marks.e9.tobytes()).hexdigest(),
                "files": files,
            },
        )
        self.journal.close()

"""A tape for the fast path: a SPY-like chain whose quotes follow the underlying, in bounded blocks.

Of 200,000 events a second 99.5 % are option quotes, 0.3 % prints and 0.2 % changes of the
underlying. One option is refreshed the more often, the faster its price goes wrong against its
width. A refresh shows the makers' price, rounded outward to the tick, and a new size on one side in
turn. The underlying walks in half cents that mostly come back (bid-ask bounce), with the variance
of 19 % a year; makers follow it once it is a cent away from the level they last priced at. One
refresh in fifty shows a side one tick away, as when a maker leaves for a moment.

`shares` measures what came out: how many quotes change a price, a size only, or nothing. Beside it
stand real ticks: of the changes of one exchange's side of AIG's book on 2013-10-07 (LEAN's sample),
3.7 % move the price and the others the size.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optmm.data.simulator.chain import ROOT, expiries, trading_dates
from optmm.market.chain import Chain, Underlying
from optmm.market.events import Bits, Kind, empty
from optmm.market.instruments import Option
from optmm.market.products import list_chain, product
from surfaces.pricing import american
from surfaces.units import NS_PER_YEAR

E9 = 1_000_000_000
DATE = "2025-03-12"
SPOT = 560.0
RATE, YIELD = 0.043, 0.012
BLOCK = 1 << 20
HALF_CENT_E9 = 5_000_000
VOL_OF_SECOND = 0.19 / np.sqrt(252 * 23_400)  # relative
SIZES = 1 << 16  # of the table that displayed sizes are taken from
THROUGH = 0.1  # of the prints: one tick beyond the touch, as the end of a sweep
AWAY = 0.02  # of the refreshes: one side a tick further out
FOLLOW = 2  # half cents of the underlying that makers leave alone


@dataclass(frozen=True, slots=True)
class Mix:
    """What a tape is made of. Shares are of all events; the rest are option quotes."""

    instruments: int = 5_000
    events_per_s: float = 200_000.0
    prints: float = 0.003
    underlying: float = 0.002
    moves: bool = True  # False: the underlying changes its sizes only

    def words(self) -> str:
        """The mix as it is printed beside a figure."""
        quotes = 1.0 - self.prints - self.underlying
        what = "changes of the underlying" if self.moves else "sizes of the underlying, no move"
        return (
            f"{self.instruments:,} instruments, {self.events_per_s:,.0f} events a second of event "
            f"time: {quotes:.1%} option quotes, {self.prints:.1%} prints, "
            f"{self.underlying:.1%} {what}"
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """Fair values at `SPOT` and what the other makers show round them. Arrays (n,), USD."""

    theo: NDArray[np.float64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    vega: NDArray[np.float64]
    df: NDArray[np.float64]
    growth: NDArray[np.float64]
    half: NDArray[np.float64]  # of the displayed market
    years: NDArray[np.float64]
    vol: NDArray[np.float64]

    def fair(self, rows: NDArray[np.int64], spot: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fair value of `rows` at `spot`, to second order."""
        move = spot - SPOT
        return self.theo[rows] + move * (self.delta[rows] + 0.5 * move * self.gamma[rows])


def listing(instruments: int) -> Chain:
    """The `instruments` (an even number) options nearest the money, in standard deviations."""
    terms = product(ROOT)
    sessions = trading_dates(terms.exchange, DATE, 741)
    dates = expiries(sessions, np.datetime64(DATE, "D"))
    days = np.maximum((dates - np.datetime64(DATE, "D")).astype(np.int64), 1)
    step = np.where(days <= 130, 1.0, 5.0)
    found: list[tuple[float, float, str]] = []
    for j in range(dates.size):
        strike = step[j] * np.arange(np.ceil(0.4 * SPOT / step[j]), 1.5 * SPOT / step[j])
        far = np.abs(np.log(strike / SPOT)) / (0.2 * np.sqrt(days[j] / 365.0) + 0.01)
        found += zip(far.tolist(), strike.tolist(), [str(dates[j])] * strike.size, strict=True)
    found.sort()
    options = [
        Option(ROOT, dt.date.fromisoformat(expiry), right, round(strike * E9))
        for _, strike, expiry in found[: instruments // 2]
        for right in (1, -1)
    ]
    stock = Underlying(ROOT, terms.kind, terms.underlying_multiplier, terms.underlying_tick_e9)
    return list_chain(options, date=DATE, underlying=stock)


def sheet(chain: Chain, now_ns: int) -> Sheet:
    """American values on a smile that slopes down: 17 % at the money, convex in deviations."""
    years = np.maximum((chain.fixing_ns - now_ns) / NS_PER_YEAR, 1e-5)
    growth, df = np.exp((RATE - YIELD) * years), np.exp(-RATE * years)
    forward = SPOT * growth
    z = np.log(chain.strike / forward) / (0.17 * np.sqrt(years))
    vol = np.clip(0.17 * (1.0 - 0.1 * z + 0.02 * z * z), 0.05, 1.5)
    found = american.greeks(
        right=chain.right, spot=SPOT, strike=chain.strike, years=years, vol=vol, rate=RATE,
        dividend_yield=YIELD,
    )  # fmt: skip
    delta, gamma = found.delta, found.gamma
    half = 0.004 + 1e-4 * found.vega + 0.01 * delta * delta
    return Sheet(found.price, delta, gamma, found.vega, df, growth, half, years, vol)


class Tape:
    """Events of one session in blocks of bounded size; the same seed gives the same events.

    `opening` comes first: the session opens, then the underlying and every option show a quote.
    """

    def __init__(self, mix: Mix, seed: int = 7) -> None:
        self.mix = mix
        self.chain = listing(mix.instruments)
        self.session = product(ROOT).session(DATE)
        self.sheet = sheet(self.chain, self.session.open_ns)
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._sizes = np.maximum(
            np.rint(20.0 * np.exp(0.8 * self._rng.standard_normal(SIZES))), 1.0
        ).astype(np.int64)
        worth = np.minimum(np.abs(self.sheet.delta), 0.5) / self.sheet.half + 1e-2
        self._weights = np.cumsum(worth / worth.sum())
        self._back = _share_back(mix)
        self._now_ns = self.session.open_ns
        self._middle = 2 * round(SPOT * 100) + 1  # half cents; an even number is two cents wide
        self._step = 1
        self._level = self._middle  # what makers price at
        self._shown = empty(mix.instruments)
        self._count = np.zeros(mix.instruments, np.int64)

    def opening(self) -> NDArray[np.void]:
        """STATUS, the underlying and one quote an option, at the open; to be taken once, first."""
        n = len(self.chain)
        out = empty(n + 2)
        out["ts_event_ns"] = self._now_ns
        out[0]["kind"], out[0]["bits"], out[0]["instrument"] = Kind.STATUS, Bits.OPEN, n
        rows = np.arange(n)
        self._quote(out[1:-1], rows, np.full(n, SPOT), self._count)
        self._underlying(out[-1:], np.array([self._middle]))
        self._shown[:] = out[1:-1]
        return _sealed(out)

    def blocks(self, events: int, block: int = BLOCK) -> Iterator[NDArray[np.void]]:
        """`events` more events of the mix, `block` at a time."""
        for first in range(0, events, block):
            yield self._block(min(block, events - first))

    def _block(self, size: int) -> NDArray[np.void]:
        mix, rng = self.mix, self._rng
        out = empty(size)
        gaps = rng.exponential(E9 / mix.events_per_s, size).astype(np.int64)
        out["ts_event_ns"] = self._now_ns + np.cumsum(gaps)
        self._now_ns = int(out["ts_event_ns"][-1])
        drawn = rng.random(size)
        moves = drawn < mix.underlying
        prints = ~moves & (drawn < mix.underlying + mix.prints)
        middle = self._walk(int(moves.sum()))
        level = self._followed(middle)
        spot = level[np.cumsum(moves)] / 200.0
        self._middle = int(middle[-1]) if middle.size else self._middle
        rows = np.searchsorted(self._weights, rng.random(size), side="right")
        rows = np.minimum(rows, len(self.chain) - 1).astype(np.int64)
        self._underlying(out, middle, np.flatnonzero(moves))
        self._options(out, rows, spot, moves, prints)
        return _sealed(out)

    def _walk(self, size: int) -> NDArray[np.int64]:
        """Levels of the underlying in half cents after each of `size` changes."""
        if not self.mix.moves:
            return np.full(size, self._middle)
        turn = np.where(self._rng.random(size) < self._back, -1, 1)
        step = self._step * np.cumprod(turn)
        if size:
            self._step = int(step[-1])
        return self._middle + np.cumsum(step)

    def _followed(self, middle: NDArray[np.int64]) -> NDArray[np.int64]:
        """What makers price at before and after each change of the underlying, (size + 1,)."""
        out, level = [self._level], self._level
        for now in middle.tolist():
            if abs(now - level) >= FOLLOW:
                level = now
            out.append(level)
        self._level = level
        return np.array(out)

    def _underlying(
        self,
        out: NDArray[np.void],
        middle: NDArray[np.int64],
        at: NDArray[np.int64] | slice = slice(None),
    ) -> None:
        """One cent wide where the middle is between two cents, else two; a side moves at a time."""
        wide = np.where(middle % 2 == 0, 2, 1)
        lots = 100 * self._rng.integers(1, 20, (2, middle.size))
        for name, values in (
            ("bid_e9", (middle - wide) * HALF_CENT_E9), ("ask_e9", (middle + wide) * HALF_CENT_E9),
            ("bid_lots", lots[0]), ("ask_lots", lots[1]),
            ("instrument", len(self.chain)), ("kind", Kind.UNDERLYING_QUOTE),
        ):  # fmt: skip
            out[name][at] = values

    def _quote(
        self,
        out: NDArray[np.void],
        rows: NDArray[np.int64],
        spot: NDArray[np.float64],
        count: NDArray[np.int64],
    ) -> None:
        """The makers' quotes of `rows`; `count`: how often each was refreshed before."""
        chain = self.chain
        fair, half = self.sheet.fair(rows, spot), self.sheet.half[rows]
        sides = []
        for edge, rounded in ((-half, np.floor), (half, np.ceil)):
            px = (fair + edge) * E9
            split = chain.tick_split_e9[rows]
            tick = np.where(px < split, chain.tick_below_e9[rows], chain.tick_above_e9[rows])
            sides.append(np.maximum(rounded(px / tick), 0.0).astype(np.int64) * tick)
        bid, ask = sides
        tick = chain.tick_below_e9[rows]
        away = self._rng.random(rows.size)
        bid = np.where(away < 0.5 * AWAY, np.maximum(bid - tick, 0), bid)
        ask = np.where(away > 1.0 - 0.5 * AWAY, ask + tick, ask)
        out["bid_e9"], out["ask_e9"] = bid, np.maximum(ask, bid + tick)
        shift = rows * 7919
        out["bid_lots"] = np.where(bid > 0, self._sizes[(shift + (count + 1) // 2) % SIZES], 0)
        out["ask_lots"] = self._sizes[(shift + count // 2 + SIZES // 2) % SIZES]
        out["instrument"], out["kind"] = rows, Kind.QUOTE

    def _options(
        self,
        out: NDArray[np.void],
        rows: NDArray[np.int64],
        spot: NDArray[np.float64],
        moves: NDArray[np.bool_],
        prints: NDArray[np.bool_],
    ) -> None:
        """Fill in quotes, and prints at what each option showed last."""
        at = np.flatnonzero(~moves)
        at = at[np.argsort(rows[at], kind="stable")]  # by option, in time
        row, quoted = rows[at], ~prints[at]
        begins = np.flatnonzero(np.concatenate([[True], np.diff(row) != 0]))
        seen = np.cumsum(quoted)
        earlier: NDArray[np.int64] = (seen - quoted)[begins]
        nth: NDArray[np.int64] = seen - np.repeat(earlier, np.diff(np.append(begins, at.size)))
        quotes = empty(at.size)
        self._quote(quotes, row, spot[at], self._count[row] + nth)
        # the last quote of the same option, in this block or before it
        last = np.maximum.accumulate(np.where(quoted, np.arange(at.size), -1))
        fresh = nth > 0
        shown = np.where(fresh, quotes[np.maximum(last, 0)], self._shown[row])
        self._print(quotes, shown, ~quoted)
        ends = np.append(begins[1:], at.size) - 1
        self._shown[row[ends]] = shown[ends]
        self._count[row[ends]] += nth[ends]
        for name in ("bid_e9", "ask_e9", "bid_lots", "ask_lots", "instrument", "kind"):
            out[name][at] = quotes[name]

    def _print(
        self, out: NDArray[np.void], shown: NDArray[np.void], which: NDArray[np.bool_]
    ) -> None:
        """Prints at the touch of `shown`, or one tick beyond it, with who crossed the spread."""
        at = np.flatnonzero(which)
        rng, old, rows = self._rng, shown[at], shown["instrument"][at]
        sold = (rng.random(at.size) < 0.5) & (old["bid_e9"] > 0)
        tick = self.chain.tick_below_e9[rows]
        beyond = np.where(rng.random(at.size) < THROUGH, tick, 0)
        px = np.where(sold, np.maximum(old["bid_e9"] - beyond, tick), old["ask_e9"] + beyond)
        lots = rng.geometric(0.2, at.size) * np.where(beyond > 0, 10, 1)
        for name, values in (
            ("bid_e9", px), ("ask_e9", px), ("bid_lots", lots),
            ("ask_lots", np.where(sold, -1, 1)), ("instrument", rows), ("kind", Kind.TRADE),
        ):  # fmt: skip
            out[name][at] = values


def _share_back(mix: Mix) -> float:
    """How often a half-cent step is taken back, so that the walk has the variance of the day.

    A walk whose steps turn with probability q has (1 - q) / q of the variance of a free one.
    """
    free = mix.underlying * mix.events_per_s * 0.005**2
    ratio = min((VOL_OF_SECOND * SPOT) ** 2 / free, 1.0)
    return float(1.0 / (1.0 + ratio))


def _sealed(out: NDArray[np.void]) -> NDArray[np.void]:
    out["ts_recv_ns"] = out["ts_event_ns"]
    return out


def shares(events: NDArray[np.void], instruments: int) -> dict[str, float]:
    """Of the option quotes after an option's first: share that changes a price, a size only, none.

    Also `both`: price changes on both sides, of all.
    """
    quotes = events[events["kind"] == Kind.QUOTE]
    quotes = quotes[np.argsort(quotes["instrument"], kind="stable")]
    later = quotes["instrument"][1:] == quotes["instrument"][:-1]
    new, old = quotes[1:][later], quotes[:-1][later]
    bid, ask = new["bid_e9"] != old["bid_e9"], new["ask_e9"] != old["ask_e9"]
    size = (new["bid_lots"] != old["bid_lots"]) | (new["ask_lots"] != old["ask_lots"])
    return {
        "price": float(np.mean(bid | ask)),
        "both": float(np.mean(bid & ask)),
        "size only": float(np.mean(~(bid | ask) & size)),
        "none": float(np.mean(~(bid | ask) & ~size)),
        "options quoted": float(np.unique(quotes["instrument"]).size / instruments),
    }

"""One small market, written as every source of recorded days writes it.

Black prices of two expiries at a vol that smiles, a spot that walks, a few prints a minute at and
through both sides. With `changed_after_s` the same market has another future from then on.
"""

import datetime as dt
import importlib
import math
import sys
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from optmm.data import convert, store
from optmm.data.readers import open_day
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import simulation_config
from optmm.market.chain import MarketDay
from optmm.market.events import Kind, in_order

sys.path.append(str(Path(__file__).parents[1] / "optmm" / "data"))
made = importlib.import_module("vendor_files")
dbn_files = importlib.import_module("dbn_files")

DAY, NEXT = dt.date(2024, 3, 12), dt.date(2024, 3, 13)
EXPIRIES = (dt.date(2024, 3, 22), dt.date(2024, 4, 12))  # weekly: the afternoon root of an index
MINUTES = 6
OPEN_S = 9 * 3600 + 30 * 60


@dataclass(frozen=True, slots=True)
class Market:
    """Quotes, spots and prints of one date as functions of seconds after the open."""

    day: dt.date = DAY
    scale: int = 1  # 10 makes an index of it
    changed_after_s: float = math.inf

    @property
    def tick(self) -> float:
        """On the grid of every option of the class."""
        return 0.01 if self.scale == 1 else 0.10

    def spot(self, second: float) -> float:
        """A walk that never stands still, 1 % higher in the other future."""
        step = 7 * math.sin(second / 40 + self.day.day) + 5 * math.sin(second / 13)
        level = (502.30 + round(step) / 100) * self.scale
        return level * (1.01 if second > self.changed_after_s else 1.0)

    def quotes(self, second: float) -> dict:
        """(expiry, strike, right) -> bid, ask and sizes, on the tick."""
        out, spot, shift = {}, self.spot(second), 0.01 * (second > self.changed_after_s)
        for expiry in EXPIRIES:
            years = ((expiry - self.day).days + 0.25) / 365
            for strike in (5.0 * self.scale * k for k in range(94, 108)):
                k = math.log(strike / spot)
                s = (0.16 + shift - 0.25 * k + 0.8 * k * k) * math.sqrt(years)
                d1 = -k / s + s / 2
                for right in (1, -1):
                    n1, n2 = (0.5 * math.erfc(-right * d / math.sqrt(2)) for d in (d1, d1 - s))
                    ticks = right * (spot * n1 - strike * n2) / self.tick
                    half = 2 + ticks // 150
                    bid, ask = (round(x * self.tick, 2) for x in (ticks // 1 - half,
                                                                ticks // 1 + half + 1))  # fmt: skip
                    sizes = 10 + int(strike) % 7, 20 + int(strike) % 11
                    out[expiry, strike, right] = (max(bid, 0.0), ask, *sizes)
        return out

    def prints(self, second: float) -> dict:
        """(expiry, strike, right) -> low, high and lots of what trades about then."""
        quotes = self.quotes(second)
        liquid = [key for key in quotes if abs(key[1] / self.scale - 502.3) < 16]
        out = {}
        for n in range(4):
            key = liquid[(int(second) // 20 * 5 + 7 * n) % len(liquid)]
            bid, ask, *_ = quotes[key]
            # through both sides, or enough at the touch to eat what was there before us
            through, lots = ((0, 80 + n), (2 * self.tick, 3 + n))[n % 2]
            out[key] = (round(bid - through, 2), round(ask + through, 2), lots)
        return out


def seconds(step: int = 60) -> range:
    """Instants of the market's chains."""
    return range(step, MINUTES * 60 + 1, step)


def lean(place: Path, *markets: Market) -> Path:
    """A Data folder of SPY: a zip a date of quotes and one of trades, and those of the stock."""
    for market in markets or (Market(),):
        stamp = f"{market.day:%Y%m%d}"
        quotes, prints = {}, {}
        stock = {"quote": "", "trade": ""}
        for second in seconds():
            ms = (OPEN_S + second - 60) * 1000  # a bar is stamped with its beginning
            for key, (bid, ask, bids, asks) in market.quotes(second).items():
                b, a = (round(x * 10_000) for x in (bid, ask))
                line = f"{ms},{b},{b},{b},{b},{bids},{a},{a},{a},{a},{asks}\n"
                quotes[key] = quotes.get(key, "") + line
            for key, (low, high, lots) in market.prints(second).items():
                lo, hi = (round(x * 10_000) for x in (low, high))
                prints[key] = prints.get(key, "") + f"{ms},{lo},{hi},{lo},{hi},{lots}\n"
            b, a = (round((market.spot(second) + x) * 100) * 100 for x in (-0.01, 0.01))
            stock["quote"] += f"{ms},{b},{b},{b},{b},300,{a},{a},{a},{a},400\n"
            stock["trade"] += f"{ms},{b},{a},{b},{b},100\n"
        for what, rows in (("quote", quotes), ("trade", prints)):
            members = {
                f"{stamp}_spy_minute_{what}_american_{'call' if right > 0 else 'put'}_"
                f"{round(strike * 10_000)}_{expiry:%Y%m%d}.csv": text
                for (expiry, strike, right), text in rows.items()
            }
            _zip(place / f"option/usa/minute/spy/{stamp}_{what}_american.zip", members)
            _zip(place / f"equity/usa/minute/spy/{stamp}_{what}.zip",
                 {f"{stamp}_spy_minute_{what}.csv": stock[what]})  # fmt: skip
    return place


def _zip(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in members.items():
            # a fixed stamp: two files of one content have one hash
            archive.writestr(zipfile.ZipInfo(member, (2024, 3, 12, 0, 0, 0)), text)


def ticked(day: MarketDay) -> MarketDay:
    """The day as ticks: each event some milliseconds after its minute, bars as two prints."""
    events = day.events.copy()
    moving = events["kind"] != Kind.STATUS
    events["ts_event_ns"][moving] += (events["instrument"][moving] * 37 + 11) * 1_000_000
    bar = events["kind"] == Kind.BAR
    low, high = events[bar], events[bar].copy()
    low["ask_e9"], high["bid_e9"] = low["bid_e9"], high["ask_e9"]
    low["kind"] = high["kind"] = Kind.TRADE
    for prints, late_ns, side in ((low, 5_000_000_000, -1), (high, 9_000_000_000, 1)):
        prints["ts_event_ns"] += late_ns
        prints["ask_lots"] = side
    events = np.concatenate([events[~bar], low, high])
    events["ts_recv_ns"] = np.where(events["kind"] == Kind.STATUS, events["ts_recv_ns"],
                                    events["ts_event_ns"])  # fmt: skip
    return replace(day, events=in_order(events), bar_ns=0)


def stored(place: Path, market: Market) -> Path:
    """Ticks, as a stored day."""
    source = lean(place / "lean", market)
    return store.write(ticked(open_day(source)), place / "day")


def stored_days(place: Path, market: Market) -> Path:
    """Two dates of minute bars, one a folder; the second has the change."""
    source = lean(place / "lean", Market(), replace(market, day=NEXT))
    for day in (DAY, NEXT):
        store.write(open_day(source, "SPY", day.isoformat()), place / "days" / f"{day}")
    return place / "days"


@cache
def _simulated() -> MarketDay:
    values = {"minutes": 5, "spot_usd": 150.0, "strike_reach_sd": 1.0,
              "quote_events_target": 60_000, "takers_per_day": 20_000.0}  # fmt: skip
    return simulate_day(simulation_config(values), 3).day


def stored_simulated(place: Path, market: Market) -> Path:
    """A simulated day; the other future has every later price moved by 5 %."""
    day = _simulated()
    events = day.events.copy()
    after_s = (events["ts_event_ns"] - day.session.open_ns) / 1e9
    late = (after_s > market.changed_after_s) & (events["kind"] != Kind.STATUS)
    for name in ("bid_e9", "ask_e9"):
        moved = events[name][late] * 21 // 20 // 10_000_000 * 10_000_000
        events[name][late] = np.where(events[name][late] > 0, np.maximum(moved, 10_000_000), 0)
    return store.write(replace(day, events=in_order(events)), place / "day")


def databento(place: Path, market: Market) -> Path:
    """Files of the quotes and trades of SPY options, and of the stock's quotes."""
    make = dbn_files.Maker(importlib.import_module("databento_dbn"), place)
    keys = sorted(market.quotes(0))
    number = {key: 100 + i for i, key in enumerate(keys)}
    symbols = {number[key]: f"SPY   {made.osi('', key)}" for key in keys}
    quotes, trades, stock = [], [], []
    for second in range(5, MINUTES * 60, 10):
        for key, (bid, ask, bids, asks) in market.quotes(second).items():
            at = second + number[key] * 1e-3
            quotes.append(make.cmbp(number[key], at, bid or None, ask, bids if bid else 0, asks))
        for n, (key, (low, high, lots)) in enumerate(sorted(market.prints(second).items())):
            price, side = ((low, "A"), (high, "B"))[n // 2 % 2]
            at = second + 3 + 0.1 * n
            trades.append(make.trade(number[key], at, price, lots, side=side, sequence=len(trades)))
        spot = round(market.spot(second), 2)
        stock.append(make.mbp(dbn_files.SPY, second, spot - 0.01, spot + 0.01))
    make.write("quotes", "cmbp-1", quotes, symbols=symbols)
    make.write("trades", "trades", trades, symbols=symbols)
    make.write("stock", "mbp-1", stock, dataset="XNAS.ITCH", symbols={dbn_files.SPY: "SPY"})
    return place


def datashop(place: Path, market: Market) -> Path:
    """A table of intervals with the stock's quotes and the prints of each interval."""
    text = ""
    for second in seconds():
        spot = market.spot(second)
        level = f"{spot - 0.01:.2f},{spot + 0.01:.2f},{spot:.2f},{spot:.2f}"
        text += made.datashop_intervals(
            {f"{market.day} {_clock(second)}": market.quotes(second)},
            traded=market.prints(second), heading=not text,
        ).replace("502.29,502.31,502.3,502.3", level)  # fmt: skip
    path = place / "intervals.csv"
    path.write_text(text)
    return path


def own_table(place: Path, market: Market) -> Path:
    """The same, converted to our table of quotes."""
    path = place / "quotes.parquet"
    convert.convert(datashop(place, market), path)
    return path


def optionsdx(place: Path, market: Market) -> Path:
    """A table of SPX with the index beside the options, no prints."""
    index = replace(market, scale=10)
    text = "".join(
        made.optionsdx(
            index.quotes(second), date=market.day.isoformat(), time=_clock(second)[:5],
            spot=index.spot(second), heading=second == seconds()[0],
        )
        for second in seconds()
    )  # fmt: skip
    path = place / "spx_eod_202403.txt"
    path.write_text(text)
    return path


def massive(place: Path, market: Market) -> Path:
    """A tape of SPXW, by ticker as the vendor sorts it, with nothing of the index."""
    index = replace(market, scale=10)
    start = made.at(market.day.isoformat(), "09:30") * 10**9
    rows = [
        (f"O:{made.osi('SPXW', key)}", start + second * 10**9 + n // 7 * 1_000_000, quote)
        for second in seconds(20)
        for n, (key, quote) in enumerate(index.quotes(second).items())
    ]
    path = place / "quotes.csv"
    path.write_text(made.massive(sorted(rows, key=lambda row: (row[0], row[1]))))
    return path


def _clock(second: int) -> str:
    """New York time of so many seconds after the open."""
    at = OPEN_S + second
    return f"{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}"

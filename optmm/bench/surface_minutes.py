"""GOOG on 24 December 2015, minute by minute through the live fitter, as the desk would."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optmm.bench.rows import Row, skipped
from optmm.bench.surface_hits import NONE, Share
from optmm.data.lean_rows import BAR_NS
from optmm.data.readers import open_day
from optmm.engine.market import slices_of
from optmm.errors import DataError
from optmm.market.chain import MarketDay
from optmm.market.events import Kind
from surfaces.live import FitConfig, LiveFitter

Array = NDArray[np.float64]

FOLDER = Path("data/lean")
UNDERLYING, DATE = "GOOG", "2015-12-24"
RATE = 0.02  # the prior's middle
E9 = 1e9


def run(data: Path, say: Callable[[str], None], *, every: int = 1) -> list[Row]:
    """Hits and certificates of the session's minutes, one in `every`."""
    what = f"{UNDERLYING} {DATE}, every minute"
    try:
        day = open_day(data / FOLDER, UNDERLYING, DATE)
    except DataError as bad:
        return [skipped(what, "%", 99.0, str(bad))]
    fitter = LiveFitter(slices_of(day.chain), FitConfig(rate_prior=RATE))
    total, least, worst = NONE, 100.0, ""
    short, lame, took = [], [], []
    fallbacks = minutes = 0
    for now, spot, bid, ask in tops(day, every):
        if minutes % 30 == 0:
            say(f"{what}: {minutes} done")
        start = time.process_time()
        surface = fitter.update(now, spot=spot, bid=bid, ask=ask)
        took.append(time.process_time() - start)
        minutes += 1
        quoted = surface.scores.quotes > 0
        one = Share(int(surface.scores.hits.sum()), int(surface.scores.quotes.sum()))
        total += one
        clock = f"{(now - day.session.open_ns) // BAR_NS} minutes in"
        if one.percent < least:
            least, worst = one.percent, clock
        if one.percent < 99.0:
            short.append(clock)
        if not surface.certificate.certified[quoted].all():
            lame.append(clock)
        fallbacks += sum(p != "mixture" for p, q in zip(surface.path, quoted, strict=True) if q)
    return [
        Row(f"{what}: inside the spread", total.percent, "%", 99.0, True,
            note=f"{total.hits} of {total.quotes} quotes of {minutes} minutes"),
        Row(f"{what}: the worst minute", least, "%", 99.0, True,
            note=f"{worst}; {len(short)} minutes below 99 %"),
        Row(f"{what}: minutes with every expiry certified", 100.0 * (1.0 - len(lame) / minutes),
            "%", 100.0, True,
            note=f"{fallbacks} expiry-minutes by a fallback"
            + (f"; the first not {lame[0]}" if lame else "")),
        Row(f"{what}: median time of an update", 1e3 * float(np.median(took)), "ms"),
    ]  # fmt: skip


def tops(day: MarketDay, every: int = 1):
    """Instant, spot, bids and asks at the end of every minute, from what had been seen by then."""
    session, n = day.session, len(day.chain)
    bid, ask, spot = np.full(n, np.nan), np.full(n, np.nan), np.nan
    events = day.events[np.argsort(day.events["ts_recv_ns"], kind="stable")]
    stamp, done = events["ts_recv_ns"], 0
    minutes = (session.close_ns - session.open_ns) // BAR_NS
    for minute in range(1, minutes):
        now = session.open_ns + minute * BAR_NS
        until = int(np.searchsorted(stamp, now, side="right"))
        part, done = events[done:until], until
        quotes = part[part["kind"] == Kind.QUOTE]
        # numpy keeps the last of several writes to a place
        bid[quotes["instrument"]] = quotes["bid_e9"] / E9
        ask[quotes["instrument"]] = quotes["ask_e9"] / E9
        under = part[part["kind"] == Kind.UNDERLYING_QUOTE]
        if under.size:
            spot = 0.5 * (int(under["bid_e9"][-1]) + int(under["ask_e9"][-1])) / E9
        if minute % every == 0 and np.isfinite(spot):
            yield now, spot, bid.copy(), ask.copy()

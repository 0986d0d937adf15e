"""SPXW 2021-01-04..06 joined into one chain, and the declared future against the index itself."""

from dataclasses import replace

import numpy as np
import pytest

from optmm.config import DeskConfig
from optmm.config_days import Settlement, Synthetic
from optmm.data.readers import open_day
from optmm.engine.fixing_prices import OFFICIAL, FixingPrices
from optmm.engine.market import fit_config, slices_of
from optmm.market import span, synthetic
from optmm.market.events import Kind
from optmm.market.forwards import Tops
from surfaces.live import LiveFitter

pytestmark = pytest.mark.real
E9 = 10**9
RATE = 0.001


@pytest.fixture(scope="module")
def days(shared_data):
    dates = ("2021-01-04", "2021-01-05", "2021-01-06")
    return [open_day(shared_data / "lean", "SPXW", date) for date in dates]


def hedged(days, expiry=""):
    """The union's chain with the future, and each day's events with its quotes."""
    whole, maps = span.union([day.chain for day in days])
    config = Synthetic(enabled=True, expiry=expiry)
    chain = synthetic.declared(whole, config)
    future = synthetic.SyntheticFuture(
        chain, config, rate=RATE, until_ns=days[-1].session.close_ns,
        daily=span.listed_daily(whole, maps),
    )  # fmt: skip
    tapes = [
        np.concatenate([future.see(span.remapped(day.events, to)), future.finish()])
        for day, to in zip(days, maps, strict=True)
    ]
    return chain, tapes, future


def test_the_hedge_is_friday_all_along_and_quoted_every_minute(days):
    chain, tapes, future = hedged(days)
    assert (len(chain), chain.slices, chain.underlying.tradable) == (20, 5, True)
    assert (future.expiry, future.rolls) == ("2021-01-08", [])
    for day, tape in zip(days, tapes, strict=True):
        shown = tape[tape["kind"] == Kind.UNDERLYING_QUOTE]
        minutes = (day.session.close_ns - day.session.open_ns) // (60 * E9)
        assert shown.size >= 0.99 * minutes
        assert (shown["ask_e9"] - shown["bid_e9"]).min() >= 500_000_000


def test_the_forward_of_the_day_is_the_index(days):
    """The data's own README: parity forward less index 0.0 +- 0.43 points. Same minute, same
    instrument: today's expiry carries nothing. A robust deviation, since the first minutes of the
    index repeat the close before."""
    _, tapes, _ = hedged(days[:1], "2021-01-04")
    tape = tapes[0]
    shown, index = (tape[tape["kind"] == k] for k in (Kind.UNDERLYING_QUOTE, Kind.UNDERLYING_TRADE))
    _, a, b = np.intersect1d(shown["ts_event_ns"], index["ts_event_ns"], return_indices=True)
    gap = (shown["bid_e9"][a] + shown["ask_e9"][a]) / 2e9 - index["bid_e9"][b] / 1e9
    assert gap.size > 380
    assert abs(np.median(gap)) < 0.1
    assert np.median(np.abs(gap - np.median(gap))) * 1.4826 < 0.50


def test_forwards_of_all_expiries_are_parity_s_only_if_carry_is_fitted(days):
    """`future=False` fits every expiry's forward above the declared one; `future=True` equates
    them, which costs the carry of two days: 60 cents."""
    chain, tapes, _ = hedged(days)
    plain = fit_config(chain, DeskConfig())
    rms = {}
    for future in (False, True):
        fitter, tops = LiveFitter(slices_of(chain), replace(plain, future=future)), Tops(chain)
        gaps = []
        for day, tape in zip(days, tapes, strict=True):
            done = 0
            for at in range(day.session.open_ns + 1800 * E9, day.session.close_ns - 1800 * E9,
                            3600 * E9):  # fmt: skip
                end = int(np.searchsorted(tape["ts_event_ns"], at, side="right"))
                part, done = tape[done:end], end
                tops.take(part)
                level = part[part["kind"] == Kind.UNDERLYING_QUOTE][-1]
                bid, ask = (np.where(x > 0, x / 1e9, np.nan) for x in (tops.bid_e9, tops.ask_e9))
                surface = fitter.update(
                    at, spot=(int(level["bid_e9"]) + int(level["ask_e9"])) / 2e9, bid=bid, ask=ask,
                    usable=(ask > bid) & (chain.fixing_ns > at) & (at - tops.ts_ns < 300 * E9),
                )  # fmt: skip
                found = [tops.forward(j, at, rate=RATE, stale_ns=300 * E9) for j in range(5)]
                gaps += [f - g for f, g in zip(surface.forwards, found, strict=True) if g > 0.0]
        rms[future] = float(np.sqrt(np.nanmean(np.square(gaps))))
    assert rms[False] < 0.25  # half of a spread of these options' pairs
    assert rms[True] > 2 * rms[False]


def test_settlement_is_official_or_says_that_it_is_not(days):
    """S&P 500 closes as published: 3700.65 on 2021-01-04, 3748.14 on 2021-01-06."""
    chain, tapes, _ = hedged(days)
    official = Settlement(expiries=("2021-01-04", "2021-01-06"), px_usd=(3700.65, 3748.14))
    for config in (official, Settlement()):
        made = FixingPrices(chain, config, rate=RATE)
        rows = []
        for day, tape in zip(days, tapes, strict=True):
            made.open(day.session)
            for block in np.array_split(tape, 7):
                made.see(block)
            rows += made.labels(day.session.close_ns)
        assert [row["expiry"] for row in rows] == ["2021-01-04", "2021-01-06"]
        if config is official:
            assert [row["px_e9"] for row in rows] == [3_700_650_000_000, 3_748_140_000_000]
            assert {row["source"] for row in rows} == {OFFICIAL}
        else:
            assert [row["official"] for row in rows] == [False, False]
            assert rows[0]["source"] == "last underlying print"
            assert rows[0]["px_e9"] / 1e9 == pytest.approx(3700.65, abs=0.5)
            assert rows[1]["source"].startswith("parity forward")
            assert rows[1]["px_e9"] / 1e9 == pytest.approx(3748.14, abs=5.0)

"""The declared future: parity to the nano on made-up quotes, causal, block sizes do not show."""

import math

import numpy as np
import pytest

from optmm.config_days import Synthetic
from optmm.errors import ConfigError, DataError
from optmm.market import synthetic
from optmm.market.chain import Underlying
from optmm.market.events import Bits, Kind, empty, in_order
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain, product

SPX = Underlying("SPX", "index", 1, 10_000_000)
E9 = 1_000_000_000
RATE = 0.03
OPEN, CLOSE = (getattr(product("SPXW").session("2021-01-04"), f"{x}_ns") for x in ("open", "close"))
CHAIN = list_chain(
    [
        parse_osi(f"SPXW2101{day}{side}0{strike}000")
        for day in ("04", "06", "08")
        for side in "CP"
        for strike in (3700, 3800)
    ],
    date="2021-01-04",
    underlying=SPX,
    kind="index",
)
SETTINGS = Synthetic(enabled=True, half_spread_usd=0.2, tick_usd=0.05, interval_s=0.5)
HEDGED = synthetic.declared(CHAIN, SETTINGS)


def maker(settings=SETTINGS, until_ns=CLOSE):
    return synthetic.SyntheticFuture(HEDGED, settings, rate=RATE, until_ns=until_ns)


def tape(seed=1, n=3000, last_ns=None):
    """Quotes at random instants of the session; mids obey parity at a wandering forward."""
    rng = np.random.default_rng(seed)
    step = ((last_ns or CLOSE) - OPEN) // n
    times = OPEN + np.sort(rng.integers(0, n, n)) * step + step
    rows = rng.integers(0, len(CHAIN), n)
    forward = 3740 + np.cumsum(rng.normal(0, 0.3, n))
    out = empty(n)
    out["ts_event_ns"] = times
    out["ts_recv_ns"] = times + rng.integers(0, 50_000, n)
    out["kind"], out["instrument"] = Kind.QUOTE, rows
    right, strike = CHAIN.right[rows], CHAIN.strike[rows]
    middle = np.maximum(right * (forward - strike), 0) + 20
    half = rng.choice([0.05, 0.1, 0.3], n)
    out["bid_e9"] = np.round((middle - half) * 100).astype(np.int64) * (E9 // 100)
    out["ask_e9"] = np.round((middle + half) * 100).astype(np.int64) * (E9 // 100)
    out["bid_e9"][rng.random(n) < 0.1] = 0  # one-sided
    crossed = rng.random(n) < 0.05
    out["ask_e9"][crossed] = out["bid_e9"][crossed] - E9
    out["bid_lots"] = out["ask_lots"] = 5
    prints = out[rng.random(n) < 0.1].copy()
    prints["kind"] = Kind.UNDERLYING_TRADE
    prints["instrument"], prints["bid_e9"], prints["ask_e9"] = len(CHAIN), 3740 * E9, 3740 * E9
    status = empty(2)
    status["kind"], status["instrument"] = Kind.STATUS, len(CHAIN)
    status["ts_event_ns"], status["bits"] = (OPEN, out["ts_event_ns"][-1]), (Bits.OPEN, Bits.CLOSE)
    return in_order(np.concatenate([status, out, prints]))


def made(events, blocks, **options):
    future = maker(**options)
    parts = [future.see(block) for block in blocks(events)]
    return np.concatenate([*parts, future.finish()]), future


def test_one_pair_gives_parity_to_the_nano():
    """Hull: F = K + (C - P) exp(rT). C 71.05, P 30.95 at 3700 for the Friday."""
    future = maker()
    assert future.expiry == "2021-01-06"  # that of the day is fixed before the late close
    j = HEDGED.symbol.index("SPXW  210106C03700000")
    quotes = empty(2)
    quotes["ts_event_ns"], quotes["kind"] = OPEN + E9, Kind.QUOTE
    quotes["instrument"] = j, j + 1
    quotes["bid_e9"], quotes["ask_e9"] = (71 * E9, 309 * E9 // 10), (711 * E9 // 10, 31 * E9)
    future.see(quotes)
    out = future.finish()
    shown = out[out["kind"] == Kind.UNDERLYING_QUOTE]
    years = (int(HEDGED.fixing_ns[j]) - OPEN - E9) / (365 * 86_400 * E9)
    forward = 3700 + (71.05 - 30.95) * math.exp(RATE * years)
    tick = 50_000_000
    assert shown["bid_e9"].tolist() == [math.floor((forward - 0.2) * 20) * tick]
    assert shown["ask_e9"].tolist() == [math.ceil((forward + 0.2) * 20) * tick]
    assert shown["instrument"].tolist() == [len(CHAIN)]
    assert out["kind"].tolist() == [Kind.UNDERLYING_QUOTE, Kind.QUOTE, Kind.QUOTE]


@pytest.mark.parametrize("size", [1, 2, 7, 250, 10_000])
def test_any_block_size_gives_the_same_bytes(size):
    events = tape(n=1000)
    for settings, least in ((SETTINGS, 100), (Synthetic(interval_s=90.0, repeat_s=400.0), 30)):
        whole, _ = made(events, lambda e: [e], settings=settings)
        cut, _ = made(
            events, lambda e: np.array_split(e, range(size, len(e), size)), settings=settings
        )
        assert (whole["kind"] == Kind.UNDERLYING_QUOTE).sum() > least
        assert cut.tobytes() == whole.tobytes()


def test_nothing_later_than_a_quote_is_in_it():
    """Cut the tape after any instant: what came before is the same."""
    events = tape()
    whole, _ = made(events, lambda e: [e])
    for k in (400, 1500, 2500):
        upto = events["ts_event_ns"][k]
        early, _ = made(events[events["ts_event_ns"] <= upto], lambda e: [e])
        assert early.tobytes() == whole[: early.size].tobytes()


def test_the_events_of_the_feed_pass_unchanged_and_in_order():
    events = tape()
    whole, _ = made(events, lambda e: np.array_split(e, 9))
    rest = whole[whole["kind"] != Kind.UNDERLYING_QUOTE].copy()
    rest["seq"] = events["seq"]
    assert rest.tobytes() == events.tobytes()
    assert in_order(whole).tobytes() == whole.tobytes()


def test_quotes_are_no_closer_than_the_interval_and_repeat_when_old():
    settings = Synthetic(enabled=True, interval_s=30.0, repeat_s=90.0)
    out, _ = made(tape(), lambda e: [e], settings=settings)
    at = out["ts_event_ns"][out["kind"] == Kind.UNDERLYING_QUOTE]
    assert np.diff(at).min() >= 30 * E9
    still = tape(n=400)
    still = still[
        (still["kind"] != Kind.QUOTE) | (still["instrument"] > 7)
    ]  # 8, 9: one Friday pair
    first = still["kind"] == Kind.QUOTE
    for i in (8, 9, 10, 11):
        rows = np.flatnonzero(first & (still["instrument"] == i))
        for name in ("bid_e9", "ask_e9"):
            still[name][rows] = (30 if name == "bid_e9" else 31) * E9
    settings = Synthetic(enabled=True, expiry="2021-01-08", interval_s=0.0, repeat_s=600.0,
                         stale_s=1e5)  # fmt: skip
    settings_rate0 = synthetic.SyntheticFuture(HEDGED, settings, rate=0.0, until_ns=CLOSE)
    out = np.concatenate([settings_rate0.see(still), settings_rate0.finish()])
    at = out["ts_event_ns"][out["kind"] == Kind.UNDERLYING_QUOTE]
    assert at.size > 10
    moved = np.diff(out["bid_e9"][out["kind"] == Kind.UNDERLYING_QUOTE])
    assert (moved[5:] == 0).all()
    assert np.diff(at)[5:].min() >= 600 * E9


def test_stale_quotes_make_no_pair():
    settings = Synthetic(enabled=True, stale_s=1.0)
    j = HEDGED.symbol.index("SPXW  210106C03700000")
    quotes = empty(2)
    quotes["ts_event_ns"], quotes["kind"] = (OPEN, OPEN + 2 * E9), Kind.QUOTE
    quotes["instrument"], quotes["bid_e9"], quotes["ask_e9"] = (j, j + 1), 30 * E9, 31 * E9
    future = maker(settings)
    out = np.concatenate([future.see(quotes), future.finish()])
    assert not (out["kind"] == Kind.UNDERLYING_QUOTE).any()


def test_the_nearest_expiry_rolls_and_the_roll_keeps_the_pnl():
    """Value before and after differs by the spread paid: 2 half spreads x lots x multiplier."""
    settings = Synthetic(enabled=True, expiry="2021-01-04")
    events = tape()
    whole, future = made(events, lambda e: [e], settings=settings)
    (roll,) = future.rolls
    assert (roll.old_expiry, roll.new_expiry) == ("2021-01-04", "2021-01-06")
    assert roll.ts_ns >= HEDGED.fixing_ns[0]
    cut, other = made(events, lambda e: np.array_split(e, 113), settings=settings)
    assert (cut.tobytes(), other.rolls) == (whole.tobytes(), future.rolls)
    half = 250_000_000
    for lots in (7, -7):
        legs = synthetic.roll_legs(roll, lots, instrument=len(CHAIN), half_e9=half)
        cash = -sum(leg.side * leg.lots * leg.px_e9 * 50 for leg in legs)
        before, after = lots * roll.old_e9 * 50, lots * roll.new_e9 * 50
        assert sum(leg.side * leg.lots for leg in legs) == 0
        assert cash + after - before == -2 * half * 7 * 50
    assert synthetic.roll_legs(roll, 0, instrument=0, half_e9=half) == ()


def test_after_the_last_fixing_it_is_silent():
    friday = list_chain(
        [parse_osi(f"SPXW210104{side}03700000") for side in "CP"],
        date="2021-01-04",
        underlying=SPX,
        kind="index",
    )
    chain = synthetic.declared(friday, SETTINGS)
    future = synthetic.SyntheticFuture(chain, SETTINGS, rate=0.0, until_ns=CLOSE)
    events = tape()
    events = events[(events["instrument"] < 2) & (events["kind"] == Kind.QUOTE)]
    out = np.concatenate([future.see(events), future.finish()])
    shown = out["ts_event_ns"][out["kind"] == Kind.UNDERLYING_QUOTE]
    assert shown.size > 10
    assert shown.max() < chain.fixing_ns[0] < events["ts_event_ns"].max()


def test_the_expiry_outlives_the_run_or_is_the_one_asked_for():
    future = maker(until_ns=int(CHAIN.fixing_ns[-1]) - 1)
    assert future.expiry == "2021-01-08"
    assert maker(until_ns=1 << 62).expiry == "2021-01-08"
    daily = np.array([True, False, True])
    steady = synthetic.SyntheticFuture(HEDGED, SETTINGS, rate=0, until_ns=CLOSE, daily=daily)
    assert steady.expiry == "2021-01-08"
    with pytest.raises(ConfigError, match=r"2021-01-07 has no strike.*2021-01-04, 2021-01-06"):
        maker(Synthetic(expiry="2021-01-07"))


def test_what_hedges_itself_is_refused():
    spy = list_chain([parse_osi("SPY230317C00390000"), parse_osi("SPY230317P00390000")],
                     date="2023-03-15", underlying=Underlying("SPY", "equity", 1, 1))  # fmt: skip
    with pytest.raises(ConfigError, match="SPY is an equity and hedges itself"):
        synthetic.declared(spy, SETTINGS)
    with pytest.raises(DataError, match="European call and put"):
        synthetic.SyntheticFuture(spy, SETTINGS, rate=0.0, until_ns=CLOSE)

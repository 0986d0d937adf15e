"""Settlement prices: the official one, or the proxy that its label names, from the past alone."""

import numpy as np
import pytest

from optmm.config_days import Settlement, Synthetic
from optmm.engine.fixing_prices import OFFICIAL, PUBLICATION_NS, FixingPrices
from optmm.market import synthetic
from optmm.market.chain import Underlying
from optmm.market.events import Kind, empty, in_order
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain, product

E9 = 1_000_000_000
MINUTE = 60 * E9
SPX = Underlying("SPX", "index", 1, 10_000_000)
SYMBOLS = [
    f"{root}{day}{side}03700000"
    for root, day in (("SPXW", "210104"), ("SPXW", "210106"), ("SPX", "210115"))
    for side in "CP"
]
CHAIN = list_chain(map(parse_osi, SYMBOLS), date="2021-01-04", underlying=SPX, kind="index")
SESSION = product("SPXW").session("2021-01-04")
FIX = int(CHAIN.fixing_ns[0])  # 16:00, the session runs to 16:15


def prints(*rows):
    """(minutes from the fixing, USD) as index prints."""
    out = empty(len(rows))
    out["kind"], out["instrument"] = Kind.UNDERLYING_TRADE, len(CHAIN)
    out["ts_event_ns"] = [FIX + round(m * MINUTE) for m, _ in rows]
    out["bid_e9"] = out["ask_e9"] = [round(usd * E9) for _, usd in rows]
    return out


def quotes(*rows):
    """(minutes from the fixing, instrument, bid, ask)."""
    out = empty(len(rows))
    out["kind"], out["instrument"] = Kind.QUOTE, [row[1] for row in rows]
    out["kind"][out["instrument"] == len(CHAIN)] = Kind.UNDERLYING_QUOTE
    out["ts_event_ns"] = [FIX + round(row[0] * MINUTE) for row in rows]
    out["bid_e9"], out["ask_e9"] = ([round(row[c] * E9) for row in rows] for c in (2, 3))
    return out


def settled(*parts, chain=CHAIN, config=None, session=SESSION, now_ns=None):
    made = FixingPrices(chain, config or Settlement(), rate=0.0)
    made.open(session)
    made.see(in_order(np.concatenate([empty(0), *parts])))
    return made.due(session.close_ns if now_ns is None else now_ns)


def test_the_official_price_is_exact_and_goes_before_any_print():
    config = Settlement(expiries=("2021-01-04",), px_usd=(3700.65,))
    (fixing,) = settled(prints((-1, 3701.0)), config=config).values()
    assert (fixing.px_e9, fixing.source) == (3_700_650_000_000, OFFICIAL)
    assert fixing.known_ns == FIX + PUBLICATION_NS


def test_the_closing_level_is_the_last_print_until_it_is_published():
    """A print at 16:04 is the close still being disseminated; one at 16:06 is not."""
    tape = prints((-30, 3690.0), (4, 3700.25), (6, 3755.0))
    (fixing,) = settled(tape).values()
    assert (fixing.px_e9, fixing.source) == (3_700_250_000_000, "last underlying print")
    assert not settled(tape, now_ns=FIX + PUBLICATION_NS - 1)


def test_an_old_print_yields_to_parity_of_the_series_and_then_of_the_next():
    old = prints((-90, 3650.0))
    own = quotes((-2, 0, 9.0, 9.2), (-2, 1, 0.4, 0.6))  # 3700 + 9.1 - 0.5
    after = quotes((-2, 2, 30.0, 31.0), (-2, 3, 20.0, 21.0))
    (fixing,) = settled(old, own, after).values()
    assert (fixing.px_e9, fixing.source) == (3_708_600_000_000, "parity forward")
    (fixing,) = settled(old, after).values()
    assert (fixing.px_e9, fixing.source) == (3_710_000_000_000, "parity forward of 2021-01-06")
    no_bid = quotes((-2, 0, 9.0, 9.2), (-2, 1, 0.0, 0.6))
    (fixing,) = settled(old, no_bid, after).values()
    assert fixing.source == "parity forward of 2021-01-06"
    (fixing,) = settled(old).values()
    assert fixing.source == "last underlying print, older than 3600 s"
    assert not settled()


def test_a_share_settles_at_its_middle_where_nothing_printed():
    shares = list_chain([parse_osi("SPY210104C00370000")], date="2021-01-04",
                        underlying=Underlying("SPY", "equity", 1, 10_000_000))  # fmt: skip
    rows = quotes((-1, len(CHAIN), 370.0, 370.02))
    (fixing,) = settled(rows, chain=shares).values()
    assert (fixing.px_e9, fixing.source) == (370_010_000_000, "last underlying middle")
    assert fixing.known_ns == FIX


def test_the_middle_of_a_declared_future_settles_nothing():
    """It is another expiry's forward; the index it stands for may still print."""
    hedged = synthetic.declared(CHAIN, Synthetic())
    future = quotes((-1, len(CHAIN), 3720.0, 3721.0))
    assert not settled(future, chain=hedged)
    (fixing,) = settled(future, prints((-2, 3700.5)), chain=hedged).values()
    assert (fixing.px_e9, fixing.source) == (3_700_500_000_000, "last underlying print")


def test_an_am_series_settles_at_the_first_print_of_the_day():
    session = product("SPXW").session("2021-01-15")
    at = (session.open_ns - FIX) / MINUTE
    tape = prints((at - 1, 3780.0), (at + 1, 3788.25), (at + 2, 3791.0), (at + 9, 3800.0))
    made = FixingPrices(CHAIN, Settlement(), rate=0.0)
    made.open(session)
    made.see(tape)
    assert not made.due(session.open_ns + PUBLICATION_NS - 1)
    (row,) = made.labels(session.close_ns)
    assert row == {
        "expiry": "2021-01-15", "root": "SPX", "px_e9": 3_788_250_000_000,
        "source": "first underlying print of the day", "official": False,
    }  # fmt: skip


def test_a_root_has_its_own_price_where_two_share_a_date():
    config = Settlement(expiries=("2021-01-15", "SPX 2021-01-15"), px_usd=(3768.25, 3788.5))
    assert config.px_e9("SPX", "2021-01-15") == 3_788_500_000_000
    assert config.px_e9("SPXW", "2021-01-15") == 3_768_250_000_000
    assert config.px_e9("SPXW", "2021-01-20") is None


def test_an_expiry_between_two_sessions_settles_at_the_open():
    made = FixingPrices(CHAIN, Settlement(), rate=0.0)
    made.open(SESSION)
    made.see(prints((-1, 3700.0), (14, 3701.0)))
    assert list(made.due(SESSION.close_ns)) == [0]
    thursday = product("SPXW").session("2021-01-07")
    made.open(thursday)
    (fixing,) = made.due(thursday.open_ns).values()
    assert (fixing.px_e9, fixing.known_ns) == (3_701_000_000_000, thursday.open_ns)
    assert "older" in fixing.source


@pytest.mark.parametrize("size", [1, 3, 11, 1000])
def test_blocks_and_the_future_change_nothing(size):
    """Asked after every block: once known it never moves, and it is what one block gives."""
    rng = np.random.default_rng(2)
    n = 600
    at = np.sort(rng.integers(-80, 15 * 4, n)) / 4
    some = rng.random(n) < 0.02
    rows = [(m, int(i), 20.0 + k % 5, 21.0 + k % 5) for k, (m, i) in
            enumerate(zip(at[~some], rng.integers(0, 6, n), strict=False))]  # fmt: skip
    tape = in_order(np.concatenate([
        quotes(*rows), prints(*((m, 3700 + k) for k, m in enumerate(at[some])))
    ]))  # fmt: skip
    whole = settled(tape)
    upto = settled(tape[tape["ts_event_ns"] <= FIX + PUBLICATION_NS])
    assert whole
    assert upto == whole
    made = FixingPrices(CHAIN, Settlement(), rate=0.0)
    made.open(SESSION)
    seen = []
    for block in np.array_split(tape, range(size, n, size)):
        made.see(block)
        now = int(block["ts_event_ns"][-1])
        if now > FIX + PUBLICATION_NS:
            seen.append(made.due(now))
        elif now < FIX + PUBLICATION_NS:
            assert not made.due(now)
    seen.append(made.due(SESSION.close_ns))
    assert all(found == whole for found in seen)

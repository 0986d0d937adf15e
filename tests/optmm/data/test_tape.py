"""Order in bounded memory, repeats, and shares of time, against plain Python."""

import numpy as np
import pytest

from optmm.data.tape import LATE, WINDOW_NS, Ledger, TwoSided, Watch, ordered
from optmm.market.chain import Session, Underlying
from optmm.market.events import Kind, empty, in_order
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain

SECOND = 10**9


def drawn(seed: int, n: int, spread: int) -> np.ndarray:
    """Events at random instants, many of them the same, of random kinds and instruments."""
    rng = np.random.default_rng(seed)
    out = empty(n)
    out["ts_event_ns"] = out["ts_recv_ns"] = rng.integers(0, spread, n)
    out["instrument"] = rng.integers(0, 7, n)
    out["kind"] = rng.choice([int(k) for k in (Kind.TRADE, Kind.UNDERLYING_QUOTE, Kind.QUOTE)], n)
    out["bid_e9"] = np.arange(n)  # who it was, to see whether ties keep their order
    return out


@pytest.mark.parametrize("run_rows", [1, 7, 100, 333, 5_000])
@pytest.mark.parametrize("spread", [1, 40, 10**9])
def test_runs_on_disk_give_the_order_of_one_sort(tmp_path, run_rows, spread):
    events = drawn(3, 1_000, spread)
    blocks = np.array_split(events, 17)
    got = np.concatenate(list(ordered(iter(blocks), tmp_path, run_rows)))
    assert got.tobytes() == in_order(events).tobytes()
    assert not list(tmp_path.iterdir()), "the runs are gone"


def test_no_block_is_larger_than_a_few_runs(tmp_path):
    """Memory is bounded by the run, not by the day."""
    events = drawn(4, 20_000, 10**9)
    sizes = [b.size for b in ordered(iter(np.array_split(events, 40)), tmp_path, 1_000)]
    assert sum(sizes) == 20_000 and max(sizes) <= 2_000


def quotes(*rows: tuple[int, int, int]) -> np.ndarray:
    """(instrument, ns, bid)."""
    out = empty(len(rows))
    out["instrument"], out["ts_event_ns"], out["bid_e9"] = zip(*rows, strict=True)
    out["kind"] = Kind.QUOTE
    return out


def test_a_little_late_is_put_back_and_much_too_late_set_aside():
    ledger, watch = Ledger(), Watch(2)
    t = 100 * SECOND
    first = quotes((0, t, 1), (1, t - WINDOW_NS, 2), (0, t - WINDOW_NS, 3), (0, t + 1, 4))
    second = quotes((0, t - WINDOW_NS, 5), (0, t, 6), (1, t, 7))
    assert watch.stands(first, ledger).tolist() == [True] * 4
    assert watch.stands(second, ledger).tolist() == [False, True, True]
    assert (ledger.quarantined, ledger.reordered) == ({LATE: 1}, 2)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_row_that_comes_twice_counts_once_whatever_the_blocks(cut):
    rows = quotes((0, 5, 1), (0, 5, 1), (1, 5, 1), (0, 5, 2), (0, 5, 1), (0, 6, 1))
    ledger, watch = Ledger(), Watch(2)
    stands = np.concatenate([watch.stands(part, ledger) for part in np.array_split(rows, cut)])
    assert stands.tolist() == [True, False, True, True, True, True]
    assert ledger.quarantined == {"duplicate": 1}


def test_of_a_chain_the_first_quote_of_an_instant_stands():
    rows = quotes((0, 5, 1), (1, 5, 1), (0, 5, 2), (0, 6, 2))
    ledger = Ledger()
    assert Watch(2, single=True).stands(rows, ledger).tolist() == [True, True, False, True]
    assert ledger.quarantined == {"duplicate contract": 1}


def test_the_two_sided_share_is_that_of_a_clock_watched_second_by_second(tmp_path):
    options = [parse_osi(f"SPY240315{right}00500000") for right in "CP"]
    chain = list_chain(options, date="2024-03-12", underlying=Underlying("SPY", "equity", 1, 1))
    session = Session("2024-03-12", 0, 100 * SECOND, "UTC")
    rng = np.random.default_rng(11)
    events = empty(40)
    events["ts_event_ns"] = np.sort(rng.integers(0, 100, 40)) * SECOND
    events["instrument"], events["kind"] = rng.integers(0, 2, 40), Kind.QUOTE
    events["bid_e9"], events["ask_e9"] = rng.integers(0, 2, 40), rng.integers(0, 2, 40)
    share = TwoSided(chain, session)
    for block in np.array_split(events, 6):
        share.add(block)
    held = 0
    for second in range(100):
        for row in range(2):
            mine = events[
                (events["instrument"] == row) & (events["ts_event_ns"] <= second * SECOND)
            ]
            held += bool(mine.size and mine[-1]["bid_e9"] and mine[-1]["ask_e9"])
    assert share.share() == pytest.approx(held / 200, abs=1e-12)

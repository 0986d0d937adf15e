"""A run fed in blocks, interrupted, paced: none of it may change what is decided."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from days import MINUTE_NS, barred, simulated

from optmm.config import DeskConfig, parsed
from optmm.data import store
from optmm.engine import loop, replay
from optmm.errors import DataError, UsageError
from optmm.market.events import MARKET_EVENT, Bits, Kind, empty, in_order
from optmm.market.feed import Feed, FeedDay, feed_of

COLUMNS = [name for name in MARKET_EVENT.names if name != "seq"]


def in_blocks(day, rows: int) -> Feed:
    """The day fed `rows` events at a time."""

    def blocks():
        for start in range(0, day.events.size, rows):
            yield day.events[start : start + rows]

    feed = feed_of(day)
    return replace(feed, days=(replace(feed.days[0], blocks=blocks),))


def hashes(run) -> list[str]:
    return [world.journal.hex for world in run.worlds]


class StopAt:
    """A control that interrupts once, when event time reaches an instant."""

    def __init__(self, at_ns: int) -> None:
        self.at_ns, self.hurried = at_ns, 0

    def until(self, now_ns: int, *, hurry: bool) -> int:
        self.hurried += hurry
        if now_ns >= self.at_ns:
            raise KeyboardInterrupt
        return now_ns + 7 * 10**9


# ---- timers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 7, 1000])
def test_timers_lie_where_a_sort_of_the_whole_day_puts_them(rows):
    rng = np.random.default_rng(4)
    events = empty(400)
    events["ts_event_ns"] = rng.integers(0, 60, 400)  # many events an instant
    events["kind"] = rng.choice([k for k in Kind if k != Kind.TIMER], 400)
    status = events["kind"] == Kind.STATUS
    events["bits"][status] = rng.choice([Bits.OPEN, Bits.CLOSE, Bits.HALT], int(status.sum()))
    events["instrument"] = rng.integers(0, 9, 400)
    events = in_order(events)
    times = np.array([0, 1, 2, 3, 17, 40, 59, 80])
    timers = empty(times.size)
    timers["ts_event_ns"], timers["kind"], timers["instrument"] = times, Kind.TIMER, -1
    wanted = in_order(np.concatenate([events, timers]))
    blocks = iter([events[i : i + rows] for i in range(0, events.size, rows)])
    pieces = list(loop.timed(blocks, times))
    found = np.concatenate(pieces)
    assert (found[["ts_event_ns", "kind", "instrument", "bits"]]
            == wanted[["ts_event_ns", "kind", "instrument", "bits"]]).all()  # fmt: skip
    alone = [piece for piece in pieces if (piece["kind"] == Kind.TIMER).any()]
    assert len(alone) == times.size and all(piece.size == 1 for piece in alone)


def test_timers_of_a_session_without_events_still_come():
    times = np.array([5, 9])
    assert [int(piece["ts_event_ns"][0]) for piece in loop.timed(iter([]), times)] == [5, 9]


# ---- blocks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    return {
        kind: hashes(replay.run(day, DeskConfig(), place / kind, seed=1))
        for kind, day in (("bars", barred(6)), ("ticks", simulated(6)))
    }


@pytest.mark.parametrize("rows", [1, 7, 4096])
@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_block_sizes_do_not_matter(kind, rows, whole, tmp_path):
    day = barred(6) if kind == "bars" else simulated(6)
    run = replay.run(in_blocks(day, rows), DeskConfig(), tmp_path / "run", seed=1)
    assert hashes(run) == whole[kind]


def test_a_stored_day_read_in_blocks_is_the_day(tmp_path):
    day = simulated(6)
    feed = store.feed(store.write(day, tmp_path / "day"))
    events = np.concatenate(list(feed.days[0].blocks()))
    assert (events == day.events).all() and feed.events == day.events.size
    first = [block["seq"][0] for block in feed.days[0].blocks()]
    assert first == [block["seq"][0] for block in feed.days[0].blocks()]  # from the start again


def test_a_stored_day_that_was_altered_is_refused_before_its_first_event(tmp_path):
    folder = store.write(simulated(6), tmp_path / "day")
    path = folder / "events.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=r"not the file that was stored|corrupt Parquet"):
        store.feed(folder)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        store.feed(folder)


# ---- interruption ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bars", "ticks"])
@pytest.mark.parametrize("share", [0.0, 0.35, 0.9])
def test_an_interrupted_run_goes_on_to_the_same_hash(kind, share, whole, tmp_path):
    day, folder = (barred(6) if kind == "bars" else simulated(6)), tmp_path / "run"
    stop = StopAt(day.session.open_ns + round(share * 6 * MINUTE_NS))
    with pytest.raises(KeyboardInterrupt):
        replay.run(day, DeskConfig(), folder, seed=1, control=stop)
    run = replay.run(day, DeskConfig(), folder, seed=1, resume=True)
    assert hashes(run) == whole[kind]


def test_what_was_durable_when_interrupted_is_still_there_after(tmp_path):
    from optmm.engine.journal import read

    day, folder = simulated(6), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        replay.run(day, DeskConfig(), folder, control=StopAt(day.session.open_ns + 4 * MINUTE_NS))
    before = [row for row, _ in read(folder / "journal-simulated.sqlite")]
    control = StopAt(day.session.close_ns + MINUTE_NS)
    replay.run(day, DeskConfig(), folder, control=control, resume=True)
    after = [row for row, _ in read(folder / "journal-simulated.sqlite")]
    assert len(before) > 3 and after[: len(before)] == before and len(after) > len(before)
    assert control.hurried > 0  # it knew that it was only catching up, and then that it was not
    assert after[-1].kind == "close"


def test_an_interrupted_run_goes_on_only_as_itself(tmp_path):
    day, folder = simulated(6), tmp_path / "run"
    with pytest.raises(UsageError, match="no run that could go on"):
        replay.run(day, DeskConfig(), folder, resume=True)
    with pytest.raises(KeyboardInterrupt):
        replay.run(day, DeskConfig(), folder, control=StopAt(day.session.open_ns + 3 * MINUTE_NS))
    other = parsed({"quoting": {"market_share": 0.5}}, "test")
    with pytest.raises(UsageError, match="config_hash"):
        replay.run(day, other, folder, resume=True)
    with pytest.raises(UsageError, match="seed"):
        replay.run(day, DeskConfig(), folder, seed=2, resume=True)
    with pytest.raises(UsageError, match="data_hash"):
        replay.run(simulated(6, 4), DeskConfig(), folder, resume=True)


def test_a_journal_that_was_altered_while_interrupted_is_named(tmp_path):
    import apsw

    day, folder = simulated(6), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        replay.run(day, DeskConfig(), folder, control=StopAt(day.session.open_ns + 4 * MINUTE_NS))
    db = apsw.Connection(str(folder / "journal-simulated.sqlite"))
    db.execute("update journal set hash = zeroblob(32) where seq = 3")
    db.close()
    with pytest.raises(DataError, match=r"row 3 .* is not what this run derives"):
        replay.run(day, DeskConfig(), folder, resume=True)


def test_a_run_that_is_still_on_keeps_its_tables(tmp_path):
    """Who resumes it meanwhile is refused by its journals before a table is touched."""
    day, folder = simulated(6), tmp_path / "run"

    class Meddler(StopAt):
        met = 0

        def until(self, now_ns: int, *, hurry: bool) -> int:
            if not self.met:
                self.met = 1
                with pytest.raises(DataError, match="locked"):
                    replay.run(day, DeskConfig(), folder, resume=True)
            return super().until(now_ns, hurry=hurry)

    meddler = Meddler(day.session.close_ns + MINUTE_NS)
    run = replay.run(day, DeskConfig(), folder, control=meddler)
    rows = pq.read_metadata(folder / "quotes.parquet").num_rows
    assert meddler.met and rows == run.worlds[0].quotes.count > 0


def test_a_complete_run_is_not_taken_up_again(tmp_path):
    from optmm import reports

    day, folder = simulated(6), tmp_path / "run"
    replay.run(day, DeskConfig(), folder)
    reports.write(folder)
    replay.complete_run(folder)
    with pytest.raises(UsageError, match="complete"):
        replay.run(day, DeskConfig(), folder, resume=True)


def test_a_pace_changes_nothing(whole, tmp_path):
    """Being asked every seven seconds of event time cuts pieces, not decisions."""
    control = StopAt(simulated(6).session.close_ns + MINUTE_NS)
    run = replay.run(simulated(6), DeskConfig(), tmp_path / "run", seed=1, control=control)
    assert hashes(run) == whole["ticks"]


def test_a_day_without_quotes_is_refused_before_anything_is_written(tmp_path):
    day = simulated(6)
    events = day.events[day.events["kind"] != Kind.QUOTE]
    feed = in_blocks(replace(day, events=events), 1000)
    with pytest.raises(DataError, match="two-sided option quote"):
        replay.run(feed, DeskConfig(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert isinstance(feed.days[0], FeedDay)

"""A whole run: three worlds or one, exact money, no look-ahead, the same bytes twice."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import apsw
import numpy as np
import polars as pl
import pytest
from days import MINUTE_NS, barred, simulated

from optmm import reports
from optmm.config import DeskConfig, parsed
from optmm.engine import replay
from optmm.engine.verify import verify_run
from optmm.errors import DataError, UsageError
from optmm.market.events import Bits, Kind, empty, in_order

FILES = (
    "manifest.json", "chain.parquet", "fills.parquet", "quotes.parquet", "prints.parquet",
    "pnl.parquet", "greeks.parquet", "surface.parquet", "smiles.parquet", "presence.parquet",
    "report.json", "report.html",
)  # fmt: skip


LOOSE = parsed(
    {
        "protections": {"max_fills": 10_000, "max_lots": 100_000},
        "limits": {"inventory_usd": 1e12, "vega_usd_per_volpt": 1e10,
                   "expiry_vega_usd_per_volpt": 1e10},
    },
    "test",
)  # fmt: skip


def finished(day, folder, config=None):
    run = replay.run(day, config or DeskConfig(), folder, seed=1, command="test")
    report = reports.write(folder)
    replay.complete_run(folder)
    return run, report


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars") / "run"
    run, report = finished(barred(), folder)
    return folder, run, report


@pytest.fixture(scope="module")
def ticks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ticks") / "run"
    run, report = finished(simulated(), folder)
    return folder, run, report


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_folder_is_whole_and_verifies(kind, request):
    folder, run, _ = request.getfixturevalue(kind)
    bounds = [world.name for world in run.worlds]
    wanted = set(FILES) | {f"journal-{name}.sqlite" for name in bounds}
    assert wanted == {path.name for path in folder.iterdir()}
    assert json.loads((folder / "manifest.json").read_text())["complete"] is True
    found = verify_run(folder)["bounds"]
    assert list(found) == bounds
    assert all(found[name]["fills"] > 0 for name in bounds if name != "pessimistic")


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_two_computations_of_the_pnl_agree_exactly(kind, request):
    _, run, report = request.getfixturevalue(kind)
    for world in run.worlds:
        shown = report["bounds"][world.name]
        assert shown["identity_error"] == 0
        assert round(shown["ledger_net"] * 1e9) == world.net_e9()


def test_worlds_order_as_their_rules_do(tmp_path):
    """While the books are still alike, a pessimistic fill is a queue fill is an optimistic one."""
    replay.run(barred(5), LOOSE, tmp_path / "loose")
    fills = pl.read_parquet(tmp_path / "loose" / "fills.parquet")
    fills = fills.filter(pl.col("kind") == "quote")
    first = fills.filter(pl.col("ts_ns") == fills["ts_ns"].min())
    lots = {
        name: dict(first.filter(pl.col("bound") == name).select("instrument", "lots").iter_rows())
        for name in ("pessimistic", "queue", "optimistic")
    }
    assert len(lots["optimistic"]) > 0
    for fewer, more in (("pessimistic", "queue"), ("queue", "optimistic")):
        assert all(lots[more].get(i, 0) >= n for i, n in lots[fewer].items()), (fewer, more)


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_no_fill_is_better_than_our_quote_or_before_it(kind, request):
    """Each fill is at the price of the last message that had reached the venue on that side."""
    folder, _, _ = request.getfixturevalue(kind)
    fills = pl.read_parquet(folder / "fills.parquet").filter(pl.col("kind") == "quote")
    quotes = pl.read_parquet(folder / "quotes.parquet").filter(pl.col("lots") > 0)
    joined = fills.sort("ts_ns").join_asof(
        quotes.sort("ts_ns").select("bound", "ts_ns", "instrument", "side", quoted="px_e9"),
        on="ts_ns", by=["bound", "instrument", "side"], strategy="backward",
    )  # fmt: skip
    assert joined.height == fills.height > 0
    assert (joined["quoted"] == joined["px_e9"]).all()


def test_bar_fills_at_most_once_a_bar(bars):
    folder, _, _ = bars
    fills = pl.read_parquet(folder / "fills.parquet").filter(pl.col("kind") == "quote")
    assert fills.group_by("bound", "ts_ns", "instrument").len()["len"].max() == 1


def test_nothing_quoted_before_the_first_surface_and_all_on_tick(bars):
    folder, run, _ = bars
    quotes = pl.read_parquet(folder / "quotes.parquet")
    assert quotes["ts_ns"].min() > run.feed.session.open_ns + MINUTE_NS
    assert (quotes["px_e9"] % 10_000_000 == 0).all()


def doctored(day, after_ns):
    """The same day with every price after an instant moved: another future."""
    events = day.events.copy()
    late = (events["ts_event_ns"] > after_ns) & (events["kind"] != Kind.STATUS)
    for name in ("bid_e9", "ask_e9"):
        moved = events[name][late] * 21 // 20 // 10_000_000 * 10_000_000
        events[name][late] = np.where(events[name][late] > 0, np.maximum(moved, 10_000_000), 0)
    return replace(day, events=in_order(events))


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_the_future_of_a_day_does_not_reach_its_past(kind, request, tmp_path):
    folder, run, _ = request.getfixturevalue(kind)
    cut = run.feed.session.open_ns + 6 * MINUTE_NS + 30_000_000_000
    day = {"bars": barred, "ticks": simulated}[kind]()
    replay.run(doctored(day, cut), DeskConfig(), tmp_path / "other", seed=1)
    for name in ("quotes.parquet", "fills.parquet", "surface.parquet"):
        columns = None if name != "fills.parquet" else [
            "bound", "seq", "ts_ns", "instrument", "side", "lots", "px_e9", "mark_e9"
        ]  # fmt: skip
        old, new = (
            pl.read_parquet(path / name, columns=columns).filter(pl.col("ts_ns") <= cut)
            for path in (folder, tmp_path / "other")
        )
        assert old.height > 0 or name == "fills.parquet"
        assert old.equals(new, null_equal=True), name
    after = [
        pl.read_parquet(path / "quotes.parquet").filter(pl.col("ts_ns") > cut)
        for path in (folder, tmp_path / "other")
    ]
    assert not after[0].equals(after[1])  # the futures really differ


CHILD = """
import sys, json
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from days import barred, simulated
from optmm.config import DeskConfig
from optmm.engine import replay
out = {}
for name, day in (("bars", barred()), ("ticks", simulated())):
    run = replay.run(day, DeskConfig(), Path(sys.argv[2]) / name, seed=1, command="test")
    out[name] = {w.name: w.journal.hex for w in run.worlds}
print(json.dumps(out))
"""


@pytest.mark.slow
def test_two_processes_with_other_hash_seeds_write_the_same_journal(tmp_path, bars, ticks):
    seen = []
    for seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        seen.append(json.loads(done.stdout.splitlines()[-1]))
    assert seen[0] == seen[1]
    here = {w.name: w.journal.hex for _, run, _ in (bars, ticks) for w in run.worlds}
    assert {name: value for world in seen[0].values() for name, value in world.items()} == here
    for name in ("quotes.parquet", "fills.parquet", "pnl.parquet", "surface.parquet"):
        both = [(tmp_path / seed / "bars" / name).read_bytes() for seed in ("0", "4242")]
        assert hashlib.sha256(both[0]).digest() == hashlib.sha256(both[1]).digest(), name


def test_one_world_alone_is_the_same_world(bars, tmp_path):
    """--bounds queue must not differ from the queue world of a run of all three."""
    _, run, _ = bars
    config = parsed({"replay": {"bounds": ("queue",)}}, "test")
    alone = replay.run(barred(), config, tmp_path / "queue", seed=1)
    other = run.worlds[1]
    assert alone.worlds[0].net_e9() == other.net_e9()
    assert alone.worlds[0].fills.frame().equals(other.fills.frame())


def test_limits_hold_in_every_snapshot(bars, ticks):
    for _, run, _ in (bars, ticks):
        for world in run.worlds:
            assert world.worst_inventory_usd <= run.config.limits.inventory_usd


def test_a_tiny_limit_is_never_passed(tmp_path):
    limits = {"inventory_usd": 400_000.0, "max_fill_usd": 60_000.0}
    config = parsed({"limits": limits, "replay": {"bounds": ("optimistic",)}}, "test")
    run = replay.run(barred(), config, tmp_path / "tiny")
    world = run.worlds[0]
    assert 0 < world.worst_inventory_usd <= 400_000.0


def test_the_kill_switch_latches(tmp_path):
    """A day loss beyond the stop kills: nothing is quoted afterwards, whatever re-arms."""
    config = parsed({"limits": {"loss_stop_usd": 0.01}}, "test")
    run = replay.run(simulated(), config, tmp_path / "killed")
    world = run.worlds[0]
    assert world.stopped and "day loss" in world.stopped
    rows = _journal(tmp_path / "killed" / "journal-simulated.sqlite")
    killed = [ts for ts, kind in rows if kind == "kill"]
    assert len(killed) == 1
    quotes = pl.read_parquet(tmp_path / "killed" / "quotes.parquet")
    assert quotes.filter((pl.col("ts_ns") > killed[0]) & (pl.col("lots") > 0)).height == 0
    assert not any(ts > killed[0] and kind == "fill" for ts, kind in rows)


def resting(folder, at_ns):
    """What rests at the venue at an instant: the last message of every side."""
    quotes = pl.read_parquet(folder / "quotes.parquet").filter(pl.col("ts_ns") <= at_ns)
    last = quotes.group_by("bound", "instrument", "side", maintain_order=True).last()
    return last.filter(pl.col("lots") > 0)


@pytest.mark.parametrize("refit_s", [60.0, 600.0])
def test_a_stale_underlying_pulls_every_quote(refit_s, tmp_path):
    """Staleness used to be noticed at the next sweep or sheet only; thousands of quotes rested."""
    day = simulated()
    silent = day.session.open_ns + 5 * MINUTE_NS
    keep = (day.events["kind"] != Kind.UNDERLYING_QUOTE) | (day.events["ts_event_ns"] <= silent)
    quiet = replace(day, events=in_order(day.events[keep]))
    config = parsed({"surface": {"refit_s": refit_s}}, "test")
    replay.run(quiet, config, tmp_path / "stale")
    assert resting(tmp_path / "stale", silent).height > 1000
    last_spot = int(quiet.events["ts_event_ns"][quiet.events["kind"] == Kind.UNDERLYING_QUOTE][-1])
    limit_s = config.protections.stale_underlying_s + 1.0  # the limit, the next event, the way
    assert resting(tmp_path / "stale", last_spot + round(limit_s * 1e9)).height == 0
    assert resting(tmp_path / "stale", day.session.close_ns).height == 0


@pytest.mark.parametrize("make", [simulated, barred], ids=["ticks", "bars"])
def test_a_halt_pulls_every_quote_and_a_resumption_waits_for_a_fresh_market(make, tmp_path):
    """Quotes used to rest through a short halt and trade at their old prices after it."""
    day = make()
    start = day.session.open_ns + 6 * MINUTE_NS + 7_000_000_000
    end = start + 100_000_000_000
    status = empty(2)
    status["kind"], status["instrument"] = Kind.STATUS, len(day.chain)
    status["ts_event_ns"], status["bits"] = (start, end), (Bits.HALT, Bits.RESUME)
    inside = (day.events["ts_event_ns"] > start) & (day.events["ts_event_ns"] < end)
    quiet = day.events[~inside | (day.events["kind"] == Kind.STATUS)]
    halted = replace(day, events=in_order(np.concatenate([quiet, status])))
    replay.run(halted, LOOSE, tmp_path / "halt")  # a trip would empty the venue unlogged
    assert resting(tmp_path / "halt", start).height > 1000
    # nothing happens in between, so the cancels land with the first event after: the resumption
    assert resting(tmp_path / "halt", end).height == 0
    fills = pl.read_parquet(tmp_path / "halt" / "fills.parquet")
    assert fills.filter(pl.col("ts_ns").is_between(start, end)).height == 0
    quotes = pl.read_parquet(tmp_path / "halt" / "quotes.parquet")
    again = quotes.filter((pl.col("ts_ns") > end) & (pl.col("lots") > 0))
    assert again.height > 0
    events = halted.events
    fresh = events[(events["kind"] == Kind.QUOTE) & (events["ts_event_ns"] >= end)]
    first = dict(zip(fresh["instrument"][::-1], fresh["ts_event_ns"][::-1], strict=True))
    assert all(ts >= first[i] for i, ts in again.select("instrument", "ts_ns").iter_rows())


@pytest.mark.parametrize("kind", ["bars", "ticks"])
def test_no_message_is_through_our_own_fair_value(kind, request):
    """At every fill the quote that traded was on the right side of the theo in force."""
    folder, _, _ = request.getfixturevalue(kind)
    fills = pl.read_parquet(folder / "fills.parquet").filter(pl.col("kind") == "quote")
    edge = fills["side"].cast(pl.Int64) * (fills["mark_e9"] - fills["px_e9"])
    assert (edge >= -10_000_000).mean() > 0.9  # a cent: spot may have moved while it rested


def test_an_expiry_without_any_price_of_the_underlying_does_not_crash(tmp_path):
    """A position without a fair value used to make the inventory infinite and the run fail."""
    day = simulated()
    cut = day.session.open_ns + 6 * MINUTE_NS
    chain = day.chain
    fixing = chain.fixing_ns.copy()
    fixing[chain.rows(0)] = day.session.open_ns + 9 * MINUTE_NS
    keep = (day.events["kind"] != Kind.UNDERLYING_QUOTE) | (day.events["ts_event_ns"] <= cut)
    odd = replace(day, chain=replace(chain, fixing_ns=fixing), events=in_order(day.events[keep]))
    run, report = finished(odd, tmp_path / "odd")
    assert report["bounds"]["simulated"]["identity_error"] == 0
    rows = run.feed.chain.rows(0)
    assert (run.worlds[0].lots[rows] == 0).all()


def test_a_day_that_cannot_be_quoted_is_refused_before_anything_is_written(tmp_path):
    day = simulated()
    without = {
        "no QUOTE of the underlying": Kind.UNDERLYING_QUOTE,
        "no usable two-sided option quote": Kind.QUOTE,
    }
    for kind in without.values():
        cut = replace(day, events=in_order(day.events[day.events["kind"] != kind]))
        with pytest.raises(DataError, match=r"has no .*optmm data info"):
            replay.run(cut, DeskConfig(), tmp_path / "cut")
        assert not (tmp_path / "cut").exists()


def test_a_lost_fair_value_stays_in_the_denominator(tmp_path):
    """A series whose theo was lost used to leave the time it had to be quoted in."""
    from optmm.quoting.obligations import Presence

    meter = Presence(2)
    common = {
        "is_open": np.ones(2, bool), "years": np.full(2, 0.1), "why": np.full(2, 1),
        "market_two_sided": np.ones(2, bool),
    }  # fmt: skip
    meter.add(60.0, delta=np.array([0.5, np.nan]), quoted=np.array([True, False]), **common)
    for _ in range(9):
        meter.add(60.0, delta=np.full(2, np.nan), quoted=np.zeros(2, bool), **common)
    meter.close()
    assert meter.eligible_s.tolist() == [600.0, 600.0]
    assert meter.two_sided_s.tolist() == [60.0, 0.0]


def _journal(path):
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = list(db.execute("select ts_ns, kind from journal order by seq"))
    db.close()
    return rows


def test_an_interrupted_run_does_not_look_complete(tmp_path):
    class StopHereError(Exception):
        pass

    def stop(it, now_ns, share):
        if share > 0.5:
            raise StopHereError

    with pytest.raises(StopHereError):
        replay.run(barred(), DeskConfig(), tmp_path / "cut", progress=stop)
    assert json.loads((tmp_path / "cut" / "manifest.json").read_text())["complete"] is False
    with pytest.raises(DataError, match="not complete"):
        verify_run(tmp_path / "cut")


def test_of_two_runs_that_want_a_folder_one_gets_it(tmp_path):
    """The loser used to remove the winner's run."""
    replay.claim_folder(tmp_path / "run")
    with pytest.raises(UsageError, match="choose another --out"):
        replay.claim_folder(tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["manifest.json"]


def test_a_taken_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        replay.run(barred(), DeskConfig(), tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_minute_without_events_does_not_part_the_worlds(tmp_path):
    """A hedge that landed with a timer used to look like a stop of one world only: the run died."""
    for gap in (4, 7):
        day = barred()
        start = day.session.open_ns + (gap - 1) * MINUTE_NS
        ts = day.events["ts_event_ns"]
        quiet = (ts > start) & (ts <= start + MINUTE_NS) & (day.events["kind"] != Kind.STATUS)
        cut = replace(day, events=in_order(day.events[~quiet]))
        run = replay.run(cut, DeskConfig(), tmp_path / str(gap))
        assert len(run.worlds) == 3


def test_a_kill_or_a_trip_is_in_the_quote_log(ticks, tmp_path):
    """Purged sides used to stay live in quotes.parquet: a log of quotes that did not exist."""
    config = parsed({"limits": {"loss_stop_usd": 0.01}}, "test")
    replay.run(simulated(), config, tmp_path / "killed")
    assert resting(tmp_path / "killed", simulated().session.close_ns).height == 0
    run = replay.run(barred(5), DeskConfig(), tmp_path / "tripped")
    trips = [world.name for world in run.worlds if world.state.head["trips"][0]]
    assert trips  # 150 prints a minute are more than the protection lets through
    for world in run.worlds:
        shown = resting(tmp_path / "tripped", run.feed.session.close_ns)
        live = int(
            (world.state.own["bid_lots"] > 0).sum() + (world.state.own["ask_lots"] > 0).sum()
        )
        partly = shown.filter(pl.col("bound") == world.name).height
        # a side that filled completely is empty at the venue without a message of ours
        filled = pl.read_parquet(tmp_path / "tripped" / "fills.parquet")
        filled = filled.filter((pl.col("bound") == world.name) & (pl.col("kind") == "quote")).height
        assert live <= partly <= live + filled

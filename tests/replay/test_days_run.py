"""One run over several sessions: what is held goes straight through, and a night books its own."""

import csv
from functools import cache
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from optmm import reports
from optmm.config import parsed
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import simulation_config
from optmm.engine import replay, settlement
from optmm.engine.fixing_prices import Fixing
from optmm.engine.journal import read
from optmm.engine.marks import Marks
from optmm.engine.positions_file import OpeningBook, Position
from optmm.engine.verify import verify_run
from optmm.errors import DataError
from optmm.market.feed import feed_of, joined

FIRST, SECOND = "2025-03-12", "2025-03-13"
LOOSE = {
    "protections": {"max_fills": 10_000, "max_lots": 100_000},
    "limits": {"inventory_usd": 1e12, "vega_usd_per_volpt": 1e10,
               "expiry_vega_usd_per_volpt": 1e10, "loss_stop_usd": 1e10},
}  # fmt: skip


@cache
def feed(spot_usd: float = 560.0, dates: tuple[str, ...] = (FIRST, SECOND)):
    """Short simulated days, of which the second opens near the first one's close, or elsewhere."""
    days = [
        simulate_day(
            simulation_config(
                {"trade_date": date, "minutes": 7, "spot_usd": 560.0 if k == 0 else spot_usd}
            ),
            5 + k,
        ).day
        for k, date in enumerate(dates)
    ]
    return joined([feed_of(day) for day in days])


def finished(folder, config, *, of=None, **more):
    run = replay.run(of or feed(), parsed(config, "test"), folder, seed=3, **more)
    report = reports.write(folder)
    replay.complete_run(folder)
    verify_run(folder)
    return run, report["bounds"]["simulated"], pl.read_parquet(folder / "fills.parquet")


def rows(folder, kind):
    return [r for r, _ in read(folder / "journal-simulated.sqlite") if r.kind == kind]


def held(fills, instrument, until_ns):
    """Signed lots by a sum over the tape."""
    mine = fills.filter((pl.col("instrument") == instrument) & (pl.col("ts_ns") <= until_ns))
    return int((mine["side"].cast(pl.Int64) * mine["lots"]).sum())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "run"
    return folder, *finished(folder, LOOSE)


def test_positions_and_cash_go_through_the_night(plain):
    folder, run, world, fills = plain
    first, second = (day.session for day in run.feed.days)
    assert [row.payload["date"] for row in rows(folder, "session")] == [FIRST, SECOND]
    assert [row["date"] for row in world["days"]] == [FIRST, SECOND]
    assert all(row["fills"] > 0 for row in world["days"])
    # the tape of both days adds up to what the engine holds at the end
    for i in fills["instrument"].unique():
        assert held(fills, i, second.close_ns) == run.worlds[0].state.own["qty"][i]
    carried = [i for i in fills["instrument"].unique() if held(fills, i, first.close_ns)]
    assert carried
    assert world["identity_error"] == 0 and world["ledger_less_fills_e9"] == 0
    assert sum(row["net_e9"] for row in world["days"]) == world["ledger_net_e9"]


def test_no_markout_reaches_into_the_next_session(plain):
    """The last fills of a day are marked at its close, not at the next day's prices."""
    _, run, _, fills = plain
    first = run.feed.days[0].session
    late = fills.filter(
        (pl.col("ts_ns") <= first.close_ns) & (pl.col("ts_ns") > first.close_ns - 60 * 10**9)
    )
    closing = pl.read_parquet(plain[0] / "pnl.parquet").filter(pl.col("ts_ns") == first.close_ns)
    assert late.height
    spot = round(float(closing["spot"][-1]) * 1e9)
    assert set(late["spot_300s_e9"]) == {spot} == set(late["spot_60s_e9"])


def test_nothing_is_quoted_or_filled_between_close_and_the_first_surface(plain):
    folder, run, _, fills = plain
    first, second = (day.session for day in run.feed.days)
    quotes = pl.read_parquet(folder / "quotes.parquet").filter(pl.col("lots") > 0)
    surface = pl.read_parquet(folder / "surface.parquet")
    fitted = surface.filter(pl.col("ts_ns") > second.open_ns)["ts_ns"].min()
    night = (first.close_ns + 10**9, fitted)
    assert quotes.filter(pl.col("ts_ns").is_between(*night, closed="none")).height == 0
    assert fills.filter(pl.col("ts_ns").is_between(*night, closed="none")).height == 0


def test_an_interrupted_second_day_goes_on_to_the_same_hash(plain, tmp_path):
    _, run, _, _ = plain

    class Stop:
        def until(self, now_ns: int, *, hurry: bool) -> None:
            if now_ns > run.feed.days[1].session.open_ns + 200 * 10**9:
                raise KeyboardInterrupt

    config = parsed(LOOSE, "test")
    with pytest.raises(KeyboardInterrupt):
        replay.run(feed(), config, tmp_path / "run", seed=3, control=Stop())
    again = replay.run(feed(), config, tmp_path / "run", seed=3, resume=True)
    assert again.worlds[0].journal.hex == run.worlds[0].journal.hex


def test_a_dividend_is_paid_on_the_shares_held_the_evening_before(tmp_path):
    config = LOOSE | {
        "dividends": {"ex_dates": (SECOND,), "cash_usd": (1.25,)},
        "hedging": {"band": "fixed", "fixed_band_lots": 0.0, "min_band_usd": 0.0},
        "exercise": {"early": False},
    }
    run, world, fills = finished(tmp_path / "run", config)
    shares = held(fills, len(run.feed.chain), run.feed.days[0].session.close_ns)
    assert shares != 0
    assert world["pnl"]["carry"] == pytest.approx(shares * 1.25, abs=0.0)
    assert [row.payload["kind"] for row in rows(tmp_path / "run", "carry")] == ["dividend"]
    assert world["identity_error"] == 0


def test_interest_is_act_360_on_the_cash_of_the_evening(tmp_path):
    config = LOOSE | {"carry": {"financing_rate": 0.036, "short_borrow_rate": 0.0}}
    run, world, fills = finished(tmp_path / "run", config)
    close = run.feed.days[0].session.close_ns
    mine = fills.filter(pl.col("ts_ns") <= close)
    cash = sum(
        -side * lots * px * unit - fee
        for side, lots, px, unit, fee in mine.select(
            "side", "lots", "px_e9", "multiplier", "fee_e9"
        ).iter_rows()
    )
    wanted = round(cash * 36 * 1 / (1000 * 360))
    (line,) = rows(tmp_path / "run", "carry")
    assert line.payload["amount_e9"] == wanted and line.ts_ns == close
    assert world["pnl"]["carry"] == wanted / 1e9


def test_a_split_moves_the_book_and_makes_nothing(tmp_path):
    config = LOOSE | {"corporate": {"split_dates": (SECOND,), "split_ratios": ("2:1",)}}
    split = feed(280.0)
    run, world, fills = finished(tmp_path / "run", config, of=split)
    chain, close = run.feed.chain, run.feed.days[0].session.close_ns
    legs = fills.filter(pl.col("kind") == "split")
    assert legs.height and world["identity_error"] == 0 and world["killed"] is None
    cash = (-legs["side"].cast(pl.Int64) * legs["lots"] * legs["px_e9"] * legs["multiplier"]).sum()
    assert cash == 0
    place = {symbol: i for i, symbol in enumerate(chain.symbol)}
    before = fills.filter((pl.col("kind") != "split") & (pl.col("ts_ns") <= close))
    for i in before["instrument"].unique():
        lots = held(before, i, close)
        mine = legs.filter(pl.col("instrument") == i)
        if i == len(chain):
            assert int((mine["side"].cast(pl.Int64) * mine["lots"]).sum()) == lots
        elif lots and chain.fixing_ns[i] > close:
            symbol = chain.symbol[i]
            new = place[f"{symbol[:13]}{int(symbol[13:]) // 2:08d}"]
            arrived = legs.filter(pl.col("instrument") == new)
            assert int((arrived["side"].cast(pl.Int64) * arrived["lots"]).sum()) == 2 * lots
    shares = held(before, len(chain), close)
    assert shares  # half the price of a share is no loss of delta
    assert abs(world["inventory_explained"]["delta"]) < 0.1 * 280.0 * abs(shares)


def test_a_split_on_a_date_that_the_run_leaves_out_moves_the_book(tmp_path):
    config = LOOSE | {"corporate": {"split_dates": (SECOND,), "split_ratios": ("2:1",)}}
    later = feed(280.0, (FIRST, "2025-03-14"))
    _, world, fills = finished(tmp_path / "run", config, of=later)
    assert fills.filter(pl.col("kind") == "split").height and world["killed"] is None


def test_a_jump_that_no_event_explains_pulls_the_class(tmp_path):
    folder = tmp_path / "run"
    _, world, fills = finished(folder, LOOSE, of=feed(280.0))
    second = feed(280.0).days[1].session
    assert "no event is configured" in world["killed"]
    quoted = fills.filter((pl.col("kind") == "quote") & (pl.col("ts_ns") > second.open_ns))
    assert quoted.height == 0


def test_opening_positions_count_from_their_price_or_the_first_mark(tmp_path):
    chain = feed().chain
    live = np.flatnonzero(chain.fixing_ns > feed().days[1].session.close_ns)
    atm = live[np.argsort(np.abs(chain.strike[live] - 560.0), kind="stable")][:2]
    path = tmp_path / "held.csv"
    with path.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["symbol", "lots", "px_usd"])
        writer.writerow([chain.symbol[atm[0]], -7, "3.21"])
        writer.writerow([chain.symbol[atm[1]], 4, ""])
        writer.writerow([chain.underlying.symbol, 350, "559.5"])
    _, world, fills = finished(tmp_path / "run", LOOSE, positions=path)
    opened = {r["instrument"]: r for r in fills.filter(pl.col("kind") == "opening").to_dicts()}
    assert set(opened) == {int(atm[0]), int(atm[1]), len(chain)}
    assert opened[int(atm[0])]["px_e9"] == 3_210_000_000 and opened[int(atm[0])]["side"] == -1
    assert opened[len(chain)]["lots"] == 350
    marks = pl.read_parquet(tmp_path / "run" / "chain.parquet")["closing_mark_e9"]
    spot = 0
    for row, i in ((opened[int(i)], int(i)) for i in atm):
        spot += row["side"] * row["lots"] * 100 * (marks[i] - row["px_e9"])
    under = opened[len(chain)]
    end = pl.read_parquet(tmp_path / "run" / "pnl.parquet")["spot"][-1]
    spot += under["lots"] * (round(end * 1e9) - under["px_e9"])
    assert world["pnl"]["inventory_opening"] == spot / 1e9
    assert world["identity_error"] == 0


def test_a_position_counts_from_its_price_before_it_has_a_mark(tmp_path):
    """A series that only the second day lists has no market on the first: its P&L there is 0."""
    both = feed()
    first = set(simulate_day(simulation_config({"trade_date": FIRST, "minutes": 7}), 5).day
                .chain.symbol)  # fmt: skip
    new = next(i for i, symbol in enumerate(both.chain.symbol) if symbol not in first)
    path = tmp_path / "held.csv"
    path.write_text(f"symbol,lots,px_usd\n{both.chain.symbol[new]},3000,1.0\n")
    config = LOOSE | {"limits": LOOSE["limits"] | {"loss_stop_usd": 250_000.0}}
    _, world, _ = finished(tmp_path / "run", config, positions=path)
    pnl = pl.read_parquet(tmp_path / "run" / "pnl.parquet")
    today = pnl.filter(pl.col("ts_ns") <= both.days[0].session.close_ns)
    assert world["killed"] is None
    assert today["net_e9"].min() > -100_000 * 10**9  # 3,000 lots cost 300,000 USD


def test_a_position_without_a_mark_before_its_fixing_is_settled_all_the_same(monkeypatch):
    """In at the settlement value, and out again with what it delivers."""
    chain = feed().chain
    i = next(i for i in range(chain.slice_start[1]) if chain.right[i] == 1)
    qty, legs = np.zeros(len(chain) + 1, np.int64), []
    world = SimpleNamespace(
        chain=chain, n=len(chain), lots=qty[:-1], marks=Marks(len(chain)), settled=set(), seed=3,
        opening=OpeningBook((Position(i, 3, None),)), config=parsed({}, "test"),
        session=feed().session, journal=SimpleNamespace(append=lambda *row: None),
    )  # fmt: skip

    def book(world, now_ns, leg):
        qty[leg.instrument] += leg.side * leg.lots
        legs.append((leg.instrument, leg.kind, leg.px_e9))

    monkeypatch.setattr(settlement.books, "book_leg", book)
    px = int(chain.strike_e9[i]) + 4 * 10**9
    settlement.settle_expired(world, 0, {0: Fixing(px, "test", 0)})
    assert legs == [(i, "opening", 4 * 10**9), (i, "settlement", 4 * 10**9),
                    (len(chain), "exercise", px)]  # fmt: skip
    assert qty[i] == 0 and qty[-1] == 300


def test_the_day_loss_is_counted_from_the_last_close(tmp_path):
    """Shares worth 560 held at 570: the first day loses, the second does not lose it again."""
    path = tmp_path / "held.csv"
    path.write_text("symbol,lots,px_usd\nSPY,100000,600\n")
    run, _, _ = finished(tmp_path / "run", LOOSE, positions=path)
    pnl = pl.read_parquet(tmp_path / "run" / "pnl.parquet")
    close = run.feed.days[0].session.close_ns
    parts = pnl.filter(pl.col("ts_ns") <= close)["net_e9"], pnl.filter(pl.col("ts_ns") > close)
    before = parts[0][-1]
    worst = max(-parts[0].min(), before - parts[1]["net_e9"].min())
    report = reports.build(tmp_path / "run")
    entry = next(e for e in report["limits"]["simulated"] if e["limit"] == "loss_stop_usd")
    assert entry["worst"] == worst / 1e9
    assert worst < -pnl["net_e9"].min() or before > parts[1]["net_e9"].min()


def test_a_position_that_no_day_lists_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "held.csv"
    path.write_text("symbol,lots\nSPY   990101C00100000,1\n")
    with pytest.raises(DataError, match=r"held\.csv, row 2"):
        replay.run(feed(), parsed(LOOSE, "test"), tmp_path / "run", positions=path)
    assert not (tmp_path / "run").exists()

"""Whole replays of recorded markets: what the issue of the first path promises, on real days."""

import json
import subprocess
import sys

import polars as pl
import pytest

from optmm import reports
from optmm.config import DeskConfig, parsed
from optmm.data.readers import open_day
from optmm.engine import replay
from optmm.engine.verify import verify_run

pytestmark = [pytest.mark.real, pytest.mark.slow]
WORLDS = ("pessimistic", "queue", "optimistic")


def run(shared_data, folder, underlying, date, worlds=WORLDS):
    day = open_day(shared_data / "lean", underlying, date)
    config = parsed({"replay": {"bounds": worlds}}, "test")
    done = replay.run(day, config, folder, command="test")
    report = reports.write(folder)
    replay.complete_run(folder)
    return done, report


@pytest.fixture(scope="module")
def goog(shared_data, tmp_path_factory):
    return run(shared_data, tmp_path_factory.mktemp("goog") / "run", "GOOG", "2015-12-24")


@pytest.fixture(scope="module")
def es(shared_data, tmp_path_factory):
    place = tmp_path_factory.mktemp("es") / "run"
    return run(shared_data, place, "ES", "2020-01-06", ("queue",))  # 23 hours: one world


@pytest.fixture(scope="module")
def twx(shared_data, tmp_path_factory):
    return run(shared_data, tmp_path_factory.mktemp("twx") / "run", "TWX", "2014-06-05")


@pytest.mark.parametrize("name", ["goog", "es", "twx"])
def test_exact_money_presence_and_limits(name, request):
    done, report = request.getfixturevalue(name)
    assert tuple(report["bounds"]) == (("queue",) if name == "es" else WORLDS)
    for world in report["bounds"]:
        assert report["bounds"][world]["identity_error"] == 0
    for world in done.worlds:
        eligible = world.presence.eligible_s.sum()
        assert eligible > 0
        assert world.presence.two_sided_s.sum() / eligible >= 0.90
        assert world.worst_inventory_usd <= DeskConfig().limits.inventory_usd
        assert world.stopped is None
    verify_run(done.folder)


def test_goog_is_the_whole_chain_to_the_early_close(goog):
    done, report = goog
    assert len(done.feed.chain) == 2192
    assert report["bounds"]["optimistic"]["fills"] > 50
    last = pl.read_parquet(done.folder / "quotes.parquet")["ts_ns"].max()
    assert done.feed.session.close_ns - last < 120 * 10**9  # 13:00 in New York, not 16:00
    prints = pl.read_parquet(done.folder / "prints.parquet")
    assert (prints.height, prints["lots"].sum()) == (958, 7471)


def test_goog_expiry_of_the_day_is_settled(goog):
    """Nothing of the expiry of 2015-12-24 may be left in any book after 13:00."""
    done, _ = goog
    greeks = pl.read_parquet(done.folder / "greeks.parquet")
    assert not (greeks["expiry"].cast(pl.String) == "2015-12-24").any()
    chain = pl.read_parquet(done.folder / "chain.parquet")
    expired = chain.filter(pl.col("expiry").cast(pl.String) == "2015-12-24")
    assert (expired["closing_source"] == "settlement").all()


def test_goog_surface_is_inside_the_spreads(goog):
    _, report = goog
    assert report["surface"]["hit_rate"] > 0.98


def test_es_forward_is_the_future_and_it_hedges(es):
    done, _ = es
    surface = pl.read_parquet(done.folder / "surface.parquet")
    assert ((surface["forward"] - surface["spot"]).abs() < 1e-9).all()
    fills = pl.read_parquet(done.folder / "fills.parquet").filter(pl.col("kind") == "hedge")
    assert (
        fills.height > 0 and set(fills["multiplier"]) == {50} and set(fills["symbol"]) == {"ESH20"}
    )


def test_twx_forward_knows_the_dividends(twx):
    """Time Warner paid USD 0.3175 a quarter: the 1.6-year forward shows it."""
    done, _ = twx
    surface = pl.read_parquet(done.folder / "surface.parquet")
    leaps = surface.filter(pl.col("expiry").cast(pl.String) == "2016-01-15")
    yield_ = float(leaps["carry"].mean())
    assert yield_ == pytest.approx(4 * 0.3175 / 70.0, abs=0.01)


def test_a_chain_of_two_strikes_falls_back_visibly(shared_data, tmp_path):
    done, report = run(shared_data, tmp_path / "spxw", "SPXW", "2021-01-04")
    surface = pl.read_parquet(done.folder / "surface.parquet")
    assert set(surface["path"]) <= {"flat", "parabola", "last_good", "none"}
    assert report["surface"]["fallback_share"] == 1.0
    assert all(world.hedges == 0 for world in done.worlds)  # an index cannot be traded


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--underlying", "GOGO", "--date", "2015-12-24"], (2, 4), "GOOG"),
        (["--underlying", "GOOG", "--date", "2015-12-25"], (2, 4), "2015-12-24"),
        (["--underlying", "GOOG", "--date", "24.12.2015"], (2, 4), "24.12.2015"),
    ],
)
def test_a_wrong_name_is_answered_with_what_exists(shared_data, tmp_path, options, code, words):
    done = subprocess.run(
        [sys.executable, "-m", "optmm.cli.main", "replay", str(shared_data / "lean"), *options],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in code and words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_json_is_one_object(shared_data, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "optmm.cli.main", "replay", str(shared_data / "lean"),
         "--underlying", "TWX", "--date", "2014-06-05", "--bounds", "queue", "--json"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["schema"] == "optmm.report/1" and list(report["bounds"]) == ["queue"]

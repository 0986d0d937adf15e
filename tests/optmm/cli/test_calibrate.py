"""`optmm calibrate` on markets whose truth is known: Black prices of chosen vols and carry."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest
from cboe_files import row, table
from typer.testing import CliRunner

from optmm.cli.main import app
from optmm.cli.simulate import configured
from optmm.data import store
from optmm.data.simulator import simulate_day
from optmm.errors import CalibrationFailed, DataError, UsageError
from surfaces.pricing import black

RUN = CliRunner()
SPOT, RATE, YIELD, HALF = 100.0, 0.05, 0.01, 0.01
AT_NS = 1_710_273_600 * 10**9  # 2024-03-12 16:00 New York
YEAR_NS = 365 * 86_400 * 10**9


def chain(vols: dict[float, float]) -> pl.DataFrame:
    """European quotes, a cent each side of Black at one vol for each of the years given."""
    parts = []
    for years, vol in vols.items():
        forward, df = SPOT * np.exp((RATE - YIELD) * years), np.exp(-RATE * years)
        strike = np.arange(80.0, 121.0, 2.0)
        right, strike = np.repeat([1, -1], strike.size), np.tile(strike, 2)
        mid = black.price(right=right, forward=forward, strike=strike, years=years, vol=vol, df=df)
        parts.append(
            pl.DataFrame(
                {
                    "expiry": np.full(mid.size, AT_NS + round(years * YEAR_NS)),
                    "strike": strike, "right": right,
                    "bid": np.maximum(mid - HALF, 0.0), "ask": mid + HALF,
                }
            )
        )  # fmt: skip
    return pl.concat(parts)


@pytest.fixture
def good(tmp_path):
    """A flat 20 % in two expiries."""
    path = tmp_path / "flat_2024-03-12_close.csv"
    chain({0.25: 0.2, 1.0: 0.2}).write_csv(path)
    return path


@pytest.fixture
def torn(tmp_path):
    """Calendar arbitrage: a year holds less variance than a quarter."""
    path = tmp_path / "torn_2024-03-12_close.parquet"
    chain({0.25: 0.4, 1.0: 0.1}).write_parquet(path)
    return path


def calibrate(*words: object):
    return RUN.invoke(app, ["calibrate", *map(str, words)], env={"COLUMNS": "170"})


def test_json_finds_the_vol_the_forward_and_the_rate_that_made_the_prices(good):
    ran = calibrate(good, "--json", "--spot", SPOT, "--underlying", "flat")
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert (said["underlying"], said["valuation"]) == ("FLAT", "2024-03-12T20:00:00Z")
    assert (said["spot"], said["quarantined"]) == (SPOT, {})
    whole = said["surface"]
    assert set(whole) == {
        "fits", "quotes", "hit_rate", "core_hit_rate", "min_g", "calendar_margin",
        "calendar_margin_wings", "fallback_share", "certified",
    }  # fmt: skip
    assert (whole["fits"], whole["hit_rate"], whole["certified"]) == (2, 1.0, True)
    assert [e["expiry"] for e in said["expiries"]] == ["2024-06-11", "2025-03-12"]
    for years, e in zip((0.25, 1.0), said["expiries"], strict=True):
        # the cent that hides each price bounds what parity and vega can tell
        forward = SPOT * np.exp((RATE - YIELD) * years)
        assert e["forward"] == pytest.approx(forward, abs=2 * HALF * np.exp(RATE * years))
        assert e["atm_vol"] == pytest.approx(0.2, abs=0.001)
        assert e["years"] == pytest.approx(years, abs=1e-9)
        assert e["hit_rate"] == e["core_hit_rate"] == 1.0
        assert e["certified"] is True


def test_a_given_rate_is_the_rate(good):
    for text in ("5%", "0.05"):
        said = json.loads(calibrate(good, "--json", "--rate", text).stdout)
        assert [e["rate"] for e in said["expiries"]] == pytest.approx([0.05, 0.05], abs=1e-4)


def test_the_table_is_on_stdout_and_words_on_stderr(good):
    ran = calibrate(good)
    lines = ran.stdout.splitlines()
    assert lines[0].split()[:3] == ["Expiry", "root", "quotes"]
    assert "forward" in lines[0]
    assert "calendar" in lines[0]
    assert lines[1].startswith("2024-06-11")
    assert lines[-1].startswith("all")
    assert "2 of 2" in lines[-1]
    assert "set aside: nothing" in ran.stderr
    narrow = RUN.invoke(app, ["calibrate", str(good)], env={"COLUMNS": "100"}).stdout
    assert "in wings" in lines[0]
    assert "in wings" not in narrow


def test_arbitrage_exits_with_6_and_still_says_everything(torn, tmp_path):
    ran = calibrate(torn, "--json", "--model", "svi", "--out", tmp_path / "out")
    assert isinstance(ran.exception, CalibrationFailed)
    assert ran.exception.exit_code == 6
    assert "2 of 2 expiries are not certified free of arbitrage" in str(ran.exception)
    said = json.loads(ran.stdout)
    assert said["surface"]["certified"] is False
    assert [e["certified"] for e in said["expiries"]] == [False, False]
    assert said["surface"]["calendar_margin"] < 0.0
    assert pl.read_parquet(tmp_path / "out" / "diagnostics.parquet").height == 2


def test_the_default_model_misses_quotes_rather_than_allow_arbitrage(torn):
    said = json.loads(calibrate(torn, "--json").stdout)["surface"]
    assert said["certified"] is True
    assert said["calendar_margin"] >= 0.0
    assert said["hit_rate"] < 1.0


def test_files_hold_what_the_json_says(good, tmp_path):
    said = json.loads(calibrate(good, "--json", "--out", tmp_path / "a" / "b").stdout)
    folder = tmp_path / "a" / "b"
    assert {p.name for p in folder.iterdir()} == {"diagnostics.parquet", "residuals.parquet"}
    kept = pl.read_parquet(folder / "diagnostics.parquet")
    assert kept["forward"].to_list() == [e["forward"] for e in said["expiries"]]
    judged = pl.read_parquet(folder / "residuals.parquet")
    assert judged.height == said["surface"]["quotes"]


def test_a_write_that_breaks_leaves_nothing_behind(good, tmp_path, monkeypatch):
    real = pl.DataFrame.write_parquet

    def breaks(frame, path, **options):
        if "residuals" in str(path):
            raise OSError(28, "No space left on device")
        return real(frame, path, **options)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", breaks)
    ran = calibrate(good, "--out", tmp_path / "out")
    assert isinstance(ran.exception, OSError)
    assert list((tmp_path / "out").iterdir()) == []


def test_figures_are_written_as_png_and_svg(good, tmp_path):
    ran = calibrate(good, "--plot", tmp_path / "figures")
    assert ran.exit_code == 0, ran.output
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    figures = ("smiles-1", "term_structure", "residuals", "heat_map")
    assert names == {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    for name in figures:
        raw = (tmp_path / "figures" / f"{name}.png").read_bytes()
        assert raw.startswith(b"\x89PNG\r\n")
        assert ET.parse(tmp_path / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
        assert f"wrote {tmp_path / 'figures' / name}.svg" in ran.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--model", "crystal"), "--model is 'crystal', must be one of .*svi"),
        (("--rate", "5"), r"--rate is 5: write 5% or 500%"),
        (("--spot", "-1"), "--spot is -1 USD, must be > 0"),
        (("--at", "noon"), "--at 'noon' is no time"),
    ],
)
def test_wrong_words_are_usage_errors(good, words, why):
    ran = calibrate(good, *words)
    assert isinstance(ran.exception, UsageError), ran.output
    assert ran.exception.exit_code == 2
    with pytest.raises(UsageError, match=why):
        raise ran.exception


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_file_in_the_place_of_a_folder_is_told_before_the_fit(good, option, monkeypatch):
    """It used to be told after it, as a bug with exit code 1."""
    monkeypatch.setattr("surfaces.fitting.fit", None)
    for place in (good, good / "deeper"):
        ran = calibrate(good, option, place)
        assert isinstance(ran.exception, UsageError), ran.output
        assert str(ran.exception) == f"{option} is {place}, but {good} is a file; name a folder"


@pytest.mark.parametrize(
    ("option", "lacks"), [("--rates", "Date"), ("--dividends", "Date, Dividends")]
)
def test_rates_and_dividends_name_what_is_wrong_with_their_file(good, tmp_path, option, lacks):
    """A wrong table was "good.csv: 'Date'", a missing one "[Errno 2]"."""
    ran = calibrate(good, option, good)
    assert isinstance(ran.exception, DataError), ran.output
    assert str(ran.exception) == (
        f"{option} {good}: {good.name} lacks {lacks}; its columns are expiry, strike, right, bid, "
        "ask. See optmm calibrate --help."
    )
    gone = tmp_path / "gone.csv"
    ran = calibrate(good, option, gone)
    assert isinstance(ran.exception, DataError)
    assert str(ran.exception) == f"{option}: there is no {gone}. Check the path."


def test_a_table_without_a_column_names_it(tmp_path):
    path = tmp_path / "half_2024-03-12_close.csv"
    chain({0.25: 0.2}).drop("ask").write_csv(path)
    ran = calibrate(path)
    assert isinstance(ran.exception, DataError)
    assert str(ran.exception) == (
        "half_2024-03-12_close.csv: lacks ask; it has expiry, strike, right, bid. Needed are "
        "expiry, strike, right, bid, ask."
    )


def test_unreadable_rows_say_which_column_and_show_the_first(tmp_path):
    path = tmp_path / "odd_2024-03-12_close.csv"
    right = pl.when(pl.col("strike") == 90.0).then(pl.lit("X")).otherwise(pl.col("right"))
    chain({0.25: 0.2}).with_columns(right.alias("right")).write_csv(path)
    said = json.loads(calibrate(path, "--json").stdout)
    assert said["quarantined"] == {"unreadable right": 2}
    assert "first unreadable: right 'X' of row 6" in said["notes"]


def test_a_time_on_a_day_off_is_remarked(good):
    ran = calibrate(good, "--at", "2024-03-16 12:00")
    note = "note: --at 2024-03-16 is a Saturday without a session of the NYSE"
    assert note in ran.stderr.splitlines()
    assert "note: --at" not in calibrate(good, "--at", "2024-03-15 12:00").stderr


def test_quotes_that_are_not_believed_are_counted(tmp_path):
    """Two locked markets."""
    path = tmp_path / "locked_2024-03-12_close.csv"
    ask = pl.when(pl.col("strike") == 90.0).then(pl.col("bid")).otherwise(pl.col("ask"))
    chain({0.25: 0.2}).with_columns(ask.alias("ask")).write_csv(path)
    ran = calibrate(path, "--json")
    removed = json.loads(ran.stdout)["removed"]
    assert removed["locked"] == 2
    assert "not believed, in whole or one side: " in ran.stderr
    assert "locked 2" in ran.stderr


def test_a_chain_without_two_sides_is_bad_data(tmp_path):
    path = tmp_path / "quotedata.csv"
    rows = row("SPXW", "240315", 5000, (0, 0, 0, 1.0)) + row("SPXW", "240315", 5100, (0, 1, 0, 1))
    path.write_text(table(rows=rows))
    ran = calibrate(path)
    assert isinstance(ran.exception, DataError)
    assert ran.exception.exit_code == 4
    assert "0.0 % have both sides" in str(ran.exception)


def test_a_chain_that_nothing_can_be_fitted_to_fails_the_calibration(tmp_path):
    """Calls alone have no parity forward."""
    path = tmp_path / "calls_2024-03-12_close.csv"
    chain({0.25: 0.2}).filter(pl.col("right") == 1).write_csv(path)
    ran = calibrate(path)
    assert isinstance(ran.exception, CalibrationFailed), ran.output
    assert ran.exception.exit_code == 6


def test_a_stored_day_is_frozen_at_the_time_asked_for(tmp_path):
    from optmm.data.snapshots import frozen, open_snapshot

    day = simulate_day(configured(45), 7).day
    folder = store.write(day, tmp_path / "day")
    at = day.session.open_ns + 30 * 60 * 10**9
    snapshot = frozen(day, at)
    assert snapshot.read == len(day.chain)
    quotes = day.events[(day.events["kind"] == 6) & (day.events["ts_recv_ns"] <= at)]
    one = int(quotes["instrument"][-1])
    last = quotes[quotes["instrument"] == one][-1]
    kept = snapshot.quotes.filter(
        (pl.col("strike") == day.chain.strike[one])
        & (pl.col("right") == day.chain.right[one])
        & (pl.col("expiry") == day.chain.fixing_ns[one])
    )
    assert kept["ask"].to_list() == [last["ask_e9"] / 1e9]
    again = open_snapshot(folder, at="10:00")
    assert again.quotes.equals(snapshot.quotes)
    with pytest.raises(UsageError, match="must lie after"):
        open_snapshot(folder, at="03:00")


def test_info_looks_into_a_file_of_one_chain(tmp_path):
    path = tmp_path / "quotedata.csv"
    path.write_text(table())
    ran = RUN.invoke(app, ["data", "info", str(path), "--json"])
    said = json.loads(ran.stdout)
    assert (said["underlying"], said["read"], said["options"]) == (
        {"symbol": "SPX", "kind": "index"}, 8, 8,
    )  # fmt: skip
    assert [(e["root"], e["fixing"]) for e in said["expiries"]] == [
        ("SPX", "2024-03-15T13:30:00Z"), ("SPXW", "2024-03-15T20:00:00Z"),
    ]  # fmt: skip
    words = RUN.invoke(app, ["data", "info", str(path)], env={"COLUMNS": "120"}).stdout
    assert "SPX options, Cboe quotedata" in words
    assert "2024-03-12 20:00" in words

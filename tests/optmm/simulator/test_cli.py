"""`optmm simulate` leaves a whole folder or none."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from optmm.cli.simulate import simulate
from optmm.data import store
from optmm.errors import ConfigError, UsageError
from optmm.market.events import Kind

app = typer.Typer()
app.command()(simulate)
RUN = CliRunner()


def _call(*args: str):
    return RUN.invoke(app, list(args))


def test_writes_day_and_truth_and_says_so_in_json(tmp_path):
    out = tmp_path / "spy-day"
    ran = _call("--seed", "9", "--minutes", "2", "--out", str(out), "--json")
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    day = store.read(out)
    assert said["events"] == day.events.size and said["instruments"] == len(day.chain)
    assert said["minutes"] == 2 and said["seed"] == 9
    assert {p.name for p in (out / "truth").iterdir()} == {
        "spot.parquet", "slices.parquet", "takers.parquet", "faults.parquet", "truth.json",
    }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["spy-day"]


def test_refuses_an_occupied_folder_without_force(tmp_path):
    out = tmp_path / "day"
    assert _call("--minutes", "1", "--out", str(out)).exit_code == 0
    refused = _call("--minutes", "1", "--out", str(out))
    assert isinstance(refused.exception, UsageError)
    assert "is not empty: name another folder, or add --force" in str(refused.exception)
    again = _call("--minutes", "2", "--out", str(out), "--force", "--json")
    assert again.exit_code == 0 and json.loads(again.stdout)["minutes"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["day"]


def test_force_never_removes_what_is_not_a_stored_day(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refused = _call("--minutes", "1", "--out", str(tmp_path), "--force")
    assert isinstance(refused.exception, UsageError)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_failed_write_leaves_nothing_and_keeps_the_old_day(tmp_path, monkeypatch):
    out = tmp_path / "day"
    assert _call("--minutes", "1", "--out", str(out)).exit_code == 0
    before = (out / "day.json").read_bytes()

    def full_disk(day, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write", full_disk)
    broken = _call("--minutes", "1", "--out", str(out), "--force")
    assert isinstance(broken.exception, OSError)
    assert [p.name for p in tmp_path.iterdir()] == ["day"]
    assert (out / "day.json").read_bytes() == before


def test_settings_come_from_toml_and_errors_name_the_file(tmp_path):
    file = tmp_path / "sim.toml"
    file.write_text("takers_per_day = 0.0\nminutes = 1\n")
    ran = _call("--config", str(file), "--out", str(tmp_path / "day"), "--json")
    assert json.loads(ran.stdout)["takers"] == 0
    file.write_text("quote_events_target = -1\n")
    bad = _call("--config", str(file), "--out", str(tmp_path / "other"))
    assert isinstance(bad.exception, ConfigError) and "sim.toml" in str(bad.exception)
    absent = _call("--config", str(tmp_path / "absent.toml"), "--out", str(tmp_path / "other"))
    assert isinstance(absent.exception, ConfigError)


@pytest.mark.parametrize("minutes", ["0", "406"])
def test_impossible_lengths_are_refused(tmp_path, minutes):
    assert _call("--minutes", minutes, "--out", str(tmp_path / "x")).exit_code == 2


def test_days_are_stored_by_date_with_their_truth_apart(tmp_path):
    out = tmp_path / "week"
    ran = _call("--minutes", "1", "--days", "3", "--out", str(out), "--json")
    assert ran.exit_code == 0, ran.output
    dates = ["2025-03-12", "2025-03-13", "2025-03-14"]
    assert sorted(p.name for p in out.iterdir()) == [*dates, "truth"]
    assert [row["date"] for row in json.loads(ran.stdout)] == dates
    for date in dates:
        day = store.read(out / date)
        assert day.session.date == date
        assert {p.name for p in (out / date).iterdir()} == {
            "day.json", "events.parquet", "chain.parquet",
        }  # fmt: skip
        assert (out / "truth" / date / "takers.parquet").is_file()
        # nothing of what a taker knows can be read off the day
        assert not np.any(day.events["bits"][day.events["kind"] == Kind.TAKER])
    refused = _call("--minutes", "1", "--days", "2", "--out", str(out))
    assert isinstance(refused.exception, UsageError)
    again = _call("--minutes", "1", "--days", "2", "--out", str(out), "--force")
    assert again.exit_code == 0
    assert sorted(p.name for p in out.iterdir()) == [*dates[:2], "truth"]


def test_force_never_removes_a_folder_that_only_looks_like_days(tmp_path):
    out = tmp_path / "notes"
    (out / "2025-03-12").mkdir(parents=True)
    (out / "2025-03-12" / "thesis.tex").write_text("years of work")
    refused = _call("--minutes", "1", "--days", "2", "--out", str(out), "--force")
    assert isinstance(refused.exception, UsageError)
    assert (out / "2025-03-12" / "thesis.tex").read_text() == "years of work"


def test_facts_of_the_simulated_day_come_beside_its_summary(tmp_path):
    ran = _call("--minutes", "16", "--out", str(tmp_path / "a"), "--facts", "--json")
    assert ran.exit_code == 0, ran.output
    measured = json.loads(ran.stdout)["facts"]
    assert measured["session_hours"] == pytest.approx(16.0 / 60.0)
    assert 0.1 < measured["underlying_spread_bp"] < 0.3
    assert measured["trades_first_half_hour"] is None  # the session is shorter than that
    shown = _call("--minutes", "16", "--out", str(tmp_path / "b"), "--facts")
    assert "  underlying_spread_bp" in shown.stdout and "expiries  " in shown.stdout

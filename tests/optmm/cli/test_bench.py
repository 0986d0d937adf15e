"""`optmm bench`: words on stderr, figures on stdout, and a code when a bar is missed."""

import json

import pytest
from typer.testing import CliRunner

from optmm.bench import models, pricing, replay_parts, requote, surface, timing
from optmm.bench.rows import PeerRow, Report, Row
from optmm.cli.main import app

ROWS = [
    Row("implied vol", 33.0, "ns an option", 60.0, note="slowest of 33 at 1,000"),
    Row("ratio", 7.0, "times as fast", 8.0, True),
    Row("on a table", None, "USD", 1.0, note="tests/tables is not here"),
]
PEERS = [
    PeerRow("optmm", "0.1.0", {"speed: 1,000": 33.0}),
    PeerRow("lbriv", "1.0.0", {"speed: 1,000": 231.0, "speed: worst": float("inf")}),
    PeerRow("pyvolr", "", {}, "not installed: no wheel"),
]


@pytest.fixture
def bench(monkeypatch):
    """`bench(*args)`: the command with made figures, and without touching this process's core."""

    def run(*, quick, with_peers, pinned, say):
        say("implied vol")
        return pricing.Report(ROWS, PEERS if with_peers else PEERS[:1], {"core": pinned})

    monkeypatch.setattr(timing, "pin", lambda core: f"pinned to core {core}")
    monkeypatch.setattr(pricing, "run", run)
    return lambda *args: CliRunner().invoke(app, ["bench", "pricing", *args])


def test_table_shows_measure_bar_and_verdict_and_peers_beside(bench):
    ran = bench("--peers", "--core", "3")
    assert ran.exit_code == 0, ran.output
    lines = {line.split("  ")[0]: line for line in ran.stdout.splitlines()}
    assert "<= 60" in lines["implied vol [1]"] and "meets" in lines["implied vol [1]"]
    assert ">= 8" in lines["ratio"] and "misses" in lines["ratio"]
    assert "skipped" in lines["on a table [2]"]
    assert "[2] tests/tables is not here" in ran.stdout
    assert "231" in lines["lbriv 1.0.0"]
    assert "pyvolr: not installed: no wheel" in ran.stdout
    assert "core: pinned to core 3" in ran.stdout
    assert "implied vol ..." in ran.stderr


def test_json_is_one_object_of_plain_values(bench):
    ran = bench("--json", "--peers")
    got = json.loads(ran.stdout)
    assert [row["verdict"] for row in got["rows"]] == ["meets", "misses", "skipped"]
    assert got["peers"][1]["figures"] == {"speed: 1,000": 231.0, "speed: worst": None}
    assert got["bench"] == "pricing"


def test_a_missed_bar_is_a_failure_only_when_asked(bench):
    assert bench().exit_code == 0
    assert bench("--strict").exit_code == 1


@pytest.fixture
def surfaces_bench(monkeypatch):
    """`surfaces_bench(*args, wrong=())`: the other command with made figures."""

    def call(*args, wrong=()):
        def run(parts, data, *, quick, with_peers, pinned, say):
            say(f"{', '.join(parts)} in {data}")
            peers = (
                [{"peer": "QuantLib SVI", "hits": 9, "quotes": 12, "note": "apart"}]
                if with_peers
                else []
            )
            return Report("surface", {"reference": ROWS}, {"core": pinned}, peers, wrong)

        monkeypatch.setattr(surface, "run", run)
        return CliRunner().invoke(app, ["bench", "surface", *args])

    monkeypatch.setattr(timing, "pin", lambda core: f"pinned to core {core}")
    return call


def test_surface_shows_a_table_a_part_and_its_peers(surfaces_bench):
    ran = surfaces_bench("--peers", "--part", "reference", "--data", "there")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout.startswith("reference") and "misses" in ran.stdout
    assert "75.0" in next(line for line in ran.stdout.splitlines() if "QuantLib SVI" in line)
    assert "QuantLib SVI: apart" in ran.stdout
    assert "reference in there ..." in ran.stderr


def test_surface_fails_when_what_was_timed_is_wrong(surfaces_bench):
    ran = surfaces_bench(wrong=("correct, cold fit: certified",))
    assert ran.exit_code == 1 and "wrong: correct, cold fit" in ran.stderr
    assert surfaces_bench().exit_code == 0
    assert surfaces_bench("--strict").exit_code == 1


def test_surface_json_is_one_object(surfaces_bench):
    got = json.loads(surfaces_bench("--json").stdout)
    assert got["bench"] == "surface" and got["wrong"] == []
    assert [row["verdict"] for row in got["parts"]["reference"]] == ["meets", "misses", "skipped"]


def test_surface_knows_its_parts(surfaces_bench):
    ran = surfaces_bench("--part", "vega")
    assert ran.exit_code != 0 and "must be one of reference, snapshots" in str(ran.exception)


@pytest.fixture
def models_bench(monkeypatch):
    """`models_bench(*args, wrong=())`: the models' command with made figures."""

    def call(*args, wrong=()):
        def run(parts, data, *, quick, pinned, say):
            say(f"{', '.join(parts)} in {data}")
            return Report("models", dict.fromkeys(parts, ROWS), {"core": pinned}, wrong=wrong)

        monkeypatch.setattr(models, "run", run)
        return CliRunner().invoke(app, ["bench", *args])

    monkeypatch.setattr(timing, "pin", lambda core: f"pinned to core {core}")
    return call


def test_models_take_parts_and_heston_is_one_of_them(models_bench):
    got = json.loads(models_bench("models", "--json").stdout)
    assert tuple(got["parts"]) == models.PARTS and got["bench"] == "models"
    assert "sabr in there ..." in models_bench("models", "--part", "sabr", "--data", "there").stderr
    ran = models_bench("heston", "--core", "1")
    assert ran.exit_code == 0 and ran.stdout.startswith("heston")
    assert "core: pinned to core 1" in ran.stdout
    assert "must be one of heston, sabr" in str(models_bench("models", "--part", "svi").exception)


def test_models_fail_when_what_was_timed_is_wrong(models_bench):
    ran = models_bench("heston", wrong=("heston: gradient off by 1",))
    assert ran.exit_code == 1 and "wrong: heston: gradient off by 1" in ran.stderr
    assert models_bench("heston").exit_code == 0
    assert models_bench("heston", "--strict").exit_code == 1


@pytest.fixture
def replay_bench(monkeypatch):
    """`replay_bench(*args, wrong=())`: the replay's command with made figures."""

    def call(*args, wrong=()):
        def run(parts, data, *, quick, with_peers, pinned, say):
            say(f"{', '.join(parts)} in {data}")
            peers = [{"peer": "hftbacktest", "note": "not measured"}] if with_peers else []
            figures = {"events_per_second": 9_500_000.0}
            return Report("replay", {"loop": ROWS}, {"core": pinned}, peers, wrong, figures)

        monkeypatch.setattr(replay_parts, "run", run)
        return CliRunner().invoke(app, ["bench", "replay", *args])

    monkeypatch.setattr(timing, "pin", lambda core: f"pinned to core {core}")
    return call


def test_replay_json_has_events_per_second(replay_bench):
    got = json.loads(replay_bench("--json", "--peers").stdout)
    assert got["events_per_second"] == 9_500_000.0 and got["bench"] == "replay"
    assert got["peers"][0]["peer"] == "hftbacktest" and got["wrong"] == []


def test_replay_runs_loop_and_peer_unless_asked(replay_bench):
    assert "loop, peer in there ..." in replay_bench("--data", "there").stderr
    assert "memory in" in replay_bench("--part", "memory").stderr
    assert "must be one of loop, peer, memory, profile" in str(
        replay_bench("--part", "x").exception
    )


def test_replay_fails_when_what_was_timed_is_wrong(replay_bench):
    ran = replay_bench(wrong=("no spot moves: qty of 1 instruments is not the fills'",))
    assert ran.exit_code == 1 and "wrong: no spot moves" in ran.stderr
    assert replay_bench().exit_code == 0 and replay_bench("--strict").exit_code == 1


def test_quoting_shows_one_part_and_fails_when_wrong(monkeypatch):
    monkeypatch.setattr(timing, "pin", lambda core: f"pinned to core {core}")

    def report(wrong):
        return lambda *, quick, pinned: Report("quoting", {"quoting": ROWS}, {}, wrong=wrong)

    monkeypatch.setattr(requote, "report", report(()))
    ran = CliRunner().invoke(app, ["bench", "quoting"])
    assert ran.exit_code == 0 and ran.stdout.startswith("quoting")
    monkeypatch.setattr(requote, "report", report(("correct: quotes",)))
    assert CliRunner().invoke(app, ["bench", "quoting", "--json"]).exit_code == 1

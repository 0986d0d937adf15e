"""report.json keeps its contract, documents every key, and is the same bytes every time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from optmm import reports
from optmm.errors import DataError

ROOT = Path(__file__).resolve().parents[3]

TOP = {
    *("schema", "underlying", "sessions", "config_hash", "data_hash", "seed", "events"),
    *("wall_seconds", "events_per_second", "data_quality", "surface", "obligations", "limits"),
    "bounds",
}
SURFACE = {
    *("fits", "quotes", "hit_rate", "core_hit_rate", "min_g", "calendar_margin"),
    *("calendar_margin_wings", "fallback_share"),
}
WORLD = {
    *("journal_hash", "fills", "contracts", "quotes_sent", "hedges", "pnl", "ledger_net"),
    *("identity_error", "greeks", "risk"),
}
LINES = (
    "spread_capture",
    "adverse_selection",
    "inventory_alpha",
    "hedging_costs",
    "carry",
    "fees",
)
GREEKS = {"delta_shares", "gamma_shares_per_usd", "vega_usd_per_volpt", "theta_usd_per_day"}


def test_the_contract_s_names_are_all_there(busy_report):
    assert set(busy_report) >= TOP
    assert busy_report["schema"] == "optmm.report/1"
    assert set(busy_report["surface"]) >= SURFACE
    assert {"quarantined", "two_sided_share"} <= set(busy_report["data_quality"])
    assert list(busy_report["bounds"]) == ["pessimistic", "queue", "optimistic"]
    for world in busy_report["bounds"].values():
        assert set(world) >= WORLD
        assert {*LINES, "net"} <= set(world["pnl"])
        assert set(world["greeks"]) >= GREEKS


def keys(value, path=()):
    """Every key of a report; names that are data (worlds, dates, reasons) are left out."""
    free = {"bounds", "quarantined", "series", "paths", "versions", "markouts", "limits"}
    if isinstance(value, dict):
        for name, item in value.items():
            if not (path and path[-1] in free):
                yield name
            yield from keys(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from keys(item, path)


def test_every_key_is_documented(busy_report, hand_report):
    said = set(re.findall(r"`([\w.]+)`", (ROOT / "docs" / "report.md").read_text("utf-8")))
    missing = {k for r in (busy_report, hand_report) for k in keys(r)} - said
    assert not missing, sorted(missing)


def test_every_sum_holds_on_the_busy_day(busy_report):
    for world in busy_report["bounds"].values():
        lines = [world["pnl"][name] for name in LINES]
        assert sum(lines) == pytest.approx(world["pnl"]["net"], abs=1e-6)
        assert world["identity_error"] == 0
        by = world["greeks"]["by_expiry"]
        vega = sum(row["vega_usd_per_volpt"] for row in by)
        assert vega == pytest.approx(world["greeks"]["vega_usd_per_volpt"], rel=1e-12)
    for hour in busy_report["flow"]["hourly"]:
        parts = hour["buy_share"] + hour["sell_share"] + hour["unsigned_share"]
        assert parts == pytest.approx(1.0, abs=1e-12)


def test_json_has_no_nan_and_reads_back(busy, busy_report):
    written = reports.write(busy)
    assert json.loads((busy / "report.json").read_text("utf-8")) == written == busy_report
    assert not list(busy.glob("*.part"))


def test_another_process_writes_the_same_bytes(busy):
    """Another hash seed and another process: the same report.json and report.html."""
    reports.write(busy)
    first = [(busy / name).read_bytes() for name in ("report.json", "report.html")]
    code = "import sys; from pathlib import Path; from optmm import reports; "
    code += "reports.write(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(busy)],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [(busy / name).read_bytes() for name in ("report.json", "report.html")] == first


def test_a_missing_file_is_named(hand):
    (hand / "pnl.parquet").unlink()
    with pytest.raises(DataError, match=r"lacks pnl\.parquet\. The run was cut short"):
        reports.build(hand)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json: no such file\. Give the folder of a run"):
        reports.build(tmp_path)


def test_another_schema_is_refused(hand):
    head = json.loads((hand / "manifest.json").read_text())
    (hand / "manifest.json").write_text(json.dumps(head | {"schema": "optmm.run/9"}))
    with pytest.raises(DataError, match=r"schema is 'optmm.run/9'\. This version reads"):
        reports.build(hand)


def test_reports_import_without_heavy_libraries():
    """`optmm --help` imports the package; matplotlib and polars may load only when used."""
    code = "import sys, optmm.reports, optmm.cli.report; "
    code += "print([m for m in ('matplotlib', 'polars', 'numba', 'pandas') if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"

"""Reports of a run, read from its folder alone: report.json, report.html, terminal, live view.

run           the folder as frames          measure     a number, or why it is absent
end_of_day    P&L, risk, limits             closing     Greeks and marks at the close
stress        VaR and stress matrix         obligations two-sided presence
surface       fits of the day               flow        who traded, markouts
quote_card    one series at one moment      tables*     the report as text cells
figures, html, terminal                     live        the screen while a run is going on

`build` reads and returns; `write` also leaves report.json and report.html. The same folder gives
the same bytes. Every key is documented in docs/report.md.
"""

import json
import os
from pathlib import Path
from typing import Any

SCHEMA = "optmm.report/1"


def build(run_dir: Path) -> dict[str, Any]:
    """The report of a finished run as plain JSON values; `report.json` is exactly this.

    Raises DataError if the folder lacks a file, or a table lacks a column.
    """
    from optmm.reports import closing, end_of_day, flow, obligations, quote_card, surface
    from optmm.reports.measure import plain
    from optmm.reports.run import load

    run = load(Path(run_dir))
    head, results = run.manifest, run.results
    wall = results.get("wall_seconds")
    events = results.get("events", head.get("events"))
    quality = {"quarantined": {}, "two_sided_share": None} | results.get("data_quality", {})
    bounds = {bound: end_of_day.world(run, bound) for bound in run.bounds}
    report = {
        "schema": SCHEMA,
        "underlying": head["underlying"],
        "sessions": head.get("sessions", [head["session"]]),
        "simulated": bool(head.get("simulated")),
        "config_hash": head["config_hash"],
        "data_hash": head["data_hash"],
        "seed": head["seed"],
        "events": events,
        "wall_seconds": wall,
        "events_per_second": events / wall if wall else None,
        "headline": end_of_day.headline(run, bounds),
        "data_quality": quality,
        "surface": surface.section(run),
        "obligations": obligations.section(run),
        "limits": end_of_day.limits(run),
        "closing_marks": closing.marks(run),
        "bounds": bounds,
        "flow": flow.section(run),
        "quote_card": quote_card.section(run),
        "provenance": {
            "command": head.get("command"),
            "versions": head.get("versions", {}),
            "data": head.get("data", []),
        },
    }
    return plain(report)


def write(run_dir: Path) -> dict[str, Any]:
    """Build the report and write report.json and report.html into the folder, atomically.

    Raises DataError as `build` does.
    """
    from optmm.reports import figures, html
    from optmm.reports.run import load

    folder = Path(run_dir)
    report = build(folder)
    run = load(folder)
    page = html.render(run, report, figures.draw(run, report))
    _replace(folder / "report.json", dumps(report) + "\n")
    _replace(folder / "report.html", page)
    return report


def dumps(report: dict[str, Any]) -> str:
    """The text of report.json: indented, keys in reading order, no NaN."""
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False)


def _replace(path: Path, text: str) -> None:
    """Write beside the target, sync, then rename over it: a reader never sees half a file."""
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8", newline="\n") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)

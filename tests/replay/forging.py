"""Tools of a forger: alter a finished run, and make its hashes right again."""

import json
from pathlib import Path

import polars as pl
import pytest
from days import barred

from optmm import reports
from optmm.config import DeskConfig
from optmm.engine import replay
from optmm.engine.journal import Journal, read
from optmm.engine.records import file_digest
from optmm.engine.verify import TABLES, verify_run
from optmm.errors import DataError
from optmm.market.chain import MarketDay

BOUNDS = ("pessimistic", "queue", "optimistic")


def finish(folder: Path, day: MarketDay | None = None) -> Path:
    """Run a short day of three worlds, or `day`, into a complete folder."""
    replay.run(day or barred(5), DeskConfig(), folder, seed=1, command="test")
    reports.write(folder)
    replay.complete_run(folder)
    return folder


def tabled(folder: Path, name: str, change) -> None:
    """Rewrite a table with `change` applied to its frame."""
    path = folder / f"{name}.parquet"
    change(pl.read_parquet(path)).write_parquet(path)


def headed(folder: Path, change, name: str = "manifest.json") -> None:
    """Rewrite a JSON file after `change` has altered its object in place."""
    head = json.loads((folder / name).read_text(encoding="utf-8"))
    change(head)
    (folder / name).write_text(json.dumps(head), encoding="utf-8")


def chained_again(folder: Path, change, bounds=BOUNDS) -> None:
    """Rewrite journals with every hash right, and the manifest after them.

    `change` maps a list of [ts_ns, kind, payload] and the world's name to such a list.
    """
    tips = {}
    for bound in bounds:
        path = folder / f"journal-{bound}.sqlite"
        rows = [[row.ts_ns, row.kind, row.payload] for row, _ in read(path)]
        path.unlink()
        with Journal(path) as journal:
            for ts_ns, kind, payload in change(rows, bound):
                journal.append(ts_ns, kind, payload)
            net = payload["net_e9"] if kind == "close" and "net_e9" in payload else 0
            tips[bound] = {"journal_hash": journal.hex, "ledger_net_e9": net}

    def copy(head):
        for bound, results in tips.items():
            head["results"]["bounds"][bound] |= results

    headed(folder, copy)


def reported(folder: Path) -> None:
    """Make report.json again from what the folder says now."""
    (folder / "report.json").write_text(reports.dumps(reports.build(folder)))


def closing(change):
    """A change of rows that alters the last payload in place."""

    def apply(rows, bound):
        change(rows[-1][2])
        return rows

    return apply


def closed_over(folder: Path, more=lambda close: None) -> None:
    """Close every journal again over the tables as they are now."""

    def change(close):
        close["files"] = {name: file_digest(folder / name) for name in TABLES}
        more(close)

    chained_again(folder, closing(change))
    reported(folder)


def refused(folder: Path, words: str) -> None:
    with pytest.raises(DataError, match=words):
        verify_run(folder)

"""`optmm journal verify`: every alteration of a finished run is found, and named.

The forger of these tests grows better: first they change a file; then they close the journals
again over the changed tables, with every hash right; then they rewrite what the journal says.
"""

import hashlib
import shutil
from pathlib import Path

import apsw
import numpy as np
import polars as pl
import pytest
from days import simulated
from forging import (
    BOUNDS,
    chained_again,
    closed_over,
    closing,
    finish,
    headed,
    refused,
    reported,
    tabled,
)
from typer.testing import CliRunner

from optmm import reports
from optmm.cli.main import app
from optmm.config import canonical
from optmm.engine.records import file_digest, marks_digest
from optmm.engine.verify import difference, verify_run

USD = 1_000_000_000


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return finish(tmp_path_factory.mktemp("verify") / "run")


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy of the finished run: a test may spoil it."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


# ---- what passes -----------------------------------------------------------------------------


def test_a_finished_run_verifies_and_says_what_was_checked(finished):
    found = verify_run(finished)
    assert list(found["bounds"]) == list(BOUNDS)
    assert all(world["fills"] > 0 for world in found["bounds"].values())
    said = CliRunner().invoke(app, ["journal", "verify", str(finished)])
    assert said.exit_code == 0
    assert f"verified: {found['checked']}" in said.stdout
    assert "not checked: what only the manifest knows" in said.stderr


def test_a_simulated_run_verifies(tmp_path):
    assert list(verify_run(finish(tmp_path / "run", simulated(5)))["bounds"]) == ["simulated"]


def test_the_tools_forge_nothing_by_themselves(folder):
    """The journals written again from their own rows pass: what follows fails for its change."""
    before = verify_run(folder)
    closed_over(folder)
    assert verify_run(folder) == before


def test_building_the_report_again_changes_no_byte(folder):
    before = (folder / "report.json").read_bytes()
    reports.write(folder)
    assert (folder / "report.json").read_bytes() == before


# ---- tables ----------------------------------------------------------------------------------

ALTERED = {
    "markout": ("fills", lambda f: f.with_columns(pl.col("mark_300s_e9") + USD)),
    "time": ("fills", lambda f: f.with_columns(pl.col("ts_ns") - 3600 * USD)),
    "kind": ("fills", lambda f: f.with_columns(kind=pl.lit("hedge"))),
    "delta": ("fills", lambda f: f.with_columns(delta=pl.lit(0.0))),
    "price": ("fills", lambda f: f.with_columns(pl.col("px_e9") + 1)),
    "world": ("fills", lambda f: pl.concat([f, f.head(2).with_columns(bound=pl.lit("mine"))])),
    "closing marks": ("chain", lambda f: f.with_columns(pl.col("closing_mark_e9") * 2)),
    "no greeks": ("greeks", lambda f: f.clear()),
    "curve": ("pnl", lambda f: f.with_columns(pl.col("net_e9") + 1)),
    "fit": ("surface", lambda f: f.with_columns(pl.col("hits") + 1)),
    "smile": ("smiles", lambda f: f.reverse()),
    "print": ("prints", lambda f: f.head(1)),
    "presence": ("presence", lambda f: f.with_columns(two_sided_s=pl.col("eligible_s"))),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_table_is_found(folder, name):
    """All of these used to pass but the price."""
    table, change = ALTERED[name]
    tabled(folder, table, change)
    refused(folder, rf"{table}\.parquet was altered.*journal-pessimistic\.sqlite closed over")


def test_the_same_rows_in_other_bytes_are_another_file(folder):
    frame = pl.read_parquet(folder / "pnl.parquet")
    frame.write_parquet(folder / "pnl.parquet", compression="snappy")
    refused(folder, "pnl.parquet was altered")


@pytest.mark.parametrize("bound", BOUNDS)
def test_every_world_answers_for_the_tables(folder, bound):
    """One world that closed over other bytes is enough."""
    change = closing(lambda close: close["files"].update({"pnl.parquet": "0" * 64}))
    chained_again(folder, change, bounds=(bound,))
    refused(folder, rf"pnl\.parquet was altered.*journal-{bound}")


FORGED = {
    "time": (ALTERED["time"], "column ts_ns differs from journal-pessimistic"),
    "kind": (ALTERED["kind"], "column kind differs"),
    "price": (ALTERED["price"], "column px_e9 differs"),
    "world": (ALTERED["world"], "rows of 'mine', which is no world"),
    "closing marks": (ALTERED["closing marks"], "closing marks are not those"),
    "lost": (("fills", lambda f: f.head(f.height - 1)), "fills.parquet has .* rows"),
    "order": (("fills", lambda f: f.reverse()), "column seq differs"),
    "half a nano": (
        ("fills", lambda f: f.with_columns(pl.col("px_e9") + 0.5)),
        "columns or their types",
    ),
    "symbol": (
        ("fills", lambda f: f.with_columns(symbol=pl.lit("SPY"))),
        r"instrument \d+ \(SPY\) is not that of the chain",
    ),
    "multiplier": (
        ("chain", lambda f: f.with_columns(pl.col("multiplier") * 10)),
        "is not that of the chain",
    ),
    "no presence": (("presence", lambda f: f.clear()), "presence.parquet has no rows of"),
    "curve of one": (
        ("pnl", lambda f: f.filter(pl.col("bound") == "queue")),
        "pnl.parquet has no rows of 'optimistic'",
    ),
    "chain": (("chain", lambda f: f.reverse()), "rows or columns are not those of a chain"),
    "no bound": (("greeks", lambda f: f.drop("bound")), "greeks.parquet lacks"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_table_that_the_journals_close_over_still_has_to_agree(folder, name):
    """Here every digest and every hash of the folder is right."""
    (table, change), words = FORGED[name]
    tabled(folder, table, change)

    def again(close):
        close["files"][f"{table}.parquet"] = file_digest(folder / f"{table}.parquet")

    chained_again(folder, closing(again))
    refused(folder, words)


# ---- quotes ----------------------------------------------------------------------------------

SPOILT = {
    "lots": lambda q: q.with_columns(pl.col("lots") + 1),
    "lost": lambda q: q.head(q.height - 1),
    "twice": lambda q: pl.concat([q, q.tail(1)]),
    "order": lambda q: pl.concat([q[1], q[0], q[2:]]),
    "none": lambda q: q.clear(),
}


@pytest.mark.parametrize("name", SPOILT)
def test_an_altered_quote_is_found(folder, name):
    tabled(folder, "quotes", SPOILT[name])
    refused(folder, "segment 1 does not match its seal in|that no seal of")


def test_quotes_of_no_world_and_quotes_of_another_type_are_found(folder):
    original = pl.read_parquet(folder / "quotes.parquet")
    other = original.head(3).with_columns(bound=pl.lit("mine"))
    pl.concat([original, other]).write_parquet(folder / "quotes.parquet")
    refused(folder, "quotes.parquet has rows of 'mine'")
    half = original.with_columns(pl.col("px_e9") + 0.5)  # a cast to int64 would hide it
    half.write_parquet(folder / "quotes.parquet")
    refused(folder, "quotes.parquet: its columns or their types")
    gap = original.with_columns(bound=pl.when(pl.int_range(pl.len()) > 0).then("bound"))
    gap.write_parquet(folder / "quotes.parquet")
    refused(folder, "quotes.parquet has empty cells")


# ---- manifest --------------------------------------------------------------------------------


def rehashed(key, change):
    """Change the manifest's `key` and its hash with it."""

    def apply(head):
        change(head[key])
        head[f"{key}_hash"] = hashlib.sha256(canonical(head[key])).hexdigest()

    return apply


def world(key, value):
    return lambda head: head["results"]["bounds"]["queue"].update({key: value})


MANIFEST = {
    "seed": (lambda h: h.update(seed=2), "seed is 2, journal-pessimistic.* opened with 1"),
    "seed as text": (lambda h: h.update(seed="1"), "seed is '1'"),
    "config hash": (lambda h: h.update(config_hash="0" * 64), "config_hash is not the hash"),
    "data hash": (lambda h: h.update(data_hash="0" * 64), "data_hash is not the hash"),
    "limit": (lambda h: h["config"]["limits"].update(inventory_usd=1e9), "config_hash is not"),
    "limit and hash": (
        rehashed("config", lambda c: c["limits"].update(inventory_usd=1e9)),
        "config is .* opened with",
    ),
    "data and hash": (rehashed("data", lambda d: d.clear()), "data is .* opened with"),
    "date": (lambda h: h["session"].update(date="2025-03-13"), "session is '2025-03-13'"),
    "open": (lambda h: h["session"].update(open_ns=0), "the session is not the one"),
    "close": (lambda h: h["session"].update(close_ns=2**62), "the session is not the one"),
    "underlying": (lambda h: h.update(underlying="QQQ"), "underlying is 'QQQ'"),
    "one world": (lambda h: h.update(bounds=["queue"]), "bounds lacks the world of journal-opt"),
    "a world more": (lambda h: h["bounds"].append("mine"), "journal-mine.sqlite is missing"),
    "order of worlds": (lambda h: h["bounds"].reverse(), "bounds is .*opened with"),
    "no worlds": (lambda h: h.update(bounds=[]), "must be a list of names"),
    "simulated": (lambda h: h.update(simulated=True), "simulated is True"),
    "net": (world("ledger_net_e9", 10**15), "ledger_net_e9 of queue is 1000000000000000,"),
    "tip": (world("journal_hash", "0" * 64), "journal_hash of queue"),
    "fills": (world("fills", 9), "fills of queue is 9, journal-queue.sqlite gives"),
    "fees": (world("fees_e9", 0), "fees_e9 of queue"),
    "spot": (world("closing_spot_e9", 1), "closing_spot_e9 of queue"),
    "landed": (world("quotes_landed", 1), "quotes_landed of queue"),
    "killed": (world("killed", "never"), "killed of queue"),
    "hedge": (lambda h: h["hedge"].update(multiplier=7), "is not that of the chain"),
    "no results": (lambda h: h.pop("results"), "manifest.json lacks 'results'"),
    "no config": (lambda h: h.pop("config"), "manifest.json lacks 'config'"),
    "no session": (lambda h: h.update(session=5), "manifest.json cannot be understood"),
    "incomplete": (lambda h: h.update(complete="yes"), "is not complete"),
}


@pytest.mark.parametrize("name", MANIFEST)
def test_an_altered_manifest_is_found(folder, name):
    """Seed, hashes, limits, results and worlds used to be taken on trust."""
    change, words = MANIFEST[name]
    headed(folder, change)
    refused(folder, words)


def test_one_world_alone_does_not_pass_for_a_run_of_one(folder):
    """Cut to one world in manifest, files and tables: the opening row still knows the others."""
    for bound in ("pessimistic", "optimistic"):
        (folder / f"journal-{bound}.sqlite").unlink()

    def cut(head):
        head["bounds"] = ["queue"]
        head["results"]["bounds"] = {"queue": head["results"]["bounds"]["queue"]}

    headed(folder, cut)
    refused(folder, r"bounds is \['queue'\], journal-queue.sqlite opened with \['pessimistic'")


# ---- journal ---------------------------------------------------------------------------------


def test_a_million_written_into_the_closing_row_is_found(folder):
    """Net is counted again from fills and marks: this used to pass with every hash recomputed."""
    chained_again(folder, closing(lambda close: close.update(net_e9=10**15)))
    reported(folder)
    refused(folder, r"fills and marks make .* USD, it closed with 1,000,000\.00")


def test_marks_that_are_worth_more_are_found(folder):
    """Tables, digests and the chain agree, net does not follow; nor does the spot of the hedge."""
    tabled(folder, "chain", lambda f: f.with_columns(pl.col("closing_mark_e9") * 2))
    marks = pl.read_parquet(folder / "chain.parquet")["closing_mark_e9"].to_list()

    def more(close):
        close["marks"] = marks_digest(np.array([*marks, close["spot_e9"]], np.int64))

    closed_over(folder, more)
    refused(folder, "fills and marks make")


def closed_with(**changes):
    return closing(lambda close: close.update(changes))


def without(kind, key):
    def apply(rows, bound):
        for _, row, payload in rows:
            if row == kind:
                payload.pop(key, None)
        return rows

    return apply


def one_lot_more(rows, bound):
    next(payload for _, kind, payload in rows if kind == "fill")["lots"] += 1
    return rows


def another_kind(rows, bound):
    next(payload for _, kind, payload in rows if kind == "fill")["kind"] = "hedge"
    return rows


def half_a_lot(rows, bound):
    next(payload for _, kind, payload in rows if kind == "fill")["lots"] += 0.5
    return rows


FOLDED = {
    "positions": (closed_with(positions={}), "do not add up to its closing positions"),
    "fees": (closed_with(fees_e9=0), "do not add up to its closing positions"),
    "spot": (closed_with(spot_e9=1), "closing marks are not those"),
    "marks": (closed_with(marks="0" * 64), "closing marks are not those"),
    "float": (closed_with(net_e9=1.5), "net_e9 is 1.5, must be an integer"),
    "fill": (one_lot_more, "do not add up"),
    "half": (half_a_lot, "lots is .*must be an integer"),
    "kind": (another_kind, "is fill, its fill is 'hedge'"),
    "after": (lambda rows, _: [*rows, [rows[-1][0], "note", {}]], "comes after the closing row"),
    "twice": (lambda rows, _: [*rows, rows[-1]], "comes after the closing row"),
    "no open": (lambda rows, _: rows[1:], "one opening row, first"),
    "two opens": (lambda rows, _: [rows[0], *rows], "row 2 is open; one opening row"),
    "no close": (lambda rows, _: rows[:-1], "no closing row: its tail is missing"),
    "no seal": (lambda rows, _: [r for r in rows if r[1] != "seal"], "no seal of"),
    "no files": (without("close", "files"), "lacks 'close.files'"),
    "no bounds": (without("open", "bounds"), "lacks 'open.bounds'"),
    "no price": (without("fill", "px_e9"), "journal-pessimistic.sqlite lacks 'px_e9'"),
    "no mark": (without("fill", "mark_e9"), "journal-pessimistic.sqlite lacks 'mark_e9'"),
    "one file less": (closing(lambda c: c["files"].pop("smiles.parquet")), "smiles.parquet"),
    "list": (lambda rows, _: [*rows[:-1], [*rows[-1][:2], [1]]], "lacks 'close.positions'"),
}


@pytest.mark.parametrize("name", FOLDED)
def test_a_rewritten_journal_has_to_add_up(folder, name):
    """The chain is right in all of these."""
    change, words = FOLDED[name]
    chained_again(folder, change)
    refused(folder, words)


def test_a_cut_tail_and_an_altered_row_are_found(folder):
    path = folder / "journal-pessimistic.sqlite"
    db = apsw.Connection(str(path))
    db.execute("delete from journal where kind = 'close'")
    db.close()
    refused(folder, "journal-pessimistic.sqlite has no closing row: its tail is missing")
    db = apsw.Connection(str(path))
    db.execute("update journal set ts_ns = ts_ns + 1 where seq = 3")
    db.close()
    refused(folder, "row 3 does not match its hash")


# ---- report ----------------------------------------------------------------------------------

REPORT = {
    "net": (lambda r: r["bounds"]["queue"]["pnl"].update(net=1e6), "bounds.queue.pnl.net"),
    "capture": (
        lambda r: r["bounds"]["queue"]["pnl"].update(spread_capture=2e6),
        "bounds.queue.pnl.spread_capture",
    ),
    "fills": (lambda r: r["bounds"]["queue"].update(fills=9), "bounds.queue.fills"),
    "ledger": (
        lambda r: r["bounds"]["queue"].update(ledger_net=1.0),
        "bounds.queue.ledger_net",
    ),
    "type": (lambda r: r.update(seed=True), "seed"),
    "key": (lambda r: r.pop("flow"), "flow"),
    "more": (lambda r: r.update(audited="yes"), "audited"),
    "list": (lambda r: r["sessions"].append({}), r"sessions\[1\]"),
    "nan": (lambda r: r.update(wall_seconds=float("nan")), "wall_seconds"),
}


@pytest.mark.parametrize("name", REPORT)
def test_an_altered_report_is_found_by_its_key(folder, name):
    change, words = REPORT[name]
    headed(folder, change, "report.json")
    refused(folder, rf"report\.json: {words} is not what the run folder gives\. `optmm report")


def test_difference_names_the_first_path():
    assert difference({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2.0}]}) == ""
    assert difference({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2}]}) == "a[1].b"
    assert difference([], {}) == "value"

"""What SABR's rows say: denominators, skips, and figures that could miss their bars."""

from pathlib import Path

import numpy as np
import pytest

from optmm.bench import sabr as bench
from surfaces.smiles import sabr


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr(bench, "_times", lambda rounds: [])
    monkeypatch.setattr(bench, "QUICK", 4)


def rows(data: Path):
    return bench.rows(data, quick=True, say=lambda words: None)


def test_printed_rows_are_skipped_with_a_reason_where_there_are_none(untimed, tmp_path):
    printed, least, lost = rows(tmp_path)
    assert printed.verdict == "skipped" and "sabr_hagan.csv" in printed.note
    assert least.verdict == lost.verdict == "meets"
    assert "0 printed and 4 drawn parameter sets" in least.note


def test_a_wrong_vol_misses(untimed, tmp_path, tables, monkeypatch):
    place = tmp_path / bench.FILE
    place.parent.mkdir(parents=True)
    place.write_bytes((tables / "sabr_hagan.csv").read_bytes())
    assert rows(tmp_path)[0].verdict == "meets" and rows(tmp_path)[0].note == "48 rows"
    right = sabr.vol
    monkeypatch.setattr(bench.sabr, "vol", lambda *a, **kw: right(*a, **kw) + 1e-11)
    assert rows(tmp_path)[0].verdict == "misses"


def test_a_negative_density_misses(untimed, tmp_path, monkeypatch):
    monkeypatch.setattr(sabr.ArbitrageFree, "density", lambda self, k: np.full(k.shape, -1e-300))
    assert rows(tmp_path)[1].verdict == "misses"

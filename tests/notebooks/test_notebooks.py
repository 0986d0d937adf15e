"""Every notebook runs from top to bottom in a kernel of its own; outputs are never committed.

Those that read real markets run on the data beside the repository, where they are, else as a fresh
clone does, with `OPTMM_DATA` naming a folder that is not there; OPTMM_LONG_TESTS=1 does both.
"""

import os
from pathlib import Path

import jupytext
import nbclient
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
TEXTS = sorted(NOTEBOOKS.glob("*.py"))
READERS = [path for path in TEXTS if "OPTMM_DATA" in path.read_text(encoding="utf-8")]


def test_there_are_notebooks_and_no_outputs_beside_them():
    assert TEXTS
    assert READERS
    assert not list(NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a notebook with its market data in a folder."""
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def execute(path: Path, data: Path) -> None:
        book = jupytext.read(path)
        client = nbclient.NotebookClient(
            book,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        )
        client.execute(
            env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "OPTMM_DATA": str(data)}
        )
        figures = [
            output
            for cell in book.cells
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        ]
        assert figures, "a notebook without a figure"

    return execute


@pytest.mark.slow
@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.stem)
def test_notebook_runs_on_a_fresh_clone(path, run, tmp_path):
    beside = NOTEBOOKS.parents[1] / "shared" / "data"
    if path in READERS and beside.is_dir() and not os.environ.get("OPTMM_LONG_TESTS"):
        pytest.skip("runs on real markets here: set OPTMM_LONG_TESTS=1 for both")
    run(path, tmp_path / "no-data")


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("path", READERS, ids=lambda p: p.stem)
def test_notebook_runs_on_real_markets(path, run, shared_data):
    run(path, shared_data)

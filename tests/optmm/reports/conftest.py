"""Synthetic run folders, written once a session."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # make_run, make_busy: makers, not tests

from make_busy import busy_run
from make_run import hand_run


@pytest.fixture(scope="session")
def _hand(tmp_path_factory) -> Path:
    return hand_run(tmp_path_factory.mktemp("hand"))


@pytest.fixture(scope="session")
def _busy(tmp_path_factory) -> Path:
    return busy_run(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def hand(_hand, tmp_path) -> Path:
    """A copy of the run that a pencil can follow: a test may spoil it."""
    return Path(shutil.copytree(_hand, tmp_path / "hand"))


@pytest.fixture
def busy(_busy, tmp_path) -> Path:
    """A copy of a synthetic day of three worlds."""
    return Path(shutil.copytree(_busy, tmp_path / "busy"))


@pytest.fixture(scope="session")
def hand_report(_hand) -> dict:
    """The report of the small run."""
    from optmm import reports

    return reports.build(_hand)


@pytest.fixture(scope="session")
def busy_report(_busy) -> dict:
    """The report of the synthetic day."""
    from optmm import reports

    return reports.build(_busy)

"""Fixtures that every floor's tests share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real markets beside the repository; the test skips, saying so, where they are absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real markets are not here: put them in ../shared/data beside the repository")
    return folder


@pytest.fixture(scope="session")
def tables() -> Path:
    """Published numbers, one CSV a table, each with its source."""
    return ROOT / "tests" / "tables"

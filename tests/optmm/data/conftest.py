"""A small LEAN Data folder, built file by file."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

Add = Callable[[str, dict[str, str]], Path]
GOOG = "option/usa/minute/goog"
CALL_750, CALL_760 = "call_7500000_20151231", "call_7600000_20151231"


@pytest.fixture
def add(tmp_path: Path) -> Add:
    """Write a zip of members below the test's folder; returns its path."""

    def write(name: str, members: dict[str, str]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, text in members.items():
                archive.writestr(member, text)
        return path

    return write


@pytest.fixture
def goog(add: Add) -> Callable[..., Path]:
    """GOOG on 2015-12-24 (09:30 to 13:00 New York) from rows of the 750 call."""

    def write(quotes: str, *, prints: str = "", **others: str) -> Path:
        member = "20151224_goog_minute_{}_american_{}.csv"
        chain = {CALL_750: quotes, **others}
        path = add(
            f"{GOOG}/20151224_quote_american.zip",
            {member.format("quote", series): text for series, text in chain.items()},
        )
        if prints:
            add(
                f"{GOOG}/20151224_trade_american.zip",
                {member.format("trade", CALL_750): prints},
            )
        return path

    return write

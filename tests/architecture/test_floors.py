"""The house stands: imports go down only, files stay small, nothing of a machine is committed."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {"surfaces": 0, "hedging": 1, "optmm": 2}
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every absolute import in a file, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(path):
    floor = FLOORS[path.relative_to(ROOT).parts[0]]
    above = {name for name in imported(path) if FLOORS.get(name, -1) > floor}
    assert not above, f"{path.relative_to(ROOT)} imports {above} from a floor above"


def test_quantlib_is_never_on_a_pricing_path():
    """The referee must stay the second opinion (D8): only the exporter may import it, and the
    bootstrap of par yields, a reader of inputs that prices no option."""
    users = {str(p.relative_to(ROOT)) for p in SOURCES if "QuantLib" in imported(p)}
    assert users <= {"surfaces/quantlib.py", "surfaces/curves/discount.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_fits_a_sitting(path):
    assert path.read_text(encoding="utf-8").count("\n") <= 400


def test_constraints_pin_versions_without_addresses():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+\-]+", line) for line in lines)
    assert not any("://" in line for line in lines)


def test_every_dependency_is_pinned():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=\[;]", item)[0].lower().replace("_", "-") for item in wanted}
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert names <= pinned

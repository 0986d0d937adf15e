"""numba does not notice an edited callee or constant, so the cache is named by content."""

import ast
from pathlib import Path

from surfaces.kernels.cache import sources

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("surfaces", "hedging", "optmm")


def test_everything_compiled_and_what_it_imports_names_the_cache():
    """A change of `Kind` in market/events.py used to leave the old event loop in the cache."""
    named = {str(path.relative_to(ROOT)) for path in sources(ROOT)}
    files = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    marks = ("@nb.njit", "@inner", "@inlined")
    compiled = [p for p in files if any(m in p.read_text(encoding="utf-8") for m in marks)]
    assert compiled
    for path in compiled:
        assert str(path.relative_to(ROOT)) in named
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FLOORS):
                source = ROOT / (str(node.module).replace(".", "/") + ".py")
                if source.exists():
                    assert str(source.relative_to(ROOT)) in named, f"{path.name}: {node.module}"

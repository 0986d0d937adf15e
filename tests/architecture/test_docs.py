"""The Python of README and of the pages on pricing, surfaces and models runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "name", ["README.md", "docs/pricing.md", "docs/surfaces.md", "docs/models.md"]
)
def test_python_blocks_run(name):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}  # a page is read from its top
    for block in blocks:
        exec(compile(block, name, "exec"), names)

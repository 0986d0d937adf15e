"""Makers of made-up files that tests of several folders share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "data"))  # cboe_files: a maker, not a test

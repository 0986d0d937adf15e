"""Makers for the engine's tests: `tape` (chain, events, state, driver) and `exchange` (referee)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

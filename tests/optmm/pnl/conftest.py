"""Random fills tables with the columns of docs/run_folder.md, for the P&L tests."""

from collections.abc import Callable

import numpy as np
import pytest

KINDS = np.array(["quote", "hedge", "exercise", "settlement"])


def draw(rng, n=200, options=6):
    """Any tape: prices, marks and deltas without any relation to one another.

    Returns the table, closing marks of the options and the closing spot, all 1e-9 USD.
    """
    kind = rng.choice(KINDS, n, p=[0.6, 0.25, 0.05, 0.1])
    underlying = (kind == "hedge") | (kind == "exercise")
    instrument = np.where(underlying, options, rng.integers(0, options, n))
    spot = 10**11 + np.cumsum(rng.integers(-(10**8), 10**8, n))
    level = np.where(underlying, spot, 5 * 10**9)

    def near():
        return level + rng.integers(-(10**9), 10**9, n)

    table = {
        "bound": np.full(n, "queue"),
        "seq": np.arange(n),
        "ts_ns": np.sort(rng.integers(0, 10**13, n)),
        "instrument": instrument,
        "kind": kind,
        "side": rng.choice([-1, 1], n),
        "lots": rng.integers(1, 300, n),
        "px_e9": near(),
        "multiplier": np.where(underlying, 1, 100),
        "fee_e9": rng.integers(-(10**9), 10**9, n),
        "mark_e9": near(),
        "spot_e9": spot,
        "delta": np.where(kind == "quote", rng.uniform(-1, 1, n), 0.0),
        "mark_60s_e9": near(),
        "spot_60s_e9": spot + rng.integers(-(10**9), 10**9, n),
        "mark_300s_e9": near(),
        "spot_300s_e9": spot + rng.integers(-(10**9), 10**9, n),
    }
    closing = rng.integers(0, 10**10, options)
    return table, closing, int(spot[-1])


@pytest.fixture(scope="session")
def random_tape() -> Callable:
    """`draw(rng, n=, options=)`: a table, closing marks and closing spot."""
    return draw

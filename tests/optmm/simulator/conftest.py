"""One full simulated day shared by the tests; it is never changed."""

import pytest

from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig

SEED = 20250312


@pytest.fixture(scope="session")
def full():
    """The default day."""
    return simulate_day(SimulationConfig(), SEED)


@pytest.fixture(scope="session")
def short():
    """Ten minutes of it, for what need not be long."""
    return simulate_day(SimulationConfig(minutes=10), SEED)

"""A seeded day of a SPY-like market whose true prices are known.

config  SimulationConfig: every number of the world, with its unit
day     simulate_day(config, seed) -> SimulatedDay(day, truth)
truth   Truth: spot, surface, prices and takers as they really were; write_truth

clock, spot, smile, theo, chain, quotes and takers each build one part of it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optmm.data.simulator.config import SimulationConfig
    from optmm.data.simulator.day import SimulatedDay


def simulate_day(config: "SimulationConfig", seed: int) -> "SimulatedDay":
    """Simulate one session; equal config and seed give equal bytes. See `day.simulate_day`."""
    from optmm.data.simulator import day  # pricing loads here: `config` stays light for the CLI

    return day.simulate_day(config, seed)

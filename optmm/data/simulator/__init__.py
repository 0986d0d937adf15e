"""Seeded days of a SPY-like market whose true prices are known: docs/simulator.md.

config  SimulationConfig: every number of the world, with its unit
day     simulate_day(config, seed) -> SimulatedDay(day, truth)
days    simulate_days(config, seed, days): consecutive sessions, the state carried
truth   Truth: spot, surface, prices, takers and faults as they really were; write_truth
plain   plain_market(config, seed): a market so plain that a desk's P&L is known by formula

Each other module builds one part: clock, opening and schedule (time), spot, stock (its quotes),
smile, theo, chain, flow and takers, quotes and makers, faults.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optmm.data.simulator.config import SimulationConfig
    from optmm.data.simulator.day import SimulatedDay


def simulate_day(config: "SimulationConfig", seed: int) -> "SimulatedDay":
    """Simulate one session; equal config and seed give equal bytes. See `day.simulate_day`."""
    from optmm.data.simulator import day  # pricing loads here: `config` stays light for the CLI

    return day.simulate_day(config, seed)


def simulate_days(config: "SimulationConfig", seed: int, days: int) -> "Iterator[SimulatedDay]":
    """Simulate consecutive sessions, the first of them `simulate_day`'s. See `days`."""
    from optmm.data.simulator import days as several

    return several.simulate_days(config, seed, days)

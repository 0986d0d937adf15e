"""A seeded day of a SPY-like market whose true prices are known.

config  SimulationConfig: every number of the world, with its unit
day     simulate_day(config, seed) -> SimulatedDay(day, truth)
truth   Truth: spot, surface, prices and takers as they really were; write_truth

clock, spot, smile, theo, chain, quotes and takers each build one part of it. Nothing is imported
here: `config` stays light for the command line.
"""

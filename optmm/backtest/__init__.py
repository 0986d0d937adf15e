"""Parameter grids over many days: every cell-day is a whole run of the engine.

grid       grid.toml, checked before anything runs     days       the days it names
figures    a report as one row of numbers              worker     one cell-day in a process
pool       the processes and who gets which day        results    the folder, resumption, Parquet
bootstrap  day-block intervals of a mean               compare    cells against the baseline
show       the table and the figure                    runner     all of it in order

docs/backtest.md has the file formats and what the intervals mean.
"""

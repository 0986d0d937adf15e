"""Benchmarks: our figures and the peers' in one run, one process, one core, checked as they run.

`timing` measures, `markets` draws seeded sets, `exact` is the referee in 70 digits, `peers` adapts
other libraries, `rows` holds figures with their bars; `pricing` is the pricing floor's table.
Nothing here is on a pricing path: peers, QuantLib among them, are loaded by name when asked for.
"""

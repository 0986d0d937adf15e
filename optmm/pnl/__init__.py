"""What we earned, twice: a ledger of cash and marks, and an attribution of every fill.

    ledger.py       path A: cash flow plus mark-to-market change
    attribution.py  path B: capture, adverse selection, inventory, hedging, carry, fees
    roundtrips.py   first-in first-out round trips: win rate, duration, profit factor
    statistics.py   turnover, Sharpe ratio, drawdown; `Measure`, which says why it has no value

The two paths share the integers of the marks and of delta * dS, and nothing else: their agreement
to the last 1e-9 USD is the check, so neither may be computed from the other.
"""

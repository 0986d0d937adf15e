"""What we hold and what it could cost: Greeks, scenarios, limits, value at risk.

    greeks.py     a book's Greeks in a desk's units, by expiry
    scenarios.py  full revaluation on spot and vol shocks; vols follow spot
    limits.py     the inventory limit, and what each quote may still trade
    var.py        value at risk of the delta-gamma-vega form

Everything takes arrays; positions come from the caller and nothing here keeps state.
"""

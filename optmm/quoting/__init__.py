"""Our two-sided market: what it is worth, how wide, how skewed by what we hold, how large.

theo    the sheet: fair value and Greeks of every option from one surface version
width   half widths, and when fair value is too uncertain to quote
skew    the reservation shift from inventory, by factors (vega by expiry, residual delta)
quoter  puts them together for the engine
"""

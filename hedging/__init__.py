"""How to flatten it: deltas, no-trade bands, the hedge decision, its cost, and settlement.

Arrays in, decisions out. This floor knows neither an exchange nor a clock.

    delta.py   Black, smile-aware and minimum-variance delta; the book's delta in hedge lots
    minimum_variance.py   the coefficients of the minimum-variance delta, on a rolling window
    bands.py   the shelf of no-trade bands
    hedger.py  `decide`: one hedge order, or why not
    costs.py   fees, and the price of the touch
    expiry.py  the legs of an expiring series
    early_exercise.py  who exercises an American option this evening
    lottery.py  draws fixed by their keys, for assignment
    pin.py  what a book near its strikes may deliver
"""

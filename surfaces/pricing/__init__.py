"""Checked vector wrappers over the kernels: one module a model, imported by name.

`from surfaces.pricing import black, bsm, implied, american`. All arguments broadcast; rights are +1
call and -1 put (or "c", "p", "call", "put"); see `greeks` for definitions and units.
"""

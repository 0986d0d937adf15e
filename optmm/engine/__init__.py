"""The engine: one event at a time in compiled code, one decision at a time in plain Python.

state     the five tables that change, and the only functions that change them between calls
core      advance(): the event loop
venue     what the exchange does: land messages, test fills
quote     what we want to show: theo by Taylor, tick rounding, guards
protect   what stops us: rolling-window protections and message tokens
desk      the slow path: surface, skew, limits, hedges, journal
replay    a recorded or simulated day through one world per fill assumption
journal   the hash-chained record of consequences
"""

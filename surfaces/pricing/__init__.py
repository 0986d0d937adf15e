"""Checked vector wrappers over the kernels: one module a model, imported by name.

black, bsm, bachelier, cash_european: European. american, deamericanise: American, one option at a
time and whole chains. implied: Black vols. payoffs: digitals and straddles. dividends: schedules.
`american_cash` is what `american` uses with dividends.

All arguments broadcast; rights are +1 call and -1 put (or "c", "p", "call", "put", True, False);
see `greeks` for definitions and units.
"""

"""Who traded with whom, and what it was worth afterwards.

signing    buyer or seller: given aggressor, else quote rule and tick rule (Lee-Ready, EMO, CLNV)
markouts   what a fill was worth later, delta-hedged, with clustered standard errors
"""

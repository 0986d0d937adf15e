"""Making the market: quotes, hedges and the account of both on a real or simulated chain."""

__version__ = "0.1.0"

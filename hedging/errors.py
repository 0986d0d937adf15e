"""What the hedging floor raises. Only a caller's mistake raises; a market without a price does not.

HedgingError
`-- InvalidInput (ValueError)     an argument is out of its range or shapes disagree
"""


class HedgingError(Exception):
    """Anything this floor raises on purpose."""


class InvalidInput(HedgingError, ValueError):  # noqa: N818  the contract's name
    """An argument is out of range: the text names it, its value, the bound and the remedy."""

"""Option identities and their OSI symbols.

An OSI symbol has 21 characters: root padded with blanks to 6, expiry yymmdd, C or P, strike x 1000
in 8 digits. Massive (Polygon) writes the same with the prefix `O:` and without padding. A root that
ends in a digit (SPY1) is adjusted: its deliverable is not 100 shares and is never assumed to be.
Source: OCC, Options Symbology Initiative (2008).
"""

import datetime as dt
import re
from dataclasses import dataclass

from optmm.errors import DataError

TAIL = re.compile(r"(\d{6})([CP])(\d{8})")
ROOT = re.compile(r"(?=.*[A-Z])[A-Z0-9.]{1,6}")
STRIKE_UNIT_E9 = 1_000_000  # OSI counts strikes in 0.001 USD
STRIKE_LIMIT_E9 = 100_000 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Option:
    """One listed series as its exchange names it; the terms follow from `products`."""

    root: str
    expiry: dt.date  # as listed: before February 2015 monthly expiries are dated Saturday
    right: int  # +1 call, -1 put
    strike_e9: int  # 1e-9 USD

    @property
    def osi(self) -> str:
        """The 21-character OSI symbol; DataError when the series has none."""
        if not ROOT.fullmatch(self.root):
            raise DataError(f"root {self.root!r} is not 1 to 6 capitals, digits or dots")
        if self.strike_e9 % STRIKE_UNIT_E9 or not 0 < self.strike_e9 < STRIKE_LIMIT_E9:
            raise DataError(
                f"strike {self.strike_e9 / 1e9:g} USD of {self.root} is not a multiple of 0.001 "
                "between 0 and 100,000"
            )
        if not 2000 <= self.expiry.year <= 2099 or self.right not in (1, -1):
            raise DataError(f"{self} has no OSI symbol: years 2000 to 2099, right +1 or -1")
        side = "C" if self.right > 0 else "P"
        strike = self.strike_e9 // STRIKE_UNIT_E9
        return f"{self.root:<6}{self.expiry:%y%m%d}{side}{strike:08d}"


def has_osi(option: Option) -> bool:
    """Whether the series can be written as an OSI symbol."""
    try:
        return bool(option.osi)
    except DataError:
        return False


def is_adjusted(root: str) -> bool:
    """Whether a root names an adjusted contract (SPY1): its deliverable is unknown here."""
    return len(root) > 1 and root[-1].isdigit()


def parse_osi(symbol: str) -> Option:
    """Read an OSI symbol, padded or not, with or without Massive's `O:`.

    Raises
    ------
    DataError
        Says which part of the symbol does not read.
    """
    text = symbol.removeprefix("O:")
    root, tail = text[:-15].rstrip(" "), text[-15:]
    match = TAIL.fullmatch(tail)
    if match is None or not ROOT.fullmatch(root):
        raise DataError(
            f"{symbol!r} is not an option symbol",
            remedy="Expected root, yymmdd, C or P and strike x 1000 in 8 digits, "
            "as in 'GOOG  151224C00750000'.",
        )
    date, side, strike = match.groups()
    try:
        expiry = dt.date(2000 + int(date[:2]), int(date[2:4]), int(date[4:]))
    except ValueError as error:
        raise DataError(f"{symbol!r} expires on an impossible date, {date}: {error}") from None
    strike_e9 = int(strike) * STRIKE_UNIT_E9
    if strike_e9 == 0:
        raise DataError(f"{symbol!r} has a strike of zero")
    return Option(root, expiry, 1 if side == "C" else -1, strike_e9)

"""Who an instrument id is: from definitions, else from the symbols in the files' headers.

Ids mean something within one dataset and day only. A definition goes before a header, because it
also says what a contract delivers.
"""

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from optmm.data import dbn_file
from optmm.errors import DataError
from optmm.market.chain import Chain
from optmm.market.instruments import Option, is_adjusted, parse_osi
from optmm.market.products import PRODUCTS

if TYPE_CHECKING:
    from optmm.data.databento import File

UNDEFINED_INT = 2**31 - 1
STANDARD = 100  # shares a contract, where a definition says it


class Names:
    """What is known of ids after some files have been read.

    `only` is the underlying of interest: of all others nothing but the ids is kept, for a day of
    OPRA lists a million and a half.
    """

    UNKNOWN, OTHER, ADJUSTED, DELIVERABLE = -1, -2, -3, -4
    REASONS: ClassVar[dict[int, str]] = {
        -1: "unknown symbol", -3: "adjusted root", -4: "unknown deliverable"
    }  # fmt: skip

    def __init__(self, only: str | None = None) -> None:
        self._only = PRODUCTS[only].underlying if only in PRODUCTS else only
        self._others: dict[str, set[int]] = {}
        self._options: dict[tuple[str, int], Option] = {}
        self._plain: dict[tuple[str, int], str] = {}  # ids of what is no option
        self._odd: dict[tuple[str, int], tuple[int, str]] = {}  # code, underlying
        self._under: dict[str, str] = {}  # root -> underlying
        self._defined = 0

    def read(self, file: "File", day: str | None) -> None:
        """Learn from one file; `day` limits ids to that date (UTC)."""
        for symbol, spans in file.header.mappings.items():
            for span in spans:
                inside = day is None or str(span["start_date"]) <= day < str(span["end_date"])
                if inside and str(span["symbol"]).isdigit():
                    key = (file.dataset, int(span["symbol"]))
                    if not self._knows(key):
                        self._add(key, symbol, "")
        if file.schema == "definition":
            for record in dbn_file.messages(file.path):
                if hasattr(record, "raw_symbol"):
                    self._define(file.dataset, record, day)

    def _knows(self, key: tuple[str, int]) -> bool:
        others = self._others.get(key[0], ())
        return key in self._options or key in self._odd or key[1] in others

    def _define(self, dataset: str, record: Any, day: str | None) -> None:
        stamp = record.ts_event if record.ts_event != dbn_file.UNDEFINED_TIME else record.ts_recv
        when = dt.datetime.fromtimestamp(stamp // 10**9, dt.UTC).date().isoformat()
        if day is not None and when != day:
            return
        key = (dataset, int(record.instrument_id))
        self._others.get(dataset, set()).discard(key[1])
        self._options.pop(key, None)
        self._odd.pop(key, None)
        self._defined += 1
        self._add(key, record.raw_symbol, record.underlying)
        multiplier = record.contract_multiplier
        if key in self._options and multiplier not in (None, UNDEFINED_INT, STANDARD):
            option = self._options.pop(key)
            self._odd[key] = (self.DELIVERABLE, self._under[option.root])

    def _add(self, key: tuple[str, int], symbol: str, underlying: str) -> None:
        try:
            option = parse_osi(symbol)
        except DataError:
            self._plain[key] = symbol.strip().upper()
            return
        root = option.root
        if is_adjusted(root):
            self._odd[key] = (self.ADJUSTED, (underlying or root.rstrip("0123456789")).upper())
            return
        if root in PRODUCTS:
            underlying = PRODUCTS[root].underlying
        name = self._under[root] = (underlying or self._under.get(root) or root).upper()
        if self._only in (None, name):
            self._options[key] = option
        else:
            self._others.setdefault(key[0], set()).add(key[1])

    def underlyings(self) -> list[str]:
        """Every underlying with a standard option."""
        return sorted(set(self._under.values()))

    def options(self, underlying: str) -> list[Option]:
        """Its distinct standard series; a root answers for its underlying."""
        name = PRODUCTS[underlying].underlying if underlying in PRODUCTS else underlying
        mine = {o for o in self._options.values() if self._under[o.root] == name}
        return sorted(mine, key=lambda o: o.osi)

    def has_options(self, dataset: str, chain: Chain) -> bool:
        """Whether a dataset names options of this chain."""
        roots = set(chain.root)
        return any(d == dataset and o.root in roots for (d, _), o in self._options.items())

    def has_symbol(self, dataset: str, symbol: str) -> bool:
        """Whether a dataset names the underlying itself."""
        return any(d == dataset and s == symbol for (d, _), s in self._plain.items())

    def rows(self, dataset: str, chain: Chain) -> tuple[np.ndarray, np.ndarray]:
        """Ids of a dataset, ascending, and the chain row or code of each."""
        at = {symbol: i for i, symbol in enumerate(chain.symbol)}
        found: dict[int, int] = dict.fromkeys(self._others.get(dataset, ()), self.OTHER)
        for (name, number), option in self._options.items():
            if name == dataset:
                found[number] = at.get(option.osi, self.OTHER)
        for (name, number), (code, underlying) in self._odd.items():
            if name == dataset:
                found[number] = code if underlying == chain.underlying.symbol else self.OTHER
        for name, number in self._plain:
            if name == dataset:
                found.setdefault(number, self.OTHER)
        return _sorted(found.items())

    def spot_rows(self, dataset: str, chain: Chain) -> tuple[np.ndarray, np.ndarray]:
        """The same for the underlying: its row, everything else somebody else's."""
        found = {
            number: len(chain) if symbol == chain.underlying.symbol else self.OTHER
            for (name, number), symbol in self._plain.items()
            if name == dataset
        }
        found |= {number: self.OTHER for name, number in self._options if name == dataset}
        found |= dict.fromkeys(self._others.get(dataset, ()), self.OTHER)
        return _sorted(found.items())

    def notes(self) -> tuple[str, ...]:
        """What a user should know of how ids were read."""
        if self._defined:
            return ()
        return ("no definitions: symbols are those of the headers, deliverables are not checked",)


def _sorted(pairs: Iterable[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()

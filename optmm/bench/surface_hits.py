"""Hits of fitted smiles, and the chain of 11 November 2024 they are measured on.

What counts is fixed by the quotes before any fit: which quotes, and which of them are the core,
-3 < z < 2, z = k / (vol at the money sqrt(years)), that vol read off the middles.

Units   k = ln(strike/forward); years ACT/365; vols decimal.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surfaces.certificate import TOLERANCE, Certificate, Subject, certify
from surfaces.scoring import CORE
from surfaces.smiles.base import CurveStack
from surfaces.smiles.mixture import MIXTURE, MixtureFit, Quotes, otm_price

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

POINTS = 2_000  # of the certificate, a slice and a pair


@dataclass(frozen=True, slots=True)
class Expiry:
    """Out-of-the-money quotes of one expiry, (q,) in rising k, bid and ask in vol."""

    label: str
    years: float
    clean: bool
    k: Array
    bid: Array
    ask: Array

    @property
    def width(self) -> float:
        """One standard deviation of ln(K/F) at the money, read off the middles."""
        middle = np.interp(0.0, self.k, 0.5 * (self.bid + self.ask))
        return float(middle * np.sqrt(self.years))

    @property
    def core(self) -> Mask:
        """Which quotes are near the money, (q,)."""
        z = self.k / self.width
        return np.asarray((z > CORE[0]) & (z < CORE[1]))

    def priced(self, rows: slice = slice(None)) -> Quotes:
        """Undiscounted prices in units of the forward."""
        root = np.sqrt(self.years)
        bid, ask = (otm_price(self.k[rows], side[rows] * root) for side in (self.bid, self.ask))
        return Quotes(self.k[rows], bid, ask)

    def inside(self, theta: Array) -> Mask:
        """Where the mixture `theta` is inside bid and ask, (q,); nowhere without a fit."""
        if not np.isfinite(theta).all():
            return np.zeros(self.k.size, bool)
        vol = np.sqrt(MIXTURE.total_variance(self.k, theta) / self.years)
        return np.asarray((vol >= self.bid - 1e-12) & (vol <= self.ask + 1e-12))


@dataclass(frozen=True, slots=True)
class Share:
    """Quotes inside among quotes judged."""

    hits: int
    quotes: int

    @property
    def percent(self) -> float:
        """NaN without a quote."""
        return 100.0 * self.hits / self.quotes if self.quotes else float("nan")

    def __add__(self, other: "Share") -> "Share":
        return Share(self.hits + other.hits, self.quotes + other.quotes)


NONE = Share(0, 0)


def read_chain(path: Path) -> list[Expiry]:
    """The expiries of a table with columns expiry, T, k, bid_iv, ask_iv, clean, in rising time."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for label in sorted({r["expiry"] for r in rows}):
        part = sorted((r for r in rows if r["expiry"] == label), key=lambda r: float(r["k"]))
        k, bid, ask = (np.array([float(r[c]) for r in part]) for c in ("k", "bid_iv", "ask_iv"))
        years, clean = float(part[0]["T"]), part[0]["clean"] == "1"
        found.append(Expiry(label, years, clean, k, bid, ask))
    return sorted(found, key=lambda e: e.years)


def shares(book: Sequence[Expiry], fit: MixtureFit) -> tuple[Share, Share]:
    """All quotes, and those of the core."""
    return _counted(book, fit, slice(None))


def unseen(book: Sequence[Expiry], first: int, fit: MixtureFit) -> tuple[Share, Share]:
    """As `shares`, of the strikes that a fit to every second one from `first` did not see."""
    return _counted(book, fit, slice(1 - first, None, 2))


def _counted(book: Sequence[Expiry], fit: MixtureFit, rows: slice) -> tuple[Share, Share]:
    """All and core hits among `rows` of every expiry."""
    every = core = NONE
    for e, theta in zip(book, fit.theta, strict=True):
        inside, near = e.inside(theta)[rows], e.core[rows]
        every += Share(int(inside.sum()), inside.size)
        core += Share(int((inside & near).sum()), int(near.sum()))
    return every, core


def certificate_of(book: Sequence[Quotes], years: Array, fit: MixtureFit) -> Certificate:
    """What the surface's own certificate says about `fit`, quotes giving the ranges."""
    there: Mask = np.array(np.isfinite(fit.theta).all(axis=1), ndmin=1)
    subject = Subject(
        stack=CurveStack.of_curves(
            [MIXTURE if t else None for t in there],
            [theta if t else None for t, theta in zip(there, fit.theta, strict=True)],
        ),
        years=years,
        quoted=np.array([(q.k[0], q.k[-1]) for q in book]),
        there=there,
        own=there,
        models=tuple("mixture" if t else "" for t in there),
    )
    return certify(subject, POINTS)


def broken(found: Certificate) -> tuple[int, int]:
    """Slices without certificate on common strikes, and pairs that fail on 1.3 times the union."""
    wings = found.calendar_margin_wings
    return int((~found.certified).sum()), int((wings < -TOLERANCE).sum())

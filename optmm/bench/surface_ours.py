"""Our own smiles in the table of the surface's peers, judged by its rules."""

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from surfaces.smiles.base import CHAINS, SMILES, SmileFit
from surfaces.smiles.mixture import otm_price
from surfaces.smiles.quotes import SmileQuotes, quote_vols, smile_quotes

SHOWN = ("mixture", "spline", "svi", "essvi")


def rows(shelf: Any, chain: Sequence[Any], say: Callable[[str], None]) -> list[Any]:
    """A row each of `shelf` (`optmm.bench.surface_peers`) for the smiles of `SHOWN`."""
    quotes, at = in_vol(chain), shelf.places(chain)
    out = []
    for name in SHOWN:
        say(f"optmm {name}")
        took = []
        for _ in range(2):
            start = time.process_time()
            fits = _fitted(name, quotes)
            took.append(time.process_time() - start)
        vols = [
            None if f is None else np.sqrt(SMILES[f.model].total_variance(k, f.theta) / one.years)
            for f, k, one in zip(fits, at, chain, strict=True)
        ]
        peer = f"optmm {name}"
        more = {"version": version("optmm"), "first": took[0], "again": took[1]}
        out.append(shelf.judged(peer, chain, vols, **more))
    return out


def _fitted(name: str, quotes: Sequence[SmileQuotes]) -> Sequence[SmileFit | None]:
    """Every expiry, together where the model can."""
    if name in CHAINS:
        return CHAINS[name].fit_chain(quotes).slices
    return [SMILES[name].fit(q) for q in quotes]


def in_vol(chain: Sequence[Any]) -> list[SmileQuotes]:
    """Expiries with years, k, bid and ask (in vol) as our smiles take them."""
    k, bid, ask = (np.concatenate([getattr(e, n) for e in chain]) for n in ("k", "bid", "ask"))
    years = np.array([e.years for e in chain])
    of = np.repeat(np.arange(years.size), [e.k.size for e in chain])
    root = np.sqrt(years[of])
    vols = quote_vols(
        right=np.where(k >= 0.0, 1.0, -1.0), strike=np.exp(k), forward=np.ones(k.size),
        years=years[of], df=np.ones(k.size), bid=otm_price(k, bid * root),
        ask=otm_price(k, ask * root),
    )  # fmt: skip
    there = np.flatnonzero(vols.fittable)
    return smile_quotes(vols, there, of[there], years)

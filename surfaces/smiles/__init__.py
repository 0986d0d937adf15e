"""One expiry's smile: the shelf of models and the quotes they are fitted to."""

from surfaces.smiles import essvi, mixture, parabola, sabr, spline, svi, svi_domain, svi_forms
from surfaces.smiles.base import (
    CHAINS,
    SMILES,
    ChainFit,
    ChainModel,
    SmileFit,
    SmileModel,
    fit_rungs,
    smile,
)
from surfaces.smiles.quotes import SmileQuotes

__all__ = [
    "CHAINS",
    "SMILES",
    "ChainFit",
    "ChainModel",
    "SmileFit",
    "SmileModel",
    "SmileQuotes",
    "essvi",
    "fit_rungs",
    "mixture",
    "parabola",
    "sabr",
    "smile",
    "spline",
    "svi",
    "svi_domain",
    "svi_forms",
]

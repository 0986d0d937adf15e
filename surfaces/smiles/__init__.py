"""One expiry's smile: the shelf of models and the quotes they are fitted to."""

from surfaces.smiles import parabola, spline, svi
from surfaces.smiles.base import SMILES, SmileFit, SmileModel, fit_ladder, smile
from surfaces.smiles.quotes import SmileQuotes

__all__ = [
    "SMILES",
    "SmileFit",
    "SmileModel",
    "SmileQuotes",
    "fit_ladder",
    "parabola",
    "smile",
    "spline",
    "svi",
]

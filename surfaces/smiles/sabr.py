"""SABR, everything public in one place: `from surfaces.smiles import sabr`.

Parameters                          the letters alpha, beta, nu, rho, shift
vol, normal_vol, price, density     Hagan's and Obloj's formulas
check_density, arbitrage_free       where their density is negative, and the cure
to_atm, from_atm, alpha_of          vol, skew and curvature at the money, and back
calibrate                           one expiry's quotes
delta, vega                         with alpha held, and Bartlett's
SABR, parameters_of                 the smile "sabr" of `surfaces.fit`, and its letters
"""

from surfaces.smiles.sabr_atm import AtTheMoney, alpha_of, from_atm, to_atm
from surfaces.smiles.sabr_calibrate import Calibration, calibrate
from surfaces.smiles.sabr_density import DensityCheck, check_density
from surfaces.smiles.sabr_free import ArbitrageFree, arbitrage_free
from surfaces.smiles.sabr_greeks import delta, vega
from surfaces.smiles.sabr_model import Parameters, density, normal_vol, price, vol
from surfaces.smiles.sabr_smile import SABR, SabrSmile, parameters_of

__all__ = [
    "SABR",
    "ArbitrageFree",
    "AtTheMoney",
    "Calibration",
    "DensityCheck",
    "Parameters",
    "SabrSmile",
    "alpha_of",
    "arbitrage_free",
    "calibrate",
    "check_density",
    "delta",
    "density",
    "from_atm",
    "normal_vol",
    "parameters_of",
    "price",
    "to_atm",
    "vega",
    "vol",
]

"""Errors of the ground floor. A batch never raises for one bad quote: see `surfaces.status`.

SurfacesError
├── InvalidInput (ValueError)        the caller passed something no model can take
└── CalibrationFailed (RuntimeError) a fit could not be made, or failed its certificate
"""


class SurfacesError(Exception):
    """Root of everything `surfaces` raises on purpose."""


class InvalidInput(SurfacesError, ValueError):  # noqa: N818  the contract's name
    """An argument is outside its domain; the text names it, its value, the bound and the remedy."""


class CalibrationFailed(SurfacesError, RuntimeError):  # noqa: N818  the contract's name
    """No acceptable model was found for the quotes given; the text says which and why."""

"""What is it worth: prices, curves, smiles and the volatility surface. Arrays in, arrays out.

`from surfaces import fit, VolSurface` is the short way in; both load on first use, so that
`import surfaces` costs no compiler and no data frame.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surfaces.fitting import fit as fit
    from surfaces.surface import VolSurface as VolSurface

__all__ = ["DEFAULT_MODEL", "VolSurface", "fit"]

DEFAULT_MODEL = "mixture"

_HOME = {"fit": "surfaces.fitting", "VolSurface": "surfaces.surface"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'surfaces' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

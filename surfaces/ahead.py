"""Compile what the first fit of a chain needs, before it is needed: `python -m surfaces.ahead`.

A process of its own fills the cache of compiled code while another reads its data and compiles the
rest. Both may compile the same function; the code is the same, and whoever is later loads it.
"""

import numpy as np


def compile_fit() -> None:
    """Fit two expiries of a flat smile cold and warm, with errors and curves."""
    from surfaces.smiles import mixture
    from surfaces.smiles.mixture import MIXTURE, Quotes, otm_price
    from surfaces.smiles.mixture_errors import errors

    k = np.linspace(-0.3, 0.2, 21)
    vols = [np.full(k.size, s) for s in (0.1, 0.101)]
    slices = [Quotes(k, otm_price(k, v * 0.99), otm_price(k, v * 1.01)) for v in vols]
    cold = mixture.fit_joint(slices)
    warm = mixture.fit_joint([q._replace(ask=q.ask * 1.001) for q in slices], previous=cold)
    errors(warm)
    MIXTURE.derivatives(np.linspace(-0.4, 0.3, 300), warm.theta[0])


if __name__ == "__main__":
    compile_fit()

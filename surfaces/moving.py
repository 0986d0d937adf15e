"""A surface carried to another spot between refits, by one rule: the skew-stickiness ratio R.

ln F moves by d for every expiry, the vol at the money by R times the skew times d, so that at the
money a fixed strike's vol moves by (R - 1) times the skew times d: R = 0 is sticky moneyness, 1
sticky strike, near 2 what diffusions do at short dates (Bergomi 2009). That is so at the money and
to first order; a mixture, whose level follows its stretch but for terms in w^2, falls short of the
move of its level by up to about a fiftieth.

Wings keep their shape in deviations of the new level and move with the forward, so a strike away
from the money moves otherwise, under "sticky_strike" too: where every strike must follow the rule,
ask `surfaces.dynamics.vol_after`. Curves are moved by parameters that keep them free of
butterflies, which no rule for each strike promises, and the certificate is made again.
"""

from dataclasses import replace

import numpy as np

from surfaces import checks as check
from surfaces.certificate import STOPGAPS, Subject, certify
from surfaces.dynamics import MOST, Rule
from surfaces.dynamics import stickiness as ratios
from surfaces.errors import InvalidInput
from surfaces.smiles.base import SMILES, CurveStack
from surfaces.surface import VolSurface

FARTHEST = 0.2  # of spot that a shape survives


def moved(
    surface: VolSurface, *, spot: float, stickiness: Rule, points: int | None = None
) -> VolSurface:
    """The surface at `spot` USD, one version on; time, quotes and their marks stay as they were.

    `stickiness`: R, or a rule's name, met at the money; local volatility has its own R in each
    expiry, see `surfaces.dynamics`. `points` of the certificate: as many as the surface's own
    unless given.

    Raises
    ------
    InvalidInput
        `spot` is not above zero or more than a fifth away, `stickiness` is not from -1 to 3.
    """
    hint = "Pass the last good one."
    value = check.one("spot", check.above("spot", spot, 0.0, unit="USD", hint=hint))
    ratio = ratios(surface, stickiness)
    if abs(value / surface.spot - 1.0) > FARTHEST:
        raise InvalidInput(
            f"spot is {value:g} USD, must be within {100.0 * FARTHEST:g} % of the surface's, "
            f"{surface.spot:g}. Fit quotes at the new spot instead."
        )
    step = np.log(value / surface.spot)
    level = surface.atm_vol
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.clip(1.0 + ratio * surface.skew * step / level, 1.0 / MOST, MOST) ** 2
    factor = np.where(np.isfinite(factor), factor, 1.0)
    thetas = tuple(
        SMILES[name].stretched(theta, float(c)) if name else theta
        for name, theta, c in zip(surface.models, surface.thetas, factor, strict=True)
    )
    quoted = surface.quoted_range - step  # the same strikes
    found = [SMILES[name] if name else None for name in surface.models]
    subject = Subject(
        stack=CurveStack.of_curves(found, thetas),
        years=surface.years,
        quoted=quoted,
        there=np.array([path != "none" for path in surface.path])
        & np.array([bool(name) for name in surface.models])
        & (surface.chain.fixing_ns > surface.ts_ns),
        own=np.array([path not in STOPGAPS for path in surface.path]),
        models=surface.models,
    )
    return replace(
        surface,
        version=surface.version + 1,
        spot=value,
        forwards=surface.forwards * (value / surface.spot),
        thetas=thetas,
        quoted_range=quoted,
        error_k=tuple(None if k is None else k - step for k in surface.error_k),
        certificate=certify(subject, points or surface.certificate.points),
    )

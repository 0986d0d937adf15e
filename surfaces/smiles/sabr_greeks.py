"""Delta and vega under SABR: with the vol held, with alpha held, and Bartlett's.

The price is Black's at the vol s(F, K, alpha). When F moves,

    sticky    the strike keeps its vol
    hagan     alpha stays: dB/dF + dB/ds ds/dF
    bartlett  alpha moves with F as the model says it does on average,
              d alpha = rho nu / F^beta dF: dB/dF + dB/ds (ds/dF + ds/dalpha rho nu / F^beta)

and when alpha moves, "hagan" is dB/ds ds/dalpha and "bartlett" adds what F does with it,
dF = rho F^beta/nu d alpha, in the vol only: dB/ds (ds/dalpha + ds/dF rho F^beta/nu).
F stands for forward + shift.

Source  P. Hagan et al. 2002, section 4; B. Bartlett, Hedging under SABR model, Wilmott (July 2006).
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.kernels import sabr as kernel
from surfaces.pricing import black
from surfaces.smiles.sabr_model import Formula, Parameters, chosen, known, positive, shifted

Array = NDArray[np.float64]
DeltaKind = Literal["sticky", "hagan", "bartlett"]
VegaKind = Literal["hagan", "bartlett"]


def delta(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    kind: DeltaKind = "bartlett",
    formula: Formula = "hagan",
) -> Any:
    """dV/dF of European options, df included; arguments broadcast.

    Raises InvalidInput for an unknown kind, and where `sabr.vol` does.
    """
    _known("kind", kind, ("sticky", "hagan", "bartlett"))
    box = containers.of(right, forward, strike, years, df)
    shape, greeks, by_forward, by_alpha, lift = _moved(
        params, right, forward, strike, years, df, formula
    )
    moved = {
        "sticky": np.zeros_like(by_forward),
        "hagan": by_forward,
        "bartlett": by_forward + by_alpha * params.rho * params.nu / lift,
    }[kind]
    return box.wrap("delta", greeks.delta + greeks.vega * moved, shape)


def vega(
    params: Parameters,
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike = 1.0,
    kind: VegaKind = "bartlett",
    formula: Formula = "hagan",
) -> Any:
    """dV/dalpha per 1.00 of alpha; arguments as in `delta`. "bartlett" needs nu > 0."""
    _known("kind", kind, ("hagan", "bartlett"))
    known(params)
    if kind == "bartlett" and params.nu == 0.0:
        raise InvalidInput("nu is 0, so alpha does not move with the forward; use kind='hagan'")
    box = containers.of(right, forward, strike, years, df)
    shape, greeks, by_forward, by_alpha, lift = _moved(
        params, right, forward, strike, years, df, formula
    )
    if kind == "bartlett":
        by_alpha = by_alpha + by_forward * params.rho * lift / params.nu
    return box.wrap("vega", greeks.vega * by_alpha, shape)


def _moved(
    params: Parameters,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    df: ArrayLike,
    formula: str,
) -> tuple[tuple[int, ...], Any, Array, Array, Array]:
    """Black's delta and vega, ds/dF, ds/dalpha and (F + shift)^beta, as columns."""
    w, F, K = check.right(right), check.numbers("forward", forward), check.numbers("strike", strike)
    T, d = check.numbers("years", years), check.numbers("df", df)
    shape, (w, F, K, T, d) = check.columns(w, F, K, T, d)
    _, columns = shifted(params, F, K, T)
    jets = np.empty((4, columns[0].size))
    kernel.fill_jets(*columns, *params.letters(), chosen(formula), jets)
    vol, by_k, _, by_log_a = jets
    positive(params, columns, vol)
    moved = columns[0]
    greeks = black.greeks(
        right=w, forward=moved, strike=columns[1], years=T, vol=vol, df=d,
        which=("delta", "vega"),
    )  # fmt: skip
    by_forward = -((1.0 - params.beta) * by_log_a + by_k) / moved
    return shape, greeks, by_forward, by_log_a / params.alpha, moved**params.beta


def _known(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInput(f"{name} is {value!r}, must be one of {', '.join(choices)}")

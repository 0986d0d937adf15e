"""A million drawn options, their neighbours, and a failure that prints the worst of them."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

ROWS = 1_000_000


@pytest.fixture(scope="session")
def million() -> dict[str, np.ndarray]:
    """Arguments of `black.price`: broad and hard on purpose.

    A minute to ten years, 1 % to 300 % of vol, forwards 1e-6 to 1e6, rates -5 % to 15 %; of the
    strikes a third within e^4 of the forward, a half within six deviations, the rest at the money
    to 1e-16 or exactly.
    """
    rng, n = np.random.default_rng(20_240_611), ROWS
    years = np.exp(rng.uniform(np.log(1 / 525_600), np.log(10.0), n))
    vol = np.exp(rng.uniform(np.log(0.01), np.log(3.0), n))
    forward = 10 ** rng.uniform(-6.0, 6.0, n)
    wide = rng.uniform(-4.0, 4.0, n)
    near = np.clip(rng.uniform(-6.0, 6.0, n) * vol * np.sqrt(years), -4.0, 4.0)
    close = rng.choice([-1.0, 1.0], n) * 10 ** rng.uniform(-16.0, -2.0, n)
    kind = rng.random(n)
    moneyness = np.select([kind < 0.35, kind < 0.85, kind < 0.97], [wide, near, close], 0.0)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "forward": forward,
        "strike": forward * np.exp(moneyness),
        "years": years,
        "vol": vol,
        "df": np.exp(-rng.uniform(-0.05, 0.15, n) * years),
    }


@pytest.fixture(scope="session")
def parts(million) -> dict[str, np.ndarray]:
    """Of the million: 80-bit out-of-the-money price, the rest of its cap, h and t."""
    from longdouble import black_parts, in_chunks

    return in_chunks(black_parts, *(million[n] for n in ("forward", "strike", "years", "vol")))


@pytest.fixture(scope="session")
def within():
    """`within(error, allowed, rows)`: every error is at most what is allowed, or show the worst."""

    def check(error, allowed, rows: dict, what: str = "") -> None:
        error, allowed = np.broadcast_arrays(np.abs(error).astype(float), allowed)
        bad = ~(error <= allowed)  # the negation also catches NaN
        if not bad.any():
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(bad, np.nan_to_num(error / allowed, nan=np.inf, posinf=np.inf), -1.0)
        i = int(np.argmax(excess))
        row = {name: np.asarray(v)[i].item() for name, v in rows.items() if np.ndim(v) == 1}
        pytest.fail(
            f"{what} off by {error[i]:.3g}, allowed {float(allowed[i]):.3g} "
            f"({int(bad.sum())} of {bad.size} rows fail); the worst: {row}"
        )

    return check

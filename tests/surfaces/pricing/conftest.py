"""Tables, drawn options and 60-digit arithmetic that the pricing tests share."""

import csv
import gzip
import warnings
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
DIGITS = 70


@pytest.fixture(scope="session")
def rows(tables: Path):
    """`rows(name)`: the rows of a table as dicts of text."""

    def read(name: str) -> list[dict[str, str]]:
        path = tables / name
        with gzip.open(path, "rt") if name.endswith(".gz") else path.open() as file:
            return list(csv.DictReader(line for line in file if not line.startswith("#")))

    return read


@pytest.fixture(scope="session")
def on_spot():
    """`on_spot(rows)`: a table's columns as keyword arguments of bsm and american."""

    def columns(table: list[dict[str, str]]) -> dict[str, np.ndarray]:
        names = {"S": "spot", "K": "strike", "sigma": "vol", "r": "rate", "q": "dividend_yield"}
        out = {to: np.array([float(row[of]) for row in table]) for of, to in names.items()}
        years = [float(row["T"]) if "T" in row else float(row["days"]) / 365 for row in table]
        return out | {"years": np.array(years), "right": np.array([row["flag"] for row in table])}

    return columns


@pytest.fixture(params=[11, 22, 33], ids=lambda seed: f"seed={seed}")
def options(request) -> dict[str, np.ndarray]:
    """Ten thousand options on a forward: a minute to five years, 3 % to 300 %, rates -3 to 8 %."""
    rng, n = np.random.default_rng(request.param), 10_000
    years = np.exp(rng.uniform(np.log(1 / 525_600), np.log(5.0), n))
    vol = np.exp(rng.uniform(np.log(0.03), np.log(3.0), n))
    forward = np.exp(rng.uniform(np.log(1.0), np.log(5000.0), n))
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "forward": forward,
        "strike": forward * np.exp(rng.uniform(-3.0, 3.0, n) * vol * np.sqrt(years)),
        "years": years,
        "vol": vol,
        "df": np.exp(-rng.uniform(-0.03, 0.08, n) * years),
    }


def exact_cdf(x: Decimal) -> Decimal:
    """N(x): Taylor series about zero, or the continued fraction of Mills' ratio past 9."""
    phi = (-x * x / 2).exp() / (2 * PI).sqrt()
    if abs(x) > 9:
        ratio = Decimal(0)
        for k in range(400, 0, -1):
            ratio = k / (abs(x) + ratio)
        tail = phi / (abs(x) + ratio)
        return tail if x < 0 else 1 - tail
    term = total = x
    k = 1
    while abs(term) > Decimal(10) ** -DIGITS:
        term = term * x * x / (2 * k + 1)
        total += term
        k += 1
    return Decimal("0.5") + phi * total


@pytest.fixture(scope="session")
def exact_black():
    """`exact_black(right, F, K, T, vol, r)`: Black (1976) in 70 digits, all arguments Decimal."""

    def price(right, F, K, T, vol, r) -> Decimal:
        with localcontext() as context:
            context.prec = DIGITS
            s = vol * T.sqrt()
            d1 = (F / K).ln() / s + s / 2
            n1, n2 = exact_cdf(right * d1), exact_cdf(right * (d1 - s))
            return (-r * T).exp() * right * (F * n1 - K * n2)

    return price


@pytest.fixture(scope="session")
def ql():
    """QuantLib, as the second opinion; its wrapper's own warnings at import are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("QuantLib")

"""The committed reference tables, for benchmarks run from a checkout.

An installed `optmm` has no tests folder: then `folder` is None and whoever needs a table says so.
"""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np

from optmm.bench.exact import Exact
from optmm.bench.markets import Floats, Options, SpotOptions

MISSING = "tests/tables is not here: run from a checkout"


def folder() -> Path | None:
    """tests/tables beside the packages, if this is a checkout."""
    path = Path(__file__).resolve().parents[2] / "tests" / "tables"
    return path if path.is_dir() else None


def read(name: str) -> list[dict[str, str]] | None:
    """The rows of a table as text, None where the table is not here."""
    home = folder()
    if home is None or not (home / name).is_file():
        return None
    path = home / name
    with gzip.open(path, "rt") if name.endswith(".gz") else path.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def implied_cases() -> tuple[Options, Exact, list[str]] | None:
    """`iv_cases_dev`: 5,200 hard cases solved in 90 digits, with their categories."""
    rows = read("iv_cases_dev.csv.gz")
    if rows is None:
        return None
    truth = [Decimal(row["sigma_true_30d"]) for row in rows]
    near = np.array([float(t) for t in truth])
    rest = [float(t - Decimal(float(v))) for t, v in zip(truth, near, strict=True)]
    options = Options(
        _right(rows), _column(rows, "F"), _column(rows, "K"), _column(rows, "T"), near,
        np.ones(near.size),
    )  # fmt: skip
    nothing = np.full(near.size, np.nan)
    exact = Exact(
        _column(rows, "price_undisc"), nothing, nothing, near, np.array(rest),
        _column(rows, "attainable_rel"),
    )  # fmt: skip
    return options, exact, [row["category"] for row in rows]


def american_yield() -> tuple[SpotOptions, Floats] | None:
    """100 options at spot 500 and their prices by QuantLib's tanh-sinh scheme."""
    rows = read("american_yield_qdfp.csv")
    if rows is None:
        return None
    names = ("S", "K", "sigma", "r", "q")
    spot, strike, vol, rate, earned = (_column(rows, name) for name in names)
    years = _column(rows, "days") / 365.0
    return (
        SpotOptions(_right(rows), spot, strike, years, vol, rate, earned),
        _column(rows, "american"),
    )


def american_cash() -> tuple[SpotOptions, list[list[float]], Floats, Floats] | None:
    """30 options, their ex-times and dividend each, and prices by an extrapolated fine grid."""
    rows = read("american_cash_dividend_pde.csv")
    if rows is None:
        return None
    spot, strike, vol, rate, years = (_column(rows, n) for n in ("S", "K", "sigma", "r", "T"))
    times = [[float(t) for t in row["div_times"].split()] for row in rows]
    options = SpotOptions(_right(rows), spot, strike, years, vol, rate, np.zeros(spot.size))
    return options, times, _column(rows, "D_each"), _column(rows, "american")


def _column(rows: list[dict[str, str]], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


def _right(rows: list[dict[str, str]]) -> Floats:
    return np.array([1.0 if row["flag"][0].lower() == "c" else -1.0 for row in rows])

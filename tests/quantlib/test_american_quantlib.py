"""American prices against QuantLib's own Andersen-Lake-Offengenden engine (QdFp).

Its accurate scheme is within 1.2e-5 USD root mean square and 1.7e-4 at most of its tanh-sinh
engine on the reference table (spot 500), but near the boundary of calm options it has been seen
6.6e-4 off, more than we state. So it judges `fast` on two thousand rows, those in doubt again by
its high-precision scheme, 60 times the cost; that one alone judges `precise`, on two hundred
rows, half of them where our two modes differ most. QuantLib counts whole days: years are days/365.

Eighty thousand rows take a minute: set OPTMM_LONG_TESTS=1 to run them.
"""

import os

import numpy as np
import pytest

from surfaces.pricing import american

# as a share of the spot: root mean square and worst
STATED = {"fast": (5e-8, 5e-6), "precise": (1e-8, 5e-7)}
REFEREE = (1.2e-5 / 500.0, 1.7e-4 / 500.0)
HIGH = 1.3e-8  # of its high-precision scheme, seen near the boundary against a finer one
LONG = bool(os.environ.get("OPTMM_LONG_TESTS"))


def drawn(seed: int, n: int) -> dict[str, np.ndarray]:
    """The draw `american` states its errors for: a day to two years, vols 6 to 80 %, rates and
    yields 0 to 8 %, strikes within 2.5 standard deviations."""
    rng = np.random.default_rng(seed)
    years = np.round(np.exp(rng.uniform(0.0, np.log(730.0), n))) / 365.0
    vol = np.exp(rng.uniform(np.log(0.06), np.log(0.8), n))
    spread = 2.5 * vol * np.sqrt(years)
    return {
        "right": rng.choice([-1.0, 1.0], n),
        "spot": np.full(n, 500.0),
        "strike": 500.0 * np.exp(rng.uniform(-1.0, 1.0, n) * spread),
        "years": years,
        "vol": vol,
        "rate": rng.uniform(0.0, 0.08, n),
        "dividend_yield": rng.uniform(0.0, 0.08, n),
    }


class Referee:
    """One process of quotes that move, so a price costs little more than the engine."""

    def __init__(self, ql, scheme):
        self.ql = ql
        self.today = ql.Date(2, 1, 2024)
        ql.Settings.instance().evaluationDate = self.today
        day = ql.Actual365Fixed()
        self.quotes = [ql.SimpleQuote(x) for x in (500.0, 0.02, 0.03, 0.2)]
        spot, q, r, vol = (ql.QuoteHandle(quote) for quote in self.quotes)
        process = ql.BlackScholesMertonProcess(
            spot,
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, q, day)),
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, r, day)),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(self.today, ql.NullCalendar(), vol, day)
            ),
        )
        self.engine = ql.QdFpAmericanEngine(process, scheme)

    def price(self, right, spot, strike, years, vol, rate, dividend_yield) -> float:
        for quote, value in zip(self.quotes, (spot, dividend_yield, rate, vol), strict=True):
            quote.setValue(value)
        kind = self.ql.Option.Call if right > 0 else self.ql.Option.Put
        last = self.today + round(years * 365)
        option = self.ql.VanillaOption(
            self.ql.PlainVanillaPayoff(kind, strike), self.ql.AmericanExercise(self.today, last)
        )
        option.setPricingEngine(self.engine)
        return option.NPV()


def theirs(referee: Referee, rows: dict) -> np.ndarray:
    return np.array(
        [
            referee.price(*(float(v) for v in row))
            for row in zip(*rows.values(), strict=True)
        ]
    )  # fmt: skip


def high_precision(ql, rows: dict) -> np.ndarray:
    return theirs(Referee(ql, ql.QdFpAmericanEngine.highPrecisionScheme()), rows)


def worst(error: np.ndarray, rows: dict) -> str:
    """The largest error and its row, in words."""
    i = int(np.argmax(np.abs(error)))
    return f"off by {error[i]:.3g} of spot at { ({name: float(v[i]) for name, v in rows.items()}) }"


def compare(ql, rows: dict) -> None:
    """Our errors, as a share of the spot, are within what is stated."""
    fast, precise = (american.price(**rows, accuracy=mode) for mode in STATED)
    want = theirs(Referee(ql, ql.QdFpAmericanEngine.accurateScheme()), rows)
    again = np.flatnonzero(np.abs(fast - want) > 0.25 * STATED["fast"][1] * 500.0)
    assert again.size <= 0.02 * want.size, "QuantLib's accurate scheme disagrees too often"
    want[again] = high_precision(ql, {name: v[again] for name, v in rows.items()})
    error = (fast - want) / 500.0
    assert np.max(np.abs(error)) <= STATED["fast"][1] + HIGH, worst(error, rows)
    assert np.sqrt(np.mean(error**2)) <= np.hypot(STATED["fast"][0], REFEREE[0])
    assert np.sqrt(np.mean((fast - precise) ** 2)) <= 500.0 * STATED["fast"][0]
    hard = np.argsort(-np.abs(fast - precise))[:100]
    for picked in (hard, np.arange(100)):
        few = {name: v[picked] for name, v in rows.items()}
        error = (precise[picked] - high_precision(ql, few)) / 500.0
        assert np.max(np.abs(error)) <= STATED["precise"][1] + HIGH, worst(error, few)
    assert np.sqrt(np.mean(error**2)) <= STATED["precise"][0] + HIGH


def test_two_thousand_drawn_options(ql):
    compare(ql, drawn(51, 2_000))


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="set OPTMM_LONG_TESTS=1 for a hundred thousand rows")
def test_a_hundred_thousand_drawn_options(ql):
    compare(ql, drawn(52, 100_000))


def test_the_referee_is_what_is_claimed_of_it(ql, tables):
    """Its accurate scheme against its tanh-sinh values in the reference table."""
    import csv

    with (tables / "american_yield_qdfp.csv").open() as file:
        table = list(csv.DictReader(line for line in file if not line.startswith("#")))
    rows = {
        "right": np.where([row["flag"][0] == "c" for row in table], 1.0, -1.0),
        **{
            name: np.array([float(row[of]) for row in table])
            for name, of in (("spot", "S"), ("strike", "K"))
        },
        "years": np.array([float(row["days"]) / 365 for row in table]),
        **{
            name: np.array([float(row[of]) for row in table])
            for name, of in (("vol", "sigma"), ("rate", "r"), ("dividend_yield", "q"))
        },
    }
    want = np.array([float(row["american"]) for row in table])
    error = theirs(Referee(ql, ql.QdFpAmericanEngine.accurateScheme()), rows) - want
    assert np.sqrt(np.mean(error**2)) <= 1.05 * 500.0 * REFEREE[0]
    assert np.max(np.abs(error)) <= 1.05 * 500.0 * REFEREE[1]

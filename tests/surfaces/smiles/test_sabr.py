"""SABR's formulas against printed vols, the textbook's own lines in 120 digits, and QuantLib."""

import csv
from decimal import Decimal, localcontext

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import bachelier, black
from surfaces.smiles import sabr


def drawn(n: int, seed: int) -> list[dict]:
    """Markets over a day to ten years, every beta, the ends too, |rho| to 0.99, wide strikes.

    The expansion is kept where its correction is above -1/2: nu^2 T <= 3.
    """
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        years = float(np.exp(rng.uniform(np.log(1 / 365), np.log(10.0))))
        beta = (0.0, 1.0, 0.5, float(rng.uniform()))[i % 4]
        forward = float(np.exp(rng.uniform(-4.0, 8.0)))
        level = float(np.exp(rng.uniform(np.log(0.03), np.log(0.5))))
        nu = float(rng.uniform(0.0, min(3.5, np.sqrt(3.0 / years))))
        gap = float(rng.choice([0.0, 1e-13, 1e-9, 1e-5, 1e-2, 0.5, 2.5]) * rng.choice([-1.0, 1.0]))
        letters = {"alpha": level * forward ** (1.0 - beta), "beta": beta, "nu": nu,
                   "rho": float(rng.uniform(-0.99, 0.99))}  # fmt: skip
        out.append({"letters": letters, "forward": forward, "strike": forward * np.exp(gap),
                    "years": years})  # fmt: skip
    return out


def textbook(row: dict, which: str) -> Decimal:
    """(2.17) of Hagan 2002, (B.67a), or Obloj's terms, as printed, in 120 digits.

    At F = K, nu = 0 and beta = 1 the limits are taken as 1e-35 next to them.
    """
    tiny = Decimal(10) ** -35
    with localcontext() as context:
        context.prec = 120
        F, K, T = (Decimal(float(row[n])) for n in ("forward", "strike", "years"))
        a, b, v, r = (Decimal(row["letters"][n]) for n in ("alpha", "beta", "nu", "rho"))
        K = K * (1 + tiny) if F == K else K
        v, b = v + tiny, b - tiny if b == 1 else b
        one, x = 1 - b, (F / K).ln()
        mid = (F * K) ** (one / 2)

        def chi(z):
            return (((1 - 2 * r * z + z * z).sqrt() + z - r) / (1 - r)).ln()

        last, cross = (2 - 3 * r * r) / 24 * v * v, r * b * v * a / (4 * mid)
        series = 1 + one**2 / 24 * x**2 + one**4 / 1920 * x**4
        integral = (F**one - K**one) / one
        if "normal" in which:
            late = 1 + (-b * (2 - b) * a * a / (24 * mid**2) + cross + last) * T
        else:
            late = 1 + (one**2 / 24 * a * a / mid**2 + cross + last) * T
        z = v / a * (mid * x if "hagan" in which else integral)
        if which == "obloj":
            return v * x / chi(z) * late
        if which == "normal obloj":
            return v * (F - K) / chi(z) * late
        if which == "hagan":
            return a / (mid * series) * z / chi(z) * late
        return a * (F * K) ** (b / 2) * (1 + x**2 / 24 + x**4 / 1920) / series * z / chi(z) * late


def test_hagan_matches_every_printed_row(tables):
    with open(tables / "sabr_hagan.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    for row in rows:
        letters = {n: float(row[n]) for n in ("alpha", "beta", "nu", "rho")}
        got = sabr.vol(sabr.Parameters(**letters), forward=float(row["F"]), strike=float(row["K"]),
                       years=float(row["T"]))  # fmt: skip
        assert got == pytest.approx(float(row["vol"]), abs=1e-12, rel=0.0), row


@pytest.mark.parametrize("which", ["hagan", "obloj", "normal hagan", "normal obloj"])
def test_formulas_are_the_textbooks(which):
    """Within 2e-13 relative: forty roundings. Nothing is lost at the money, or at beta = 1, 0.

    Where the correction cancels, digits go in the formula itself: it is kept above 1/4 here.
    """
    formula, function = which.split()[-1], sabr.normal_vol if "normal" in which else sabr.vol
    seen = 0
    for row in drawn(400, seed=5):
        params = sabr.Parameters(**row["letters"])
        wanted = textbook(row, which)
        market = {n: row[n] for n in ("forward", "strike", "years")}
        if wanted < Decimal("0.25") * textbook(row | {"years": 0.0}, which):
            continue
        seen += 1
        got = function(params, formula=formula, **market)
        assert float(abs(Decimal(float(got)) / wanted - 1)) < 2e-13, (row, got, wanted)
    assert seen > 340


def test_quantlib_has_the_same_hagan_with_a_shift():
    ql = pytest.importorskip("QuantLib")
    params = sabr.Parameters(alpha=0.02, beta=0.4, nu=0.7, rho=-0.3, shift=0.03)
    for strike in (-0.02, -0.005, 0.0, 0.01, 0.0101, 0.05, 0.2):
        theirs = ql.shiftedSabrVolatility(strike, 0.01, 2.0, 0.02, 0.4, 0.7, -0.3, 0.03)
        ours = sabr.vol(params, forward=0.01, strike=strike, years=2.0)
        assert ours == pytest.approx(theirs, rel=1e-13)


def test_obloj_is_what_short_expiries_tend_to():
    """The arbitrage-free chain knows neither formula: as T falls its vols tend to Obloj's, for
    beta < 1 and far strikes not to Hagan's, whose leading term is expanded in ln(F/K).

    Gaps of 1 to 2 % at T = 0.08 fall with T; what is left of them at T = 0 is extrapolated in a
    straight line, so a tenth of them is allowed for the bend.
    """
    params = sabr.Parameters(alpha=1.0, beta=0.0, nu=2.0, rho=0.3)
    strike, gaps = np.array([0.35, 0.7, 1.0, 1.5, 2.6]), {"obloj": [], "hagan": []}
    for years in (0.08, 0.04):
        free = sabr.arbitrage_free(params, forward=1.0, years=years, nodes=1500).vol(strike)
        assert not free.status.any()
        for name, values in gaps.items():
            vol = sabr.vol(params, forward=1.0, strike=strike, years=years, formula=name)
            values.append(free.vol / vol - 1.0)
    left = {name: np.abs(2.0 * late - early) for name, (early, late) in gaps.items()}
    assert np.abs(gaps["obloj"][0]).max() > 0.01
    assert left["obloj"].max() < 1e-3
    assert left["hagan"][[0, -1]].min() > 0.01


def test_beta_zero_takes_any_sign():
    """With beta = 0 only F - K counts."""
    params = sabr.Parameters(alpha=20.0, beta=0.0, nu=0.4, rho=0.2)
    at = {"years": 0.5}
    low = sabr.normal_vol(params, forward=-37.0, strike=[-50.0, -37.0, 5.0], **at)
    high = sabr.normal_vol(params, forward=1000.0, strike=[987.0, 1000.0, 1042.0], **at)
    np.testing.assert_allclose(low, high, rtol=1e-13)


def test_black_and_bachelier_prices_of_the_two_vols_agree_at_the_money():
    """Two expansions of one price to first order in T: their gap falls like T^2 in vol."""
    params = sabr.Parameters(alpha=0.3, beta=0.6, nu=0.8, rho=-0.4)
    gaps = []
    for years in (0.1, 0.05):
        market = {"forward": 1.0, "strike": 1.0, "years": years}
        lognormal = sabr.price(params, right=1, formula="obloj", **market)
        vol = sabr.normal_vol(params, **market)
        gaps.append(abs(lognormal / bachelier.price(right=1, vol=vol, **market) - 1.0))
    assert 0.0 < gaps[0] < 1e-5 and gaps[1] < gaps[0] / 3.0


def test_price_is_black_at_the_shifted_vol():
    params = sabr.Parameters(alpha=0.1, beta=0.5, nu=0.5, rho=-0.2, shift=0.02)
    vol = sabr.vol(params, forward=0.01, strike=0.015, years=1.0)
    wanted = black.price(right=-1, forward=0.03, strike=0.035, years=1.0, vol=vol, df=0.9)
    got = sabr.price(params, right=-1, forward=0.01, strike=0.015, years=1.0, df=0.9)
    assert got == pytest.approx(float(wanted), rel=1e-14)


@pytest.mark.parametrize("formula", ["hagan", "obloj"])
def test_density_is_the_second_derivative_of_the_price(formula):
    """Breeden and Litzenberger, where it is negative too. Differences of h = 1e-3 K, extrapolated:
    truncation h^4, rounding 1e-16/h^2."""
    params, signs = sabr.Parameters(alpha=0.4, beta=0.5, nu=0.8, rho=-0.3), set()

    def put(strike):
        return float(sabr.price(params, right=-1, forward=1.0, strike=strike, years=5.0,
                                formula=formula))  # fmt: skip

    for strike in (0.02, 0.1, 0.4, 0.9, 1.3, 3.0):
        rough = []
        for h in (2e-3 * strike, 1e-3 * strike):
            rough.append((put(strike + h) - 2.0 * put(strike) + put(strike - h)) / h**2)
        wanted = (4.0 * rough[1] - rough[0]) / 3.0
        got = float(sabr.density(params, forward=1.0, strike=strike, years=5.0, formula=formula))
        assert got == pytest.approx(wanted, rel=1e-5, abs=1e-8)
        signs.add(float(np.sign(got)))
    assert signs == {-1.0, 1.0}


def test_the_check_finds_where_density_turns():
    params = sabr.Parameters(alpha=0.3, beta=0.5, nu=0.8, rho=-0.4)
    found = sabr.check_density(params, forward=1.0, years=5.0)
    assert not found.free and np.isnan(found.above) and found.least < 0.0
    assert f"below strike {found.below:.6g}" in found.words and "arbitrage_free" in found.words
    at = np.array([0.999, 1.001]) * found.below
    density = sabr.density(params, forward=1.0, strike=at, years=5.0)
    assert density[0] < 0.0 < density[1]
    inside = np.linspace(found.below * 1.0001, 1.0, 500)
    assert sabr.density(params, forward=1.0, strike=inside, years=5.0).min() > 0.0
    least = sabr.density(params, forward=1.0, strike=found.at, years=5.0)
    assert least == pytest.approx(found.least, rel=1e-6)


def test_the_check_is_content_where_nothing_is_wrong_and_says_when_all_is():
    calm = sabr.check_density(
        sabr.Parameters(alpha=0.2, beta=1.0, nu=0.0, rho=0.0), forward=50.0, years=1.0
    )
    assert calm.free and "nowhere negative" in calm.words and calm.least >= 0.0
    wild = sabr.Parameters(alpha=0.3, beta=1.0, nu=3.5, rho=-0.95)
    lost = sabr.check_density(wild, forward=1.0, years=30.0)
    assert not lost.free and lost.broken == 1.0 and "no vol at any strike" in lost.words


@pytest.mark.parametrize(
    ("letters", "words"),
    [
        ({"alpha": 0.0}, r"alpha is 0, must be > 0"),
        ({"beta": 1.2}, r"beta is 1.2, must be <= 1"),
        ({"rho": 1.0}, r"rho is 1, must lie inside \(-1, 1\)"),
        ({"nu": float("nan")}, r"nu is nan per sqrt-year, must be >= 0"),
        ({"shift": [0.1, 0.2]}, r"shift has shape \(2,\), must be one number"),
    ],
)
def test_letters_outside_their_domain_are_named(letters, words):
    good = {"alpha": 0.2, "beta": 0.5, "nu": 0.4, "rho": 0.0}
    with pytest.raises(InvalidInput, match=words):
        sabr.Parameters(**(good | letters))


def test_a_vol_that_the_expansion_makes_negative_is_refused():
    params = sabr.Parameters(alpha=0.3, beta=1.0, nu=3.5, rho=-0.95)
    with pytest.raises(InvalidInput, match=r"vol at strike 1 and 30 years is -.*broken down"):
        sabr.vol(params, forward=1.0, strike=1.0, years=30.0)
    with pytest.raises(InvalidInput, match=r"strike is -0.1, must be > 0"):
        sabr.vol(params, forward=1.0, strike=-0.1, years=1.0)
    with pytest.raises(InvalidInput, match="formula is 'hagen', must be one of hagan, obloj"):
        sabr.vol(params, forward=1.0, strike=1.0, years=1.0, formula="hagen")


def test_series_in_series_out():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    params = sabr.Parameters(alpha=0.2, beta=0.5, nu=0.4, rho=-0.3)
    market = {"forward": 1.0, "years": 0.5}
    strikes = [0.9, 1.0, 1.2]
    plain = sabr.vol(params, strike=strikes, **market)
    series = pd.Series(strikes, index=["a", "b", "c"])
    free = sabr.arbitrage_free(params, **market)
    for made in (
        sabr.vol(params, strike=series, **market),
        sabr.normal_vol(params, strike=series, **market),
        sabr.density(params, strike=series, **market),
        sabr.price(params, right=1, strike=series, **market),
        sabr.delta(params, right=1, strike=series, **market),
        sabr.vega(params, right=1, strike=series, **market),
        free.price(right=1, strike=series), free.density(series), free.cdf(series),
    ):  # fmt: skip
        assert isinstance(made, pd.Series) and made.index.equals(series.index)
    got = sabr.vol(params, strike=pl.Series(strikes), **market)
    assert isinstance(got, pl.Series) and got.to_list() == plain.tolist()

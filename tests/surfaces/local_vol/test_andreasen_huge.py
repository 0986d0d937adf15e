"""The SX5E quotes of the paper, freedom from arbitrage, and quotes that contradict one another."""

import csv

import numpy as np
import pytest

from surfaces.andreasen_huge import QuoteStatus, calibrate, calibrate_surface, words
from surfaces.errors import InvalidInput
from surfaces.fitting import fit
from surfaces.local_vol import Flag
from surfaces.pricing import black
from surfaces.pricing import local_vol as pricing

BAR = 1e-4  # of vol


@pytest.fixture(scope="module")
def sx5e(tables) -> dict[str, np.ndarray]:
    with open(tables / "andreasen_huge_sx5e.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def ssvi(k, T):
    """Total variance of an SSVI without arbitrage: Gatheral and Jacquier (2014), theorem 4.2."""
    theta, rho, eta = 0.04 * T, -0.7, 1.0
    phi = eta / np.sqrt(theta * (1.0 + theta))
    return 0.5 * theta * (1.0 + rho * phi * k + np.sqrt((phi * k + rho) ** 2 + 1.0 - rho * rho))


def contradicted(rows) -> np.ndarray:
    """Quotes above the line between their neighbours in strike, by Black's price alone."""
    bad = np.zeros(rows["vol"].size, bool)
    for T in np.unique(rows["years"]):
        at = np.flatnonzero(rows["years"] == T)
        at = at[np.argsort(rows["moneyness"][at])]
        x = rows["moneyness"][at]
        call = black.price(right=1, forward=1.0, strike=x, years=T, vol=rows["vol"][at])
        slope = np.diff(call) / np.diff(x)
        bad[at[1:-1]] = np.diff(slope) < 0.0
    return bad


@pytest.mark.parametrize("shape", ["linear", "constant"])
@pytest.mark.parametrize("points", [120, 240, 500])
def test_every_consistent_quote_of_the_paper_is_repriced(sx5e, shape, points):
    """154 of 155: the vol at strike 0.6597, 4.778 years lies above the line between its neighbours'
    prices, so no surface without arbitrage holds the three of them."""
    bad = contradicted(sx5e)
    assert np.flatnonzero(bad).size == 1
    assert (sx5e["moneyness"][bad], sx5e["years"][bad]) == (0.6597, 4.778)
    found = calibrate(**sx5e, shape=shape, points=points)
    assert np.abs(found.error[~bad]).max() <= BAR
    assert found.status[bad] == QuoteStatus.BUTTERFLY
    assert np.all(found.status[~bad] == QuoteStatus.OK)
    again = found.vol(np.log(sx5e["moneyness"]), sx5e["years"])
    np.testing.assert_allclose(again, found.model_vol, atol=1e-7)


def test_newton_converges_as_with_the_right_jacobian(sx5e):
    """Wrong derivatives would still get there, slowly: these take 4 to 8 steps to 1e-9."""
    assert calibrate(**sx5e).searches.max() <= 10


def test_no_arbitrage_anywhere_between_the_quotes(sx5e):
    """Call prices on 3,000 strikes and 60 times: convex, and rising in time.

    Prices are exact to about 1e-16, so a second difference over steps h to 4e-16 / h.
    """
    found = calibrate(**sx5e)
    years = np.sort(np.concatenate((np.geomspace(2e-3, 9.0, 48), found.years)))
    strike = np.linspace(0.3, 2.5, 3001)
    otm = found.price(np.log(strike), years[:, None])
    call = otm + np.maximum(1.0 - strike, 0.0)
    h = strike[1] - strike[0]
    assert np.diff(call, 2, axis=1).min() >= -8e-16
    assert (np.diff(call, axis=1) / h).min() >= -1.0 - 1e-12
    assert np.diff(call, axis=0).min() >= -4e-16
    assert otm.min() >= 0.0


def test_local_vol_is_the_dupire_ratio_of_its_own_prices(sx5e):
    """By differences of prices: in time centred over 2e-4 of the gap; in strike on the nodes, where
    the scheme's second difference is the density. The limit is rounding of c over both."""
    found = calibrate(**sx5e)
    nodes = np.log(found.steps.x)
    nodes = nodes[(nodes > -0.6) & (nodes < 0.35)]
    for T in (0.06, 0.6, 1.2, 5.0):
        h = 1e-4 * T
        around = [found.price(nodes, T + d) for d in (-h, h)]
        x = np.exp(nodes)
        call = found.price(nodes, T) + np.maximum(1.0 - x, 0.0)
        slope = np.diff(call) / np.diff(x)
        bend = 2.0 * np.diff(slope) / (x[2:] - x[:-2])
        rise = (around[1] - around[0]) / (2.0 * h)
        variance = 2.0 * rise[1:-1] / (x[1:-1] ** 2 * bend)
        got = found.local_vol(years=[T], k=nodes[1:-1]).vol[0]
        np.testing.assert_allclose(got**2, variance, rtol=2e-4)


def test_its_local_vol_prices_the_quotes_back(sx5e):
    """By the forward equation, which shares nothing with one implicit step an expiry: median error
    under 10 bp of vol, what is lost between nodes of the grid included."""
    found = calibrate(**sx5e)
    local = found.local_vol().filled()
    k = np.log(sx5e["moneyness"])
    got = pricing.implied_vol(local, k=k, years=sx5e["years"])
    assert np.median(np.abs(got - found.model_vol)) < 1e-3


def test_one_strike_an_expiry_is_enough():
    found = calibrate(moneyness=[1.0, 1.1], years=[0.5, 1.0], vol=[0.2, 0.25])
    assert np.abs(found.error).max() < 1e-8
    np.testing.assert_allclose(found.vol([0.0, np.log(1.1)], [0.5, 1.0]), [0.2, 0.25], atol=1e-8)


def test_an_expiry_with_few_strikes_takes_the_shape_of_the_next():
    """One implicit step alone leaves exponential tails, far above what the next expiry quotes."""
    z = np.linspace(-2.5, 2.0, 10)
    wide = 0.2 * np.sqrt(0.5) * z
    k = np.concatenate(([0.0], wide))
    years = np.concatenate(([0.4], np.full(z.size, 0.5)))
    found = calibrate(moneyness=np.exp(k), years=years, vol=np.sqrt(ssvi(k, years) / years))
    assert np.all(found.status == QuoteStatus.OK) and np.abs(found.error).max() < BAR


@pytest.mark.parametrize("seed", range(12))
def test_strikes_and_expiries_at_random_on_a_smile_without_arbitrage(seed):
    """Up to twelve expiries, each with its own 4 to 20 strikes within three deviations."""
    rng = np.random.default_rng(seed)
    years = np.sort(np.exp(rng.uniform(np.log(0.02), np.log(5.0), rng.integers(2, 13))))
    years = years[np.append(True, np.diff(years) > 0.05 * years[1:])]
    k, T = [], []
    for t in years:
        z = rng.permutation(np.linspace(-3.0, 2.5, 23))[: rng.integers(4, 21)]
        k.append(np.sort(z) * 0.2 * np.sqrt(t))
        T.append(np.full(z.size, t))
    k, T = np.concatenate(k), np.concatenate(T)
    turn = rng.permutation(k.size)
    vol = np.sqrt(ssvi(k, T) / T)
    found = calibrate(moneyness=np.exp(k[turn]), years=T[turn], vol=vol[turn])
    worst = int(np.argmax(np.abs(found.error)))
    assert np.abs(found.error).max() <= BAR, (found.status[worst], k[turn][worst], T[turn][worst])


def test_a_calendar_arbitrage_is_named_and_the_rest_repriced():
    found = calibrate(
        moneyness=[0.9, 1.0, 1.1] * 2, years=[0.5] * 3 + [1.0] * 3,
        vol=[0.25, 0.2, 0.2, 0.25, 0.1, 0.2],
    )  # fmt: skip
    assert found.status.tolist() == [0, 0, 0, 0, QuoteStatus.CALENDAR, 0]
    assert np.abs(np.delete(found.error, 4)).max() < BAR
    assert found.model_vol[4] >= 0.2 / np.sqrt(2.0), "no less than the expiry before is worth"
    assert list(found.why()) == [words(QuoteStatus.CALENDAR)]


def test_the_line_of_words_is_about_the_quotes_that_were_repriced(sx5e):
    """The largest error used to be that of a quote left out as arbitrage."""
    found = calibrate(**sx5e)
    fine = found.status == QuoteStatus.OK
    assert not fine.all() and np.abs(found.error[~fine]).max() > 1e-4
    assert f"{int(fine.sum())} quotes repriced" in repr(found)
    assert f"largest error {np.abs(found.error[fine]).max():.2g} in vol" in repr(found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"smoothing": -5.0}, r"smoothing is -5, must be >= 0 .* Zero reprices exactly"),
        ({"smoothing": np.nan}, r"smoothing is nan, must be >= 0"),
        ({"half_spread": [0.01, 0.01]}, r"half_spread has 2 values, must be one or 3"),
    ],
)
def test_settings_that_mean_nothing_are_refused(more, said):
    """A negative smoothing used to be taken, and a wrong shape to end in a traceback of numpy."""
    with pytest.raises(InvalidInput, match=said):
        calibrate(moneyness=[0.9, 1.0, 1.1], years=0.5, vol=[0.22, 0.2, 0.19], **more)


def test_quotes_that_cannot_be_used_get_a_status():
    bad = QuoteStatus.BAD_INPUT
    found = calibrate(
        moneyness=[1.0, np.nan, 1.0, -1.0, 1.1, 9.0, 1.0],
        years=[1.0, 1.0, 0.0, 1.0, 1.0, 0.01, 1.0],
        vol=[0.2, 0.2, 0.2, 0.2, np.inf, 0.05, 0.3],
    )
    assert found.status.tolist() == [0, bad, bad, bad, bad, bad, QuoteStatus.DUPLICATE]
    assert np.isfinite(found.error).tolist() == [True] + [False] * 6


def test_spreads_smooth_noise_away():
    """With half spreads the local vol bends less, and most quotes are still hit."""
    rng = np.random.default_rng(3)
    k = np.linspace(-0.5, 0.3, 33)
    vol = np.sqrt(ssvi(k, 1.0)) + 1e-3 * rng.uniform(-1.0, 1.0, k.size)
    terms = {"moneyness": np.exp(k), "years": 1.0, "vol": vol}
    exact, smooth = calibrate(**terms), calibrate(**terms, half_spread=1e-3)
    rough = [
        np.abs(np.diff(np.log(f.local_vol(years=[0.99], k=k).vol[0]), 2)).sum()
        for f in (exact, smooth)
    ]
    assert rough[1] < 0.5 * rough[0]
    assert np.mean(np.abs(smooth.error) < 1e-3) > 0.9


def test_a_quote_within_its_half_spread_is_repriced():
    """Half spreads were given and 1e-5 was asked for: of quotes all within their spread most used
    to be MISSED, contradicted by their neighbours. One that is truly off still is."""
    rng = np.random.default_rng(5)
    k = np.linspace(-0.4, 0.3, 29)
    spread = np.where(k < 0.0, 2e-3, 1e-3)
    vol = np.sqrt(ssvi(k, 1.0)) + 0.5 * spread * rng.uniform(-1.0, 1.0, k.size)
    vol[20] += 0.05
    found = calibrate(moneyness=np.exp(k), years=1.0, vol=vol, half_spread=spread)
    judged = np.isfinite(found.error)
    within = np.abs(found.error) <= spread
    np.testing.assert_array_equal(found.status[judged] == QuoteStatus.OK, within[judged])
    assert within[judged].mean() > 0.7 and not within[20]
    assert np.sum(np.abs(found.error[within]) > 1e-5) > 15  # what 1e-5 would have refused


def test_before_the_first_expiry_far_nodes_may_have_no_density(sx5e):
    local = calibrate(**sx5e).local_vol(years=[1e-5, 1.0, 8.0])
    assert np.any(local.flag[0] == Flag.UNDEFINED) and np.isnan(local.vol[0, 0])
    assert np.all(local.flag[2] == Flag.EXTRAPOLATED)
    assert np.all(local.vol[1] > 0.0)


def test_a_fitted_surface_is_repriced(european):
    world = european()
    surface = fit(world.frame(), valuation_ns=world.now_ns, spot=world.spot, rate=world.rate)
    found = calibrate_surface(surface)
    assert np.abs(found.error).max() < BAR
    quotes = surface.quotes
    years = surface.years[surface.chain.slice_of[quotes.row]]
    half = 0.5 * (quotes.ask_vol - quotes.bid_vol)
    assert np.mean(np.abs(found.vol(quotes.k, years) - quotes.model_vol) < half) > 0.97


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": "cubic"}, "linear, constant"),
        ({"points": 5}, "points is 5, must be a whole number >= 20"),
        ({"vol": [np.nan, np.nan]}, "none of 2 quotes can be used"),
        ({"vol": [0.2, 0.2, 0.2]}, "do not broadcast"),
    ],
)
def test_mistakes_of_the_caller_raise(change, said):
    with pytest.raises(InvalidInput, match=said):
        calibrate(**({"moneyness": [1.0, 1.1], "years": 1.0, "vol": [0.2, 0.2]} | change))

"""The arbitrage-free chain: never negative, mass and mean kept, and right where others know it."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import ncx2

from surfaces.errors import InvalidInput
from surfaces.smiles import sabr

EPS = np.finfo(float).eps


def cev_call(forward, strike, years, alpha, beta):
    """Cox (1975) with an absorbing barrier, by Schroder (1989)'s non-central chi-squares."""
    unit = (alpha * (1.0 - beta)) ** 2 * years
    x, y = (v ** (2.0 * (1.0 - beta)) / unit for v in (forward, strike))
    v = 1.0 / (1.0 - beta)
    return forward * ncx2.sf(y, v + 2.0, x) - strike * ncx2.cdf(x, v, y)


def drawn(n, seed):
    """nu to 3.5, every beta, |rho| to 0.95, a day to thirty years, vols of 1 % to 300 %."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        beta = (0.0, 1.0, 0.5, float(rng.uniform()))[i % 4]
        forward = float(np.exp(rng.uniform(-4.0, 8.0)))
        level = float(np.exp(rng.uniform(np.log(0.01), np.log(3.0))))
        params = sabr.Parameters(
            alpha=level * forward ** (1.0 - beta), beta=beta, nu=float(rng.uniform(0.0, 3.5)),
            rho=float(rng.uniform(-0.95, 0.95)),
        )  # fmt: skip
        yield params, forward, float(np.exp(rng.uniform(np.log(1 / 365), np.log(30.0))))


def checked(params, forward, years):
    """All that holds whatever the letters: rounding is EPS a step and node, in units of its sum."""
    free = sabr.arbitrage_free(params, forward=forward, years=years)
    k = np.concatenate((np.linspace(-30.0, 30.0, 602), np.linspace(-0.3, 0.3, 301)))
    strike = np.sort(forward * np.exp(k))
    density, cdf = free.density(strike), free.cdf(strike)
    call, put = (free.price(right=w, strike=strike) for w in (1, -1))
    told = (params, forward, years)
    room = 4.0 * EPS * np.sqrt(free.steps * free.nodes.size)
    assert np.isfinite(density).all() and density.min() >= 0.0, told
    assert free.mass.min() >= 0.0 and free.absorbed >= 0.0 and free.beyond >= 0.0, told
    assert abs(free.mass.sum() - 1.0) < room, told
    mean = (free.mass * (free.nodes + params.shift)).sum() - params.shift
    assert abs(mean / forward - 1.0) < room, told
    assert np.diff(cdf).min() >= -4.0 * EPS and cdf[0] >= 0.0 and cdf[-1] <= 1.0, told
    assert call.min() >= 0.0 and np.diff(call).max() <= room * forward, told
    slope = np.diff(call) / np.diff(strike)
    small = np.minimum(np.diff(strike)[1:], np.diff(strike)[:-1])
    assert (np.diff(slope) >= -8.0 * EPS * forward / small - room).all(), told
    gap = np.abs(call - put - (forward - strike))
    assert (gap < 4.0 * room * np.maximum(strike, forward)).all(), told


def test_nothing_is_negative_and_mass_and_mean_are_kept_whatever_the_letters():
    for params, forward, years in drawn(120, seed=3):
        checked(params, forward, years)


def test_it_heals_every_parameter_set_of_the_printed_rows(tables):
    table = np.genfromtxt(tables / "sabr_hagan.csv", delimiter=",", names=True, dtype=None,
                          encoding="utf-8")  # fmt: skip
    seen = {tuple(float(row[n]) for n in ("F", "T", "alpha", "beta", "nu", "rho")) for row in table}
    assert len(seen) > 5
    for forward, years, alpha, beta, nu, rho in seen:
        checked(sabr.Parameters(alpha=alpha, beta=beta, nu=nu, rho=rho), forward, years)


@pytest.mark.parametrize(
    ("alpha", "beta", "years"), [(0.2, 0.5, 1.0), (0.5, 0.5, 5.0), (0.3, 0.25, 10.0), (0.4, 0.9, 2)]
)
def test_without_vol_of_vol_it_is_the_cev_model(alpha, beta, years):
    """Of second order in the nodes: a quarter of the error with twice as many."""
    params = sabr.Parameters(alpha=alpha, beta=beta, nu=0.0, rho=0.0)
    strike = np.array([0.05, 0.3, 0.7, 0.97, 1.0, 1.013, 1.3, 2.0, 3.0])
    wanted = cev_call(1.0, strike, years, alpha, beta)
    errors = []
    for nodes in (250, 500):
        free = sabr.arbitrage_free(params, forward=1.0, years=years, nodes=nodes)
        errors.append(np.abs(free.price(right=1, strike=strike) - wanted).max())
    assert errors[1] < 3e-5 and errors[1] < 0.3 * errors[0]
    barrier = ncx2.sf(1.0 / ((alpha * (1.0 - beta)) ** 2 * years), 1.0 / (1.0 - beta), 0.0)
    assert free.absorbed == pytest.approx(barrier, abs=2e-4)
    step = 1e-4
    slope = (cev_call(1.0, 0.7 - step, years, alpha, beta) - 2 * wanted[2]
             + cev_call(1.0, 0.7 + step, years, alpha, beta)) / step**2  # fmt: skip
    near = free.density(np.linspace(0.68, 0.72, 401)).mean()
    assert near == pytest.approx(slope, rel=3e-3)


def test_with_beta_one_and_no_vol_of_vol_it_is_black():
    params = sabr.Parameters(alpha=0.3, beta=1.0, nu=0.0, rho=0.0)
    free = sabr.arbitrage_free(params, forward=1.0, years=1.0)
    found = free.vol(np.array([0.3, 0.5, 0.8, 1.0, 1.1, 1.5, 2.5]))
    assert not found.status.any()
    np.testing.assert_allclose(found.vol, 0.3, atol=2e-4)


@pytest.mark.parametrize(
    "letters", [(0.3, 0.5, 0.8, -0.4), (0.2, 1.0, 1.5, -0.6), (1.0, 0, 0.5, 0.5)]
)
def test_another_solver_of_the_same_equation_agrees(letters):
    """Dupire's equation C_T = D(K, T)^2/2 C_KK for the call, by scipy's stiff solver on strikes
    even in ln K or K: another variable, grid and scheme."""
    alpha, beta, nu, rho = letters
    years, low = 1.5, 1e-4
    strike = np.concatenate(([0.0], np.geomspace(low, 60.0, 2401)))
    z = (np.log(strike[1:]) if beta == 1 else (strike[1:] ** (1 - beta) - 1) / (1 - beta)) / alpha
    flat = np.isclose(strike[1:], 1.0, rtol=1e-9)
    slope = np.where(flat, beta, (strike[1:] ** beta - 1) / np.where(flat, 1.0, strike[1:] - 1))
    square = alpha**2 * (1 + 2 * rho * nu * z + (nu * z) ** 2) * strike[1:] ** (2 * beta)
    gap = np.diff(strike)
    up, down = gap[1:], gap[:-1]

    def change(t, call):
        full = np.concatenate(([1.0], call, [0.0]))
        bend = 2.0 * (np.diff(full)[1:] / up - np.diff(full)[:-1] / down) / (up + down)
        return 0.5 * (square * np.exp(rho * nu * alpha * slope * t))[:-1] * bend

    start = np.maximum(1.0 - strike[1:-1], 0.0)
    found = solve_ivp(change, (0.0, years), start, method="LSODA", rtol=1e-7, atol=1e-9,
                      lband=1, uband=1, t_eval=[years])  # fmt: skip
    at = np.array([0.2, 0.5, 0.8, 1.0, 1.25, 2.0])
    wanted = np.interp(at, strike[1:-1], found.y[:, -1])
    params = sabr.Parameters(alpha=alpha, beta=beta, nu=nu, rho=rho)
    free = sabr.arbitrage_free(params, forward=1.0, years=years)
    np.testing.assert_allclose(free.price(right=1, strike=at), wanted, atol=6e-5)


def test_the_authors_example_has_their_price():
    """alpha 0.35, beta 0.25, nu 1, rho -0.1, F = T = 1 of Hagan et al. 2014, the call at the money.

    F. Le Floc'h and G. Kennedy (their ArbitrageFreeSABR.jl) test for 0.149701955629, of 500 nodes
    and five time steps. Their scheme, written anew, gives that to 1e-12, and 0.14962174 with 4,000
    nodes and 1,600 steps. Ours is of second order in the nodes; two of it are extrapolated.
    """
    params = sabr.Parameters(alpha=0.35, beta=0.25, nu=1.0, rho=-0.1)
    prices = [
        float(sabr.arbitrage_free(params, forward=1.0, years=1.0, nodes=n).price(right=1, strike=1))
        for n in (400, 800)
    ]
    best = (4.0 * prices[1] - prices[0]) / 3.0
    assert best == pytest.approx(0.149701955629, abs=1e-4)
    assert best == pytest.approx(0.14962174, abs=1e-7)


def test_near_the_money_it_keeps_hagans_vols():
    """What is kept of a vol of 20 %: at the money to 2 bp within a year; to two deviations, 5 bp at
    a month and 40 bp at a year; low strikes not, where Hagan's density is negative."""
    params = sabr.Parameters(alpha=0.2, beta=0.5, nu=0.6, rho=-0.3)
    for years, room in ((1 / 12, 5e-4), (1.0, 4e-3)):
        strike = np.exp(0.2 * np.sqrt(years) * np.linspace(-2.0, 2.0, 9))
        free = sabr.arbitrage_free(params, forward=1.0, years=years).vol(strike)
        hagan = sabr.vol(params, forward=1.0, strike=strike, years=years)
        np.testing.assert_allclose(free.vol, hagan, atol=room)
        assert abs(free.vol[4] - hagan[4]) < 2e-4
    found = sabr.check_density(params, forward=1.0, years=10.0)
    assert found.below > 0.05
    free = sabr.arbitrage_free(params, forward=1.0, years=10.0)
    strike = np.linspace(0.01, found.below, 50)
    assert sabr.density(params, forward=1.0, strike=strike, years=10.0).min() < 0.0
    assert free.density(strike).min() >= 0.0


def test_quantlibs_two_factor_solver_is_near():
    """The model itself, not its expansion, for an expiry of a quarter: 0.2 % of vol."""
    ql = pytest.importorskip("QuantLib")
    from surfaces import quantlib as export
    from surfaces.pricing import implied

    params = sabr.Parameters(alpha=0.25, beta=0.5, nu=0.6, rho=-0.4)
    reference = export.dt.date(2024, 1, 1)
    curves = export.flat_curves(reference=reference, spot=1.0, rate=0.0)
    free = sabr.arbitrage_free(params, forward=1.0, years=91 / 365)
    with export.evaluation_date(reference):
        engine = ql.FdSabrVanillaEngine(1.0, 0.25, 0.5, 0.6, -0.4, curves.risk_free, 100, 400, 100)
        for strike in (0.85, 1.0, 1.15):
            option = ql.VanillaOption(
                ql.PlainVanillaPayoff(ql.Option.Call, strike),
                ql.EuropeanExercise(ql.Date(1, 1, 2024) + 91),
            )
            option.setPricingEngine(engine)
            theirs = implied.vol(
                price=option.NPV(), right=1, forward=1.0, strike=strike, years=91 / 365
            ).vol
            assert float(free.vol(strike).vol) == pytest.approx(float(theirs), rel=2e-3)


def test_a_shift_moves_the_barrier_and_nothing_else():
    plain = sabr.Parameters(alpha=0.2, beta=0.5, nu=0.4, rho=-0.3)
    moved = sabr.Parameters(alpha=0.2, beta=0.5, nu=0.4, rho=-0.3, shift=0.5)
    one = sabr.arbitrage_free(plain, forward=1.0, years=2.0)
    other = sabr.arbitrage_free(moved, forward=0.5, years=2.0)
    assert other.nodes[0] == -0.5
    at = np.array([0.2, 0.9, 1.4])
    for name in ("density", "cdf"):
        a, b = getattr(one, name)(at), getattr(other, name)(at - 0.5)
        np.testing.assert_allclose(a, b, rtol=1e-10)
    np.testing.assert_allclose(
        one.price(right=-1, strike=at), other.price(right=-1, strike=at - 0.5), rtol=1e-10
    )
    np.testing.assert_allclose(one.vol(at).vol, other.vol(at - 0.5).vol, rtol=1e-9)


def test_prices_are_the_integral_of_the_density():
    """And of the atom: a fine sum of what `density` says."""
    params = sabr.Parameters(alpha=0.5, beta=0.5, nu=0.5, rho=-0.2)
    free = sabr.arbitrage_free(params, forward=1.0, years=3.0)
    edges = np.unique(np.concatenate((free.nodes, np.linspace(0.0, 2.0, 4001))))
    share = (np.arange(20.0) + 0.5) / 20.0
    points = edges[:-1, None] + np.diff(edges)[:, None] * share
    weight = free.density(points) * np.diff(edges)[:, None] / 20.0
    assert weight.sum() + free.absorbed + free.beyond == pytest.approx(1.0, abs=1e-4)
    for strike in (0.3, 1.0, 1.7):
        put = (weight * np.maximum(strike - points, 0.0)).sum() + free.absorbed * strike
        assert free.price(right=-1, strike=strike) == pytest.approx(put, abs=1e-5)
        below = weight[points <= strike].sum() + free.absorbed
        assert free.cdf(strike) == pytest.approx(below, abs=1e-4)


def test_what_has_no_distribution_is_refused():
    params = sabr.Parameters(alpha=0.2, beta=0.5, nu=0.4, rho=0.0)
    with pytest.raises(InvalidInput, match=r"years is 0 years, must be > 0"):
        sabr.arbitrage_free(params, forward=1.0, years=0.0)
    with pytest.raises(InvalidInput, match=r"forward is -1, must be > 0"):
        sabr.arbitrage_free(params, forward=-1.0, years=1.0)
    with pytest.raises(InvalidInput, match=r"nodes is 10, must be a whole number >= 100"):
        sabr.arbitrage_free(params, forward=1.0, years=1.0, nodes=10)

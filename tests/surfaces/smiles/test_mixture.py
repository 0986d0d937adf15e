"""The mixture smile against general solvers, Black's prices, identities and a real chain."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, linprog, minimize

from surfaces import arbitrage
from surfaces.errors import InvalidInput
from surfaces.smiles import mixture
from surfaces.smiles.mixture import MIXTURE, Quotes, Settings, otm_price
from surfaces.smiles.mixture_errors import errors
from surfaces.status import Status

TABLE = Path(__file__).parents[2] / "tables" / "spx_20241111_otm.csv"
TIGHT = Settings(mu=1e-10, calendar=False)


def skewed(z):
    """A smile shape for made-up quotes: vol over at-the-money vol."""
    return np.sqrt(1.0 - 0.25 * z + 0.06 * z * z)


def made_up(s=0.1, low=-4.0, high=2.0, count=25, share=0.01, shape=skewed) -> Quotes:
    """Quotes of half width `share` of the vol about a known smile."""
    z = np.linspace(low, high, count)
    vol = s * shape(z)
    return Quotes(z * s, otm_price(z * s, vol * (1 - share)), otm_price(z * s, vol * (1 + share)))


def chain() -> list[dict]:
    """The real chain of the table, by expiry."""
    with TABLE.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = []
    for name in sorted({r["expiry"] for r in rows}):
        part = [r for r in rows if r["expiry"] == name]
        k, bid, ask = (np.array([float(r[c]) for r in part]) for c in ("k", "bid_iv", "ask_iv"))
        found.append({"k": k, "bid": bid, "ask": ask, "years": float(part[0]["T"])})
    return found


def as_quotes(expiry, rows=slice(None)) -> Quotes:
    k, root = expiry["k"][rows], np.sqrt(expiry["years"])
    bid, ask = (otm_price(k, expiry[side][rows] * root) for side in ("bid", "ask"))
    return Quotes(k, bid, ask)


def vols(fit, t, k, years):
    return np.sqrt(MIXTURE.total_variance(k, fit.theta[t]) / years)


def weights(theta):
    """Centres, widths, weights of the bumps there are."""
    centre, width, weight = theta[1:].reshape(3, -1)
    there = weight > 0.0
    return centre[there], width[there], weight[there]


def objective(fit, u, settings, bumps):
    """The cost of weights u as `surfaces.kernels.mixture_solve` states it, slacks minimised."""
    rows = fit.rows
    r = (rows.design[:, :bumps] @ u - rows.mid) * rows.per_half
    over = np.maximum(np.maximum(r - rows.high, -r - rows.low), 0.0)
    rough = fit.blocks.lam[0] * np.sum(np.diff(u, 3) ** 2)
    return 0.5 * np.sum(rows.alpha * r * r) + over.sum() + 0.5 * rough


@pytest.mark.parametrize("share", [0.01, 1e-4])
def test_a_linear_cost_reaches_the_optimum_of_a_linear_program(share):
    """scipy's HiGHS on the same rows, with quotes that no density meets and some that one does."""
    quotes = made_up(count=12, share=share)
    jitter = 1.0 + 3.0 * share * np.resize([1.0, -1.0, 0.5], 12)
    quotes = Quotes(quotes.k, quotes.bid * jitter, quotes.ask * jitter)
    settings = replace(TIGHT, alpha=0.0, roughness=0.0)
    fit = mixture.fit_slice(*quotes[:3], settings=settings)
    n = int(fit.blocks.bumps[0])
    X = fit.rows.design[:, :n] * fit.rows.per_half[:, None]
    at = fit.rows.mid * fit.rows.per_half
    eye = np.eye(12)
    best = linprog(
        np.r_[np.zeros(n), np.ones(12)],
        A_ub=np.block([[X, -eye], [-X, -eye]]),
        b_ub=np.r_[at + fit.rows.high, fit.rows.low - at],
        A_eq=np.c_[fit.blocks.border[0][:, :n], np.zeros((2, 12))],
        b_eq=[1.0, 1.0],
    )
    got = objective(fit, fit.state.u[0, :n], settings, n)
    assert fit.status[0] == Status.OK
    assert got == pytest.approx(best.fun, abs=1e-6)


def test_the_whole_cost_reaches_the_optimum_of_a_general_solver():
    """scipy's trust-constr needs a smooth cost: slacks p carry the hinges, started at our answer
    it may only improve, and does not by 1e-6; started from equal weights it comes no lower."""
    quotes = made_up(count=9, share=0.003)
    jitter = 1.0 + 0.01 * np.resize([1.0, -1.0, 0.5], 9)
    quotes = Quotes(quotes.k, quotes.bid * jitter, quotes.ask * jitter)
    settings = replace(TIGHT, alpha=0.05, roughness=1e-3)
    fit = mixture.fit_slice(*quotes[:3], settings=settings)
    n, q = int(fit.blocks.bumps[0]), 9
    X = fit.rows.design[:, :n] * fit.rows.per_half[:, None]
    at = fit.rows.mid * fit.rows.per_half
    rough = np.diff(np.eye(n), 3, axis=0)
    H = np.zeros((n + q, n + q))
    H[:n, :n] = X.T @ (fit.rows.alpha[:, None] * X) + fit.blocks.lam[0] * rough.T @ rough
    g = np.r_[-X.T @ (fit.rows.alpha * at), np.ones(q)]
    constant = 0.5 * np.sum(fit.rows.alpha * at * at)
    eye = np.eye(q)
    border = np.c_[fit.blocks.border[0][:, :n], np.zeros((2, q))]
    inside = np.block([[X, -eye], [-X, -eye], [np.eye(n + q)]])
    upper = np.r_[at + fit.rows.high, fit.rows.low - at, np.full(n + q, np.inf)]
    lower = np.r_[np.full(2 * q, -np.inf), np.zeros(n + q)]
    u = fit.state.u[0, :n]
    r = X @ u - at
    slack = np.maximum(np.maximum(r - fit.rows.high, -r - fit.rows.low), 0.0) + 1e-3
    best = minimize(
        lambda x: 0.5 * x @ H @ x + g @ x + constant,
        np.r_[u, slack],
        jac=lambda x: H @ x + g,
        hess=lambda x: H,
        method="trust-constr",
        constraints=[LinearConstraint(border, 1.0, 1.0), LinearConstraint(inside, lower, upper)],
        options={"gtol": 1e-11, "xtol": 1e-14, "barrier_tol": 1e-11, "maxiter": 2000},
    )
    assert objective(fit, u, settings, n) == pytest.approx(best.fun, abs=1e-6)


def test_weights_are_a_density_with_the_right_forward():
    fit = mixture.fit_slice(*made_up()[:3])
    centre, width, weight = weights(fit.theta[0])
    assert weight.sum() == pytest.approx(1.0, abs=1e-14)
    assert weight @ np.exp(centre + 0.5 * width**2) == pytest.approx(1.0, abs=1e-14)


def test_the_density_integrates_to_the_prices():
    """A put is the integral of (K - S) q(S), by the trapezium rule on a fine grid of ln S, and g
    phi(d2)/sqrt(w) of the curve is that density."""
    fit = mixture.fit_slice(*made_up()[:3])
    centre, width, weight = weights(fit.theta[0])
    x = np.linspace(-1.5, 1.5, 30_001)
    d = (x[:, None] - centre) / width
    density = (weight * np.exp(-0.5 * d * d) / (width * np.sqrt(2.0 * np.pi))).sum(axis=1)
    k = np.array([-0.3, -0.1, -0.02])
    put = np.trapezoid(np.maximum(np.exp(k[:, None]) - np.exp(x), 0.0) * density, x)
    w, w1, w2 = MIXTURE.derivatives(k, fit.theta[0])
    np.testing.assert_allclose(otm_price(k, np.sqrt(w)), put, atol=1e-8)
    d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    implied = arbitrage.durrleman(k, w, w1, w2) * np.exp(-0.5 * d2 * d2) / np.sqrt(2 * np.pi * w)
    np.testing.assert_allclose(implied, np.interp(k, x, density), rtol=1e-6)


def test_derivatives_are_those_of_total_variance():
    """Central differences; a step of 1e-5 leaves about 1e-9 and 1e-6 on these scales."""
    theta = mixture.fit_slice(*made_up()[:3]).theta[0]
    k, h = np.linspace(-0.5, 0.3, 41), 1e-5
    w, w1, w2 = MIXTURE.derivatives(k, theta)
    up, down = (MIXTURE.derivatives(k + d, theta) for d in (h, -h))
    np.testing.assert_allclose(w, MIXTURE.total_variance(k, theta), rtol=1e-14)
    np.testing.assert_allclose(w1, (up[0] - down[0]) / (2 * h), atol=1e-7)
    np.testing.assert_allclose(w2, (up[1] - down[1]) / (2 * h), atol=1e-5)


def test_scaled_multiplies_total_variance():
    theta, k = mixture.fit_slice(*made_up()[:3]).theta[0], np.linspace(-0.3, 0.2, 9)
    half = MIXTURE.total_variance(k, MIXTURE.scaled(theta, 0.5))
    np.testing.assert_allclose(half, 0.5 * MIXTURE.total_variance(k, theta), rtol=1e-14)


def test_the_wings_are_finite_positive_and_obey_lee():
    """Far past any double a price could be: the variance there is that of the widest bump."""
    theta = mixture.fit_slice(*made_up()[:3]).theta[0]
    k = np.concatenate((-np.geomspace(0.3, 500.0, 60), np.geomspace(0.2, 500.0, 60)))
    w, w1, w2 = MIXTURE.derivatives(k, theta)
    assert np.all(w > 0.0) and np.all(np.isfinite(w2))
    assert np.all(np.abs(w1) < 2.0)
    assert np.all(arbitrage.durrleman(k, w, w1, w2) > 0.0)
    widest = weights(theta)[1].max() ** 2
    assert w[59] == pytest.approx(widest, rel=0.05) and w[-1] == pytest.approx(widest, rel=0.05)


@pytest.mark.parametrize("s", [1e-3, 0.1, 1.0])
def test_a_flat_smile_comes_back_flat(s):
    """Black's own prices, +-1 %: at the quotes within a tenth of it, half-way within it."""
    quotes = made_up(s, -3.0, 3.0, 31, 0.01, np.ones_like)
    fit = mixture.fit_slice(*quotes[:3])
    at = np.sqrt(MIXTURE.total_variance(quotes.k, fit.theta[0])) / s - 1.0
    between = 0.5 * (quotes.k[1:] + quotes.k[:-1])
    there = np.sqrt(MIXTURE.total_variance(between, fit.theta[0])) / s - 1.0
    assert fit.status[0] == Status.OK and fit.hits[0] == fit.quotes[0] == 31
    assert np.abs(there).max() < 0.01
    assert np.median(np.abs(at)) < 0.001


def test_its_own_prices_give_it_back():
    """Refitted on its own prices with spreads of a basis point of the vol, it moves by less."""
    first = mixture.fit_slice(*made_up()[:3])
    k = np.linspace(-0.4, 0.2, 60)
    vol = np.sqrt(MIXTURE.total_variance(k, first.theta[0]))
    again = mixture.fit_slice(k, *(otm_price(k, vol * (1 + d)) for d in (-1e-4, 1e-4)))
    moved = np.sqrt(MIXTURE.total_variance(k, again.theta[0])) / vol - 1.0
    assert np.abs(moved).max() < 1e-4


def test_a_real_chain_is_met_inside_its_spreads_and_free_of_arbitrage():
    """SPX, seven expiries: hits counted on every quote; g on 2,000 points a slice over 1.3 times
    the quoted range, the calendar on 2,000 points a pair over 1.3 times the union."""
    book = chain()
    fit = mixture.fit_joint([as_quotes(e) for e in book])
    hits = quotes = core_hits = core = 0
    for t, e in enumerate(book):
        vol = vols(fit, t, e["k"], e["years"])
        hit = (vol >= e["bid"]) & (vol <= e["ask"])
        z = e["k"] / (vols(fit, t, np.zeros(1), e["years"]) * np.sqrt(e["years"]))
        near = (z > -3.0) & (z < 2.0)
        hits, quotes = hits + hit.sum(), quotes + hit.size
        core_hits, core = core_hits + (hit & near).sum(), core + near.sum()
        low, high = e["k"][0], e["k"][-1]
        assert _lowest_g(fit.theta[t], low, high) > 0.0
        if t + 1 < len(book):
            later = book[t + 1]
            low, high = min(low, later["k"][0]), max(high, later["k"][-1])
            k = _wide(low, high)
            gap = MIXTURE.total_variance(k, fit.theta[t + 1]) - MIXTURE.total_variance(
                k, fit.theta[t]
            )
            assert gap.min() > 0.0, (t, k[gap.argmin()])
    assert hits >= 0.99 * quotes
    assert core_hits >= 0.995 * core


def test_every_second_strike_of_a_real_chain_predicts_the_others():
    book = chain()
    inside = total = 0
    for parity in (0, 1):
        fit = mixture.fit_joint([as_quotes(e, slice(parity, None, 2)) for e in book])
        for t, e in enumerate(book):
            rest = slice(1 - parity, None, 2)
            vol = vols(fit, t, e["k"][rest], e["years"])
            inside += ((vol >= e["bid"][rest]) & (vol <= e["ask"][rest])).sum()
            total += vol.size
    assert inside >= 0.97 * total


def _wide(low, high):
    middle, half = 0.5 * (low + high), 0.65 * (high - low)
    return np.linspace(middle - half, middle + half, 2000)


def _lowest_g(theta, low, high):
    k = _wide(low, high)
    return arbitrage.durrleman(k, *MIXTURE.derivatives(k, theta)).min()


def test_expiries_in_conflict_end_in_order():
    """The later expiry is quoted a tenth of the vol cheaper: order wins, and quotes are missed."""
    cheap = made_up(0.09)
    fit = mixture.fit_joint([made_up(0.1), cheap])
    assert (fit.status == Status.OK).all()
    assert fit.calendar[0] <= 0.0
    assert fit.hits.sum() < fit.quotes.sum()
    apart = mixture.fit_joint([made_up(0.1), cheap], settings=Settings(calendar=False))
    assert (apart.hits == apart.quotes).all()


@pytest.mark.parametrize("calendar", [False, True])
def test_a_warm_fit_is_the_cold_one(calendar):
    """The same program from another start: residuals agree to a quarter of a half spread."""
    settings = Settings(calendar=calendar, mu=1e-6)
    book = [as_quotes(e) for e in chain()]
    moved = [as_quotes(e | {s: e[s] * 1.003 for s in ("bid", "ask")}) for e in chain()]
    before = mixture.fit_joint(book, settings=settings)
    kept = before.state.u.copy(), before.theta.copy()
    warm = mixture.fit_joint(moved, previous=before, settings=settings)
    cold = mixture.fit_joint(moved, settings=settings)
    assert warm.design.words is before.design.words
    assert warm.design.links is before.design.links
    for t, quotes in enumerate(moved):
        part = slice(*warm.start[t : t + 2])
        assert np.abs(warm.residual[part] - cold.residual[part]).max() < 0.25, t
        assert quotes.k.size == part.stop - part.start
    assert (warm.hits >= cold.hits - 1).all()
    np.testing.assert_array_equal(kept[0], before.state.u)
    np.testing.assert_array_equal(kept[1], before.theta)


def test_a_dictionary_outlives_a_small_move_and_not_a_large_one():
    """Forwards a tenth of a deviation off keep it; a third more vol does not, nor new settings."""
    first = mixture.fit_joint([made_up(0.1), made_up(0.2)])

    def again(*shapes, **settings):
        return mixture.fit_joint(shapes, previous=first, settings=Settings(**settings)).design

    small = [q._replace(k=q.k + 0.01) for q in (made_up(0.1), made_up(0.2))]
    assert again(*small).words is first.design.words
    assert again(*small).links is first.design.links
    assert again(made_up(0.13), made_up(0.26)).words is not first.design.words
    assert again(made_up(0.1), made_up(0.2), margin=2e-3).words is not first.design.words


def test_only_the_expiry_whose_level_moved_gets_new_bumps():
    """The first expiry a third calmer; the others keep bumps and start, and every slice ends where
    a cold fit does."""
    first = mixture.fit_joint([made_up(0.1), made_up(0.2), made_up(0.3)])
    moved = [made_up(0.07), made_up(0.2), made_up(0.3)]
    again, cold = mixture.fit_joint(moved, previous=first), mixture.fit_joint(moved)
    assert again.design.kept.tolist() == [False, True, True]
    n = int(first.design.words.bumps[1])
    np.testing.assert_array_equal(
        again.design.words.centre[1, :n], first.design.words.centre[1, :n]
    )
    assert (again.status == Status.OK).all() and (again.hits == again.quotes).all()
    assert np.abs(again.residual - cold.residual).max() < 0.25


def test_the_same_quotes_give_the_same_bits():
    book = [as_quotes(e) for e in chain()[:3]]
    first, second = (mixture.fit_joint(book) for _ in range(2))
    np.testing.assert_array_equal(first.theta, second.theta)


def test_a_quote_without_a_bid_is_a_ceiling():
    quotes = made_up()
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    bid[0] = 0.0
    ask[0] *= 0.8  # below what the others say
    fit = mixture.fit_slice(quotes.k, bid, ask)
    price = otm_price(quotes.k, np.sqrt(MIXTURE.total_variance(quotes.k, fit.theta[0])))
    assert price[0] <= ask[0] * (1 + 1e-6)
    assert fit.quotes[0] == quotes.k.size - 1


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("s", [1e-4, 0.1, 3.0])
def test_few_quotes_and_extreme_vols_give_a_smile(count, s):
    quotes = made_up(s, -1.0, 1.0, count, 0.02) if count > 1 else made_up(s, 0.0, 0.0, 1, 0.02)
    fit = mixture.fit_slice(*quotes[:3])
    assert fit.status[0] == Status.OK
    assert fit.hits[0] == count
    k = np.linspace(-3.0 * s, 3.0 * s, 201)
    w, w1, w2 = MIXTURE.derivatives(k, fit.theta[0])
    assert np.all(arbitrage.durrleman(k, w, w1, w2) > 0.0)
    assert np.all((w > 0.05 * s * s) & (w < 20.0 * s * s))


def test_a_wild_quote_is_left_out_and_moves_nothing():
    """A stale ask and bid, 30 % off in vol: the others' vols move by less than half a spread."""
    quotes = made_up(count=41)
    clean = mixture.fit_slice(*quotes[:3])
    vol = np.sqrt(MIXTURE.total_variance(quotes.k, clean.theta[0]))
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    bid[10], ask[10] = otm_price(quotes.k[10:11], vol[10] * np.array([1.29, 1.31]))
    dirty = mixture.fit_slice(quotes.k, bid, ask)
    assert not dirty.used[10] and dirty.used.sum() == 40
    moved = np.sqrt(MIXTURE.total_variance(quotes.k, dirty.theta[0])) / vol - 1.0
    assert np.abs(moved).max() < 0.005
    again = mixture.fit_slice(quotes.k, bid, ask, previous=dirty)
    assert not again.used[10] and again.steps[0] <= dirty.steps[0]


def test_an_expiry_without_two_sides_is_left_out_with_a_status():
    nothing = Quotes(np.array([0.1, 0.2]), np.zeros(2), np.array([0.01, 0.005]))
    fit = mixture.fit_joint([made_up(0.1), nothing, made_up(0.2)])
    assert fit.status.tolist() == [Status.OK, Status.BAD_INPUT, Status.OK]
    assert np.isnan(fit.theta[1]).all() and not fit.used[25:27].any()
    empty = mixture.fit_joint([nothing])
    assert empty.status.tolist() == [Status.BAD_INPUT]


def test_leave_one_out_is_what_a_fit_without_the_quote_says():
    """To first order in the Newton system; refitting without each of five quotes is the truth."""
    quotes = made_up(count=25, share=0.01)
    jitter = 1.0 + 0.004 * np.resize([1.0, -1.0, 0.5, -0.5], 25)
    bid, ask = quotes.bid * jitter, quotes.ask * jitter
    fit = mixture.fit_slice(quotes.k, bid, ask)
    guess = errors(fit).loo
    for i in (4, 9, 12, 16, 20):
        rest = np.arange(25) != i
        without = mixture.fit_slice(quotes.k[rest], bid[rest], ask[rest])
        price = otm_price(
            quotes.k[i], np.sqrt(MIXTURE.total_variance(quotes.k[i], without.theta[0]))
        )
        truth = (price - 0.5 * (bid[i] + ask[i])) / (0.5 * (ask[i] - bid[i]))
        assert abs(truth) > abs(fit.residual[i]) - 0.02
        assert guess[i] == pytest.approx(truth, abs=0.25 * abs(truth) + 0.05)


@pytest.mark.parametrize("shift", [0.9, 1.2, 1.6, 3.0, 5.0])
def test_a_missed_quote_left_out_is_judged_by_a_fit_without_it(shift):
    """To first order its neighbours stay held at their spreads' edges: up to 0.9 half spreads less
    than a fit without it says."""
    quotes = made_up(count=31, share=0.01)
    half = 0.5 * (quotes.ask - quotes.bid)
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    bid[12], ask[12] = bid[12] + shift * half[12], ask[12] + shift * half[12]
    got = errors(mixture.fit_slice(quotes.k, bid, ask), refits=10).loo[12]
    rest = np.arange(31) != 12
    without = mixture.fit_slice(quotes.k[rest], bid[rest], ask[rest])
    price = otm_price(quotes.k[12], np.sqrt(MIXTURE.total_variance(quotes.k[12], without.theta[0])))
    truth = (price - 0.5 * (bid[12] + ask[12])) / half[12]
    assert got == pytest.approx(truth, abs=0.1)


def test_errors_grow_where_nothing_is_quoted():
    """In vol: larger at the edges of a gap and past the quotes than among them."""
    z = np.concatenate((np.linspace(-4.0, -2.0, 15), np.linspace(0.0, 2.0, 15)))
    vol = 0.1 * skewed(z)
    k = 0.1 * z
    fit = mixture.fit_slice(k, otm_price(k, vol * 0.99), otm_price(k, vol * 1.01))
    found = errors(fit)
    step = 1e-3 * np.ones_like(found.k)
    level = 0.1 * skewed(np.clip(found.k / 0.1, -4.0, 2.0))
    vega = (otm_price(found.k, level + step) - otm_price(found.k, level - step)) / (2.0 * step)
    sd = found.sd / np.maximum(vega, 1e-12)
    quoted = np.isin(found.k, k)
    within = np.median(sd[quoted])
    assert sd[quoted][[14, 15]].mean() > within  # on either side of the gap
    assert sd[0] > 2.0 * within and sd[-1] > 2.0 * within  # past the last quotes


@pytest.mark.parametrize(
    ("k", "bid", "ask", "words"),
    [
        ([0.1, 0.0], [0.1, 0.1], [0.2, 0.2], r"k\[1\] is 0 after 0.1 .* sort each slice"),
        ([0.0, 0.1], [0.3, 0.1], [0.2, 0.2], r"bid\[0\] is 0.3, above ask 0.2 .* drop crossed"),
        ([0.0, 0.1], [0.1], [0.2, 0.2], r"slice 0 has arrays of shapes .* equally long"),
        ([0.0, np.nan], [0.1, 0.1], [0.2, 0.2], r"k\[1\] is nan"),
    ],
)
def test_a_callers_mistake_is_named(k, bid, ask, words):
    with pytest.raises(InvalidInput, match=words):
        mixture.fit_slice(k, bid, ask)

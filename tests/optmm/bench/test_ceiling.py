"""The most that can be hit: known by construction, or by trying every subset of the quotes."""

import csv
from itertools import combinations, groupby

import numpy as np
import pytest
from scipy.optimize import linprog

from optmm.bench.ceiling import PricedQuotes, ceiling, ceilings
from surfaces.errors import InvalidInput
from surfaces.pricing import black
from surfaces.smiles.mixture import otm_price

REAL_CLEAN = 0.9987  # published for all 36 clean expiries; the table holds half of them
REAL_BAD = (0.82, 0.94)  # "the worst slices", which no model can help


def market(seed: int, n: int = 40, years: float = 0.25) -> PricedQuotes:
    """Quotes around a mixture of two lognormal prices, which is free of arbitrage."""
    rng = np.random.default_rng(seed)
    k = np.sort(rng.uniform(-0.4, 0.25, n))
    right = np.where(k >= 0.0, 1.0, -1.0)
    each = [
        black.price(right=right, forward=F, strike=np.exp(k), years=years, vol=v)
        for F, v in ((0.9, 0.35), (1.1, 0.15))
    ]
    mid = 0.5 * (each[0] + each[1])
    half = mid * rng.uniform(0.002, 0.05, n)
    shift = rng.uniform(-0.9, 0.9, n) * half
    return PricedQuotes(k, mid + shift - half, mid + shift + half, 0.3 * np.sqrt(years))


@pytest.mark.parametrize("seed", range(5))
def test_quotes_of_a_model_free_of_arbitrage_are_all_hit(seed):
    quotes = market(seed)
    got = ceiling(quotes.k, quotes.bid, quotes.ask, width=quotes.width)
    assert got.hits == got.quotes == 40 and got.inside.all() and got.rate == 1.0
    assert got.proven
    z = quotes.k / quotes.width
    assert got.core_quotes == got.core_hits == np.count_nonzero((z > -3.0) & (z < 2.0))


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_free_of_arbitrage_and_inside_what_it_claims(seed):
    """Slopes of the call between its strikes rise from at least -1 to at most 0."""
    quotes = broken(seed, 40, 6)
    got = ceiling(quotes.k, quotes.bid, quotes.ask)
    assert got.hits < got.quotes
    strike = np.concatenate(([0.0], np.exp(quotes.k)))
    call = np.concatenate(([1.0], got.price + np.maximum(1.0 - strike[1:], 0.0)))
    slope = np.diff(call) / np.diff(strike)
    assert slope[0] >= -1.0 - 1e-9 and slope[-1] <= 1e-9 and np.diff(slope).min() > -1e-7
    inside = (got.price >= quotes.bid * (1 - 1e-8)) & (got.price <= quotes.ask * (1 + 1e-8))
    np.testing.assert_array_equal(inside, got.inside)


def broken(seed: int, n: int, bad: int) -> PricedQuotes:
    """`market` with `bad` quotes moved by up to ten spreads, up or down."""
    quotes = market(seed, n)
    rng = np.random.default_rng(seed + 100)
    at = rng.choice(n, bad, replace=False)
    half = 0.5 * (quotes.ask - quotes.bid)
    move = np.zeros(n)
    move[at] = (rng.uniform(2.0, 20.0, bad) * half[at]) * rng.choice([-1.0, 1.0], bad)
    move = np.maximum(move, -0.9 * quotes.bid)
    return PricedQuotes(quotes.k, quotes.bid + move, quotes.ask + move, quotes.width)


def feasible(quotes: PricedQuotes, some: tuple[int, ...]) -> bool:
    """Whether calls inside these quotes exist: a density on their strikes and one far away.

    Any convex price is met at n strikes by point masses on them, one below and one above: another
    form of the same theorem, in other unknowns.
    """
    at = np.array(some)
    strike = np.exp(quotes.k[at])
    mass_at = np.concatenate(([0.0], strike, [1e3]))
    call = np.maximum(mass_at[None, :] - strike[:, None], 0.0)
    low, high = (side[at] + np.maximum(1.0 - strike, 0.0) for side in (quotes.bid, quotes.ask))
    found = linprog(
        np.zeros(mass_at.size),
        A_ub=np.vstack((call, -call)),
        b_ub=np.concatenate((high + 1e-9, 1e-9 - low)),
        A_eq=np.vstack((np.ones_like(mass_at), mass_at)),
        b_eq=[1.0, 1.0],
    )
    return found.status == 0


@pytest.mark.parametrize("seed", range(16))
def test_planted_violations_cost_exactly_what_every_subset_says(seed):
    """Nine quotes, three of them moved: the largest subset that can be priced together."""
    n = 9
    quotes = broken(seed, n, 3)
    got = ceiling(quotes.k, quotes.bid, quotes.ask)
    most = next(
        size
        for size in range(n, 0, -1)
        if any(feasible(quotes, some) for some in combinations(range(n), size))
    )
    assert got.hits == most and got.proven


def test_a_vertical_and_a_butterfly_cost_one_quote_each():
    """A call dearer than the one at the strike below, far from a put that bulges."""
    k = np.linspace(-0.3, 0.3, 31)
    price = otm_price(k, np.full(k.size, 0.12))
    price[25] = 1.5 * price[24]
    price[5] *= 2.0
    got = ceiling(k, price * 0.999, price * 1.001, width=0.12)
    assert got.hits == 29 and not got.inside[[5, 25]].any()


def test_a_quote_without_a_bid_is_neither_counted_nor_in_the_way():
    k = np.linspace(-0.2, 0.2, 21)
    price = otm_price(k, np.full(k.size, 0.1))
    bid, ask = 0.99 * price, 1.01 * price
    bid[[0, 20]] = [np.nan, 0.0]
    ask[[0, 20]] *= 1e-3
    got = ceiling(k, bid, ask, width=0.1)
    assert got.quotes == got.hits == 19 and not got.inside[[0, 20]].any()


def test_nothing_quoted_has_no_rate():
    got = ceiling([], [], [])
    assert got.quotes == 0 and np.isnan(got.rate)


def test_a_calendar_costs_the_lesser_of_two_that_exclude_each_other():
    """A longer expiry two per cent lower in vol everywhere: each strike can be hit in one only."""
    k = np.linspace(-0.2, 0.2, 21)
    prices = [otm_price(k, np.full(21, s)) for s in (0.100, 0.098)]
    slices = [PricedQuotes(k, 0.999 * p, 1.001 * p, 0.1) for p in prices]
    slices[1] = PricedQuotes(*(a[:14] for a in (k, slices[1].bid, slices[1].ask)), 0.1)
    apart, joint = ceilings(slices), ceilings(slices, calendar=True)
    assert [c.hits for c in apart] == [21, 14]
    assert sum(c.hits for c in joint) == 21 and not joint[0].proven
    both = [c.price[:14] for c in joint]
    assert np.min(both[1] - both[0]) >= -1e-9


def test_a_calendar_that_holds_costs_nothing():
    """Truth 0.10 then 0.105 of total vol, strikes that the two expiries do not share."""
    slices = []
    for s, k in ((0.10, np.linspace(-0.2, 0.2, 17)), (0.105, np.linspace(-0.33, 0.26, 23))):
        price = otm_price(k, np.full(k.size, s))
        slices.append(PricedQuotes(k, 0.999 * price, 1.001 * price, s))
    assert [c.rate for c in ceilings(slices, calendar=True)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("k", "bid", "ask", "words"),
    [
        ([0.0, 0.1], [1.0], [2.0], r"arrays of shapes \(2,\), \(1,\), \(1,\)"),
        ([0.1, 0.0], [0.1, 0.1], [0.2, 0.2], r"k\[1\] is 0 after 0.1 \(1 such places\)"),
        ([0.0, 0.1], [0.1, 0.3], [0.2, 0.2], r"bid\[1\] is 0.3, above ask 0.2 \(1 of 2"),
        ([0.0, np.nan], [0.1, 0.1], [0.2, 0.2], r"k\[1\] is nan"),
    ],
)
def test_wrong_quotes_are_named(k, bid, ask, words):
    with pytest.raises(InvalidInput, match=words):
        ceiling(k, bid, ask)


@pytest.mark.real
def test_the_spx_chain_has_the_published_maximum(shared_data):
    """Clean expiries to the published 99.87 %; the worst of the others are as bad as published."""
    path = shared_data.parent / "reference" / "surfaces" / "spx_20241111_otm_quotes.csv"
    if not path.is_file():
        pytest.skip("the reference chain is not here: put it in ../shared/reference/surfaces")
    with path.open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    rates: dict[str, list[float]] = {"0": [], "1": []}
    counts = np.zeros(2, int)
    for (years, clean), rows in groupby(table, key=lambda r: (float(r["T"]), r["clean"])):
        k, bid, ask = np.array([[float(r[c]) for c in ("k", "bid_iv", "ask_iv")] for r in rows]).T
        got = ceiling(k, *(otm_price(k, vol * np.sqrt(years)) for vol in (bid, ask)))
        rates[clean].append(got.rate)
        counts += [got.hits, got.quotes] if clean == "1" else [0, 0]
    assert counts[0] / counts[1] == pytest.approx(REAL_CLEAN, abs=1e-3)
    assert REAL_BAD[0] - 0.005 < min(rates["0"]) < REAL_BAD[1]

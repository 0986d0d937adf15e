"""The inventory limit against an adversary who picks where, which side and how much to fill."""

import itertools
import math

import numpy as np
import pytest

from optmm.errors import UsageError
from optmm.risk import limits
from optmm.risk.limits import Binding

LIMIT = 1e7


def draw(rng, n=14, scenarios=9, slices=3):
    """A random market: calls and puts of mixed deltas, with scenario P&L of either sign."""
    return limits.unit_risk(
        delta_usd=rng.normal(0.0, 2e4, n),
        premium_usd=rng.gamma(1.0, 800.0, n),
        scenario_pnl=rng.normal(0.0, 4e3, (n, scenarios)) + rng.normal(0.0, 3e3, (n, 1)),
        vega_usd_per_volpt=rng.gamma(2.0, 20.0, n),
        theta_usd_per_day=-rng.gamma(2.0, 15.0, n),
        slice_of=rng.integers(0, slices, n),
        slices=slices,
    )


def greek_use(lots, unit):
    """Vega and theta of the book and of the fullest expiry."""
    out = []
    for values in (unit.vega, unit.theta):
        by = [abs(float(np.sum((lots * values)[unit.slice_of == j]))) for j in range(unit.slices)]
        out += [abs(float(np.sum(lots * values))), max(by)]
    return np.array(out)


HARD = limits.Limits(
    inventory_usd=LIMIT, vega_usd_per_volpt=9e4, vega_expiry_usd_per_volpt=5e4,
    theta_usd_per_day=8e4, theta_expiry_usd_per_day=4e4,
)  # fmt: skip
GREEK_LIMITS = np.array([9e4, 5e4, 8e4, 4e4])


def worst_sequences(lots, unit, caps, fills):
    """For every function that matters, the bids and asks that raise it most, all the way."""
    columns = list(unit.rising)
    columns += [unit.vega, -unit.vega, unit.theta, -unit.theta]
    columns += [
        sign * np.where(unit.slice_of == j, values, 0.0)
        for j in range(unit.slices)
        for values in (unit.vega, unit.theta)
        for sign in (1, -1)
    ]
    columns += [np.sign(lots) * unit.premium_usd, unit.premium_usd, -unit.premium_usd]
    for column in columns:
        bid = int(np.argmax(column * caps.bid_lots))
        ask = int(np.argmax(-column * caps.ask_lots))
        yield [(bid, 1)] * fills + [(ask, -1)] * fills


@pytest.mark.parametrize("seed", range(25))
def test_no_sequence_of_fills_leaves_a_limit(seed):
    """Random and worst-case sequences, whole and partial fills, checked after every fill."""
    rng = np.random.default_rng(seed)
    unit = draw(rng)
    n, fills = unit.premium_usd.size, int(rng.integers(1, 6))
    lots = np.round(rng.normal(0.0, 1.0, n) * rng.uniform(0.0, 300.0))
    while (
        limits.inventory(lots, unit).total_usd > LIMIT
        or (greek_use(lots, unit) > GREEK_LIMITS).any()
    ):
        lots = np.trunc(lots / 2)
    caps = limits.caps(lots, unit, limits=HARD, fills_before_purge=fills, max_lots=10_000)
    sequences = list(worst_sequences(lots, unit, caps, fills))
    for _ in range(60):
        moves = [(int(i), s) for s in (1, -1) for i in rng.integers(0, n, fills)]
        sequences.append([moves[i] for i in rng.permutation(len(moves))])
    for sequence in sequences:
        book = lots.copy()
        for row, side in sequence:
            cap = int((caps.bid_lots if side > 0 else caps.ask_lots)[row])
            book[row] += side * (cap if rng.random() < 0.7 else rng.integers(0, cap + 1))
            assert limits.inventory(book, unit).total_usd <= LIMIT, sequence
            assert (greek_use(book, unit) <= GREEK_LIMITS).all(), sequence


@pytest.mark.parametrize("seed", range(40))
def test_gross_premium_alone_with_every_fill_in_one_option(seed):
    """Selling through a long position into a short one: only the last lots count."""
    rng = np.random.default_rng(300 + seed)
    fills = int(rng.integers(1, 5))
    premium = rng.gamma(2.0, 5_000.0, 4)
    zero = np.zeros(4)
    unit = limits.unit_risk(delta_usd=zero, premium_usd=premium, scenario_pnl=zero[:, None])
    lots = np.trunc(rng.dirichlet(np.ones(4)) * rng.choice([-1, 1], 4) * LIMIT / premium)
    only = limits.Limits(inventory_usd=LIMIT)
    caps = limits.caps(lots, unit, limits=only, fills_before_purge=fills, max_lots=10**6)
    assert (np.maximum(caps.bid_lots, caps.ask_lots) > 0).any()
    for row, bids, asks in itertools.product(range(4), range(fills + 1), range(fills + 1)):
        book = lots.copy()
        book[row] += bids * caps.bid_lots[row] - asks * caps.ask_lots[row]
        assert limits.inventory(book, unit).total_usd <= LIMIT


@pytest.mark.parametrize("seed", range(6))
def test_every_sequence_of_a_small_book_exhaustively(seed):
    """Three options, two fills a side, every order and every size from zero to the cap's ends."""
    rng = np.random.default_rng(100 + seed)
    unit = draw(rng, n=3, scenarios=4, slices=1)
    lots = np.round(rng.normal(0.0, 150.0, 3))
    only = limits.Limits(inventory_usd=LIMIT)
    while limits.inventory(lots, unit).total_usd > LIMIT:
        lots = np.trunc(lots / 2)
    caps = limits.caps(lots, unit, limits=only, fills_before_purge=2, max_lots=100_000)
    choices = [(row, part) for row in range(3) for part in (0.0, 0.5, 1.0)]
    for bids in itertools.product(choices, repeat=2):
        for asks in itertools.product(choices, repeat=2):
            book = lots.copy()
            for row, part in bids:
                book[row] += math.floor(part * caps.bid_lots[row])
            for row, part in asks:
                book[row] -= math.floor(part * caps.ask_lots[row])
            assert limits.inventory(book, unit).total_usd <= LIMIT


@pytest.mark.parametrize("seed", range(10))
def test_a_book_over_its_limit_can_only_come_down(seed):
    """Spot moved: the position is too large. No allowed sequence makes any broken measure worse."""
    rng = np.random.default_rng(200 + seed)
    unit = draw(rng)
    lots = np.round(rng.normal(0.0, 400.0, 14))
    only = limits.Limits(inventory_usd=0.5 * limits.inventory(lots, unit).total_usd)
    caps = limits.caps(lots, unit, limits=only, fills_before_purge=3, max_lots=10_000)
    start = limits.inventory(lots, unit)
    for _ in range(100):
        book = lots.copy()
        for side in (1, -1):
            for row in rng.integers(0, 14, 3):
                cap = int((caps.bid_lots if side > 0 else caps.ask_lots)[row])
                book[row] += side * cap
        got = limits.inventory(book, unit)
        for name in ("delta_usd", "premium_usd", "stress_usd"):
            bound = max(getattr(start, name), only.inventory_usd)
            assert getattr(got, name) <= bound * (1 + 1e-12), name


def one(delta=0.0, premium=0.0, pnl=(0.0,), vega=0.0, theta=0.0):
    return limits.unit_risk(
        delta_usd=[delta], premium_usd=[premium], scenario_pnl=[list(pnl)],
        vega_usd_per_volpt=[vega], theta_usd_per_day=[theta], slice_of=[0], slices=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "bid", "ask", "codes"),
    [
        # 10 M over 2 x 5 fills is 1 M a fill.
        (one(delta=25_000.0), 39, 39, (Binding.DELTA, Binding.DELTA)),
        (one(premium=3_000.0), 333, 333, (Binding.PREMIUM, Binding.PREMIUM)),
        # A long option loses at most 2,000 in a scenario, a short one 7,000.
        (one(pnl=(-2_000.0, 7_000.0)), 499, 142, (Binding.STRESS, Binding.STRESS)),
        (one(premium=1.0), 1000, 1000, (Binding.NONE, Binding.NONE)),
    ],
)
def test_caps_of_a_flat_book_by_hand(unit, bid, ask, codes):
    """Whole lots below the quotient: 1e6 / 25,000 = 40 less the slack kept for rounding."""
    got = limits.caps([0], unit, limits=limits.Limits(), fills_before_purge=5, max_lots=1000)
    assert (got.bid_lots[0], got.ask_lots[0]) == (bid, ask)
    assert (got.bid_binding[0], got.ask_binding[0]) == codes


def test_what_reduces_may_be_larger_than_what_adds():
    """Long 8 M of delta: 2 M is left to buy with and 18 M to sell with, over ten fills."""
    unit = one(delta=10_000.0)
    got = limits.caps([800], unit, limits=limits.Limits(), fills_before_purge=5, max_lots=10_000)
    assert (got.bid_lots[0], got.ask_lots[0]) == (19, 179)
    # Premium alone: 8 M held; 2 M / 10 a fill, and what is held may be sold twice over five fills.
    unit = one(premium=10_000.0)
    got = limits.caps([800], unit, limits=limits.Limits(), fills_before_purge=5, max_lots=10_000)
    assert (got.bid_lots[0], got.ask_lots[0]) == (19, 19 + 320)


@pytest.mark.parametrize(
    ("greek", "setting", "binding"),
    [
        ("vega", "vega_usd_per_volpt", Binding.VEGA),
        ("vega", "vega_expiry_usd_per_volpt", Binding.VEGA_EXPIRY),
        ("theta", "theta_usd_per_day", Binding.THETA),
        ("theta", "theta_expiry_usd_per_day", Binding.THETA_EXPIRY),
    ],
)
def test_each_greek_limit_trips_alone(greek, setting, binding):
    """Long 70 of 100: 30 to go up, 170 to go down, over two fills each way."""
    unit = one(**{greek: 1.0})
    book = limits.Limits(**{setting: 100.0})
    got = limits.caps([70], unit, limits=book, fills_before_purge=1, max_lots=1000)
    assert (got.bid_lots[0], got.ask_lots[0]) == (14, 84)
    assert got.bid_binding[0] == got.ask_binding[0] == binding
    names = {state.binding: state for state in limits.states([90], unit, limits=book)}
    assert names[binding].state == "soft"
    assert names[binding].used == 90.0
    over = {s.binding: s.state for s in limits.states([101], unit, limits=book)}
    assert over == {Binding.DELTA: "ok", Binding.PREMIUM: "ok", Binding.STRESS: "ok",
                    binding: "hard"}  # fmt: skip


def test_inventory_names_the_largest_measure():
    unit = limits.unit_risk(
        delta_usd=[10.0, -30.0], premium_usd=[5.0, 7.0], scenario_pnl=[[-1.0, 1.0], [2.0, -3.0]]
    )
    got = limits.inventory([2, -1], unit)
    assert (got.delta_usd, got.premium_usd, got.stress_usd) == (50.0, 17.0, 4.0)
    assert (got.total_usd, got.binding) == (50.0, Binding.DELTA)
    assert limits.inventory([0, 0], unit).total_usd == 0.0


def test_an_option_without_figures_is_not_quoted_and_a_position_in_it_stops_everything():
    delta = np.array([1.0, np.nan])
    unit = limits.unit_risk(delta_usd=delta, premium_usd=[1.0, 1.0], scenario_pnl=np.zeros((2, 1)))
    got = limits.caps([5, 0], unit, limits=limits.Limits(), fills_before_purge=1, max_lots=50)
    assert got.bid_lots.tolist() == [50, 0]
    assert got.ask_binding.tolist() == [Binding.NONE, Binding.UNKNOWN]
    assert limits.inventory([5, 1], unit).total_usd == math.inf
    got = limits.caps([5, 1], unit, limits=limits.Limits(), fills_before_purge=1, max_lots=50)
    assert got.bid_lots.tolist() == got.ask_lots.tolist() == [0, 0]
    before = limits.unit_risk(
        delta_usd=[1.0, 3.0], premium_usd=[1.0, 1.0], scenario_pnl=np.zeros((2, 1))
    )
    assert limits.inventory([5, 1], limits.carry_forward(unit, before)).delta_usd == 8.0


def test_every_code_has_a_text_and_bad_settings_are_refused():
    assert set(limits.TEXT) == set(Binding)
    with pytest.raises(UsageError, match="fills_before_purge is 0, must be >= 1"):
        limits.caps([0], one(), limits=limits.Limits(), fills_before_purge=0, max_lots=1)
    with pytest.raises(UsageError, match="inventory_usd is 0, must be > 0"):
        limits.Limits(inventory_usd=0.0)
    with pytest.raises(UsageError, match="soft_share is 2, must be in"):
        limits.Limits(soft_share=2.0)
    with pytest.raises(UsageError, match="premium_usd is negative"):
        one(premium=-1.0)

"""Rules of a moving surface against a forward equation on fixed local volatilities, and identities.

The equation is Dupire's for undiscounted calls in x = ln K, C_T = local^2 (C_xx - C_x) / 2, solved
here by a scheme that shares nothing with the code under test.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import solve_banded

from surfaces import dynamics, fit
from surfaces.errors import InvalidInput
from surfaces.local_vol import LocalVol, dupire
from surfaces.moving import moved
from surfaces.pricing import implied

POINTS, STEPS = 801, 120
WIDTH = 1.6


def implied_vols(local, start, times, k, width=WIDTH):
    """Vols (times, k) at ln K = start + k of a spot exp(start) under `local(t, x)`."""
    x = start + np.linspace(-width, width, POINTS)
    h = x[1] - x[0]
    calls = np.maximum(np.exp(start) - np.exp(x), 0.0)
    out, now = [], 0.0
    for until in times:
        steps = np.linspace(now**0.5, until**0.5, STEPS + 1) ** 2  # small ones near the kink
        for i, (t0, t1) in enumerate(pairwise(steps)):
            half = now == 0.0 and i < 4  # the first ones implicit, against the kink
            theta = 1.0 if half else 0.5
            a = 0.5 * local(0.5 * (t0 + t1), x[1:-1]) ** 2 * (t1 - t0)
            down, mid, up = a * (1 / h**2 + 0.5 / h), -2 * a / h**2, a * (1 / h**2 - 0.5 / h)
            change = down * calls[:-2] + mid * calls[1:-1] + up * calls[2:]
            bands = np.zeros((3, POINTS - 2))
            bands[0, 1:], bands[2, :-1] = -theta * up[:-1], -theta * down[1:]
            bands[1] = 1.0 - theta * mid
            right = calls[1:-1] + (1.0 - theta) * change
            right[0] += theta * down[0] * calls[0]
            right[-1] += theta * up[-1] * calls[-1]
            calls[1:-1] = solve_banded((1, 1), bands, right)
        now = until
        price = np.interp(start + k, x, calls)
        at = np.clip(np.searchsorted(x, start + k), 2, POINTS - 3)
        for n, (i, where) in enumerate(zip(at, start + k, strict=True)):  # cubic, not linear
            near = slice(i - 2, i + 2)
            price[n] = np.polyval(np.polyfit(x[near] - where, calls[near], 3), 0.0)
        put = k < 0.0
        price[put] -= np.exp(start) - np.exp(start + k[put])
        found = implied.vol(
            price=price, right=np.where(put, -1, 1), forward=np.exp(start),
            strike=np.exp(start + k), years=until,
        )  # fmt: skip
        out.append(found.vol)
    return np.array(out)


def made(skew, power, slope_of_level):
    """A local vol: level and skew with a term structure, bounded in x."""

    def local(t, x):
        level = 0.2 + slope_of_level * np.exp(-2.0 * t)
        return level + skew * (t + 0.02) ** -power * 0.6 * np.tanh(x / 0.6)

    return local


TIMES = np.array([0.01, 0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0])
H = 0.01


def ratios(local):
    """(R of the equation, R of the formula), by time."""
    k = np.array([-H, 0.0, H])
    now, after = (implied_vols(local, start, TIMES, k) for start in (0.0, H))
    before = implied_vols(local, -H, TIMES, k)
    slope = (after[:, 1] - before[:, 1]) / (2 * H)
    skew = (now[:, 2] - now[:, 0]) / (2 * H)
    return slope / skew, dynamics.local_vol_ratio(TIMES, now[:, 1], skew)


@pytest.mark.parametrize(
    ("power", "level"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.1), (0.4, -0.08), (-0.3, -0.05)]
)
def test_local_vol_ratio_is_that_of_a_forward_equation(power, level):
    """Allowed: what is unknown before the first expiry, and terms of second order, w/3."""
    want, got = ratios(made(-0.04, power, level))
    unknown = 1.1 * abs(want[0] - 2.0) + 0.004
    assert (np.abs(got - want) < unknown + (0.2 + max(level, 0.0)) ** 2 * TIMES / 3.0).all()
    assert got[0] == 2.0
    if power == level == 0.0:
        np.testing.assert_allclose(got, 2.0, atol=0.02)
    elif power > 0.0 >= level:
        assert got[-1] > 2.3  # a skew that decays makes spot weigh more
    else:
        assert got[-1] < 1.95 or power > 0.0


def test_square_root_decay_of_skew_makes_three_and_no_decay_two():
    """Bergomi (2016): R = (2 - g) / (1 - g) for a skew that falls as T^-g, level flat."""
    years = np.geomspace(1e-6, 2.0, 4000)
    for power in (0.0, 0.3, 0.5):
        got = dynamics.local_vol_ratio(years, np.full(years.size, 0.2), -0.1 * years**-power)
        assert got[-1] == pytest.approx((2.0 - power) / (1.0 - power), rel=2e-3)


def test_ratio_does_not_ask_for_order_and_says_nan_where_it_knows_nothing():
    years, vol, skew = np.array([0.5, 0.1, 1.0]), np.array([0.2, 0.25, 0.19]), -np.ones(3)
    got = dynamics.local_vol_ratio(years, vol, skew)
    back = dynamics.local_vol_ratio(years[::-1], vol[::-1], skew[::-1])
    np.testing.assert_array_equal(got, back[::-1])
    assert got[1] == 2.0
    holes = dynamics.local_vol_ratio([0.1, 0.2, 0.5], [0.2, np.nan, 0.2], [-0.1, -0.1, 0.0])
    assert np.isnan(holes[1])
    assert holes[0] == holes[2] == 2.0


def test_ratios_of_unequal_lengths_or_of_text_are_refused():
    """Unequal lengths used to be an IndexError, or to broadcast."""
    with pytest.raises(InvalidInput, match=r"skew has shape \(1,\) and years \(2,\): give one row"):
        dynamics.local_vol_ratio([0.1, 0.2], [0.2, 0.2], [-0.1])
    with pytest.raises(InvalidInput, match=r"years has shape \(\) and years \(\): give one row"):
        dynamics.local_vol_ratio(0.1, [0.2, 0.2], [-0.1, -0.1])
    with pytest.raises(InvalidInput, match=r"skew is .*, must be a number or numbers"):
        dynamics.local_vol_ratio([0.1], [0.2], ["steep"])
    with pytest.raises(InvalidInput, match=r"path has shape \(1,\) and years \(2,\)"):
        dynamics.local_vol_ratios(
            years=[0.1, 0.2], atm_vol=[0.2, 0.2], skew=[-0.1, -0.1], path=["svi"], quotes=[9, 9]
        )


@pytest.mark.parametrize("move", [-0.06, 0.04])
def test_harmonic_mean_reprices_a_short_date_after_a_large_move(move):
    """Local vol 0.25 - 0.12 tanh(x / 0.1): the first order is off by twenty times as much."""

    def local(t, x):
        return 0.25 - 0.12 * np.tanh(x / 0.1)

    at = np.array([0.02])
    k = np.linspace(-0.10, 0.10, 81)
    today = implied_vols(local, 0.0, at, k, 0.4)[0]
    mine = np.abs(k - move) < 0.035
    want = implied_vols(local, move, at, k[mine] - move, 0.4)[0]
    got = dynamics.harmonic(lambda x: np.interp(x, k, today), k[mine], move)
    skew = (np.interp(1e-3, k, today) - np.interp(-1e-3, k, today)) / 2e-3
    first = today[mine] + skew * move
    assert np.abs(got - want).max() < 0.05 * np.abs(first - want).max()
    # what is left is of the order of w: the mean is the limit of no time
    assert np.abs(got - want).max() < 0.25 * (0.25**2 * at[0])


@pytest.mark.parametrize("move", [-0.05, 0.03])
def test_harmonic_mean_holds_in_the_wing_of_a_steep_smile(move):
    """Six deviations out the vol moves by up to 15 points, five times what the first order says."""

    def local(t, x):
        return 0.13 + np.where(x < 0.0, np.minimum(-2.4 * x + 10.0 * x * x, 1.2), 0.3 * x)

    at, k = np.array([0.05]), np.linspace(-0.2, 0.06, 53)
    today = implied_vols(local, 0.0, at, k, 0.9)[0]
    mine = k > -0.18
    want = implied_vols(local, move, at, k[mine] - move, 0.9)[0]
    got = dynamics.harmonic(lambda x: np.interp(x, k, today), k[mine], move)
    # exact as w goes to zero: w is up to 0.4^2 x 0.05 = 0.008 here and twice that after the move
    np.testing.assert_allclose(got, want, rtol=0.02)
    assert np.abs(want - today[mine]).max() > 0.04


@pytest.fixture
def surface(european):
    """A fitted surface with a skew that decays, four expiries."""
    world = european()
    return fit(world.frame(), valuation_ns=world.now_ns, spot=world.spot, rate=world.rate)


def test_sticky_strike_leaves_every_strike_alone(surface):
    strike, years = np.array([[450.0], [500.0], [540.0]]), np.array([0.05, 0.1, 0.5])
    got = dynamics.vol_after(
        surface, spot=470.0, strike=strike, years=years, rule="sticky_strike"
    )  # fmt: skip
    np.testing.assert_array_equal(got, surface.vol(strike, years))
    change = dynamics.vol_change(
        surface, spot=470.0, strike=strike, years=years, rule="sticky_strike"
    )  # fmt: skip
    np.testing.assert_array_equal(change, 0.0)


def test_sticky_moneyness_slides_the_smile_with_spot(surface):
    """vol'(K S'/S) = vol(K): at equal moneyness nothing changes, however far spot goes."""
    strike, years = np.array([[450.0], [500.0], [540.0]]), np.array([0.05, 0.1, 0.5])
    for spot in (430.0, 515.0):
        got = dynamics.vol_after(
            surface, spot=spot, strike=strike * spot / surface.spot, years=years,
            rule="sticky_moneyness",
        )  # fmt: skip
        np.testing.assert_allclose(got, surface.vol(strike, years), rtol=1e-12)


@pytest.mark.parametrize("rule", [0.0, 1.0, 1.3, 2.0, "sticky_moneyness", "sticky_strike"])
def test_every_rule_moves_the_money_by_its_ratio(surface, rule):
    """Slope of vol at a strike at the forward in ln S, by central differences: (R - 1) skew."""
    h = 1e-4
    ratio = dynamics.stickiness(surface, rule)
    up, down = (
        dynamics.vol_after(
            surface, spot=surface.spot * np.exp(d), strike=surface.forwards, years=surface.years,
            rule=rule,
        )
        for d in (h, -h)
    )  # fmt: skip
    slope = (up - down) / (2 * h)
    np.testing.assert_allclose(slope, (ratio - 1.0) * surface.skew, atol=2e-4)
    np.testing.assert_array_equal(ratio, dynamics.ratio_of(rule))


@pytest.mark.parametrize("rule", [1.3, "sticky_moneyness", "sticky_strike"])
def test_slope_of_each_strike_is_the_derivative_of_its_vol_after(surface, rule):
    """Central differences in ln S, into both wings."""
    h = 1e-4
    k = np.array([[-0.12], [-0.03], [0.002], [0.05]])
    strike = surface.forwards * np.exp(k * np.sqrt(surface.years / 0.3))
    up, down = (
        dynamics.vol_after(
            surface, spot=surface.spot * np.exp(d), strike=strike, years=surface.years, rule=rule
        )
        for d in (h, -h)
    )
    got = dynamics.vol_slope(surface, strike=strike, years=surface.years, rule=rule)
    np.testing.assert_allclose(got, (up - down) / (2 * h), atol=1e-3)
    money = dynamics.vol_slope(surface, strike=surface.forwards, years=surface.years, rule=rule)
    ratio = dynamics.stickiness(surface, rule)
    np.testing.assert_allclose(money, (ratio - 1.0) * surface.skew, atol=2e-4)


@pytest.mark.parametrize("rule", ["local_vol", "sticky_local_vol"])
def test_slope_under_local_vol_is_that_of_the_harmonic_mean_and_of_r(surface, rule):
    """Its own first order; the forward equation's slope at the money is within a fifth of it."""
    h = 1e-4
    k = np.array([[-0.12], [-0.03], [0.002], [0.05]]) * np.sqrt(surface.years / 0.3)
    ratio = dynamics.stickiness(surface, rule)
    assert ratio[0] == 2.0
    assert (ratio[1:] > 2.0).all()  # this world's skew decays with the root of time
    up, down = (
        dynamics.harmonic(
            lambda x: np.sqrt(surface.total_variance(x, surface.years) / surface.years), k, d
        )
        for d in (h, -h)
    )
    want = (up - down) / (2 * h) + (ratio - 2.0) * surface.skew
    at = {"strike": surface.forwards * np.exp(k), "years": surface.years, "rule": rule}
    np.testing.assert_allclose(dynamics.vol_slope(surface, **at), want, atol=1e-3)
    money = {**at, "strike": surface.forwards}
    slope = dynamics.vol_slope(surface, **money)
    np.testing.assert_allclose(slope, (ratio - 1.0) * surface.skew, atol=2e-4)
    up, down = (
        dynamics.vol_after(surface, spot=surface.spot * np.exp(d), **money) for d in (0.01, -0.01)
    )
    # both are (R - 1) skew, R of about 2.5 and right to first order: see the test of the ratio
    np.testing.assert_allclose((up - down) / 0.02, slope, rtol=0.2)
    one = dynamics.vol_slope(
        surface, strike=surface.forwards[1], years=surface.years[1], rule=rule
    )  # fmt: skip
    assert one == pytest.approx(slope[1], rel=1e-9)  # of single numbers too


@pytest.mark.parametrize("move", [-0.08, 0.05])
def test_vol_after_on_fixed_local_vols_is_that_of_a_forward_equation(surface, move):
    """The rule promised to price every option again, and was the harmonic mean of short dates: on
    the SPX 3 vol points short after a fall of 5 % and 8 after as large a rise."""
    local = dupire(surface).filled()
    deviations = np.array([-1.5, -0.7, 0.0, 0.7])
    spot = surface.spot * np.exp(move)
    for j, years in enumerate(surface.years):
        k = deviations * surface.atm_vol[j] * np.sqrt(years)
        want, today = (
            implied_vols(lambda t, x: local.at(x, t), start, surface.years[: j + 1], at, 1.2)[j]
            for start, at in ((move, k), (0.0, k + move))
        )
        at = {"strike": surface.forwards[j] * np.exp(k + move), "years": years}
        got = dynamics.vol_change(
            surface, spot=spot, **at, rule="sticky_local_vol", local_vol=local
        )  # fmt: skip
        assert np.abs(want - today).max() > 0.005
        np.testing.assert_allclose(got, want - today, atol=5e-4)
        alone = dynamics.vol_change(surface, spot=spot, **at, rule="local_vol")
        np.testing.assert_array_equal(alone, got)


def test_vol_after_takes_no_local_vol_with_holes(surface):
    local = dupire(surface).filled()
    vol, flag = np.array(local.vol), np.array(local.flag)
    vol[3, 5], flag[3, 5] = np.nan, 1
    holed = LocalVol(local.years, local.k, vol, flag)
    with pytest.raises(InvalidInput, match="Choose what replaces them"):
        dynamics.vol_after(
            surface, spot=490.0, strike=500.0, years=0.1, rule="local_vol", local_vol=holed
        )


def test_local_vol_after_no_move_is_the_surface_and_a_number_after_a_large_one(surface):
    strike = np.linspace(430.0, 570.0, 57)[:, None]
    before = surface.vol(strike, surface.years)
    same = dynamics.vol_after(
        surface, spot=surface.spot, strike=strike, years=surface.years, rule="sticky_local_vol"
    )  # fmt: skip
    np.testing.assert_array_equal(same, before)
    far = dynamics.vol_after(
        surface, spot=300.0, strike=strike, years=surface.years, rule="sticky_local_vol"
    )  # fmt: skip
    assert np.isfinite(far).all()
    assert (far > 0.0).all()


def test_moved_takes_rules_and_ratios_alike(surface):
    """The level of `moved` follows each expiry's own R under local volatility."""
    spot = surface.spot * np.exp(-0.01)
    ratio = dynamics.stickiness(surface, "local_vol")
    after = moved(surface, spot=spot, stickiness="local_vol")
    np.testing.assert_allclose(
        after.atm_vol, surface.atm_vol - 0.01 * ratio * surface.skew, rtol=1e-3
    )
    by_name, by_number = (
        moved(surface, spot=spot, stickiness=r).atm_vol for r in ("sticky_strike", 1.0)
    )
    np.testing.assert_array_equal(by_name, by_number)


@pytest.mark.parametrize("rule", [0.0, 1.0, 1.3, 2.0, *dynamics.NAMES])
@pytest.mark.parametrize("model", ["svi", "mixture"])
def test_moved_meets_the_rule_at_the_money(european, model, rule):
    """Slope in ln S of the vol at a strike at the forward, by central differences of `moved`.

    Its words promised a rule at every strike; wings keep their shape in deviations instead. A
    mixture's level moves a little less than its stretch: w^2 is of the order of 0.03 at 0.8 years.
    """
    world = european()
    surface = fit(
        world.frame(), valuation_ns=world.now_ns, spot=world.spot, rate=world.rate, model=model
    )
    h = 1e-3
    up, down = (
        moved(surface, spot=surface.spot * np.exp(d), stickiness=rule).vol(
            surface.forwards, surface.years
        )
        for d in (h, -h)
    )
    want = dynamics.vol_slope(surface, strike=surface.forwards, years=surface.years, rule=rule)
    level = np.abs(dynamics.stickiness(surface, rule) * surface.skew)
    short = 0.025 * level if model == "mixture" else 0.0
    assert (np.abs((up - down) / (2 * h) - want) < 5e-4 + short).all()


@pytest.mark.parametrize("years", [0.07, 0.2, 0.5, 1.3])
def test_ratio_between_expiries_is_that_of_one_more_expiry_there(surface, years):
    """The same integral, by `local_vol_ratio` with the vol and skew that the surface has there."""
    forward, d = surface.forward(years), 1e-3
    vol, (up, down) = surface.vol(forward, years), surface.vol(forward * np.exp([d, -d]), years)
    skew = (up - down) / (2 * d)
    before = surface.years < years
    rows = ((surface.years, years), (surface.atm_vol, vol), (surface.skew, skew))
    ratio = dynamics.local_vol_ratio(*(np.append(a[before], b) for a, b in rows))[-1]
    assert ratio > 2.1
    got = dynamics.vol_slope(surface, strike=forward, years=years, rule="local_vol")
    assert got == pytest.approx((ratio - 1.0) * skew, rel=2e-3)


def test_where_no_price_has_a_vol_local_vol_stops_at_twice_the_vol(surface):
    """Hundreds of deviations out on a local vol of 1 % there is only the slope, which would more
    than double the vol."""
    none = LocalVol(
        np.array([1.0]), np.array([-1.0, 1.0]), np.full((1, 2), 0.01), np.zeros((1, 2), np.uint8)
    )
    at = {"strike": 350.0, "years": surface.years[0], "rule": "local_vol"}
    spot = 200.0
    before = float(surface.vol(at["strike"], at["years"]))
    slope = float(dynamics.vol_slope(surface, **at))
    assert before + slope * np.log(spot / surface.spot) > 2.1 * before
    after = dynamics.vol_after(surface, spot=spot, local_vol=none, **at)
    assert after == pytest.approx(2.0 * before, rel=1e-12)


def test_what_a_caller_can_get_wrong(surface):
    with pytest.raises(InvalidInput, match=r"rule is 'sticky', must be one of local_vol, sticky_"):
        dynamics.stickiness(surface, "sticky")
    with pytest.raises(InvalidInput, match=r"stickiness is 4, must lie from -1 to 3"):
        dynamics.vol_after(surface, spot=500.0, strike=500.0, years=0.1, rule=4.0)
    with pytest.raises(InvalidInput, match=r"spot is -1 USD, must be > 0"):
        dynamics.vol_after(surface, spot=-1.0, strike=500.0, years=0.1, rule=1.0)

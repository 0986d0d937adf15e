"""American options on drawn rows: bounds, orders and symmetries, to the error each mode states.

ERROR is the worst that `american` states for listed options, as a share of the spot; here of the
larger of spot and strike, since put and call are images of each other.
"""

import numpy as np
import pytest
from bounds import EPS, spot_price_error

from surfaces.pricing import american, bsm
from surfaces.status import Status

ERROR = {"fast": 5e-6, "precise": 5e-7}
TYPICAL = {"fast": 5e-8, "precise": 1e-8}
MODES = {"fast": 40_000, "precise": 10_000}


def drawn(seed: int, n: int, *, hard: bool) -> dict[str, np.ndarray]:
    """Arguments of `american.price`. `hard`: minutes to ten years, 1 % to 300 %, rates of any sign
    (two-boundary rows get a yield equal to the rate); else where the stated errors are stated."""
    rng = np.random.default_rng(seed)
    w = rng.choice([-1.0, 1.0], n)
    spot = 10 ** rng.uniform(-6.0, 6.0, n) if hard else rng.uniform(5.0, 500.0, n)
    if hard:
        years = np.exp(rng.uniform(np.log(1 / 525_600), np.log(10.0), n))
        vol = np.exp(rng.uniform(np.log(0.01), np.log(3.0), n))
        spread = np.where(rng.random(n) < 0.3, 4.0, 4.0 * vol * np.sqrt(years))
        r, q = rng.uniform(-0.05, 0.15, n), rng.uniform(-0.05, 0.15, n)
        r[rng.random(n) < 0.1] = 0.0
        q[rng.random(n) < 0.1] = 0.0
    else:
        years = np.exp(rng.uniform(np.log(1 / 365), np.log(2.0), n))
        vol = np.exp(rng.uniform(np.log(0.06), np.log(1.5), n))
        spread = 3.0 * vol * np.sqrt(years)
        r, q = rng.uniform(0.0, 0.08, n), rng.uniform(0.0, 0.08, n)
    q = np.where(rng.random(n) < 0.1, r, q)
    earned, other = np.where(w > 0, q, r), np.where(w > 0, r, q)
    q = np.where((earned < 0) & (other < earned), r, q)
    strike = spot * np.exp(np.clip(rng.uniform(-1.0, 1.0, n) * spread, -4.0, 4.0))
    return {"right": w, "spot": spot, "strike": strike, "years": years, "vol": vol, "rate": r,
            "dividend_yield": q}  # fmt: skip


def size(rows: dict) -> np.ndarray:
    """What ERROR is a share of."""
    return np.maximum(rows["spot"], rows["strike"])


def european_error(rows: dict) -> np.ndarray:
    """What two Europeans may differ by, one of which takes ln(spot / strike) as it comes."""
    plain = 8 * EPS * np.maximum(rows["spot"], rows["strike"])
    return 2 * spot_price_error(*list(rows.values())[1:]) + plain


@pytest.fixture(scope="module", params=MODES)
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def hard(mode) -> dict[str, np.ndarray]:
    return drawn(31, MODES[mode], hard=True)


@pytest.fixture(scope="module")
def mild(mode) -> dict[str, np.ndarray]:
    return drawn(32, MODES[mode], hard=False)


@pytest.fixture(scope="module")
def slack(mode, mild) -> np.ndarray:
    """The stated error in USD of each mild row."""
    return ERROR[mode] * size(mild)


def test_not_below_exercise_nor_european_nor_above_the_cap(mode, hard, within):
    """To the last bit, or the European's own rounding: this is how the price is built."""
    w, S, K, T = (hard[name] for name in ("right", "spot", "strike", "years"))
    price = american.price(**hard, accuracy=mode)
    bad = ~(price >= np.maximum(w * (S - K), 0.0))
    grown = np.where(w > 0, hard["dividend_yield"], hard["rate"])
    cap = np.where(w > 0, S, K) * np.exp(np.maximum(-grown * T, 0.0))
    bad |= ~(price <= cap * (1.0 + 4 * EPS))
    i = int(np.argmax(bad))
    assert not bad.any(), (bad.sum(), price[i], {name: v[i] for name, v in hard.items()})
    below = np.minimum(price - bsm.price(**hard), 0.0)
    within(below, european_error(hard), hard, "below the European")


def test_premium_is_the_difference(mode, hard, within):
    price, premium = (f(**hard, accuracy=mode) for f in (american.price, american.premium))
    assert np.all(premium >= 0.0)
    slack = european_error(hard) + 4 * EPS * price
    within(price - bsm.price(**hard) - premium, slack, hard, "premium")


def test_monotone_and_flat_in_strike(mode, mild, slack, within):
    """A put rises with strike, a call falls; neither faster than the strike itself."""
    step = 10 ** np.random.default_rng(1).uniform(-6.0, -0.5, slack.size)
    up = mild["strike"] * (1.0 + step)
    price, beyond = (american.price(**{**mild, "strike": k}, accuracy=mode) for k in
                     (mild["strike"], up))  # fmt: skip
    rise = mild["right"] * (price - beyond)
    rows = {**mild, "next": up}
    within(np.minimum(rise, 0.0), 2 * slack, rows, "monotone")
    within(np.maximum(rise - (up - mild["strike"]), 0.0), 2 * slack, rows, "slope")


def test_convex_in_strike(mode, mild, slack, within):
    rng = np.random.default_rng(2)
    step = mild["strike"] * 10 ** rng.uniform(-3.0, -0.3, slack.size)
    three = (american.price(**{**mild, "strike": mild["strike"] + i * step}, accuracy=mode)
             for i in (-1, 0, 1))  # fmt: skip
    low, mid, high = three
    rows = {**mild, "step": step}
    within(np.minimum(low + high - 2.0 * mid, 0.0), 4 * slack, rows, "convex")


def test_monotone_in_vol_and_years(mode, mild, slack, within):
    rng = np.random.default_rng(3)
    price = american.price(**mild, accuracy=mode)
    for name in ("vol", "years"):
        more = mild[name] * (1.0 + 10 ** rng.uniform(-6.0, -0.5, slack.size))
        rise = american.price(**{**mild, name: more}, accuracy=mode) - price
        rows = {**mild, "next": more}
        within(np.minimum(rise, 0.0), 2 * slack, rows, f"rising in {name}")


@pytest.mark.parametrize("power", [-30, -1, 2, 9])
def test_scaling_by_a_power_of_two_is_exact(mode, hard, power):
    factor = 2.0**power
    price = american.price(**hard, accuracy=mode)
    scaled = {name: hard[name] * factor for name in ("spot", "strike")}
    got = american.price(**{**hard, **scaled}, accuracy=mode)
    bad = (got != factor * price) & (price > 1e-250)
    i = int(np.argmax(bad))
    assert not bad.any(), (bad.sum(), {name: v[i] for name, v in hard.items()})


def test_put_call_symmetry(mode, hard, within):
    """McDonald and Schroder (1998): call(S, K, r, q) = put(K, S, q, r), to rounding.

    What rounds is (r - q) T and the exponent; the premium's integrand repeats it at every node.
    """
    swap = {"spot": "strike", "strike": "spot", "rate": "dividend_yield", "dividend_yield": "rate"}
    other = {name: hard[swap.get(name, name)] for name in hard} | {"right": -hard["right"]}
    gap = american.price(**hard, accuracy=mode) - american.price(**other, accuracy=mode)
    within(gap, 1e-11 * np.maximum(hard["spot"], hard["strike"]), hard, "symmetry")


def test_fast_and_precise_agree_to_the_sum_of_their_errors(within):
    rows = drawn(33, 20_000, hard=False)
    fast, precise = (american.price(**rows, accuracy=mode) for mode in MODES)
    slack = (ERROR["fast"] + ERROR["precise"]) * size(rows)
    within(fast - precise, slack, rows, "fast against precise")
    typical = np.sqrt(np.mean(((fast - precise) / size(rows)) ** 2))
    assert typical <= np.hypot(TYPICAL["fast"], TYPICAL["precise"])


def test_vol_of_price_gives_the_price_back(mode, mild, within):
    """Alive rows with vega: the inversion solves the same mode's price to rounding."""
    few = {name: v[:4000] for name, v in mild.items()}
    price = american.price(**few, accuracy=mode)
    got = american.vol(price=price, accuracy=mode, **{k: v for k, v in few.items() if k != "vol"})
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    again = american.price(**{**few, "vol": np.where(got.ok, got.vol, few["vol"])}, accuracy=mode)
    within(again - price, 1e-10 * few["strike"], few, "price of vol of price")
    w, S, K = (few[name] for name in ("right", "spot", "strike"))
    alive = price > np.maximum(w * (S - K), 0.0) + 1e-3 * K
    assert got.ok[alive].all()
    error = np.where(alive, got.vol - few["vol"], 0.0)
    # the vol moves by no more than the error in price over vega, which alive rows have
    vega = np.maximum(american.greeks(**few, accuracy=mode).vega, 1e-3 * K)
    within(error, 4 * ERROR[mode] * size(few) / vega, few, "vol")


def test_same_bytes_whatever_the_neighbours(mode, hard):
    few = {name: v[:3000] for name, v in hard.items()}
    whole = american.price(**few, accuracy=mode)
    backwards = american.price(**{name: v[::-1] for name, v in few.items()}, accuracy=mode)
    assert backwards[::-1].tobytes() == whole.tobytes()
    part = american.price(**{name: v[100:107] for name, v in few.items()}, accuracy=mode)
    assert part.tobytes() == whole[100:107].tobytes()


def test_greeks_are_differences_of_the_price(mild, within):
    """Central differences of the precise price in spot and vol, where both sides are alive."""
    few = {name: v[:4000] for name, v in mild.items()}
    w, S, K, T, vol = (few[name] for name in ("right", "spot", "strike", "years", "vol"))
    got = american.greeks(**few, accuracy="precise")
    price = american.price(**few, accuracy="precise")
    width = np.minimum(vol * np.sqrt(T), 0.5)
    alive = price > np.maximum(w * (S - K), 0.0) + 0.02 * width * K
    h = 0.02 * width * S

    def at(**moved):
        return american.price(**{**few, **moved}, accuracy="precise")

    up, down = at(spot=S + h), at(spot=S - h)
    noise = ERROR["precise"] * size(few)
    # the third and fifth derivative of a smooth price over `width` bound the differences' own error
    delta = np.where(alive, (up - down) / (2 * h) - got.delta, 0.0)
    within(delta, 2 * noise / h + 0.02**2, few, "delta")
    gamma = np.where(alive, (up - 2 * price + down) / h**2 - got.gamma, 0.0)
    within(gamma, 4 * noise / h**2 + 0.02**2 * 10 / (width * S), few, "gamma")
    step = 0.02 * vol
    rise = (at(vol=vol + step) - at(vol=vol - step)) / (2 * step)
    vega = np.where(alive, rise - got.vega, 0.0)
    within(vega, 2 * noise / step + 0.02**2 * S * np.sqrt(T), few, "vega")


def test_greeks_have_their_signs_and_obey_the_equations(mode, hard, within):
    """Convex in spot, homogeneous of degree one, and the pricing equation wherever it is alive."""
    got = american.greeks(**hard, accuracy=mode)
    w, S, K, T, vol = (hard[name] for name in ("right", "spot", "strike", "years", "vol"))
    r, q = hard["rate"], hard["dividend_yield"]
    for name, value in got.items():
        assert np.isfinite(value).all(), name
    noise = ERROR[mode] * size(hard)
    root = vol * np.sqrt(T)
    within(np.minimum(w * got.delta, 0.0), 1e-12, hard, "delta against its right")
    within(np.minimum(-w * got.dual_delta, 0.0), 1e-12, hard, "dual delta against its right")
    grown = np.exp(np.maximum(-q * T, 0.0))  # a share that costs its holder is worth more later
    within(np.maximum(w * got.delta - grown, 0.0), 1e-9 * grown, hard, "delta past one")
    within(np.minimum(got.gamma * S * S * root**2, 0.0), noise, hard, "gamma")
    within(np.minimum(got.vega * root, 0.0), noise, hard, "vega")
    euler = S * got.delta + K * got.dual_delta - got.price
    within(euler, 64 * EPS * grown * size(hard), hard, "homogeneity")
    alive = got.price > np.maximum(w * (S - K), 0.0)
    bend = 0.5 * vol**2 * S**2 * got.gamma
    rest = np.where(alive, got.theta + (r - q) * S * got.delta + bend - r * got.price, 0.0)
    terms = np.abs(got.theta) + np.abs((r - q) * S * got.delta) + bend + np.abs(r * got.price)
    within(rest, 1e-12 * terms + 1e-290, hard, "pricing equation")
    dead = ~alive & (american.premium(**hard, accuracy=mode) > 0.0)
    assert np.all(got.delta[dead] == w[dead])
    assert np.all(got.gamma[dead] == 0.0)


def test_the_boundary_is_where_the_price_becomes_intrinsic(mode, mild, within):
    """Value and slope match there, exercise is exact behind it, and it recedes with time."""
    few = {name: v[:5000] for name, v in mild.items()}
    rows = {name: v for name, v in few.items() if name != "spot"}
    w, K = few["right"], few["strike"]
    edge = american.boundary(**rows, accuracy=mode).critical
    exists = np.isfinite(edge) & (edge > 1e-6 * K) & (edge < 1e6 * K)
    edge = np.where(exists, edge, K)
    outside, inside = edge * (1.0 - w * 1e-9), edge * (1.0 + w * 1e-9)
    slack = ERROR[mode] * np.maximum(edge, K)
    value = american.price(**{**few, "spot": outside}, accuracy=mode) - w * (outside - K)
    within(np.where(exists, value, 0.0), 2 * slack, {**rows, "edge": edge}, "value matching")
    behind = american.price(**{**few, "spot": inside}, accuracy=mode)
    want = np.maximum(w * (inside - K), 0.0)
    assert np.all((behind == want) | ~exists)
    later = american.boundary(**{**rows, "years": 1.1 * few["years"]}, accuracy=mode).critical
    recedes = np.where(exists & np.isfinite(later), w * (later - edge), 0.0)
    within(np.minimum(recedes, 0.0), 1e-3 * edge, {**rows, "edge": edge}, "receding")


def test_no_boundary_where_waiting_costs_nothing():
    """NaN, and never a number: a put without interest, a call without dividends."""
    kw = {"strike": 100.0, "years": 1.0, "vol": 0.2}
    for w, r, q in ((1, 0.05, 0.0), (1, 0.05, -0.01), (-1, 0.0, 0.02), (-1, -0.01, 0.0)):
        got = american.boundary(right=w, rate=r, dividend_yield=q, **kw)
        assert np.isnan([got.lower, got.upper, got.critical]).all()


def test_regimes_of_the_rates_meet(mode):
    """One boundary, two or none: the price is continuous in rate and yield across all of them."""
    kw = {"spot": 100.0, "strike": np.linspace(80.0, 120.0, 9), "years": 1.0, "vol": 0.2}
    slack = 120.0 * (2 * ERROR[mode] + 1e-7)
    for w in (1, -1):
        for centre in (0.0, -0.01, 0.04):
            names = ("rate", "dividend_yield") if w < 0 else ("dividend_yield", "rate")
            for other in (centre, -0.03, 0.03):
                sides = [
                    american.price(right=w, accuracy=mode, **kw, **{names[0]: centre + gap,
                                   names[1]: other})
                    for gap in (-1e-9, 0.0, 1e-9)
                ]  # fmt: skip
                assert np.max(np.ptp(sides, axis=0)) <= slack, (w, centre, other)


def test_two_boundaries_keep_the_bounds_and_orders(mode, within):
    """Rates and yields below zero where exercise pays only between two spots."""
    rng, n = np.random.default_rng(35), 300
    w = rng.choice([-1.0, 1.0], n)
    near, far = -rng.uniform(0.001, 0.03, n), -rng.uniform(0.031, 0.08, n)
    vol, T = rng.uniform(0.05, 0.4, n), rng.uniform(0.02, 2.0, n)
    rows = {"right": w, "spot": np.full(n, 100.0),
            "strike": 100.0 * np.exp(rng.uniform(-2.0, 2.0, n) * vol * np.sqrt(T)),
            "years": T, "vol": vol, "rate": np.where(w < 0, near, far),
            "dividend_yield": np.where(w < 0, far, near)}  # fmt: skip
    price = american.price(**rows, accuracy=mode)
    noise = 1e-7 * size(rows)
    assert np.all(price >= np.maximum(w * (100.0 - rows["strike"]), 0.0))
    within(np.minimum(price - bsm.price(**rows), 0.0), european_error(rows), rows, "European")
    up = american.price(**{**rows, "strike": 1.01 * rows["strike"]}, accuracy=mode)
    within(np.minimum(w * (price - up), 0.0), noise, rows, "monotone")
    more = american.price(**{**rows, "vol": 1.05 * vol}, accuracy=mode)
    within(np.minimum(more - price, 0.0), noise, rows, "rising in vol")
    longer = american.price(**{**rows, "years": 1.05 * T}, accuracy=mode)
    within(np.minimum(longer - price, 0.0), noise, rows, "rising in years")
    region = american.boundary(accuracy=mode, **{k: v for k, v in rows.items() if k != "spot"})
    two = np.isfinite(region.lower)
    assert np.all(region.lower[two] <= region.upper[two])
    middle = np.where(two, 0.5 * (region.lower + region.upper), 100.0)
    inside = american.price(**{**rows, "spot": middle}, accuracy=mode)
    assert np.all((inside == w * (middle - rows["strike"])) | ~two)

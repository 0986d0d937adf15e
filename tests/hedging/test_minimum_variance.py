"""Coefficients: known ones recovered, numpy's least squares, and Heston's minimum variance."""

import numpy as np
import pytest

from hedging import minimum_variance as mv
from hedging.errors import InvalidInput
from surfaces.pricing import black, implied

DAY = 86_400_000_000_000
SPOT = 100.0
TRUE = np.array([-0.25, 0.4, -0.3])


def changes(days, seed, *, coefficients=TRUE, noise=0.004, shared=0.003, right=1):
    """Options of five strikes and three expiries, hedged for a day each; a dict of columns.

    What is left after the three terms: vega times a move of vol of the day's own, and of each
    option's own.
    """
    rng = np.random.default_rng(seed)
    strike = np.tile([92.0, 96.0, 100.0, 104.0, 108.0], 3)
    years = np.repeat([0.1, 0.25, 0.7], 5)
    at = black.greeks(right=right, forward=SPOT, strike=strike, years=years, vol=0.2)
    d, vega = at.delta, at.vega
    a, b, c = coefficients
    spot_change = rng.normal(0.0, 1.0, days)[:, None]
    vol_change = (a + b * d + c * d * d) / np.sqrt(years) * spot_change / SPOT
    vol_change = vol_change + rng.normal(0.0, shared, (days, 1))
    vol_change = vol_change + rng.normal(0.0, noise, (days, d.size))
    shape = vol_change.shape
    rows = {
        "ts_ns": np.arange(days)[:, None] * DAY + np.zeros(shape, np.int64),
        "delta": d, "vega": vega, "years": years, "spot": SPOT,
        "option_change": d * spot_change + vega * vol_change, "spot_change": spot_change,
    }  # fmt: skip
    return {name: np.broadcast_to(value, shape).ravel() for name, value in rows.items()}


def regressors(rows):
    d = rows["delta"]
    scale = rows["vega"] / np.sqrt(rows["years"]) * rows["spot_change"] / rows["spot"]
    return scale[:, None] * np.stack([np.ones(d.size), d, d * d], axis=1)


def left_by_black(rows):
    return rows["option_change"] - rows["delta"] * rows["spot_change"]


def test_estimate_is_least_squares_on_the_rows():
    rows = changes(100, 1)
    got = mv.estimate(mv.blocks(**rows))
    x, y = regressors(rows), left_by_black(rows)
    want, residual, _, _ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(got.coefficients, want, rtol=1e-7)
    assert got.gain == pytest.approx(1.0 - residual[0] / (y @ y), rel=1e-9)
    assert (got.rows, got.instants, got.status) == (1500, 100, mv.Status.OK)


@pytest.mark.parametrize("right", [1, -1])
def test_known_coefficients_are_recovered_within_errors_of_the_right_size(right):
    """Two hundred worlds: scores have mean 0 (4 deviations: 0.28) and are about one wide.

    Errors that took the options of a day as independent would be two to three times too small.
    """
    scores = []
    for seed in range(200):
        got = mv.estimate(mv.blocks(**changes(250, seed, right=right)))
        scores.append((np.array(got.coefficients) - TRUE) / got.errors)
    scores = np.array(scores)
    assert (np.abs(scores.mean(axis=0)) < 0.28).all()
    assert (scores.std(axis=0) > 0.85).all()
    assert (scores.std(axis=0) < 1.15).all()


def test_gain_out_of_sample_is_that_of_the_true_coefficients_less_a_little():
    """Estimates on a year, tested on the month after: no more than the truth gains, nor much less.

    Three coefficients from 250 days cost about 3/250 of what is left.
    """
    rows = changes(2000, 3, shared=0.002, noise=0.002)
    history = mv.blocks(**rows)
    got = mv.rolling(history, instants=250, least=250)
    tested = history.between(250 * DAY, 10**18)
    truth = 1.0 - tested.error_of(TRUE) / tested.square.sum()
    assert truth > 0.2
    assert truth - 0.03 < got.gain < truth + 0.005
    assert len(got.periods) == -(-1750 // 21)
    inside = mv.estimate(history.between(0, 250 * DAY))
    assert inside.coefficients == got.periods[0].estimate.coefficients


KAPPA, MEAN, XI, RHO = 2.0, 0.04, 0.6, -0.7
NODES, WEIGHTS = np.polynomial.legendre.leggauss(300)


def heston_calls(spot, v, years, strike):
    """Calls under Heston without rates: Lewis' integral of the characteristic function."""
    at = 0.5 * (NODES + 1.0)
    top = 15.0 / np.sqrt(v * years)
    u, weights = top * at**3, 1.5 * top * at**2 * WEIGHTS
    z = u - 0.5j
    b = KAPPA - RHO * XI * 1j * z
    d = np.sqrt(b * b + XI * XI * (z * z + 1j * z))
    g, decay = (b - d) / (b + d), np.exp(-d * years)
    mean = (b - d) * years - 2.0 * np.log((1.0 - g * decay) / (1.0 - g))
    phi = np.exp(
        KAPPA * MEAN / XI**2 * mean + v / XI**2 * (b - d) * (1.0 - decay) / (1.0 - g * decay)
    )
    k = np.log(strike / spot)
    inner = np.real(np.exp(-1j * u * k[:, None]) * phi) / (u * u + 0.25)
    return spot - np.sqrt(spot * strike) / np.pi * (inner @ weights)


def heston_days(days, seed, years=0.25):
    """A path of twentieths of a day, each with five new calls; columns, and the model's own deltas.

    Over a whole day gamma would hide most of what is to be seen.

    The minimum-variance delta is C_S + rho xi C_v / S (Hull and White 2017, section 2).
    """
    rng = np.random.default_rng(seed)
    dt, spot, v = 1.0 / (252.0 * 20.0), SPOT, 0.04
    steps = 4
    rows, best = {name: [] for name in changes(1, 1)}, []
    for day in range(days):
        strike = spot * np.array([0.9, 0.95, 1.0, 1.05, 1.1])
        calls = heston_calls(spot, v, years, strike)
        found = implied.vol(price=calls, right=1, forward=spot, strike=strike, years=years)
        at = black.greeks(right=1, forward=spot, strike=strike, years=years, vol=found.vol)
        h = 1e-3
        by_spot, by_v = (
            heston_calls(spot * (1 + h * i), v * (1 + h * j), years, strike)
            - heston_calls(spot * (1 - h * i), v * (1 - h * j), years, strike)
            for i, j in ((1, 0), (0, 1))
        )
        best.append((by_spot / spot + RHO * XI * by_v / (v * spot)) / (2 * h))
        now, w = spot, v
        for a, b in rng.normal(0.0, np.sqrt(dt / steps), (steps, 2)):
            now *= np.exp(np.sqrt(w) * a - 0.5 * w * dt / steps)
            w += KAPPA * (MEAN - w) * dt / steps + XI * np.sqrt(w) * (RHO * a + np.sqrt(0.51) * b)
            w = max(w, 1e-4)
        change = heston_calls(now, w, years - dt, strike) - calls
        values = {
            "ts_ns": day * DAY, "delta": at.delta, "vega": at.vega, "years": years, "spot": spot,
            "option_change": change, "spot_change": now - spot,
        }  # fmt: skip
        for name, value in values.items():
            rows[name].append(np.broadcast_to(value, strike.shape))
        spot, v = now, w
    return {name: np.concatenate(value) for name, value in rows.items()}, np.concatenate(best)


@pytest.mark.parametrize("seed", [12, 13, 14])
def test_in_heston_s_world_the_regression_gains_what_the_model_s_own_delta_gains(seed):
    """In the sample, the quadratic spans the model's delta but for two hundredths of the variance.

    After it, coefficients lag a variance that wanders: most of the gain of the model is left.
    """
    rows, best = heston_days(1500, seed)
    history = mv.blocks(**rows)

    def of_model(start):
        late = rows["ts_ns"] >= start * DAY
        black_left = left_by_black(rows)[late]
        model_left = (rows["option_change"] - best * rows["spot_change"])[late]
        return 1.0 - (model_left @ model_left) / (black_left @ black_left)

    assert of_model(0) > 0.08
    assert mv.estimate(history).gain == pytest.approx(of_model(0), abs=0.02)
    found = mv.rolling(history, instants=500, least=500)
    assert 0.85 * of_model(500) < found.gain < of_model(500) + 0.01


def test_a_window_sees_nothing_of_what_it_is_tested_on():
    """Days after the split change nothing of the estimate before it; those inside do."""
    rows = changes(400, 4)
    base = mv.rolling(mv.blocks(**rows), instants=200, least=200, refit=100)
    late = dict(rows, option_change=np.where(rows["ts_ns"] >= 300 * DAY, 7.0, 1.0)
                * rows["option_change"])  # fmt: skip
    other = mv.rolling(mv.blocks(**late), instants=200, least=200, refit=100)
    for i in (0, 1):
        assert other.periods[i].estimate == base.periods[i].estimate
    assert other.periods[1].black != base.periods[1].black
    assert other.periods[0] == base.periods[0]
    # the first hundred days have left the second window
    early = dict(rows, option_change=np.where(rows["ts_ns"] < 100 * DAY, 7.0, 1.0)
                 * rows["option_change"])  # fmt: skip
    third = mv.rolling(mv.blocks(**early), instants=200, least=200, refit=100)
    assert third.periods[0].estimate != base.periods[0].estimate
    assert third.periods[1].estimate == base.periods[1].estimate


def test_a_window_in_years_holds_the_days_of_those_years():
    history = mv.blocks(**changes(900, 5))
    by_time = mv.rolling(history, years=1.0, refit=50, least=100)
    by_count = mv.rolling(history, instants=365, refit=50, least=100)
    assert by_time == by_count
    assert by_time.periods[-1].estimate.instants == 365


def test_updates_add_up_to_the_same_estimate_however_they_came():
    """Ten thousand updates of a day, then one window: the sums of a batch, bit for bit."""
    rows = changes(300, 6)
    whole = mv.blocks(**rows)
    grown = whole.between(0, 0)
    for day in range(300):
        mine = rows["ts_ns"] == day * DAY
        grown = grown.joined(mv.blocks(**{name: value[mine] for name, value in rows.items()}))
    assert mv.estimate(grown.last(120)) == mv.estimate(whole.between(180 * DAY, 300 * DAY))
    order = np.random.default_rng(1).permutation(rows["delta"].size)
    shuffled = mv.blocks(**{name: value[order] for name, value in rows.items()})
    np.testing.assert_allclose(
        mv.estimate(shuffled).coefficients, mv.estimate(whole).coefficients, rtol=1e-9
    )


def test_thin_windows_are_refused_with_words():
    few = mv.estimate(mv.blocks(**changes(59, 7)))
    assert few.status is mv.Status.TOO_FEW
    assert np.isnan(few.coefficients).all()
    assert "lengthen the window" in few.status.words
    rows = changes(100, 7)
    one = np.isclose(rows["delta"], rows["delta"][2])
    same = mv.estimate(mv.blocks(**{name: value[one] for name, value in rows.items()}))
    assert same.status is mv.Status.NO_SPREAD
    still = mv.estimate(mv.blocks(**dict(rows, spot_change=0.0 * rows["spot"])))
    assert still.status is mv.Status.NO_SPREAD
    nothing = mv.rolling(mv.blocks(**changes(70, 8)), instants=40, least=60)
    assert all(p.estimate.status is mv.Status.TOO_FEW for p in nothing.periods)
    assert np.isnan(nothing.gain)


def test_rows_outside_the_paper_s_range_and_broken_ones_do_not_count():
    rows = changes(80, 9)
    want = mv.estimate(mv.blocks(**rows))
    more = {name: np.concatenate([value, value[:4]]) for name, value in rows.items()}
    more["years"][-4] = 13.0 / 365.0
    more["delta"][-3] = 0.97
    more["delta"][-2] = 0.03
    more["option_change"][-1] = np.nan
    assert mv.estimate(mv.blocks(**more)) == want


def test_both_rights_hedge_with_their_own_and_without_one_with_black():
    call = mv.estimate(mv.blocks(**changes(200, 10)))
    thin = mv.estimate(mv.blocks(**changes(10, 10, right=-1)))
    both = mv.MinimumVariance(call, thin)
    got = both.delta([0.4, -0.6], [20.0, 20.0], right=[1, -1], spot=SPOT, years=0.25)
    a, b, c = call.coefficients
    assert got[0] == pytest.approx(0.4 + 20.0 / (SPOT * 0.5) * (a + 0.4 * b + 0.16 * c))
    assert got[1] == -0.6


def test_what_a_caller_can_get_wrong():
    rows = changes(10, 11)
    with pytest.raises(InvalidInput, match=r"vega has shape \(3,\) and ts_ns \(150,\)"):
        mv.blocks(**dict(rows, vega=np.ones(3)))
    with pytest.raises(InvalidInput, match="delta has both signs"):
        mv.blocks(**dict(rows, delta=np.where(rows["delta"] > 0.5, -1, 1) * rows["delta"]))
    history = mv.blocks(**rows)
    with pytest.raises(InvalidInput, match="put all options of an instant into one call"):
        history.joined(history)
    with pytest.raises(InvalidInput, match="least is 3, must be a whole number >= 4"):
        mv.estimate(history, least=3)
    with pytest.raises(InvalidInput, match="refit is 0, must be a whole number >= 1"):
        mv.rolling(history, refit=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"refit": 1.5}, "refit is 1.5, must be a whole number >= 1"),
        ({"instants": 2.5}, "instants is 2.5, must be a whole number >= 1"),
        ({"least": 60.5}, "least is 60.5, must be a whole number >= 4"),
        ({"years": "long"}, "years is 'long', must be a number"),
        ({"years": 0.0}, "years is 0 years, must be > 0"),
    ],
)
def test_a_window_that_is_none_is_refused_in_words(given, said):
    """A `refit` of 1.5 used to be a TypeError of `range`, from inside."""
    with pytest.raises(InvalidInput, match=said):
        mv.rolling(mv.blocks(**changes(10, 11)), **given)


def test_times_are_whole_nanoseconds_or_numpy_s_times():
    """Text used to raise numpy's ValueError; times in seconds were taken as nanoseconds."""
    rows = changes(10, 11)
    want = mv.blocks(**rows)
    seconds = (rows["ts_ns"] // 10**9).astype("datetime64[s]")
    np.testing.assert_array_equal(mv.blocks(**(rows | {"ts_ns": seconds})).ts_ns, want.ts_ns)
    n = rows["ts_ns"].size
    for wrong, said in ((["2024-01-02"] * n, "'2024-01-02'"), ([0.5] * n, "0.5"),
                        ([np.nan] * n, "nan")):  # fmt: skip
        with pytest.raises(InvalidInput, match=f"ts_ns is {said}, must be whole nanoseconds"):
            mv.blocks(**(rows | {"ts_ns": wrong}))
    with pytest.raises(InvalidInput, match=r"vega is .*, must be a number or numbers"):
        mv.blocks(**(rows | {"vega": ["x"] * n}))


def test_a_right_is_a_call_or_a_put_and_nothing_else():
    """ "c" used to be hedged as a put, and so was 0."""
    call = mv.estimate(mv.blocks(**changes(100, 1)))
    put = mv.estimate(mv.blocks(**changes(100, 2, right=-1)))
    both = mv.MinimumVariance(call, put)
    rest = {"spot": SPOT, "years": 0.25}
    for word, sign in (("c", 1), ("P", -1)):
        np.testing.assert_array_equal(
            both.delta(0.4, 20.0, right=word, **rest), both.delta(0.4, 20.0, right=sign, **rest)
        )
    assert both.delta(0.4, 20.0, right="c", **rest) != both.delta(0.4, 20.0, right="p", **rest)
    for wrong in (0, "x", np.nan):
        with pytest.raises(InvalidInput, match=r"right is .*must be .1 or 'c' for a call"):
            both.delta(0.4, 20.0, right=wrong, **rest)

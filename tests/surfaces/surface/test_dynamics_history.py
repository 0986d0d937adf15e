"""The ratio estimated: worlds where it is known, what biases it, Heston's and the simulator's."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from optmm.bench.surface_minutes import tops
from optmm.data.simulator.config import SimulationConfig
from optmm.data.simulator.day import simulate_day
from optmm.engine.market import slices_of
from surfaces.dynamics_changes import AtmChanges, of_frame, of_surfaces
from surfaces.dynamics_history import Status, skew_stickiness
from surfaces.errors import InvalidInput
from surfaces.live import FitConfig, LiveFitter
from surfaces.pricing import implied
from surfaces.units import NS_PER_YEAR

MINUTE = 60_000_000_000
START = 1_700_000_000_000_000_000
YEARS = (0.04, 0.06)
LEGENDRE = np.polynomial.legendre.leggauss(300)
SKEW = np.array([-0.9, -0.7])


def levels(ratio, seed, n=300, *, vol_noise=2e-4, own=3e-4, move_noise=0.0, late=0.0):
    """ln F (n,) and vols (n, 2) of two expiries; `own`: what vols do of themselves, a step."""
    rng = np.random.default_rng(seed)
    move = rng.normal(0.0, 1e-3, n - 1)
    answered = (1.0 - late) * move + late * np.concatenate(([0.0], move[:-1]))
    x = np.concatenate(([0.0], np.cumsum(move)))
    vol = 0.2 + ratio * SKEW * np.concatenate(([0.0], np.cumsum(answered)))[:, None]
    # of their own, most of it in common: errors that took expiries as independent would be small
    mine = 0.9**0.5 * rng.normal(0.0, own, (n, 1)) + 0.1**0.5 * rng.normal(0.0, own, (n, 2))
    vol = vol + np.cumsum(mine, axis=0)
    wrong = rng.normal(0.0, move_noise, n)
    vol = vol + rng.normal(0.0, vol_noise, (n, 2)) + SKEW * wrong[:, None]
    return x + wrong, vol


def changes(x, vol, step=1):
    """Rows as `of_frame` makes them, without a clock."""
    n = x.size - step
    at = START + MINUTE * np.arange(x.size)
    one = np.ones(n)
    return AtmChanges(
        expiry=np.repeat(["a", "b"], n),
        start_ns=np.tile(at[:-step], 2),
        end_ns=np.tile(at[step:], 2),
        years=np.concatenate([YEARS[0] * one, YEARS[1] * one]),
        log_move=np.tile(x[step:] - x[:-step], 2),
        vol_change=(vol[step:] - vol[:-step]).T.ravel(),
        skew=np.concatenate([SKEW[0] * one, SKEW[1] * one]),
        vol_error=np.full(2 * n, np.sqrt(2.0) * 2e-4),
        step=step,
    )


def only(found):
    (bucket,) = found
    return bucket


@pytest.mark.parametrize(("ratio", "step"), [(0.0, 1), (1.0, 1), (1.3, 1), (2.0, 1), (1.3, 5)])
def test_a_known_ratio_is_recovered_within_its_errors(ratio, step):
    """Four hundred worlds: errors are unbiased and have the size that is said of them.

    Mean of 400 scores: 4 deviations are 0.2. Bartlett's weights understate errors of steps that
    overlap by up to about a fifth (Andrews 1991), so those may be 1.3 wide.
    """
    scores = []
    for seed in range(400):
        bucket = only(skew_stickiness(changes(*levels(ratio, seed), step=step)))
        scores.append((bucket.ratio - ratio) / bucket.error)
        assert bucket.expiries == 2
        assert bucket.instants == 300 - step
    assert abs(np.mean(scores)) < 0.2 * np.std(scores)
    assert 0.88 < np.std(scores) < (1.12 if step == 1 else 1.35)


def test_errors_of_vols_are_told_from_what_vols_do():
    """Noise is 2 (2e-4)^2 a change against (3e-4)^2 of vols' own: 8/17 of what is unexplained."""
    bucket = only(skew_stickiness(changes(*levels(1.3, 3, 4000))))
    assert bucket.noise == pytest.approx(8.0 / 17.0, rel=0.06)
    assert bucket.status is Status.OK
    assert "R 1.3" in str(bucket)


def test_noise_in_forwards_pulls_towards_one_by_its_share_and_is_said():
    """R = 1 + (R0 - 1) reliability; a step twenty times as long has a twentieth."""
    x, vol = levels(2.0, 5, 4000, move_noise=0.5e-3)
    share = 1.0 / (1.0 + 2 * 0.25)
    bucket = only(skew_stickiness(changes(x, vol)))
    # twice a correlation, whose error is 1 / sqrt(4000): four of them
    assert bucket.reliability == pytest.approx(share, abs=4 * 2 / np.sqrt(4000))
    assert bucket.ratio == pytest.approx(1.0 + share, abs=4 * bucket.error)
    assert bucket.status is Status.NOISY_MOVES
    assert "towards 1" in bucket.status.words
    longer = only(skew_stickiness(changes(x, vol, step=20)))
    assert abs(longer.ratio - 2.0) < abs(bucket.ratio - 2.0) / 4
    assert longer.status is Status.OK


def test_late_vols_pull_towards_zero_and_are_said():
    """A third of the answer comes a step late."""
    x, vol = levels(1.5, 6, 3000, late=1.0 / 3.0)
    bucket = only(skew_stickiness(changes(x, vol)))
    assert bucket.ratio == pytest.approx(1.0, abs=4 * bucket.error)
    assert bucket.late == pytest.approx(0.5, abs=4 * bucket.error)
    assert bucket.status is Status.LATE_VOLS
    longer = only(skew_stickiness(changes(x, vol, step=30)))
    assert longer.ratio == pytest.approx(1.5 * (1 - 1 / 90), abs=4 * longer.error)


def test_a_ratio_that_no_rule_gives_is_said_to_be_implausible():
    for ratio in (-0.5, 3.6):
        bucket = only(skew_stickiness(changes(*levels(ratio, 8, 2000))))
        assert bucket.ratio == pytest.approx(ratio, abs=4 * bucket.error)
        assert bucket.status is Status.IMPLAUSIBLE
        assert "no rule and no diffusion" in str(bucket)


def test_too_few_and_too_small_have_words_not_numbers_to_trust():
    few = only(skew_stickiness(changes(*levels(1.3, 1, 12))))
    assert few.status is Status.TOO_FEW
    assert np.isnan(few.ratio)
    assert "longer history (11)" in str(few)
    x, vol = levels(1.3, 1, 40, vol_noise=5e-3)
    small = only(skew_stickiness(changes(x, vol)))
    assert small.status is Status.SMALL_MOVES
    assert small.error > 0.5
    overlapping = skew_stickiness(changes(*levels(1.3, 1, 300), step=20))
    assert only(overlapping).status is Status.TOO_FEW  # fourteen steps, however many rows


def test_a_forward_that_stays_and_a_smile_without_skew_are_said_to_be_that():
    """250 instants of either used to be "too few instants for a ratio ... (249)"."""
    x, vol = levels(1.3, 1, 250)
    for still in (np.zeros(250), 0.001 * np.arange(250)):  # the mean move is each expiry's alpha
        found = only(skew_stickiness(changes(still, vol)))
        assert found.status is Status.NO_MOVE
        assert np.isnan(found.ratio)
        assert "the forward did not move" in str(found)
        assert "(249)" in str(found)
    rows = changes(x, vol)
    flat = only(skew_stickiness(replace(rows, skew=np.zeros(len(rows)))))
    assert flat.status is Status.NO_SKEW
    assert "no skew where the forward moved" in str(flat)
    few = changes(np.zeros(12), vol[:12])
    assert only(skew_stickiness(few)).status is Status.TOO_FEW
    assert only(skew_stickiness(rows)).status is Status.OK


def test_a_term_structure_that_rolls_down_is_no_answer_to_spot():
    """Forward variance that is realised as expected changes no vol, whatever its shape: days."""
    t0 = np.array([0.0, 1.0, 2.0, 3.0]) / 365.0
    expiry = np.array([5.0, 20.0, 60.0]) / 365.0

    def variance(until):  # steep, and linear in between as the surface has it
        nodes = np.concatenate(([0.0], expiry))
        return np.interp(until, nodes, [0.0, 0.09 * expiry[0], 0.002, 0.004])

    rows = [
        (START + round(t * NS_PER_YEAR), f"e{j}", "X", T - t, 100.0,
         np.sqrt((variance(T) - variance(t)) / (T - t)), -0.5, "mixture")
        for t in t0 for j, T in enumerate(expiry)
    ]  # fmt: skip
    names = ["ts_ns", "expiry", "root", "years", "forward", "atm_vol", "skew", "path"]
    got = of_frame(pl.DataFrame(rows, schema=names, orient="row"))
    assert len(got) == 9
    np.testing.assert_allclose(got.vol_change, 0.0, atol=1e-12)
    rolled = np.diff([r[5] for r in rows if r[1] == "e1"])
    assert np.abs(rolled).min() > 1e-3  # as differences, they are far from it


def heston(v, years, log_strikes):
    """Vols of Heston's model: Lewis' integral of the characteristic function, forward 1."""
    nodes, weights = LEGENDRE
    top = 15.0 / np.sqrt(v * years)
    at = 0.5 * (nodes + 1.0)  # u = top at^3: most of the integral is near zero
    u, weights = top * at**3, 1.5 * top * at**2 * weights
    z = u - 0.5j
    b = KAPPA - RHO * XI * 1j * z
    d = np.sqrt(b * b + XI * XI * (z * z + 1j * z))
    g, decay = (b - d) / (b + d), np.exp(-d * years)
    mean = (b - d) * years - 2.0 * np.log((1.0 - g * decay) / (1.0 - g))
    phi = np.exp(
        KAPPA * MEAN / XI**2 * mean + v / XI**2 * (b - d) * (1.0 - decay) / (1.0 - g * decay)
    )
    k = np.asarray(log_strikes, np.float64)
    inner = np.real(np.exp(-1j * u * k[:, None]) * phi) / (u * u + 0.25)
    put = np.exp(k) - np.exp(0.5 * k) / np.pi * (inner @ weights)  # of 1 - e^k + put, the call
    price = np.where(k >= 0.0, put + 1.0 - np.exp(k), put)
    right = np.where(k >= 0.0, 1, -1)
    return implied.vol(price=price, right=right, forward=1.0, strike=np.exp(k), years=years).vol


KAPPA, MEAN, XI, RHO = 2.0, 0.04, 0.6, -0.7


def of_heston(v, years):
    """Vol and skew at the money, and the ratio d<vol, ln S> / (skew d<ln S>)."""
    h = 0.02 * np.sqrt(v * years)
    low, at, high = heston(v, years, [-h, 0.0, h])
    skew = (high - low) / (2 * h)
    up, down = (heston(x * v, years, [0.0])[0] for x in (1.01, 0.99))
    return at, skew, RHO * XI * (up - down) / (0.02 * v) / skew


def test_heston_has_two_at_short_dates_and_is_recovered_from_its_paths():
    """Bergomi (2016): every diffusion starts at R = 2. Paths of six weeks, a step an hour."""
    vol, skew, ratio = of_heston(0.04, 0.001)
    assert vol == pytest.approx(0.2, abs=2e-4)
    assert skew == pytest.approx(RHO * XI / (4 * 0.2), rel=1e-3)  # Gatheral (2006), chapter 7
    assert ratio == pytest.approx(2.0, abs=0.01)
    rng = np.random.default_rng(11)
    n, dt, end = 260, 1.0 / (252 * 8), 0.25
    v, x, rows, ratios = 0.04, 0.0, [], []
    for i in range(n):
        vol, skew, ratio = of_heston(v, end - i * dt)
        rows.append((START + round(i * dt * NS_PER_YEAR), "e", "X", end - i * dt, np.exp(x), vol,
                     skew, "mixture"))  # fmt: skip
        ratios.append(ratio)
        a, b = rng.normal(0.0, np.sqrt(dt), 2)
        x += np.sqrt(v) * a - 0.5 * v * dt
        v = abs(v + KAPPA * (MEAN - v) * dt + XI * np.sqrt(v) * (RHO * a + np.sqrt(0.51) * b))
    names = ["ts_ns", "expiry", "root", "years", "forward", "atm_vol", "skew", "path"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    bucket = only(skew_stickiness(of_frame(frame), edges=(0.0, 1.0)))
    assert bucket.error < 0.15
    assert abs(bucket.ratio - np.mean(ratios)) < 3.0 * bucket.error
    assert bucket.explained == pytest.approx(RHO**2, abs=0.12)


EDGES = (1 / 365, 7 / 365, 45 / 365, 1.0)


@pytest.fixture(scope="module")
def fitted_day():
    """Surfaces fitted to the quotes of a simulated day, every ten minutes."""
    config = SimulationConfig(quote_events_target=200_000, level_noise_sd=0.002)
    day = simulate_day(config, 7).day
    fitter = LiveFitter(slices_of(day.chain), FitConfig(rate_prior=0.043))
    surfaces = [
        fitter.update(now, spot=spot, bid=bid, ask=ask) for now, spot, bid, ask in tops(day, 10)
    ]
    return config, surfaces


def test_the_simulator_s_ratio_comes_back_from_quotes_fitted_anew(fitted_day):
    """R = 1.3 through spreads, fits and forwards; half an hour apart, as fits follow slowly."""
    config, surfaces = fitted_day
    found = skew_stickiness(of_surfaces(surfaces, step=3), edges=EDGES, least=10)
    assert len(found.buckets) == 3
    for bucket in found:
        assert abs(bucket.ratio - config.skew_stickiness) < 3.0 * bucket.error, str(bucket)
        assert bucket.error < 0.3, str(bucket)


def test_a_run_s_table_gives_what_its_surfaces_give(fitted_day):
    """`surface.parquet` has the same columns; only the clock's part of a change may differ."""
    _, surfaces = fitted_day
    frame = pl.concat([s.diagnostics for s in surfaces[:30]])
    a, b = of_frame(frame), of_surfaces(surfaces[:30])
    np.testing.assert_array_equal(a.expiry, b.expiry)
    np.testing.assert_array_equal(a.log_move, b.log_move)
    np.testing.assert_allclose(a.vol_change, b.vol_change, atol=1e-12)
    assert np.isnan(a.vol_error).all()
    assert (b.vol_error > 0.0).all()


def test_the_figure_has_a_panel_a_bucket_with_its_ratio(tmp_path):
    from surfaces import plot

    rows = changes(*levels(1.3, 2, 400))
    figure = plot.stickiness(rows, edges=(0.0, 0.05, 1.0), title="A known world")
    found = skew_stickiness(rows, edges=(0.0, 0.05, 1.0))
    shown = [panel.get_title() for panel in figure.axes]
    assert len(shown) == 2
    for title, bucket in zip(shown, found, strict=True):
        assert f"R = {bucket.ratio:.2f} ± {bucket.error:.2f}" in title
    slopes = [
        np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0]
        for line in figure.axes[0].lines[1:]
    ]
    np.testing.assert_allclose(slopes, [0.0, 1.0, 2.0, found.buckets[0].ratio], atol=1e-12)
    plot.stickiness(changes(*levels(1.3, 2, 2))).savefig(tmp_path / "few.png")
    still = changes(np.zeros(250), levels(1.3, 1, 250)[1])
    assert "no move" in plot.stickiness(still).axes[0].get_title()
    plot.stickiness(rows, edges=(5.0, 6.0)).savefig(tmp_path / "none.png")


def test_the_figure_draws_a_ratio_from_as_few_steps_as_are_asked_for():
    """`skew_stickiness(..., least=10)` gave a ratio that the figure had no argument to draw."""
    from surfaces import plot

    rows = changes(*levels(1.3, 1, 12))
    bucket = only(skew_stickiness(rows, least=8))
    assert np.isfinite(bucket.ratio)
    (panel,) = (p for p in plot.stickiness(rows, least=8).axes if p.get_title())
    assert f"R = {bucket.ratio:.2f}" in panel.get_title()
    assert "R = " not in plot.stickiness(rows).axes[0].get_title()


def test_one_module_has_rules_and_estimate():
    from surfaces import dynamics

    rows = changes(*levels(1.3, 2, 100))
    assert str(dynamics.skew_stickiness(rows)) == str(skew_stickiness(rows))


def test_what_a_caller_can_get_wrong(fitted_day):
    _, surfaces = fitted_day
    with pytest.raises(InvalidInput, match=r"surfaces\[1\] is of .* must be later"):
        of_surfaces(surfaces[1::-1])
    with pytest.raises(InvalidInput, match=r"frame lacks years, skew; give surface.parquet"):
        of_frame(surfaces[0].diagnostics.drop("years", "skew"))
    with pytest.raises(InvalidInput, match="step is 0, must be a whole number >= 1"):
        of_surfaces(surfaces, step=0)
    rows = of_surfaces(surfaces)
    with pytest.raises(InvalidInput, match="edges must be two or more years that rise"):
        skew_stickiness(rows, edges=(1.0, 0.5))
    with pytest.raises(InvalidInput, match=r"skew has shape \(3,\) and expiry \(2,\)"):
        AtmChanges(np.array(["a", "b"]), *[np.zeros(2)] * 5, np.zeros(3), np.zeros(2))
    assert not skew_stickiness(of_surfaces(surfaces[:1])).buckets

"""Dupire's formula against its form in prices, and the local vol of fitted surfaces."""

import numpy as np
import pytest
from scipy.special import erfc

from surfaces.curves.clock import Event, VolClock
from surfaces.errors import InvalidInput
from surfaces.fitting import fit
from surfaces.local_vol import Flag, dupire, dupire_of
from surfaces.pricing import local_vol as pricing

TINY = 1e-30  # a complex step: first derivatives without a difference


def smile(k, T):
    """Total variance of a raw SVI whose parameters move with time; complex arguments too."""
    root = np.sqrt((k - T / 10) ** 2 + T / 20)
    return T / 50 + (T / (5 + T)) * (-k / 2 + root)


def call(k, T):
    w = smile(k, T)
    d1 = -k / np.sqrt(w) + np.sqrt(w) / 2
    return 0.5 * (erfc(-d1 / np.sqrt(2)) - np.exp(k) * erfc(-(d1 - np.sqrt(w)) / np.sqrt(2)))


def slope(f, x):
    return np.imag(f(x + 1j * TINY)) / TINY


def bend(f, x, h):
    """Second derivative: five points of the first, error h^4."""
    near, far = (slope(f, x + d) - slope(f, x - d) for d in (h, 2 * h))
    return (8.0 * near - far) / (12.0 * h)


@pytest.mark.parametrize("T", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("z", [-4.0, -1.5, -0.2, 0.0, 0.7, 2.5])
def test_formula_in_total_variance_is_dupire_in_prices(T, z):
    """Dupire (1994) in prices, 2 c_T / (x^2 c_xx), of Black's prices on the same smile."""
    k, h = 0.25 * z * np.sqrt(T), 2e-3 * np.sqrt(T)
    x = np.exp(k)
    up = slope(lambda t: call(k + 0j, t), T)
    theirs = np.sqrt(2.0 * up / (x * x * bend(lambda s: call(np.log(s), T + 0j), x, h)))
    vol, flag = dupire_of(
        k=k, w=smile(k, T), w_k=slope(lambda s: smile(s, T), k),
        w_kk=bend(lambda s: smile(s, T), k, h), w_T=slope(lambda t: smile(k, t), T),
    )  # fmt: skip
    assert flag == Flag.OK
    assert float(vol) == pytest.approx(theirs, rel=1e-7)


def test_bad_points_are_named_and_never_given_a_number():
    """Calendar before butterfly: where variance falls, no density would help."""
    vol, flag = dupire_of(
        k=0.0,
        w=[0.04, 0.04, 0.04, 0.04, 0.0, 0.04],
        w_k=0.0,
        w_kk=[0.0, -3.0, 0.0, -3.0, 0.0, np.nan],
        w_T=[0.04, 0.04, -1e-9, 0.0, 0.04, 0.04],
    )
    wanted = [Flag.OK, Flag.NEGATIVE_DENSITY, Flag.CALENDAR, Flag.CALENDAR, Flag.UNDEFINED,
              Flag.UNDEFINED]  # fmt: skip
    assert flag.tolist() == wanted
    assert np.isfinite(vol).tolist() == [f == Flag.OK for f in wanted]


@pytest.fixture(params=["svi", "mixture"])
def surface(request, european):
    world = european()
    return fit(
        world.frame(), valuation_ns=world.now_ns, spot=world.spot, rate=world.rate,
        model=request.param,
    )  # fmt: skip


def test_vols_are_the_derivatives_of_the_surface_itself(surface):
    """Differences of `surface.total_variance`, which knows nothing of Dupire, at 60 places.

    Steps of 1e-3 of a deviation and of the gap: error about 1e-6 of the second derivative, times
    rounding of w over the square of the step, 1e-16 / 1e-6 of a deviation's square.
    """
    gap = np.diff(np.concatenate(([0.0], surface.years)))
    years = np.concatenate((surface.years - 0.3 * gap, surface.years - 0.8 * gap))
    for T in np.sort(years):
        j = int(np.searchsorted(surface.years, T))
        width = surface.atm_vol[j] * np.sqrt(T)
        k = width * np.linspace(-1.5, 1.2, 8)
        w = surface.total_variance
        h, dt = 5e-3 * width, 1e-3 * gap[j]
        vol, flag = dupire_of(
            k=k, w=w(k, T), w_k=(w(k + h, T) - w(k - h, T)) / (2 * h),
            w_kk=(w(k + h, T) - 2 * w(k, T) + w(k - h, T)) / (h * h),
            w_T=(w(k, T + dt) - w(k, T - dt)) / (2 * dt),
        )  # fmt: skip
        got = dupire(surface, years=[T], k=k)
        assert np.array_equal(got.flag[0], flag)
        np.testing.assert_allclose(got.vol[0], vol, rtol=5e-4)


def test_default_nodes_price_the_surface_back(surface):
    """The bar of the module: median error under 1 bp of vol, every quote under half a spread."""
    local = dupire(surface)
    table = pricing.reprice(local.filled(), surface)
    error = table["error"].abs()
    assert error.median() < 1e-4
    assert table["error_in_half_spreads"].abs().max() < 1.0
    assert table.height == np.isfinite(surface.quotes.model_vol).sum()


def test_a_node_at_an_expiry_belongs_to_the_time_before(surface):
    """w_T jumps there; the limits on both sides are those of the gaps."""
    T = surface.years[1]
    nodes = [T * (1 - 1e-9), T, T * (1 + 1e-9)]
    before, at, after = dupire(surface, years=nodes, k=[-0.08]).vol[:, 0]
    assert at == pytest.approx(before, rel=1e-6)
    assert abs(after / at - 1.0) > 1e-3
    w = surface.total_variance(-0.08, surface.years)
    assert (after / at) ** 2 == pytest.approx(
        (w[2] - w[1]) / (w[1] - w[0]) * (T - surface.years[0]) / (surface.years[2] - T), rel=1e-5
    )


def test_after_the_last_expiry_vols_are_held_and_nodes_say_so(surface):
    last = surface.years[-1]
    k, h, T = 0.05, 1e-4, 1.5 * last
    got = dupire(surface, years=[last, T], k=[k])
    assert got.flag[:, 0].tolist() == [Flag.OK, Flag.EXTRAPOLATED]
    w = surface.total_variance
    vol, _ = dupire_of(
        k=k, w=w(k, T), w_k=(w(k + h, T) - w(k - h, T)) / (2 * h),
        w_kk=(w(k + h, T) - 2 * w(k, T) + w(k - h, T)) / (h * h),
        w_T=(w(k, T + h) - w(k, T - h)) / (2 * h),
    )  # fmt: skip
    assert got.vol[1, 0] == pytest.approx(float(vol), rel=1e-4)


def test_outside_the_certified_strikes_nodes_say_so(surface):
    low, high = surface.certificate.reach[0]
    got = dupire(surface, years=[0.5 * surface.years[0]], k=[1.01 * low, 0.0, 1.01 * high])
    assert got.flag[0].tolist() == [Flag.OUT_OF_CERTIFICATE, Flag.OK, Flag.OUT_OF_CERTIFICATE]
    assert np.isfinite(got.vol).all()


def test_a_node_needs_the_certificates_of_both_ends_of_its_gap(surface):
    """Inside the strikes of the expiry after, outside those of the one before."""
    (low, high), (wide_low, wide_high) = surface.certificate.reach[:2]
    k = np.array([1.02 * low, 0.0, 1.02 * high])
    assert wide_low < k[0]
    assert k[2] < wide_high
    got = dupire(surface, years=surface.years[:2].mean(keepdims=True), k=k)
    assert got.flag[0].tolist() == [Flag.OUT_OF_CERTIFICATE, Flag.OK, Flag.OUT_OF_CERTIFICATE]


def test_an_event_is_spread_over_its_gap_and_said(surface):
    """Prices at the expiries are the same with and without the clock's event."""
    when = int(surface.chain.fixing_ns[:2].mean())
    clock = VolClock(1.0, 1.0, 1.0, frozenset(), frozenset(), (Event(when, 1e-4),))
    eventful = surface.on_clock(clock)
    plain, got = dupire(surface), dupire(eventful)
    assert np.array_equal(plain.vol, got.vol, equal_nan=True)
    gap = (got.years > surface.years[0]) & (got.years <= surface.years[1])
    marked = got.flag == Flag.EVENT
    assert marked[gap].any() and not marked[~gap].any()


def test_a_surface_without_curves_is_refused(surface):
    from dataclasses import replace

    empty = replace(surface, models=("",) * surface.chain.slices)
    with pytest.raises(InvalidInput, match="no expiry holds a curve"):
        dupire(empty)

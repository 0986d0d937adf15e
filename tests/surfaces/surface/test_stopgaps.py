"""An expiry with one strike beside good ones has no say in local volatility: its curve is flat."""

from dataclasses import replace

import numpy as np
import pytest

from surfaces import andreasen_huge, dynamics, fit, term
from surfaces.andreasen_huge import QuoteStatus, calibrate_surface
from surfaces.dynamics_changes import of_surfaces
from surfaces.local_vol import Flag, dupire
from surfaces.pricing import black
from surfaces.units import NS_PER_DAY

NOW_NS = 1_700_000_000_000_000_000
SPOT, RATE = 100.0, 0.03
GOOD = (18.0, 46.0, 109.0)
THIN = 60.0


def chain(days, thin=(), roots=("X",)):
    """A fitted surface; `thin` days quote one strike, and the second root every other one."""
    columns = {n: [] for n in ("expiry", "root", "strike", "right", "bid", "ask")}
    for day in sorted((*days, *thin)):
        years = day / 365.0
        forward, df = SPOT * np.exp(RATE * years), np.exp(-RATE * years)
        width = 0.2 * np.sqrt(years)
        for n, root in enumerate(roots[:1] if day in thin else roots):
            k = np.zeros(1) if day in thin else width * np.linspace(-2.5, 2.0, 37)[:: n + 1]
            strike = np.round(forward * np.exp(k), 2)
            z = np.log(strike / forward) / width
            # the second root's own smile differs, so that it matters which of them is taken
            vol = 0.2 - (0.02 + 0.004 * n) * z + 0.004 * z * z
            for right in (1.0, -1.0):
                mid = black.price(
                    right=right, forward=forward, strike=strike, years=years, vol=vol, df=df
                )
                columns["expiry"] += [NOW_NS + int(day * NS_PER_DAY)] * strike.size
                columns["root"] += [root] * strike.size
                columns["strike"] += strike.tolist()
                columns["right"] += [right] * strike.size
                columns["bid"] += (mid * 0.995).tolist()
                columns["ask"] += (mid * 1.005).tolist()
    columns["style"] = ["european"] * len(columns["bid"])
    return fit(columns, valuation_ns=NOW_NS, spot=SPOT, rate=RATE)


@pytest.fixture(scope="module")
def surfaces():
    """(with the thin expiry, without)"""
    both = chain(GOOD, (THIN,)), chain(GOOD)
    assert both[0].path[2] == "flat"
    assert abs(both[0].skew[2]) < 1e-9
    return both


KEEP = [0, 1, 3]  # slices of GOOD in the surface with the thin one


def test_the_ratio_does_not_see_an_expiry_without_a_skew_of_its_own(surfaces):
    """R of 109 days used to be 1.83 with a one-strike expiry at 60 days and 2.09 without it."""
    thin, good = surfaces
    got, want = (dynamics.stickiness(s, "local_vol") for s in surfaces)
    np.testing.assert_allclose(got[KEEP], want, atol=2e-3)
    assert want[2] > 2.05
    assert want[1] < got[2] < want[2]  # by its years, between its neighbours
    np.testing.assert_allclose(
        dynamics.vol_slope(thin, strike=thin.forwards, years=thin.years, rule="local_vol"),
        (got - 1.0) * thin.skew, atol=2e-4,
    )  # fmt: skip
    at = {"strike": SPOT, "years": 109.0 / 365.0, "rule": "local_vol"}
    np.testing.assert_allclose(
        dynamics.vol_slope(thin, **at), dynamics.vol_slope(good, **at), atol=1e-3
    )


def test_dupire_goes_past_an_expiry_without_a_smile_of_its_own(surfaces):
    """At 0.23 years and k = .15 the local vol used to be .058, and .139 without the expiry."""
    k = np.linspace(-0.2, 0.15, 15)
    got, want = (dupire(s, years=[0.1, 0.15, 0.23], k=k) for s in surfaces)
    np.testing.assert_allclose(got.vol, want.vol, rtol=2e-3)
    np.testing.assert_array_equal(got.flag, want.flag)
    assert dupire(surfaces[0]).years.size == dupire(surfaces[1]).years.size


def test_andreasen_huge_takes_no_quote_from_a_stopgap(surfaces):
    """Its one point, at the forward, used to be calibrated to as if it had been quoted."""
    got, want = (calibrate_surface(s) for s in surfaces)
    np.testing.assert_allclose(got.years, np.array(GOOD) / 365.0)
    np.testing.assert_allclose(got.vol(0.05, 0.25), want.vol(0.05, 0.25), rtol=1e-3)
    assert not np.any(got.status == QuoteStatus.STOPGAP)


def test_where_there_are_only_stopgaps_they_are_used_and_it_is_said():
    """Every expiry with one strike: a level without a skew, R = 2, flat local vol."""
    thin = chain((), GOOD)
    assert set(thin.path) == {"flat"}
    np.testing.assert_array_equal(dynamics.stickiness(thin, "local_vol"), 2.0)
    local = dupire(thin, years=[0.02, 0.1], k=[-0.01, 0.0, 0.01])
    assert (local.flag == Flag.STOPGAP).all()
    assert np.isfinite(local.vol).all()
    assert "no expiry has a curve of its own" in next(iter(local.why()))
    found = calibrate_surface(thin)
    assert (found.status == QuoteStatus.STOPGAP).all()
    assert "3 quotes repriced" in repr(found) and "0 not>" in repr(found)
    assert "read off a borrowed or kept curve" in next(iter(found.why()))
    assert andreasen_huge.words(QuoteStatus.STOPGAP)


def test_of_two_roots_the_best_quoted_makes_the_ratio_and_the_other_takes_it():
    """Order of rows does not matter; a slice past its fixing does not count."""
    both = chain(GOOD, roots=("A", "B"))
    alone = chain(GOOD)
    got = dynamics.stickiness(both, "local_vol")
    np.testing.assert_array_equal(got[::2], got[1::2])
    np.testing.assert_allclose(got[::2], dynamics.stickiness(alone, "local_vol"), atol=1e-3)
    rows = {"years": both.years, "atm_vol": both.atm_vol, "skew": both.skew,
            "path": both.path, "quotes": both.scores.quotes}  # fmt: skip
    np.testing.assert_array_equal(dynamics.local_vol_ratios(**rows), got)
    back = {name: values[::-1] for name, values in rows.items()}
    np.testing.assert_array_equal(dynamics.local_vol_ratios(**back), got[::-1])
    other = replace(both, path=tuple("flat" if r == "A" else "svi" for r in both.chain.roots))
    assert np.abs(dynamics.stickiness(other, "local_vol") - got).max() > 1e-3


def test_own_curves_are_the_surface_where_nothing_is_borrowed(surfaces):
    thin, good = surfaces
    assert term.own_curves(good) is good
    assert term.live_slices(term.own_curves(thin)).tolist() == KEEP


def test_changes_leave_stopgaps_out(surfaces):
    """A flat curve says nothing of what vols do: its rows, with a skew of zero, are not there."""
    thin, _ = surfaces
    later = replace(thin, ts_ns=thin.ts_ns + 60 * 10**9)
    got = of_surfaces([thin, later])
    assert len(got) == 3
    assert (np.abs(got.skew) > 0.01).all()
    each = [[float(s.error(j, np.zeros(1))[0]) for j in KEEP] for s in (thin, later)]
    want = np.sort(np.sqrt(np.square(each).sum(axis=0)))  # independent, so squares add up
    np.testing.assert_allclose(np.sort(got.vol_error), want, rtol=1e-12)
    frames = [s.diagnostics for s in (thin, later)]
    assert len(dynamics.of_frame(frames[0].vstack(frames[1]))) == 3

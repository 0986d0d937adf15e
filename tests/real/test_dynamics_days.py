"""Stickiness and minimum-variance delta on real days: bounds that the literature gives.

Bergomi (2016, section 9.1) finds R of index options between 1 and 2, about 1.5; Hull and White
(2017) find that spot explains a quarter of the variance that a Black hedge of such options leaves.
"""

import numpy as np
import pytest

from hedging import delta, minimum_variance
from optmm.bench.surface_files import FOLDER, fitted
from optmm.bench.surface_minutes import tops
from optmm.config import DeskConfig
from optmm.data.readers import open_day
from optmm.engine.market import fit_config, slices_of
from surfaces.dynamics_changes import of_frame, of_surfaces
from surfaces.dynamics_history import Status, skew_stickiness
from surfaces.live import LiveFitter
from surfaces.pricing import black

pytestmark = pytest.mark.real
EVERY = 5  # minutes from one fit to the next
WIDE = 1.0  # USD; a wider spread hides a change of five minutes


def walk(shared_data, underlying, date, every):
    """(chain, surfaces, mids, spreads) of a day, a fit every so many minutes."""
    folder = shared_data / "lean"
    if not folder.is_dir():
        pytest.skip("the LEAN days are not in ../shared/data/lean")
    day = open_day(folder, underlying, date)
    fitter = LiveFitter(slices_of(day.chain), fit_config(day.chain, DeskConfig()))
    surfaces, mids, spreads = [], [], []
    for now, spot, bid, ask in tops(day, every):
        surfaces.append(fitter.update(now, spot=spot, bid=bid, ask=ask))
        mids.append(0.5 * (bid + ask))
        spreads.append(ask - bid)
    return day.chain, surfaces, mids, spreads


@pytest.fixture(scope="module")
def es(shared_data):
    return walk(shared_data, "ES", "2020-01-06", EVERY)


@pytest.fixture(scope="module")
def goog(shared_data):
    return walk(shared_data, "GOOG", "2015-12-24", 1)


def test_es_is_between_sticky_strike_and_the_short_date_of_diffusions(es):
    """One expiry of 74 days, a quarter of an hour a step: most of what its vol does is spot's."""
    _, surfaces, _, _ = es
    (bucket,) = skew_stickiness(of_surfaces(surfaces, step=3))
    assert bucket.status is Status.OK
    assert bucket.ratio - 2.0 * bucket.error > 1.0
    assert bucket.ratio + 2.0 * bucket.error < 2.0
    assert bucket.error < 0.1
    assert bucket.explained > 0.8


def test_es_gives_the_same_ratio_at_longer_steps(es):
    """A bias of stale quotes or noise would fade with the step: the ratio holds from 15 minutes."""
    _, surfaces, _, _ = es
    found = [skew_stickiness(of_surfaces(surfaces, step=s)).buckets[0] for s in (3, 6, 12)]
    for longer in found[1:]:
        assert abs(longer.ratio - found[0].ratio) < 2.0 * np.hypot(longer.error, found[0].error)


def test_goog_on_a_quiet_half_day_says_where_it_knows_little(goog):
    """Moves of 4 basis points a minute: near expiries agree with one; longer steps are few."""
    _, surfaces, _, _ = goog
    found = {round(365 * b.low): b for b in skew_stickiness(of_surfaces(surfaces))}
    for low in (7, 30):
        assert found[low].expiries == 4
        assert 0.0 < found[low].ratio < 2.0, str(found[low])
    long = skew_stickiness(of_surfaces(surfaces, step=15))
    assert all(b.status is Status.TOO_FEW for b in long)


def test_spx_closes_weeks_apart_are_refused_a_ratio(shared_data):
    """Six closes of spring 2023 are five changes: no error can be had from those."""
    names = ("2023-04-14", "2023-04-17", "2023-05-05", "2023-05-19", "2023-05-23", "2023-05-26")
    paths = [shared_data.parent / FOLDER / f"spx_{name}_close.csv.gz" for name in names]
    if not all(path.is_file() for path in paths):
        pytest.skip("the SPX closes are not in ../shared/data/cboe_quotedata")
    surfaces = [fitted(path).surface for path in paths[3:]]
    rows = of_surfaces(surfaces)
    assert len(rows) > 60
    assert all(b.status is Status.TOO_FEW for b in skew_stickiness(rows))
    # spot fell 1.1 % and rose 1.4 %: vols went the other way, by about what the skew says
    near = (rows.years > 20 / 365) & (rows.years < 1.0)
    x, y = (rows.skew * rows.log_move)[near], rows.vol_change[near]
    assert np.mean(np.sign(x) == np.sign(y)) > 0.9
    assert 0.0 < x @ y / (x @ x) < 2.0


def hedged(es, right):
    """Blocks of a right's five-minute changes, and what smile-aware deltas would have left."""
    chain, surfaces, mids, spreads = es
    columns, skews = [], []
    for i in range(len(surfaces) - 1):
        old, new = surfaces[i], surfaces[i + 1]
        of = chain.slice_of
        at = black.greeks(
            right=chain.right, forward=old.forwards[of], strike=chain.strike, years=old.years[of],
            vol=old.row_vol, df=old.dfs[of],
        )  # fmt: skip
        use = np.isfinite(mids[i] + mids[i + 1]) & (chain.right == right)
        use &= (spreads[i] <= WIDE) & (spreads[i + 1] <= WIDE)
        one = np.ones(int(use.sum()))
        columns.append((
            np.full(one.size, old.ts_ns), at.delta[use], at.vega[use], old.years[of][use],
            one * old.spot, (mids[i + 1] - mids[i])[use], one * (new.spot - old.spot),
        ))  # fmt: skip
        skews.append(one * old.skew[0])
    names = ("ts_ns", "delta", "vega", "years", "spot", "option_change", "spot_change")
    parts = (np.concatenate(c) for c in zip(*columns, strict=True))
    rows = dict(zip(names, parts, strict=True))
    return minimum_variance.blocks(**rows), rows, np.concatenate(skews)


@pytest.mark.parametrize("right", [1, -1])
def test_es_gains_from_minimum_variance_what_index_options_do(es, right):
    """Estimated on the half before, tested on the half after; a smile-aware delta gains alike."""
    history, rows, skew = hedged(es, right)
    half = history.ts_ns.size // 2
    found = minimum_variance.rolling(history, instants=half, least=half, refit=half)
    assert 0.1 < found.gain < 0.6
    use = (np.abs(rows["delta"]) >= 0.05) & (np.abs(rows["delta"]) <= 0.95)

    def left(ratio):
        mine = delta.smile_aware(
            rows["delta"], rows["vega"], skew=skew, spot=rows["spot"], stickiness=ratio
        )
        out = (rows["option_change"] - mine * rows["spot_change"])[use]
        return out @ out

    assert left(1.3) < 0.85 * left(1.0)  # sticky strike, the Black delta
    assert left(1.3) < left(0.0) and left(1.3) < left(2.0)


def test_a_run_s_frame_gives_the_same_on_real_fits(es):
    import polars as pl

    _, surfaces, _, _ = es
    frame = pl.concat([s.diagnostics for s in surfaces])
    a = skew_stickiness(of_frame(frame, step=3)).buckets[0]
    b = skew_stickiness(of_surfaces(surfaces, step=3)).buckets[0]
    assert a.ratio == pytest.approx(b.ratio, abs=1e-9)

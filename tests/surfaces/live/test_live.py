"""The live fitter on chains whose truth is known, and on input that is wrong."""

import numpy as np
import pytest

from surfaces.curves import parity
from surfaces.errors import InvalidInput
from surfaces.live import FitConfig, LiveFitter
from surfaces.smiles.svi import SVI

MINUTE = 60_000_000_000


def fitter(world, **config) -> LiveFitter:
    return LiveFitter(world.slices, FitConfig(**{"rate_prior": 0.03} | config))


def feed(fit, world, minute=0, **change):
    quotes = {"spot": world.spot, "bid": world.bid, "ask": world.ask} | change
    return fit.update(world.now_ns + minute * MINUTE, **quotes)


def test_european_truth_is_recovered(european):
    """Mids are exact: forwards within a tenth of their error bar's cent, vols within 2 bp."""
    world = european(half=0.02)
    got = feed(fitter(world), world)
    np.testing.assert_allclose(got.forwards, world.forwards, rtol=2e-6)
    assert abs(got.rate[-1] - world.rate) < 2e-3
    assert got.path == ("mixture",) * 4 and got.status == ("ok",) * 4
    for j, theta in enumerate(world.thetas):
        rows = got.chain.rows(j)
        k = np.log(got.chain.strike[rows] / world.forwards[j])
        truth = np.sqrt(SVI.total_variance(k, theta) / world.years[j])
        np.testing.assert_allclose(got.row_vols(rows), truth, atol=2e-4)
    np.testing.assert_array_equal(got.scores.hits, got.scores.quotes)
    assert np.all(got.certificate.min_g > 0.0)
    assert np.all(got.certificate.calendar_margin[1:] > 0.0)


def test_forward_errors_cover_the_truth(european):
    """40 noisy chains of four expiries: two error bars hold nearly all forwards, one holds most."""
    z = []
    for seed in range(40):
        world = european(half=0.15, noise=1.0, seed=seed)
        got = feed(fitter(world), world)
        z.append((got.forwards - world.forwards) / got.forward_error)
    size = np.abs(np.concatenate(z))
    assert 0.5 < np.mean(size < 1.0) < 0.95
    assert np.mean(size < 2.0) > 0.9


def test_american_truth_is_recovered_from_quantlib_prices(american):
    """De-Americanised: forwards within their errors, the rate near the truth, vols within a
    twentieth of a point. Ignoring the premium puts the rate off by one to three points."""
    world = american(half=0.02, rate=0.05, carry=0.02)
    got = feed(fitter(world, rate_prior=0.03, rate_prior_sd=0.02), world)
    assert np.all(np.abs(got.forwards - world.forwards) < 3.0 * got.forward_error + 0.01)
    assert got.rate[0] == pytest.approx(world.rate, abs=5e-3)
    for j, theta in enumerate(world.thetas):
        level = np.sqrt(SVI.total_variance(0.0, theta) / world.years[j])
        assert got.atm_vol[j] == pytest.approx(level, abs=5e-4)
    assert got.scores.hits.sum() >= 0.97 * got.scores.quotes.sum()


def test_american_theo_is_quantlibs_price(american):
    """European at the fitted vol plus premium: QuantLib's price within the quoted half spread.

    In the money the error of the rate comes on top: strike x years x 8 bp is 20 cents at most.
    """
    from surfaces.pricing import black

    world = american(half=0.05, rate=0.05, carry=0.02)
    got = feed(fitter(world, rate_prior=0.05), world)
    chain, of = got.chain, got.chain.slice_of
    theo = black.price(
        right=chain.right,
        forward=got.forwards[of],
        strike=chain.strike,
        years=got.years[of],
        vol=got.row_vols(),
        df=got.dfs[of],
    )
    theo = theo + got.premium(world.spot)[0]
    miss = np.abs(theo - (world.ask - 0.05))
    outside = chain.right * (chain.strike - got.forwards[of]) > 0.0
    assert np.max(miss[outside]) < 0.05
    assert np.max(miss) < 0.2


def test_on_a_future_the_forward_is_spot(european):
    world = european(carry=0.04)
    got = feed(fitter(world, future=True), world)
    np.testing.assert_array_equal(got.forwards, np.full(4, world.spot))
    np.testing.assert_allclose(got.carry, got.rate, atol=1e-15)
    np.testing.assert_array_equal(got.forward_error, 0.0)


def test_a_wild_quote_is_left_out_and_counted_as_a_miss(european):
    world = european(half=0.02)
    clean = feed(fitter(world), world)
    rows = world.slices.rows(2)
    row = rows.start + int(np.argmin(np.abs(world.slices.strike[rows] - 540.0)))
    row += int(world.slices.right[row] < 0.0)
    row -= int(world.slices.right[row] < 0.0)
    bid, ask = world.bid.copy(), world.ask.copy()
    bid[row] += 4.0
    ask[row] += 4.0
    got = feed(fitter(world), world, bid=bid, ask=ask)
    np.testing.assert_allclose(got.row_vols(rows), clean.row_vols(rows), atol=1e-4)
    assert got.status[2] == "wild:1"
    assert got.scores.quotes[2] == clean.scores.quotes[2]
    assert got.scores.hits[2] == clean.scores.hits[2] - 1
    assert not got.quotes.used[got.quotes.row == row].any()


def test_a_slice_that_goes_dark_keeps_its_last_good_curve(european):
    """Its vols are held, its uncertainty grows, and it says so."""
    world = european()
    fit = fitter(world)
    first = feed(fit, world)
    bid = world.bid.copy()
    bid[world.slices.rows(1)] = np.nan
    ask = np.where(np.isnan(bid), np.nan, world.ask)
    second = feed(fit, world, 10, bid=bid, ask=ask)
    assert second.version == 2
    assert second.path == ("mixture", "last_good", "mixture", "mixture")
    assert "no_quotes" in second.status[1]
    assert second.atm_vol[1] == pytest.approx(first.atm_vol[1], rel=1e-9)
    rows = world.slices.rows(1)
    assert np.all(second.row_uncertainty(rows) > 1.5 * first.row_uncertainty(rows))
    third = feed(fit, world, 11)
    assert third.path == ("mixture",) * 4


def test_a_thin_minute_does_not_replace_a_good_curve(european):
    """One quote left is a reason to wait, not to publish a flat smile; after a while it is."""
    world = european()
    fit = fitter(world, last_good_s=900.0)
    feed(fit, world)
    keep = np.ones(len(world.slices), bool)
    keep[world.slices.rows(1)] = False
    keep[world.slices.rows(1).start + 20] = True
    keep[world.slices.rows(1).start + 21] = True
    assert feed(fit, world, 5, usable=keep).path[1] == "last_good"
    assert feed(fit, world, 30, usable=keep).path[1] == "flat"


def test_an_expiry_never_quoted_borrows_from_its_neighbours(european):
    world = european()
    usable = np.ones(len(world.slices), bool)
    usable[world.slices.rows(1)] = False
    got = feed(fitter(world), world, usable=usable)
    assert got.path[1] == "none" and "neighbours" in got.status[1]
    assert "carry_interpolated" in got.status[1]
    assert got.forwards[1] == pytest.approx(world.forwards[1], rel=1e-4)
    assert np.isfinite(got.row_vols()).all()
    assert got.row_uncertainty(world.slices.rows(1)).min() > got.fit_error[0]


@pytest.mark.parametrize(
    "bad", ["nan", "crossed", "locked", "negative", "huge", "zero", "unusable"]
)
def test_no_bad_quote_raises(european, bad):
    """Every quote bad at once, first cold, then after a good surface; then good again."""
    world = european()
    n = len(world.slices)
    bid, ask, usable = world.bid.copy(), world.ask.copy(), np.ones(n, bool)
    match bad:
        case "nan":
            bid[:], ask[:] = np.nan, np.nan
        case "crossed":
            bid, ask = ask, bid
        case "locked":
            bid = ask.copy()
        case "negative":
            bid, ask = -ask, -bid
        case "huge":
            bid, ask = np.full(n, 1e300), np.full(n, np.inf)
        case "zero":
            bid[:], ask[:] = 0.0, 0.0
        case "unusable":
            usable[:] = False
    fit = fitter(world)
    empty = feed(fit, world, bid=bid, ask=ask, usable=usable)
    assert set(empty.path) == {"none"} and empty.scores.quotes.sum() == 0
    good = feed(fit, world, 1)
    assert good.path == ("mixture",) * 4
    after = feed(fit, world, 2, bid=bid, ask=ask, usable=usable)
    assert set(after.path) == {"last_good"}
    np.testing.assert_allclose(after.row_vols(), good.row_vols(), rtol=1e-9)


@pytest.mark.parametrize("spot", [np.nan, 0.0, -1.0, np.inf])
def test_a_missing_spot_uses_the_last_one(european, spot):
    world = european()
    fit = fitter(world)
    feed(fit, world)
    assert feed(fit, world, 1, spot=spot).spot == pytest.approx(world.spot, rel=1e-7)


def test_random_garbage_never_raises_and_stays_finite(american):
    """Quotes broken at random for twenty minutes; where there is a vol it is within reason."""
    world = american(half=0.1)
    rng = np.random.default_rng(11)
    fit = fitter(world)
    for minute in range(20):
        bid, ask = world.bid.copy(), world.ask.copy()
        broken = rng.random(bid.size) < 0.5
        bid[broken] *= np.exp(2.0 * rng.standard_normal(broken.sum()))
        broken = rng.random(bid.size) < 0.3
        ask[broken] = rng.choice([np.nan, 0.0, 1e9, 0.01], broken.sum())
        spot = world.spot * np.exp(0.02 * rng.standard_normal())
        got = feed(fit, world, minute, bid=bid, ask=ask, spot=spot)
        assert np.isfinite(got.forwards).all() and np.isfinite(got.dfs).all()
        if minute:
            assert np.all((got.row_vols() > 1e-4) & (got.row_vols() < 20.0))


def test_expiry_day_stays_finite_to_the_last_second_and_past_it(european):
    world = european(half=0.01)
    fit = fitter(world)
    feed(fit, world)
    end = int(world.slices.fixing_ns[0])
    for now in (end - 10**9, end - 1, end, end + 60 * 10**9):
        got = fit.update(now, spot=world.spot, bid=world.bid, ask=world.ask)
        assert np.isfinite(got.row_vols()).all() and np.isfinite(got.row_uncertainty()).all()
    assert got.path[0] == "none" and "expired" in got.status[0]
    assert got.scores.quotes[0] == 0


def test_same_updates_give_the_same_bytes(american):
    world = american(half=0.05, noise=0.5)
    ends = []
    for _ in range(2):
        fit = fitter(world)
        for minute in range(5):
            got = feed(fit, world, minute, spot=world.spot + 0.4 * minute)
        parts = (got.row_vols(), got.forwards, got.dfs, got.params, *got.premium(500.0))
        ends.append(b"".join(np.ascontiguousarray(a).tobytes() for a in parts))
    assert ends[0] == ends[1]


def test_an_old_surface_does_not_change_when_a_new_one_is_made(european):
    world = european()
    fit = fitter(world)
    first = feed(fit, world)
    before = first.row_vols().copy(), first.forwards.copy(), first.premium(505.0)[0].copy()
    feed(fit, world, 1, spot=510.0)
    after = first.row_vols(), first.forwards, first.premium(505.0)[0]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="read-only"):
        first.forwards[0] = 1.0


def test_smoothing_makes_forwards_steadier_than_their_readings(european):
    """Fresh noise every minute around one truth: moves shrink threefold or more."""
    moves, single = [], []
    world = european(half=0.2, noise=1.0, seed=0)
    fit = fitter(world)
    for minute in range(40):
        quotes = european(half=0.2, noise=1.0, seed=minute)
        one = feed(fitter(world), world, bid=quotes.bid, ask=quotes.ask)
        many = feed(fit, world, minute, bid=quotes.bid, ask=quotes.ask)
        single.append(np.log(one.forwards / world.spot))
        moves.append(np.log(many.forwards / world.spot))
    steady = np.std(np.diff(moves[20:], axis=0), axis=0)
    raw = np.std(np.diff(single[20:], axis=0), axis=0)
    assert np.all(steady < 0.33 * raw)


def test_a_wrong_shape_names_itself(european):
    world = european()
    with pytest.raises(InvalidInput, match=r"bid has shape \(3,\), must be \(\d+,\)"):
        feed(fitter(world), world, bid=np.ones(3))


def test_an_unknown_model_fails_at_once(european):
    with pytest.raises(InvalidInput, match="unknown smile 'sabre'"):
        fitter(european(), model="sabre")


@pytest.mark.parametrize("stickiness", [0.0, 1.0, 1.6])
def test_a_move_of_spot_moves_the_level_by_the_stickiness_ratio(european, stickiness):
    """At the money d(vol) = R skew dlnS to first order; forwards go with spot, the certificate
    holds, and moving there and back is the surface it was."""
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    first = fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)
    step = 0.004
    second = fitter.move(world.spot * np.exp(step), stickiness)
    assert second.version == first.version + 1 and fitter.surface is second
    np.testing.assert_allclose(second.forwards, first.forwards * np.exp(step), rtol=1e-12)
    np.testing.assert_allclose(
        second.atm_vol - first.atm_vol, stickiness * first.skew * step, rtol=0.05, atol=2e-5
    )
    assert second.certificate.certified.all()
    back = fitter.move(world.spot, stickiness)
    np.testing.assert_allclose(back.row_vols(), first.row_vols(), atol=5e-4)


def test_there_is_nothing_to_move_before_the_first_quotes(european):
    with pytest.raises(InvalidInput, match="no surface to move; call update"):
        LiveFitter(european().slices).move(500.0)


def test_a_spot_that_the_quotes_contradict_is_not_believed(european):
    """10 % off for one refit, quotes unmoved: this used to move every forward by 10 %."""
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    first = fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)
    second = fitter.update(
        world.now_ns + 60 * 10**9, spot=1.1 * world.spot, bid=world.bid, ask=world.ask
    )
    assert all("spot_off" in status for status in second.status)
    np.testing.assert_allclose(second.forwards, first.forwards, rtol=1e-4)
    np.testing.assert_allclose(second.row_vols(), first.row_vols(), atol=2e-3)
    third = fitter.update(
        world.now_ns + 120 * 10**9, spot=1.004 * world.spot, bid=world.bid, ask=world.ask
    )
    assert not any("spot_off" in status for status in third.status)


def test_quotes_that_no_smile_means_are_called_a_misfit(european):
    """Calls and puts swapped: certified free of arbitrage, and near none of the quotes."""
    world = european()
    chain, swapped = world.slices, np.empty(len(world.slices), np.int64)
    swapped[chain.right > 0], swapped[chain.right < 0] = (
        np.flatnonzero(chain.right < 0), np.flatnonzero(chain.right > 0),
    )  # fmt: skip
    got = LiveFitter(chain, FitConfig(rate_prior=0.04)).update(
        world.now_ns, spot=world.spot, bid=world.bid[swapped], ask=world.ask[swapped]
    )
    assert all("misfit" in status for status in got.status)


def test_a_spot_that_insists_is_believed(european):
    """The first spot was 2 % stale: the right one used to be overruled for good."""
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    for minute in range(6):
        spot = world.spot * (0.98 if minute == 0 else 1.0)
        now = world.now_ns + minute * 60 * 10**9
        got = fitter.update(now, spot=spot, bid=world.bid, ask=world.ask)
    assert got.spot == world.spot and got.status == ("ok",) * 4
    np.testing.assert_allclose(got.forwards, world.forwards, rtol=2e-4)


def test_without_a_spot_the_quotes_say_where_it_is(european):
    """The market moves by 0.6 % while the underlying's feed is dark."""
    world, moved = european(), european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)
    pair = parity.pair_rows(world.slices.right, world.slices.strike, world.slices.slice_start)
    shift = 0.006 * world.spot  # each pair's difference moves by df times it
    df = np.exp(-world.rate * world.years)[world.slices.slice_of]
    for side in (moved.bid, moved.ask):
        side[pair.call] += 0.5 * shift * df[pair.call]
        side[pair.put] -= 0.5 * shift * df[pair.put]
    got = fitter.update(world.now_ns + 10**9, spot=np.nan, bid=moved.bid, ask=moved.ask)
    np.testing.assert_allclose(got.forwards, world.forwards + shift, rtol=3e-4)


def test_an_expiry_with_a_borrowed_vol_is_uncertain_by_a_tenth_of_it(european):
    """Its age was counted from 1970, and its fair value was known to 500 dollars."""
    world = european()
    bid, ask = world.bid.copy(), world.ask.copy()
    bid[world.slices.rows(1)] = ask[world.slices.rows(1)] = np.nan
    got = LiveFitter(world.slices, FitConfig(rate_prior=0.04)).update(
        world.now_ns, spot=world.spot, bid=bid, ask=ask
    )
    assert got.path[1] == "none" and "no_quotes" in got.status[1]
    assert not got.certificate.certified[1]
    assert got.uncertainty(world.spot, got.years[1]) == pytest.approx(
        0.1 * got.atm_vol[1], rel=0.05
    )


@pytest.mark.parametrize("model", ["mixture", "spline", "svi", "essvi"])
def test_a_thin_expiry_beside_good_ones_raises_in_no_model(european, model):
    """One strike on the second expiry: with the spline, no curve of its own used to raise."""
    world = european()
    bid, ask = world.bid.copy(), world.ask.copy()
    rows = np.arange(*world.slices.slice_start[1:3])
    bid[rows[2:]] = ask[rows[2:]] = np.nan
    got = LiveFitter(world.slices, FitConfig(rate_prior=0.04, model=model)).update(
        world.now_ns, spot=world.spot, bid=bid, ask=ask
    )
    assert np.isfinite(got.row_vols()).all()


def test_a_move_to_the_same_spot_leaves_the_certificate_as_it_was(european):
    """A flat stopgap used to count as a curve of the model, and cut its neighbour's reach."""
    world = european()
    bid, ask = world.bid.copy(), world.ask.copy()
    rows = np.arange(*world.slices.slice_start[1:3])
    bid[rows[2:]] = ask[rows[2:]] = np.nan
    bid[rows[:2]] *= 20.0  # a vol above all of the next expiry's
    ask[rows[:2]] *= 20.0
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04, certificate_points=101))
    first = fitter.update(world.now_ns, spot=world.spot, bid=bid, ask=ask)
    assert first.path[1] == "flat" and first.certificate.certified.tolist() == [1, 0, 1, 1]
    again = fitter.move(world.spot)
    np.testing.assert_array_equal(again.certificate.certified, first.certificate.certified)
    np.testing.assert_allclose(again.certificate.reach, first.certificate.reach, atol=1e-12)

"""Forwards and discount factors from chains whose truth is known."""

import numpy as np
import pytest

from surfaces.curves import parity
from surfaces.pricing import american

FORWARD, RATE, YEARS = 501.3, 0.043, 0.25
DF = np.exp(-RATE * YEARS)


def pairs(seed: int, half: float = 0.4, noise: float = 1.0, n: int = 40) -> parity.Pairs:
    """European pairs; each mid off by a uniform share of its half spread."""
    rng = np.random.default_rng(seed)
    strike = FORWARD + 5.0 * (np.arange(n) - n // 2)
    put = 20.0 + 0.1 * np.abs(strike - FORWARD)
    call = put + DF * (FORWARD - strike)
    call, put = (leg + noise * half * rng.uniform(-1.0, 1.0, n) for leg in (call, put))
    return parity.make_pairs(
        strike=strike,
        call_bid=call - half,
        call_ask=call + half,
        put_bid=put - half,
        put_ask=put + half,
    )


def test_noise_free_pairs_give_the_forward_and_the_rate_exactly():
    """Parity is an identity, so only rounding is left (the prior is set wide)."""
    got = parity.forward_and_df(pairs(1, noise=0.0), 1.0, 1e3)
    assert got.forward == pytest.approx(FORWARD, rel=1e-10)
    assert got.df == pytest.approx(DF, rel=1e-8)
    assert got.inside == 1.0


@pytest.mark.parametrize("both", [True, False], ids=["df implied", "df given"])
def test_error_bars_are_honest(both):
    """Over 400 simulated chains the standardised error has the size a standard error promises.

    Its root mean square is one for an exact error bar; 400 draws know it to 3.5 per cent, and
    Huber weights cost a few per cent more, so a tenth either way is already a finding.
    """
    z, zd = [], []
    for seed in range(400):
        if both:
            got = parity.forward_and_df(pairs(seed), np.exp(-0.03 * YEARS), 0.02 * YEARS)
            zd.append((got.df - DF) / got.df_error)
        else:
            got = parity.forward_given_df(pairs(seed), DF)
        z.append((got.forward - FORWARD) / got.forward_error)
    assert 0.9 < np.sqrt(np.mean(np.square(z))) < 1.1
    if both:
        assert 0.85 < np.sqrt(np.mean(np.square(zd))) < 1.15


def test_a_few_stale_pairs_do_not_move_the_forward():
    clean = pairs(3)
    gap = clean.gap.copy()
    gap[[5, 17, 18]] += [30.0, -12.0, 45.0]
    dirty = parity.Pairs(clean.strike, gap, clean.half, clean.sd, clean.lean)
    good = parity.forward_and_df(clean, DF, 0.005)
    bad = parity.forward_and_df(dirty, DF, 0.005)
    assert abs(bad.forward - FORWARD) < 3.0 * good.forward_error + 0.1
    assert bad.inside < 1.0


def test_without_pairs_there_is_no_forward():
    none = pairs(1).keep(np.zeros(40, bool))
    assert parity.forward_given_df(none, 1.0) is None
    assert parity.forward_and_df(none, 1.0, 0.1) is None
    assert parity.slope_rate(none, 1.0, 0.1) is None


def test_the_prior_decides_where_a_week_of_quotes_cannot():
    """A free regression of a one-week chain is useless: the prior keeps the rate near itself."""
    years = 7 / 365
    rng = np.random.default_rng(5)
    strike = FORWARD + 5.0 * np.arange(-6, 7)
    gap = np.exp(-RATE * years) * (FORWARD - strike) + rng.uniform(-0.4, 0.4, strike.size)
    sd = np.full(strike.size, 0.4)
    got = parity.forward_and_df(
        parity.Pairs(strike, gap, sd, sd, 0.0 * sd), np.exp(-0.03 * years), 3e-4
    )
    assert -np.log(got.df) / years == pytest.approx(0.03, abs=0.016)


def test_order_of_the_quotes_does_not_matter():
    one = pairs(9, n=80)
    mixed = one.keep(np.random.default_rng(0).permutation(80))
    a, b = (parity.forward_and_df(p, DF, 0.005) for p in (one, mixed))
    assert a.forward == pytest.approx(b.forward, rel=1e-13)


def test_one_pass_over_a_chain_says_what_each_slice_says_alone():
    """Three slices: American, European, and one without a market on both sides of any strike."""
    years, rate, half = np.array([0.1, 0.25, 0.5]), 0.03, 0.3
    strike = np.tile(FORWARD + 5.0 * np.arange(-40.0, 40.0), 3)
    of = np.repeat(np.arange(3), 80)
    rng = np.random.default_rng(3)
    put = 20.0 + 0.1 * np.abs(strike - FORWARD)
    call = put + np.exp(-rate * years)[of] * (FORWARD - strike)
    mid = np.concatenate((call, put)) + half * rng.uniform(-1.0, 1.0, 480)
    bid, ask = mid - half, mid + half
    bid[of.size + np.flatnonzero(of == 2)] = np.nan
    bid[::7] = np.nan
    premium, by_rate = 0.01 * rng.uniform(size=480), 2.0 * rng.uniform(size=480)
    df, df_sd = np.exp(-rate * years), 0.01 * years
    got = parity.imply_chain(
        parity.PairRows(np.arange(240), 240 + np.arange(240), np.array([0, 80, 160, 240])),
        strike=np.tile(strike, 2),
        bid=bid,
        ask=ask,
        premium=premium,
        by_rate=by_rate,
        american=np.array([True, False, True]),
        years=years,
        df=df,
        df_sd=df_sd,
        learn_rate=True,
    )
    alone = [
        parity.make_pairs(
            strike=strike[rows],
            call_bid=(bid - premium)[rows],
            call_ask=(ask - premium)[rows],
            put_bid=(bid - premium)[240 + rows],
            put_ask=(ask - premium)[240 + rows],
            lean=by_rate[240 + rows] - by_rate[rows],
        )
        for rows in (np.arange(80), np.arange(80, 160))
    ]
    taken_off = parity.forward_given_df(alone[0], df[0])
    european = parity.forward_and_df(alone[1], df[1], df_sd[1])
    for j, expected in enumerate((taken_off, european)):
        found = (got.forward[j], got.df[j], got.inside[j])
        assert found == pytest.approx((expected.forward, expected.df, expected.inside), rel=1e-12)
    assert got.error[0] == pytest.approx(taken_off.forward_error, rel=1e-12)
    whole = np.hypot(got.error[1], got.lean[1] / (years[1] * got.df[1]) * european.df_error)
    assert whole == pytest.approx(european.forward_error, rel=1e-9)
    rates = parity.slope_rate(alone[0], df[0], years[0])
    error = np.hypot(got.rate_error[0], got.tilt[0])
    assert (got.rate[0], error) == pytest.approx(rates, rel=1e-12)
    near = parity.near_money(alone[0], df[0], 12)
    mean = np.average(near.lean + years[0] * near.gap, weights=1.0 / near.sd**2) / df[0]
    assert got.lean[0] == pytest.approx(mean, rel=1e-12)
    assert np.isnan([got.forward[2], got.df[2], got.inside[2], got.lean[2], got.rate[2]]).all()


def test_the_rate_of_a_european_slice_does_not_know_the_prior():
    """Two priors far apart: the slope's own word is the same, and a forward moved to its rate is
    that of the free regression."""
    one = pairs(11)
    call, put = np.arange(40), 40 + np.arange(40)
    quotes = {
        "strike": np.tile(one.strike, 2),
        "bid": np.concatenate((one.gap - 0.5 * one.half + 100.0, 100.0 - 0.5 * one.half)),
        "ask": np.concatenate((one.gap + 0.5 * one.half + 100.0, 100.0 + 0.5 * one.half)),
        "premium": np.zeros(80),
        "by_rate": np.zeros(80),
        "american": np.zeros(1, bool),
        "years": np.array([YEARS]),
        "df_sd": np.array([0.01]),
        "learn_rate": True,
    }
    rows = parity.PairRows(call, put, np.array([0, 40]))
    low, high = (
        parity.imply_chain(rows, df=np.array([np.exp(-r * YEARS)]), **quotes) for r in (0.01, 0.07)
    )
    assert high.df[0] < low.df[0] - 1e-4
    gap = abs(low.rate[0] - high.rate[0])  # Huber weights differ a little
    assert gap < 0.1 * low.rate_error[0]
    sd = one.half / np.sqrt(6.0)
    free = parity.forward_and_df(
        parity.Pairs(one.strike, one.gap, one.half, sd, one.lean), np.exp(-0.04 * YEARS), 1e3
    )
    for found in (low, high):
        moved = found.at_rate(np.array([-np.log(free.df) / YEARS]), np.array([YEARS]))
        assert moved[0] == pytest.approx(free.forward, abs=1e-3)


def test_protective_quotes_are_left_out():
    """Long-dated index options in the money are quoted 190 wide, all mids 50 too high: with their
    spreads taken at their word such pairs pulled a two-year rate 150 bp down."""
    years, df = 1.77, np.exp(-0.053 * 1.77)
    strike = np.arange(3250.0, 5800.0, 50.0)
    wide = (strike < 4500.0) | (strike > 5350.0)
    half = np.where(wide, 105.0, 25.0)
    lifted = np.where(strike < 4500.0, 50.0, np.where(wide, -40.0, 0.0))
    gap = df * (4838.0 - strike) + lifted + np.random.default_rng(2).uniform(-1.0, 1.0, strike.size)
    sd = half * np.sqrt(1.0 / 6.0)
    kept = parity.near_money(parity.Pairs(strike, gap, half, sd, 0.0 * sd), df, 60)
    assert kept.strike.min() >= 4500.0 and kept.strike.max() <= 5350.0
    got = parity.forward_and_df(kept, np.exp(-0.03 * years), 1.0)
    assert -np.log(got.df) / years == pytest.approx(0.053, abs=0.002)


def american_pairs(seed: int, rate: float, assumed: float) -> parity.Pairs:
    """A chain of `american.price` in cents, premia taken off at the rate `assumed`."""
    rng = np.random.default_rng(seed)
    spot, vol, carry = 450.0 * np.exp(rng.normal(0.0, 0.01)), 0.15, 0.014
    strike = np.arange(400.0, 500.0, 2.0)
    half = 0.02 + 0.03 * rng.uniform(size=(2, strike.size))
    terms = {"strike": strike, "spot": spot, "years": YEARS, "vol": vol}
    mid = np.array(
        [american.price(right=w, rate=rate, dividend_yield=carry, **terms) for w in (1, -1)]
    )
    mid += half * rng.uniform(-1.0, 1.0, mid.shape)
    bid, ask = np.floor((mid - half) * 100.0) / 100.0, np.ceil((mid + half) * 100.0) / 100.0
    # the forward is known from the quotes, so another rate comes with another yield
    premium, bumped = (
        np.array(
            [
                american.premium(right=w, rate=r, dividend_yield=r - rate + carry, **terms)
                for w in (1, -1)
            ]
        )
        for r in (assumed, assumed + 1e-3)
    )
    lean = (bumped - premium) / 1e-3
    return parity.make_pairs(
        strike=strike,
        call_bid=bid[0] - premium[0],
        call_ask=ask[0] - premium[0],
        put_bid=bid[1] - premium[1],
        put_ask=ask[1] - premium[1],
        lean=lean[1] - lean[0],
    )


def test_the_slope_of_american_pairs_gives_the_rate_back_within_its_error():
    """Rates of 1 to 8 %, premia computed up to 1.5 % off: what the premia hide is put back, and the
    standardised error has the size it should (the error bar holds room for mids off to one side,
    which these are not, so it may be somewhat wide)."""
    z = []
    for seed in range(120):
        rng = np.random.default_rng(1000 + seed)
        rate = rng.uniform(0.01, 0.08)
        assumed = max(rate + rng.uniform(-0.015, 0.015), 0.005)
        value, error = parity.slope_rate(
            american_pairs(seed, rate, assumed), np.exp(-assumed * YEARS), YEARS
        )
        z.append((value - rate) / error)
    assert abs(np.mean(z)) < 0.35
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.4


def test_the_line_and_its_errors_are_numpys_weighted_least_squares():
    """All gaps inside the Huber corner, so one exact solve is the answer; a prior that pulls."""
    p, prior, prior_sd, middle = pairs(5), 0.98, 0.004, FORWARD
    basis = np.stack((np.ones(p.strike.size), middle - p.strike), axis=1)
    p = parity.Pairs(p.strike, basis @ [0.4, 0.981], p.half, p.sd, p.lean)
    normal = basis.T @ (basis / p.sd[:, None] ** 2) + np.diag([0.0, prior_sd**-2])
    rhs = basis.T @ (p.gap / p.sd**2) + np.array([0.0, prior / prior_sd**2])
    intercept, df = np.linalg.solve(normal, rhs)
    left = (p.gap - basis @ [intercept, df]) / p.sd
    assert np.abs(left).max() < 1.5
    got = parity.forward_and_df(p, prior, prior_sd)
    assert got.df == pytest.approx(df, rel=1e-11)
    assert got.forward == pytest.approx(middle + intercept / df, rel=1e-11)
    freedom = p.strike.size - 2
    scale = np.sqrt((left @ left + 12.0) / (freedom + 12.0))  # the spreads' word is worth 12 pairs
    normal[1, 1] -= prior_sd**-2 * (1.0 - scale**2)
    cov = scale**2 * np.linalg.inv(normal)
    assert got.df_error == pytest.approx(np.sqrt(cov[1, 1]), rel=1e-9)
    slope = np.array([1.0, -intercept / df]) / df
    assert got.forward_error == pytest.approx(np.sqrt(slope @ cov @ slope), rel=1e-9)

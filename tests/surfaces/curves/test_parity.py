"""Forwards and discount factors from chains whose truth is known."""

import numpy as np
import pytest

from surfaces.curves import parity

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
    american = parity.forward_given_df(alone[0], df[0])
    european = parity.forward_and_df(alone[1], df[1], df_sd[1])
    for j, expected in enumerate((american, european)):
        found = (got.forward[j], got.error[j], got.df[j], got.inside[j])
        wanted = (expected.forward, expected.forward_error, expected.df, expected.inside)
        assert found == pytest.approx(wanted, rel=1e-12)
    rates = parity.slope_rate(alone[0], df[0], years[0])
    assert (got.rate[0], got.rate_error[0]) == pytest.approx(rates, rel=1e-12)
    near = parity.near_money(alone[0], df[0], 12)
    mean = np.average(near.lean, weights=1.0 / near.sd**2) / df[0]
    assert got.lean[0] == pytest.approx(mean, rel=1e-12)
    assert np.isnan(got.rate[1])
    assert np.isnan([got.forward[2], got.df[2], got.inside[2], got.lean[2]]).all()


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

"""Full revaluation: zero at the origin, one-by-one repricing, linear books, the first Greeks."""

from dataclasses import replace

import numpy as np
import pytest

from hedging import delta
from optmm.errors import UsageError
from optmm.risk import scenarios
from surfaces.pricing import american, black

SPOT = 500.0
RATE, YIELD = 0.045, 0.013
LOTS = np.array([40, -25, 13, -60, 35, 0])


def chain(american_rows=False, multiplier=100.0):
    years = np.array([0.02, 0.08, 0.08, 0.25, 0.25, 0.5])
    return scenarios.Instruments(
        right=np.array([1, -1, 1, -1, 1, -1], np.int8),
        strike=np.array([495.0, 500.0, 510.0, 580.0, 520.0, 450.0]),
        years=years,
        vol=np.array([0.18, 0.17, 0.16, 0.20, 0.155, 0.24]),
        forward=SPOT * np.exp((RATE - YIELD) * years),
        df=np.exp(-RATE * years),
        multiplier=np.full(6, multiplier),
        spot=SPOT,
        american=np.full(6, american_rows),
    )


SPOTS = np.array([-0.2, -0.05, 0.0, 0.1])
VOLS = np.array([-0.05, 0.0, 0.05])


@pytest.mark.parametrize("american_rows", [False, True])
@pytest.mark.parametrize("rule", ["absolute", "relative"])
def test_nothing_moves_at_the_origin(american_rows, rule):
    got = scenarios.revalue(
        LOTS, chain(american_rows), spot_shocks=SPOTS, vol_shocks=VOLS, vol_rule=rule,
        hedge_shares=123.0,
    )  # fmt: skip
    assert got.shape == (4, 3)
    assert got[2, 1] == 0.0
    assert np.count_nonzero(got) == got.size - 1


def test_european_grid_equals_pricing_each_option_in_each_state():
    options = chain()
    got = scenarios.revalue(LOTS, options, spot_shocks=SPOTS, vol_shocks=VOLS, days=2.0)
    for i, ds in enumerate(SPOTS):
        for j, dv in enumerate(VOLS):
            total = 0.0
            for row in np.flatnonzero(LOTS):
                w, strike, vol = options.right[row], options.strike[row], options.vol[row]
                now = options.years[row]
                then = max(now - 2 / 365, 0.0)
                before = black.price(
                    right=w, forward=options.forward[row], strike=strike, years=now, vol=vol,
                    df=options.df[row],
                )  # fmt: skip
                after = black.price(
                    right=w, forward=SPOT * (1 + ds) * np.exp((RATE - YIELD) * then),
                    strike=strike, years=then, vol=vol + dv, df=np.exp(-RATE * then),
                )  # fmt: skip
                total += LOTS[row] * 100 * float(after - before)
            assert got[i, j] == pytest.approx(total, rel=1e-9, abs=1e-6)


def test_american_rows_are_priced_as_american():
    options = chain(american_rows=True)
    got = scenarios.revalue(LOTS, options, spot_shocks=[-0.1], vol_shocks=[0.05])
    total = 0.0
    for row in np.flatnonzero(LOTS):
        common = {"right": options.right[row], "strike": options.strike[row],
                  "years": options.years[row], "rate": RATE, "dividend_yield": YIELD}  # fmt: skip
        before = american.price(spot=SPOT, vol=options.vol[row], **common)
        after = american.price(spot=0.9 * SPOT, vol=options.vol[row] + 0.05, **common)
        total += LOTS[row] * 100 * float(after - before)
    assert got[0, 0] == pytest.approx(total, rel=1e-9)


def test_a_book_of_stock_and_a_synthetic_forward_are_linear():
    """Stock moves with spot; call - put = df (F - K), so it moves by df F per return."""
    options = chain()
    pair = options.take(np.array([1, 1]))
    pair.right[:] = [1, -1]
    got = scenarios.revalue(
        [3, -3], pair, spot_shocks=SPOTS, vol_shocks=[0.0, 0.1], hedge_shares=-50.0
    )
    forward = 300 * pair.df[0] * pair.forward[0]
    want = (forward - 50.0 * SPOT) * SPOTS
    np.testing.assert_allclose(got, np.column_stack([want, want]), atol=1e-7)
    np.testing.assert_array_equal(
        scenarios.revalue(
            np.zeros(6), options, spot_shocks=SPOTS, vol_shocks=[0.0], hedge_shares=2.0
        )[:, 0],
        2.0 * SPOT * SPOTS,
    )


def test_small_shocks_are_the_greeks():
    options = chain()
    at = black.greeks(
        right=options.right, forward=options.forward, strike=options.strike,
        years=options.years, vol=options.vol, df=options.df,
    )  # fmt: skip
    h = 1e-6
    shares = LOTS * 100
    got = scenarios.revalue(LOTS, options, spot_shocks=[-h, h], vol_shocks=[0.0])[:, 0]
    slope = np.sum(shares * at.delta * options.forward)
    assert (got[1] - got[0]) / (2 * h) == pytest.approx(slope, rel=1e-6)
    got = scenarios.revalue(LOTS, options, spot_shocks=[0.0], vol_shocks=[-h, h])[0]
    assert (got[1] - got[0]) / (2 * h) == pytest.approx(np.sum(shares * at.vega), rel=1e-6)


SKEW = np.array([-1.2, -0.6, -0.6, -0.35, -0.35, -0.25])


def following(ratio, american_rows=False):
    """The chain with vols that follow spot by (R - 1) skew; `ratio` a number or one each."""
    options = chain(american_rows)
    slope = (np.asarray(ratio) - 1.0) * SKEW
    return replace(options, vol_slope=slope)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.3, 2.0, np.array([2.0, 2.1, 2.1, 2.3, 2.3, 2.4])])
def test_slope_of_the_spot_scenario_is_the_book_s_smile_aware_delta(ratio):
    """d(P&L)/dS by central differences against Black's Greeks put together by `hedging.delta`."""
    options = following(ratio)
    at = black.greeks(
        right=options.right, forward=options.forward, strike=options.strike,
        years=options.years, vol=options.vol, df=options.df,
    )  # fmt: skip
    per_share = delta.smile_aware(
        at.delta * options.forward / SPOT, at.vega, skew=SKEW, spot=SPOT, stickiness=ratio
    )
    want = delta.book_delta(LOTS, per_share, multiplier=100, hedge_lots=-321)
    h = 1e-5
    got = scenarios.revalue(
        LOTS, options, spot_shocks=[-h, h], vol_shocks=[0.0], hedge_shares=-321.0
    )[:, 0]
    assert (got[1] - got[0]) / (2 * h * SPOT) == pytest.approx(want, rel=1e-6)


def test_the_same_holds_for_american_rows():
    """Vega and delta of the American price, by its own differences."""
    options = following(1.3, american_rows=True)
    common = {"right": options.right, "strike": options.strike, "years": options.years,
              "rate": RATE, "dividend_yield": YIELD}  # fmt: skip
    h = 1e-3

    def slope(spot, vol):
        up, down = (
            american.price(spot=SPOT + d * spot, vol=options.vol + d * vol, **common)
            for d in (h, -h)
        )
        return (up - down) / (2 * h)

    per_share = delta.smile_aware(
        slope(1.0, 0.0), slope(0.0, 1.0), skew=SKEW, spot=SPOT, stickiness=1.3
    )
    want = delta.book_delta(LOTS, per_share, multiplier=100)
    h = 1e-4
    got = scenarios.revalue(LOTS, options, spot_shocks=[-h, h], vol_shocks=[0.0])[:, 0]
    assert (got[1] - got[0]) / (2 * h * SPOT) == pytest.approx(want, rel=2e-3)


@pytest.mark.parametrize("rule", ["absolute", "relative"])
def test_a_cell_of_the_grid_has_the_vol_of_spot_and_the_vol_shock_on_top(rule):
    options, shock, bump = following(1.3), -0.05, 0.04
    got = scenarios.revalue(
        LOTS, options, spot_shocks=[shock], vol_shocks=[bump], vol_rule=rule
    )[0, 0]  # fmt: skip
    vol = options.vol + 0.3 * SKEW * np.log(1.0 + shock)
    vol = vol + bump if rule == "absolute" else vol * (1.0 + bump)
    terms = {"right": options.right, "strike": options.strike, "years": options.years}
    after = black.price(
        forward=options.forward * (1.0 + shock), vol=vol, df=options.df, **terms
    )  # fmt: skip
    before = black.price(forward=options.forward, vol=options.vol, df=options.df, **terms)
    assert got == pytest.approx(float(np.sum(LOTS * 100 * (after - before))), rel=1e-12)


def test_a_crash_does_no_more_than_double_or_halve_a_vol():
    options = following(np.array([40.0, -40.0, 1.0, 1.0, 1.0, 1.0]))
    vols = options.vol_at(-0.3)
    np.testing.assert_allclose(vols / options.vol, [2.0, 0.5, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(options.vol_at(0.0), options.vol)


def test_vols_that_are_given_are_those_that_are_priced():
    """`vols_after` replaces the slopes: with the vols of the slopes nothing changes."""
    options = following(0.0)
    after = np.stack([options.vol_at(s) for s in SPOTS], axis=1)
    got = scenarios.revalue(
        LOTS, chain(), spot_shocks=SPOTS, vol_shocks=VOLS, vols_after=after
    )  # fmt: skip
    want = scenarios.revalue(LOTS, options, spot_shocks=SPOTS, vol_shocks=VOLS)
    np.testing.assert_array_equal(got, want)
    with pytest.raises(UsageError, match=r"vols_after has shape \(6, 2\), must be \(6, 4\)"):
        scenarios.unit_pnl(chain(), spot_shocks=SPOTS, vol_shocks=VOLS, vols_after=after[:, :2])


@pytest.mark.parametrize("wrong", [-5.0, 0.0, np.nan, np.inf])
def test_a_vol_that_is_none_is_named_and_not_floored(wrong):
    """A vol of -5 used to be priced at the floor, 0.01, without a word."""
    after = np.repeat(chain().vol[:, None], SPOTS.size, axis=1)
    after[3, 1] = wrong
    shocks = {"spot_shocks": SPOTS, "vol_shocks": VOLS, "vols_after": after}
    with pytest.raises(
        UsageError, match=r"vols_after\[3, 1\] is .*, must be finite and > 0 \(1 of"
    ):
        scenarios.unit_pnl(chain(), **shocks)
    with pytest.raises(
        UsageError, match=r"vols_after\[3, 1\] is .*, must be finite and > 0 \(1 of"
    ):
        scenarios.revalue(LOTS, chain(), **shocks)
    lots = np.where(np.arange(6) == 3, 0, LOTS)  # not held, not looked at
    assert np.isfinite(scenarios.revalue(lots, chain(), **shocks)).all()
    with pytest.raises(UsageError, match=r"vols_after has shape \(1, 1\), must be \(6, 4\)"):
        scenarios.revalue(LOTS, chain(), **(shocks | {"vols_after": [[0.3]]}))


def test_the_origin_is_zero_for_given_vols_if_they_are_those_of_the_book():
    """What is given is priced: another vol at no move of spot is a vol shock, as is said."""
    after = chain().vol[:, None].copy()
    shocks = {"spot_shocks": [0.0], "vol_shocks": [0.0]}
    assert scenarios.revalue(LOTS, chain(), vols_after=after, **shocks) == 0.0
    got = scenarios.revalue(LOTS, chain(), vols_after=after + 0.03, **shocks)
    want = scenarios.revalue(LOTS, chain(), spot_shocks=[0.0], vol_shocks=[0.03])
    np.testing.assert_array_equal(got, want)


def test_margin_leaves_vols_alone_whatever_they_would_do():
    for product in scenarios.TIMS_MOVES:
        assert scenarios.tims_requirement(
            LOTS, following(1.3), product=product
        ) == scenarios.tims_requirement(LOTS, chain(), product=product)


def test_holding_the_early_exercise_premium_is_the_european_difference():
    options = chain(american_rows=True)
    held = scenarios.unit_pnl(options, spot_shocks=[-0.1], vol_shocks=[0.05])
    european = scenarios.unit_pnl(chain(), spot_shocks=[-0.1], vol_shocks=[0.05])
    np.testing.assert_array_equal(held, european)


def test_an_option_without_a_vol_is_nan_and_stops_only_the_book_that_holds_it():
    options = chain()
    options.vol[5] = np.nan
    unit = scenarios.unit_pnl(options, spot_shocks=[0.1], vol_shocks=[0.0])
    assert np.isnan(unit).ravel().tolist() == [False] * 5 + [True]
    full = scenarios.revalue(LOTS, options, spot_shocks=[0.1], vol_shocks=[0.0])
    assert full[0, 0] == pytest.approx(float(LOTS[:5] @ unit[:5, 0, 0]))
    with pytest.raises(UsageError, match="position 5 is held and has no vol or forward"):
        scenarios.revalue(np.ones(6), options, spot_shocks=[0.1], vol_shocks=[0.0])


@pytest.mark.parametrize(("right", "rate", "yields"), [(-1, -0.01, -0.02), (1, -0.02, -0.01)])
def test_two_exercise_boundaries_are_stressed_as_american(right, rate, yields):
    """A stress of the whole book reprices them as `american.price` does, premium and all."""
    one = np.ones(1)
    common = {
        "right": np.array([right], np.int8), "strike": SPOT * one, "years": 0.5 * one,
        "vol": 0.2 * one, "forward": SPOT * np.exp((rate - yields) * 0.5) * one,
        "df": np.exp(-rate * 0.5) * one, "multiplier": 100 * one, "spot": SPOT,
    }  # fmt: skip
    got = scenarios.revalue(
        [3], scenarios.Instruments(**common, american=np.array([True])),
        spot_shocks=[-0.1, 0.1], vol_shocks=[0.0],
    )  # fmt: skip
    terms = {"right": right, "strike": SPOT, "years": 0.5, "vol": 0.2, "rate": rate}
    terms["dividend_yield"] = yields
    moved = american.price(spot=SPOT * np.array([0.9, 1.1]), **terms)
    want = 300 * (moved - american.price(spot=SPOT, **terms))
    np.testing.assert_allclose(np.ravel(got), want, rtol=1e-9)


def test_stress_matrix_has_its_axes_and_its_worst_corner():
    matrix = scenarios.stress_matrix(LOTS, chain())
    assert matrix.pnl_usd.shape == (2, 9, 5)
    assert matrix.pnl_usd[0, 4, 2] == 0.0
    again = scenarios.revalue(
        LOTS, chain(), spot_shocks=matrix.spot_shocks, vol_shocks=matrix.vol_shocks,
        vol_rule="relative", days=1.0,
    )  # fmt: skip
    np.testing.assert_array_equal(matrix.pnl_usd[1], again)
    assert matrix.worst_usd == matrix.pnl_usd.min()
    assert matrix.surface_rule == "sticky strike"
    assert "follow" in scenarios.stress_matrix(LOTS, following(1.3)).surface_rule


def test_portfolio_margin_of_stock_is_fifteen_per_cent_and_a_box_pays_the_floor():
    """SEC 15c3-1a: 15 % for an equity; USD 0.375 a contract and unit where nothing can be lost."""
    options = chain()
    flat = np.zeros(6)
    stock = scenarios.tims_requirement(flat, options, product="equity", hedge_shares=1.0)
    assert stock == pytest.approx(0.15 * SPOT)
    fund = scenarios.tims_requirement(flat, options, product="high_cap_index", hedge_shares=-1.0)
    assert fund == pytest.approx(0.06 * SPOT)
    box = options.take(np.array([1, 1, 2, 2]))
    box.right[:] = [1, -1, 1, -1]
    margin = scenarios.tims_requirement([1, -1, -1, 1], box, product="equity")
    assert margin == pytest.approx(0.375 * 4 * 100)


def test_what_a_caller_can_get_wrong():
    with pytest.raises(UsageError, match=r"product is 'bond'; choose one of"):
        scenarios.tims_requirement(LOTS, chain(), product="bond")
    with pytest.raises(UsageError, match=r"spot_shocks has -1, must be > -1"):
        scenarios.revalue(LOTS, chain(), spot_shocks=[-1.0], vol_shocks=[0.0])
    with pytest.raises(UsageError, match=r"lots has shape \(2,\), options \(6,\)"):
        scenarios.revalue([1, 2], chain(), spot_shocks=[0.0], vol_shocks=[0.0])

"""Between and beyond the expiries, and the tables a surface is reported in."""

import re
from pathlib import Path

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.fitting import fit
from surfaces.live import FitConfig, LiveFitter

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def surface(european):
    world = european()
    fitter = LiveFitter(world.slices, FitConfig(rate_prior=0.04))
    return fitter.update(world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask)


def test_at_an_expiry_the_surface_is_the_slice(surface):
    strike = np.array([450.0, 500.0, 530.0])
    for j, years in enumerate(surface.years):
        np.testing.assert_allclose(
            surface.vol(strike, years), surface.slice_vol(j, strike), rtol=1e-12
        )
        assert surface.forward(years) == pytest.approx(surface.forwards[j], rel=1e-14)
        assert surface.df(years) == pytest.approx(surface.dfs[j], rel=1e-14)


def test_total_variance_is_linear_in_time_at_equal_k(surface):
    k = np.linspace(-0.1, 0.1, 5)
    a, b = surface.years[1:3]
    w = [surface.total_variance(k, a + share * (b - a)) for share in (0.0, 0.25, 1.0)]
    np.testing.assert_allclose(w[1], 0.75 * w[0] + 0.25 * w[2], rtol=1e-12)


def test_vol_is_held_before_the_first_and_after_the_last_expiry(surface):
    k, first, last = 0.02, surface.years[0], surface.years[-1]
    vols = [np.sqrt(surface.total_variance(k, T) / T) for T in (first / 50, first, last, 3 * last)]
    assert vols[0] == pytest.approx(vols[1], rel=1e-12)
    assert vols[2] == pytest.approx(vols[3], rel=1e-12)


def test_row_vols_are_vol_at_strike_and_expiry(surface):
    chain = surface.chain
    expected = surface.vol(chain.strike, surface.years[chain.slice_of])
    np.testing.assert_allclose(surface.row_vols(), expected, rtol=1e-12)
    assert surface.row_vols(np.array([3, 7])).shape == (2,)
    expected = surface.uncertainty(chain.strike, surface.years[chain.slice_of])
    np.testing.assert_allclose(surface.row_uncertainty(), expected, rtol=1e-12)


def test_forward_df_and_carry_say_the_same(surface):
    built = surface.spot * np.exp((surface.rate - surface.carry) * surface.years)
    np.testing.assert_allclose(built, surface.forwards, rtol=1e-14)
    np.testing.assert_allclose(np.exp(-surface.rate * surface.years), surface.dfs, rtol=1e-14)
    assert surface.forward(0.0) == pytest.approx(surface.spot)


def test_uncertainty_grows_beyond_the_quotes(surface):
    years = surface.years[2]
    strike = surface.forwards[2] * np.exp(surface.quoted_range[2])
    inside = surface.uncertainty(strike, years)
    beyond = surface.uncertainty(strike * np.array([0.9, 1.1]), years)
    assert np.all(beyond > 1.1 * inside)


@pytest.mark.parametrize(("table", "made"), [("surface", "diagnostics"), ("smiles", "residuals")])
def test_tables_have_the_documented_columns(surface, table, made):
    """docs/run_folder.md is the contract; the frames must match it name by name."""
    text = (ROOT / "docs" / "run_folder.md").read_text(encoding="utf-8")
    line = next(x for x in text.splitlines() if x.startswith(f"| `{table}.parquet`"))
    cell = re.sub(r"\([^()]*\)", "", line.split("|")[3])
    assert getattr(surface, made).columns == re.findall(r"`(\w+)`", cell)


def test_refitting_its_own_prices_returns_the_surface(european, surface):
    """Fit, price every row on the fit, fit again: the same vols to a hundredth of a basis point."""
    from surfaces.pricing import black

    world = european()
    chain, of = surface.chain, surface.chain.slice_of
    own = black.price(
        right=chain.right,
        forward=surface.forwards[of],
        strike=chain.strike,
        years=surface.years[of],
        vol=surface.row_vols(),
        df=surface.dfs[of],
    )
    frame = world.frame(bid=(own - 1e-3).tolist(), ask=(own + 1e-3).tolist())
    again = fit(frame, valuation_ns=world.now_ns, spot=world.spot)
    np.testing.assert_allclose(again.row_vols(), surface.row_vols(), atol=2e-5)
    np.testing.assert_allclose(again.forwards, surface.forwards, rtol=1e-6)


def test_an_argument_out_of_range_is_named(surface):
    with pytest.raises(InvalidInput, match=r"strike\[1\] is -5 USD"):
        surface.vol([500.0, -5.0], 0.1)
    with pytest.raises(InvalidInput, match="years is 0 years"):
        surface.vol(500.0, 0.0)


def test_figures_are_drawn(surface, tmp_path):
    from surfaces import plot

    for draw in (plot.smiles, plot.term_structure, plot.residuals, plot.heat_map):
        draw(surface).savefig(tmp_path / "figure.png")
    assert len(plot.smiles(surface, [1, 2]).axes) == 4  # each with its residuals below

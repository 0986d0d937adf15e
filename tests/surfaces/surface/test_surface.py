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


def refused(words: str, call, *given) -> None:
    """The whole message, word for word."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        call(*given)


def test_arguments_that_do_not_broadcast_are_named(surface):
    remedy = "do not broadcast together; for all pairs of two give one as a column, x[:, None]"
    strike, years = [450.0, 500.0], [0.1, 0.2, 0.3]
    refused(f"strike (2,) and years (3,) {remedy}", surface.vol, strike, years)
    refused(f"k (2,) and years (3,) {remedy}", surface.total_variance, [0.0, 0.1], years)
    refused(
        f"right (3,) and strike (2,) and years (2,) {remedy}",
        surface.fair_value, [1, 1, -1], strike, 0.1,
    )  # fmt: skip


@pytest.mark.parametrize("j", [99, -1, 1.0, True, "a"])
def test_a_slice_that_is_none_is_named(surface, j):
    """-1 used to be the last slice, 99 an IndexError."""
    from surfaces import plot

    words = (
        f"slice number is {j!r}, must be a whole number from 0 to 3; rows of diagnostics are in "
        "their order"
    )
    refused(words, surface.slice_vol, j, 500.0)
    refused(words, plot.smiles, surface, [j])


def test_a_clock_of_another_kind_is_refused(surface):
    refused("clock is 'x', must be a VolClock. CALENDAR is calendar time.", surface.on_clock, "x")


def test_without_a_curve_values_are_nan_and_events_are_refused(european):
    world = european()
    fitter = LiveFitter(world.slices)
    dark = np.full(world.bid.size, np.nan)
    got = fitter.update(world.now_ns, spot=world.spot, bid=dark, ask=dark)
    assert np.isnan(got.vol(500.0, 0.1))
    assert np.isnan(got.fair_value(1, [450.0, 500.0], 0.1)).all()
    refused(
        "no expiry holds a curve, so there are no events to imply; see status", got.implied_events
    )
    assert repr(got).endswith("spot 500, 4 expiries, 0 certified, none of 0 quotes hit>")


def test_scalars_in_scalars_out(surface):
    for value in (surface.vol(500.0, 0.1), *surface.fair_value(1, 500.0, 0.1)):
        assert type(value) is np.float64


def test_a_surface_says_in_one_line_what_it_is(surface):
    """It used to print 38 kB of arrays."""
    judged, hits = surface.scores.quotes.sum(), surface.scores.hits.sum()
    assert repr(surface) == (
        f"<VolSurface version 1, 2023-11-14T22:13:20Z, spot 500, 4 expiries, 4 certified, "
        f"{100.0 * hits / judged:.1f} % of {judged} quotes hit>"
    )


def test_figures_go_to_a_folder_named_in_words(surface, tmp_path):
    from surfaces import plot

    paths = plot.save(surface, str(tmp_path / "figures"))
    assert len(paths) == 8 and all(path.exists() for path in paths)


def test_a_panel_shows_its_smile_and_not_the_way_to_zero(surface):
    """All smiles lie between 17 and 30 %; panels began at 0 %."""
    from surfaces import plot

    figure = plot.smiles(surface, [0, 1, 2, 3, 0])
    for panel in figure.axes[::2]:
        low, high = panel.get_ylim()
        assert 10.0 < low < 18.5
        assert 19.0 < high < 40.0
    rows = [panel.get_subplotspec().get_topmost_subplotspec() for panel in figure.axes[::2]]
    assert [(spec.rowspan.start, spec.colspan.start) for spec in rows] == [
        (0, 0),
        (0, 2),
        (0, 4),
        (1, 1),
        (1, 3),
    ]  # three above two, the two in the middle


def test_noise_does_not_fill_a_panel_of_rates(surface):
    """Rates within 2 bp of one another used to span the axis."""
    from surfaces import plot

    for panel in plot.term_structure(surface).axes[2:]:
        low, high = panel.get_ylim()
        assert high - low >= 0.5


def test_the_middle_of_the_residual_colours_is_seen_on_white():
    """WCAG 2.1 asks for a contrast of 3 of what must be made out; PuOr has 1.1 in its middle."""
    from surfaces.plots.residuals import COLOURS

    line = np.array(COLOURS(0.5)[:3])
    linear = np.where(line <= 0.04045, line / 12.92, ((line + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) > 3.0

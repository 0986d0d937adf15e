"""The figure of a local vol: what is drawn, and that holes are left blank and named."""

import numpy as np
import pytest

from surfaces import plot
from surfaces.local_vol import Flag, LocalVol


@pytest.fixture
def local() -> LocalVol:
    k, years = np.linspace(-0.6, 0.6, 61), np.geomspace(0.01, 2.0, 20)
    vol = 0.2 - 0.1 * k + 0.0 * years[:, None]
    flag = np.zeros(vol.shape, np.uint8)
    vol[5:8, 20:24], flag[5:8, 20:24] = np.nan, Flag.NEGATIVE_DENSITY
    flag[-1] = Flag.EXTRAPOLATED
    return LocalVol(years, k, vol, flag)


def test_two_panels_five_times_and_a_legend_of_the_flags(local, tmp_path):
    figure = plot.local_vol(local, "a title")
    figure.savefig(tmp_path / "local_vol.png", dpi=40)
    assert figure.get_suptitle() == "a title"
    lines = figure.axes[0]
    assert len(lines.get_legend().get_texts()) == 5
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["negative density", "after the last expiry"]


def test_replaced_nodes_are_crosses(local):
    crosses = [
        len(line.get_xdata())
        for line in plot.local_vol(local.filled()).axes[0].lines
        if line.get_marker() == "x"
    ]
    holes = [
        len(line.get_xdata())
        for line in plot.local_vol(local).axes[0].lines
        if line.get_marker() == "x"
    ]
    assert sum(crosses) > 0 == sum(holes)


def test_a_grid_without_any_vol_is_drawn_empty():
    shape = (2, 3)
    local = LocalVol(
        np.array([0.1, 1.0]), np.array([-0.1, 0.0, 0.1]), np.full(shape, np.nan),
        np.full(shape, Flag.UNDEFINED),
    )  # fmt: skip
    assert len(plot.local_vol(local).axes) == 2

"""The grid of local vols: between nodes, past them, bad nodes, and what replaces them."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.local_vol import Flag, LocalVol, spread_nodes, words

NAN = np.nan


def grid(vol, flag=None, years=(0.5, 1.0), k=(-1.0, 0.0, 2.0)) -> LocalVol:
    vol = np.array(vol, float)
    flag = np.zeros(vol.shape, np.uint8) if flag is None else np.array(flag, np.uint8)
    return LocalVol(np.array(years), np.array(k), vol, flag)


def test_bilinear_between_nodes_and_flat_outside():
    """The four corners of a cell with vols a function a + bk + ct + dkt give it back inside."""
    f = lambda k, t: 0.2 + 0.03 * k + 0.1 * t + 0.05 * k * t  # noqa: E731
    k, t = np.array([-1.0, 0.0, 2.0]), np.array([0.5, 1.0])
    local = grid(f(k, t[:, None]))
    at_k, at_t = np.linspace(-1.0, 2.0, 13), np.linspace(0.5, 1.0, 7)[:, None]
    np.testing.assert_allclose(local.at(at_k, at_t), f(at_k, at_t), rtol=1e-14)
    np.testing.assert_allclose(local(5.0, 0.0), f(2.0, 0.5), rtol=1e-15)
    np.testing.assert_allclose(local(-5.0, 9.0), f(-1.0, 1.0), rtol=1e-15)


def test_one_node_is_a_constant():
    local = grid([[0.3]], years=[1.0], k=[0.0])
    assert np.all(local.at([-3.0, 0.0, 3.0], [[0.0], [7.0]]) == 0.3)


def test_nan_stays_in_the_cells_that_touch_it():
    local = grid([[0.2, NAN, 0.3], [0.2, 0.2, 0.3]], [[0, 1, 0], [0, 0, 0]])
    assert np.isnan(local(-0.5, 0.5)) and np.isnan(local(0.5, 0.7))
    assert local(-0.5, 1.0) == 0.2 and local(-1.0, 0.7) == 0.2


def test_nearest_takes_the_nearer_side_and_keeps_flags():
    local = grid(
        [[0.2, NAN, NAN], [NAN, NAN, NAN], [NAN, 0.4, 0.5]],
        [[0, 1, 2], [3, 3, 3], [1, 0, 4]],
        years=(0.5, 1.0, 1.2),
    )
    full = local.filled("nearest")
    assert full.vol.tolist() == [[0.2, 0.2, 0.2], [0.4, 0.4, 0.5], [0.4, 0.4, 0.5]]
    assert full.replaced == 6
    assert np.array_equal(full.flag, local.flag)
    assert np.array_equal(full.bad, np.isnan(local.vol))
    assert np.isnan(local.vol).sum() == 6, "the original is as it was"


def test_linear_goes_between_good_nodes_and_flat_past_them():
    local = grid([[0.2, NAN, 0.5], [NAN, 0.3, NAN]], [[0, 1, 0], [2, 0, 2]])
    full = local.filled("linear")
    np.testing.assert_allclose(full.vol, [[0.2, 0.3, 0.5], [0.3, 0.3, 0.3]], rtol=1e-15)


def test_a_whole_grid_is_returned_as_it_is():
    local = grid([[0.2] * 3] * 2)
    assert local.filled() is local and local.complete() is local


def test_a_pricer_is_told_how_many_nodes_are_missing_and_what_to_do():
    local = grid([[0.2, NAN, 0.3], [0.2, 0.2, NAN]], [[0, 1, 4], [0, 0, 2]])
    with pytest.raises(
        InvalidInput, match=r"2 of 6 nodes without a vol \(1 x negative density"
    ) as e:
        local.complete()
    assert "filled('nearest')" in str(e.value) and "calendar" in str(e.value)
    assert "certified" not in str(e.value), "a node that has a vol is nothing to complain of"


def test_nothing_to_fill_from_raises():
    with pytest.raises(InvalidInput, match="none of 6 nodes"):
        grid([[NAN] * 3] * 2, [[1] * 3] * 2).filled()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"years": (0.0, 1.0)}, r"years\[0\] is 0, must be > 0"),
        ({"years": (1.0, 1.0)}, "years has shape"),
        ({"k": (0.0, -1.0, 2.0)}, "k has shape"),
        ({"k": (0.0, 1.0)}, "vol has shape"),
        ({"vol": [[0.2, -0.1, 0.2], [0.2, 0.2, 0.2]]}, r"vol\[0, 1\] is -0.1 and not flagged"),
        ({"vol": [[0.2, NAN, 0.2], [0.2, 0.2, 0.2]]}, r"vol\[0, 1\] is nan and not flagged"),
        ({"flag": [[9] * 3] * 2}, r"flag\[0, 0\] is 9, must be a code of Flag"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(change, said):
    with pytest.raises(InvalidInput, match=said):
        grid(**({"vol": [[0.2] * 3] * 2} | change))


def test_unknown_policy_names_the_choices():
    with pytest.raises(InvalidInput, match="nearest, linear"):
        grid([[0.2] * 3] * 2).filled("clip")


def test_arrays_are_read_only_and_counts_have_words():
    local = grid([[0.2, NAN, 0.3], [0.2, 0.2, 0.3]], [[0, 1, 4], [0, 0, 4]])
    with pytest.raises(ValueError, match="read-only"):
        local.vol[0, 0] = 1.0
    assert local.counts() == {0: 3, 1: 1, 4: 2}
    assert local.why() == {words(1): 1, words(4): 2}
    assert all(words(f) for f in Flag if f) and not words(Flag.OK)
    assert "1 NEGATIVE_DENSITY, 2 OUT_OF_CERTIFICATE" in repr(local)


@pytest.mark.parametrize(
    ("low", "high", "step"), [(-4.0, 1.3, 5e-4), (-0.5, 0.5, 0.3), (-9.0, 9.0, 1e-6)]
)
def test_nodes_reach_both_ends_pass_through_zero_and_are_as_fine_as_asked(low, high, step):
    nodes = spread_nodes(low, high, step, 401)
    assert np.all(np.diff(nodes) > 0.0) and 0.0 in nodes
    np.testing.assert_allclose(nodes[[0, -1]], [low, high], rtol=1e-12)
    at = int(np.argmin(np.abs(nodes)))
    assert np.diff(nodes)[at] <= 1.6 * max(step, 0.0) or step > (high - low) / 400


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ([["ok"] * 3] * 2, r"flag\[0, 0\] is ok"),
        ([[0, 0, 0], [0, 0, 9]], r"flag\[1, 2\] is 9"),
        ([[0, 0, 0], [0.5, 0, 0]], r"flag\[1, 0\] is 0.5"),
    ],
)
def test_a_flag_that_is_no_code_is_named(flag, said):
    """Text used to be numpy's UFuncTypeError, and half a code was rounded down."""
    with pytest.raises(InvalidInput, match=said + ", must be a code of Flag, 0 to 7. Give zeros"):
        LocalVol(np.array([0.1, 0.2]), np.array([-0.1, 0.0, 0.1]), np.full((2, 3), 0.2), flag)

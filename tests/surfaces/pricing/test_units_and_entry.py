"""Units have one home; the package's front door is lazy."""

import numpy as np
import pytest

import surfaces
from surfaces.units import NS_PER_DAY, NS_PER_YEAR, years_between


def test_a_year_is_365_days_of_nanoseconds():
    assert NS_PER_YEAR == 365 * 86_400 * 1_000_000_000
    assert isinstance(NS_PER_YEAR, int)
    start = 1_700_000_000_000_000_001
    assert years_between(start, start + NS_PER_YEAR) == 1.0
    later = np.array([start + NS_PER_DAY, start - NS_PER_DAY])
    np.testing.assert_array_equal(years_between(start, later), [1 / 365, -1 / 365])


def test_one_nanosecond_survives():
    """float64 cannot hold today in ns; the difference is taken in integers."""
    start = 1_700_000_000_000_000_001
    assert years_between(start, np.array([start + 1]))[0] == 1 / NS_PER_YEAR


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        surfaces.nothing
    assert {"fit", "VolSurface"} <= set(dir(surfaces))

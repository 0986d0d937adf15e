"""Time to expiry: calendar years, floored."""

import numpy as np

from surfaces.curves.clock import years_to
from surfaces.units import NS_PER_DAY, NS_PER_YEAR


def test_a_year_is_365_days():
    now = 1_700_000_000_000_000_000
    got = years_to([now + NS_PER_YEAR, now + NS_PER_DAY], now)
    np.testing.assert_array_equal(got, [1.0, 1.0 / 365.0])


def test_the_last_instant_and_the_past_get_the_floor():
    now = 1_700_000_000_000_000_000
    got = years_to([now, now - NS_PER_DAY, now + 1], now, floor_seconds=10.0)
    np.testing.assert_allclose(got, 10.0 / (365 * 86_400), rtol=1e-15)

"""The dividend schedule: forwards against their definition, the blend, which dividends count."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing.dividends import Dividends

QUARTERLY = np.array([0.1, 0.35, 0.6, 0.85, 1.1, 1.35, 1.6, 1.85, 2.1, 2.35])


def test_forward_is_spot_grown_less_dividends_grown():
    """F = S e^(bT) - sum D e^(b(T-t)), b = rate - yield: the definition, on arrays of expiries."""
    paid = Dividends.declared(years=QUARTERLY, cash=1.8)
    years = np.array([0.0, 0.05, 0.1, 0.5, 1.0, 3.0])
    b = 0.045 - 0.005
    want = [
        560.0 * np.exp(b * T) - sum(1.8 * np.exp(b * (T - t)) for t in QUARTERLY if t <= T)
        for T in years
    ]
    got = paid.forward(spot=560.0, years=years, rate=0.045, dividend_yield=0.005)
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_present_value_without_yield_discounts_each_dividend():
    paid = Dividends.declared(years=QUARTERLY, cash=1.8)
    want = sum(1.8 * np.exp(-0.045 * t) for t in QUARTERLY if t <= 1.0)
    assert paid.present_value(spot=560.0, years=1.0, rate=0.045) == pytest.approx(want, rel=1e-12)


def test_blend_keeps_every_forward_and_moves_cash_to_proportional():
    plain = Dividends.declared(years=QUARTERLY, cash=1.8)
    curve = {"rate": 0.045, "dividend_yield": 0.01}
    mixed = Dividends.blended(years=QUARTERLY, cash=1.8, spot=560.0, **curve)
    years = np.linspace(0.0, 3.0, 61)
    np.testing.assert_allclose(
        mixed.forward(spot=560.0, years=years, **curve),
        plain.forward(spot=560.0, years=years, **curve),
        rtol=1e-13,
    )
    np.testing.assert_array_equal(mixed.cash[:4], 1.8)
    np.testing.assert_array_equal(mixed.proportional[:4], 0.0)
    np.testing.assert_array_equal(mixed.cash[8:], 0.0)
    np.testing.assert_allclose(mixed.cash[4:8], 1.8 * (2.0 - QUARTERLY[4:8]))
    before = plain.forward(spot=560.0, years=QUARTERLY, **curve) + 1.8
    np.testing.assert_allclose(mixed.proportional[8:], 1.8 / before[8:])


def test_a_blend_of_no_width_switches_at_once():
    mixed = Dividends.blended(years=[0.9, 1.1], cash=2.0, spot=100.0, rate=0.0, cash_until=1.0,
                              proportional_from=1.0)  # fmt: skip
    np.testing.assert_array_equal(mixed.cash, [2.0, 0.0])
    np.testing.assert_allclose(mixed.proportional, [0.0, 2.0 / 98.0])


def test_a_dividend_counts_after_now_and_up_to_expiry():
    paid = Dividends([-0.1, 0.0, 0.5, 1.0, 1.5], 2.0)
    np.testing.assert_array_equal(paid.before(1.0).years, [0.5, 1.0])
    forward = paid.forward(spot=100.0, years=[0.0, 0.5, 1.0 - 1e-12, 1.0, 2.0], rate=0.0)
    np.testing.assert_array_equal(forward, [100.0, 98.0, 98.0, 96.0, 94.0])
    assert len(paid) == 5


def test_a_share_cannot_pay_more_than_it_has():
    assert Dividends([0.5], 120.0).forward(spot=100.0, years=1.0, rate=0.1) == 0.0


def test_proportional_comes_before_cash():
    paid = Dividends([0.5], [10.0], [0.25])
    assert paid.forward(spot=100.0, years=1.0, rate=0.0) == pytest.approx(65.0)


def test_a_schedule_cannot_be_changed():
    dates = np.array([0.5])
    paid = Dividends.declared(years=dates, cash=1.0)
    with pytest.raises(ValueError, match="read-only"):
        paid.cash[0] = 2.0
    dates[0] = 9.0
    assert paid.years[0] == 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Dividends([0.5, 0.5], 1.0), r"years\[1\] is 0.5 after 0.5, ex-dates must rise"),
        (lambda: Dividends([0.5], -1.0), r"cash\[0\] is -1 USD, must be >= 0"),
        (lambda: Dividends([np.nan], 1.0), r"years\[0\] is nan years, must be finite"),
        (lambda: Dividends([0.5, 1.0], [1.0]), r"cash has shape \(1,\), years \(2,\)"),
        (lambda: Dividends([0.5], 0.0, 1.0), r"proportional\[0\] is 1 of spot, must be < 1"),
        (lambda: Dividends([[0.5]], 0.0), r"years has shape \(1, 1\), must be \(m,\)"),
        (
            lambda: Dividends.blended(years=[0.5], cash=60.0, spot=50.0, rate=0.0),
            r"cash\[0\] is 60 USD, must be below the forward 50 before its ex-date",
        ),
        (
            lambda: Dividends.blended(years=[0.5], cash=1.0, spot=50.0, rate=0.0, cash_until=3.0),
            r"cash_until is 3 years, must be <= proportional_from \(2\)",
        ),
        (
            lambda: Dividends.blended(years=[0.5], cash=1.0, spot=50.0, rate=np.nan),
            r"rate is nan per year, must be finite",
        ),
        (
            lambda: Dividends.blended(years=[0.5], cash=1.0, spot=[50.0, 51.0], rate=0.0),
            r"spot has shape \(2,\), must be one number",
        ),
        (
            lambda: Dividends([0.5], 1.0).forward(spot=[50.0, 51.0], years=[1, 2, 3], rate=0.0),
            r"arguments of shapes \(2,\), \(3,\), \(\), \(\) do not broadcast together",
        ),
        (
            lambda: Dividends([0.5], 1.0).present_value(spot=50.0, years=1.0, rate="x"),
            r"rate is 'x', must be a number or numbers",
        ),
        (lambda: Dividends([0.5], 1.0).before("x"), r"years is 'x', must be a number"),
    ],
)
def test_mistakes_are_named(make, words):
    with pytest.raises(InvalidInput, match=words):
        make()

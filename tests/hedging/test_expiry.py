"""Settlement legs: the cash identity holds to the last 1e-9 USD, whatever the fixing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedging import expiry
from hedging.errors import InvalidInput

CENT = 10_000_000


def cash(legs):
    """Cash that booking the legs moves."""
    return -sum(leg.side * leg.lots * leg.multiplier * leg.px_e9 for leg in legs)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    lots=st.integers(-100_000, 100_000).filter(bool),
    right=st.sampled_from([1, -1]),
    strike=st.integers(1, 10**13),
    fixing=st.integers(1, 10**13),
    product=st.sampled_from([(100, 1), (50, 50), (1000, 10)]),
)
def test_physical_settlement_moves_exactly_the_strike_payment(lots, right, strike, fixing, product):
    """A long call pays lots x multiplier x K and receives shares; a long put the reverse."""
    multiplier, of_underlying = product
    legs = expiry.settle(
        lots,
        right=right,
        strike_e9=strike,
        fixing_e9=fixing,
        multiplier=multiplier,
        physical=True,
        underlying_multiplier=of_underlying,
    )
    option = legs[0]
    assert (option.kind, option.side * option.lots) == ("settlement", -lots)
    if right * (fixing - strike) < CENT:
        assert len(legs) == 1
        assert option.px_e9 == 0
        assert cash(legs) == 0
        return
    stock = legs[1]
    assert stock.kind == "exercise"
    assert stock.px_e9 == fixing
    assert stock.side * stock.lots * stock.multiplier == right * lots * multiplier
    assert cash(legs) == -right * lots * multiplier * strike


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    lots=st.integers(-100_000, 100_000).filter(bool),
    right=st.sampled_from([1, -1]),
    strike=st.integers(1, 10**13),
    fixing=st.integers(1, 10**13),
)
def test_cash_settlement_is_one_leg_at_intrinsic(lots, right, strike, fixing):
    legs = expiry.settle(
        lots, right=right, strike_e9=strike, fixing_e9=fixing, multiplier=100, physical=False
    )
    inside = right * (fixing - strike)
    assert len(legs) == 1
    assert cash(legs) == lots * 100 * (inside if inside >= CENT else 0)


@pytest.mark.parametrize(
    ("fixing", "exercised"),
    [(100_009_999_999, False), (100_010_000_000, True), (100_000_000_000, False)],
)
def test_exercise_by_exception_starts_at_one_cent(fixing, exercised):
    """OCC Rule 805: at least USD 0.01 in the money."""
    legs = expiry.settle(
        1, right=1, strike_e9=10**11, fixing_e9=fixing, multiplier=100, physical=True
    )
    assert (len(legs) == 2) is exercised


def test_a_futures_option_is_exercised_at_any_amount():
    value = expiry.settlement_value_e9(right=-1, strike_e9=10, fixing_e9=9, threshold_e9=1)
    assert value == 1


def test_nothing_held_has_no_legs_and_odd_contracts_are_refused():
    common = {"right": 1, "strike_e9": 1, "fixing_e9": 10**9, "physical": True}
    assert expiry.settle(0, multiplier=100, **common) == ()
    with pytest.raises(InvalidInput, match=r"multiplier is 33, must be a multiple"):
        expiry.settle(1, multiplier=33, underlying_multiplier=2, **common)
    with pytest.raises(InvalidInput, match=r"right is 0, must be \+1"):
        expiry.settlement_value_e9(right=0, strike_e9=1, fixing_e9=1)

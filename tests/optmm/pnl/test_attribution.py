"""Attribution against the ledger on any tape, and each line on tapes whose answer is known."""

import numpy as np
import polars as pl
import pytest

from hedging.expiry import settle
from optmm.errors import DataError, LimitBreached
from optmm.pnl.attribution import Snapshots, attribute, explain, fill_terms
from optmm.pnl.ledger import Ledger, OpeningPosition
from surfaces.pricing import black

USD = 10**9
OPENING = (OpeningPosition(0, 17, 3 * USD + 1, 100), OpeningPosition(6, -900, 100 * USD + 7, 1))


def both(table, closing, spot, *, opening=(), carry=0, tau_s=300):
    """Net of path A and the attribution of path B."""
    ledger = Ledger(opening)
    ledger.book_table(table)
    ledger.book_carry(carry)
    split = attribute(
        table, closing_marks_e9=closing, closing_spot_e9=spot, opening=opening, carry_e9=carry,
        tau_s=tau_s,
    )  # fmt: skip
    return ledger.net_e9(closing, spot), split


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("tau_s", [60, 300])
def test_the_two_paths_agree_to_the_last_billionth_on_any_tape(random_tape, seed, tau_s):
    rng = np.random.default_rng(seed)
    table, closing, spot = random_tape(rng, n=int(rng.integers(0, 300)) + 1)
    carry = int(rng.integers(-(10**12), 10**12))
    net, split = both(table, closing, spot, opening=OPENING, carry=carry, tau_s=tau_s)
    assert split.net_e9 == net


def test_an_empty_tape_moves_what_was_carried_in(random_tape):
    table, closing, spot = random_tape(np.random.default_rng(1), n=1)
    empty = {name: column[:0] for name, column in table.items()}
    net, split = both(empty, closing, spot, opening=OPENING, carry=5)
    assert split.net_e9 == net == split.inventory_opening_e9 + 5


@pytest.mark.parametrize("kind", ["quote", "hedge", "exercise", "settlement"])
def test_one_fill_wrong_by_a_billionth_in_one_path_shows_exactly_that(random_tape, kind):
    """Bought q at a price 1e-9 too high: that path is q c 1e-9 poorer, and nothing else moves."""
    table, closing, spot = random_tape(np.random.default_rng(3))
    net, split = both(table, closing, spot)
    row = int(np.flatnonzero(table["kind"] == kind)[0])
    wrong = {**table, "px_e9": table["px_e9"].copy()}
    wrong["px_e9"][row] += 1
    shown = -int(table["side"][row] * table["lots"][row] * table["multiplier"][row])
    other = attribute(wrong, closing_marks_e9=closing, closing_spot_e9=spot)
    assert other.net_e9 - net == shown
    ledger = Ledger()
    ledger.book_table(wrong)
    assert ledger.net_e9(closing, spot) - split.net_e9 == shown


def test_a_wrong_mark_or_delta_cannot_change_the_net(random_tape):
    """They move money between lines only, and never between the two paths."""
    table, closing, spot = random_tape(np.random.default_rng(4))
    _, split = both(table, closing, spot)
    wrong = {**table, "mark_e9": table["mark_e9"] + 5, "delta": table["delta"] * 0.5}
    other = attribute(wrong, closing_marks_e9=closing, closing_spot_e9=spot)
    assert other.net_e9 == split.net_e9
    assert other.spread_capture_e9 != split.spread_capture_e9


def quote(**changes):
    """One bought quote of 10 contracts at 2.00 with fair value 2.03, still 2.03 later."""
    row = {
        "kind": ["quote"], "instrument": [0], "side": [1], "lots": [10], "px_e9": [2 * USD],
        "multiplier": [100], "fee_e9": [0], "mark_e9": [2_030_000_000], "spot_e9": [100 * USD],
        "delta": [0.5], "mark_300s_e9": [2_030_000_000], "spot_300s_e9": [100 * USD],
    }  # fmt: skip
    row.update({name: [value] for name, value in changes.items()})
    return {name: np.array(column) for name, column in row.items()}


def test_half_a_spread_captured_is_quantity_times_it():
    """10 x 100 x 0.03 = 30 USD, exactly."""
    split = attribute(quote(), closing_marks_e9=[2_030_000_000], closing_spot_e9=100 * USD)
    assert split.spread_capture_e9 == 30 * USD
    assert split.net_e9 == 30 * USD


def test_a_move_that_spot_explains_is_not_adverse_selection():
    """Spot falls 1.00 and the option 0.50 = delta: nothing adverse, all of it inventory."""
    table = quote(mark_300s_e9=1_530_000_000, spot_300s_e9=99 * USD)
    split = attribute(table, closing_marks_e9=[1_530_000_000], closing_spot_e9=99 * USD)
    assert split.adverse_selection_e9 == 0
    assert split.inventory_alpha_e9 == -500 * USD
    # Without the spot move the same loss is adverse: 10 x 100 x 0.50.
    table = quote(mark_300s_e9=1_530_000_000)
    split = attribute(table, closing_marks_e9=[1_530_000_000], closing_spot_e9=100 * USD)
    assert split.adverse_selection_e9 == -500 * USD
    assert split.inventory_alpha_e9 == 0


def test_informed_flow_of_known_drift_is_found_and_uninformed_is_not():
    """Fair value drifts 0.02 against each informed fill: AS is -0.02 x contracts x 100, 3 s.e."""
    rng = np.random.default_rng(605)
    n, drift = 4000, 20_000_000
    side = rng.choice([-1, 1], n)
    spot_move = rng.normal(0, 0.2e9, n).astype(np.int64)
    noise = rng.normal(0, 0.05e9, n)
    base = {
        "kind": np.full(n, "quote"), "instrument": np.zeros(n, int), "side": side,
        "lots": rng.integers(1, 20, n), "px_e9": np.full(n, USD), "multiplier": np.full(n, 100),
        "fee_e9": np.zeros(n, int), "mark_e9": np.full(n, USD), "spot_e9": np.full(n, 100 * USD),
        "delta": rng.uniform(-1, 1, n), "spot_300s_e9": 100 * USD + spot_move,
    }  # fmt: skip
    quantity = base["lots"] * 100
    for informed in (0, 1):
        move = base["delta"] * spot_move + noise - informed * drift * side
        table = {**base, "mark_300s_e9": USD + np.rint(move).astype(np.int64)}
        split = attribute(table, closing_marks_e9=[USD], closing_spot_e9=100 * USD)
        expected = -informed * drift * int(quantity.sum())
        error = 0.05e9 * np.sqrt(float(np.sum(quantity.astype(float) ** 2)))
        assert abs(split.adverse_selection_e9 - expected) < 3 * error
    assert abs(expected) > 10 * error


def test_hedges_at_the_touch_cost_half_the_spread_each():
    """Five hedges of 200 shares at half spread 0.005: 5.00 USD; the position is inventory."""
    n = 5
    table = {
        "kind": np.full(n, "hedge"), "instrument": np.ones(n, int), "side": np.full(n, -1),
        "lots": np.full(n, 200), "px_e9": np.full(n, 99_995_000_000),
        "multiplier": np.ones(n, int), "fee_e9": np.full(n, 700_000_000),
        "mark_e9": np.full(n, 100 * USD), "spot_e9": np.full(n, 100 * USD),
        "delta": np.full(n, np.nan), "mark_300s_e9": np.zeros(n, int),
        "spot_300s_e9": np.zeros(n, int),
    }  # fmt: skip
    split = attribute(table, closing_marks_e9=[0], closing_spot_e9=99 * USD)
    assert split.hedging_costs_e9 == -5 * USD
    assert split.fees_e9 == -3_500_000_000
    assert split.inventory_hedges_e9 == 1000 * USD
    assert split.spread_capture_e9 == split.adverse_selection_e9 == 0


@pytest.mark.parametrize(("right", "fixing"), [(1, 103), (-1, 98), (1, 99), (-1, 100)])
@pytest.mark.parametrize("lots", [10, -10])
@pytest.mark.parametrize("physical", [True, False])
def test_an_expiry_books_no_capture_and_no_slippage(lots, right, fixing, physical):
    """The option carried in at 2.00 settles at max(w(S - K), 0), K = 100; the stock closes at S."""
    legs = settle(
        lots, right=right, strike_e9=100 * USD, fixing_e9=fixing * USD, multiplier=100,
        physical=physical,
    )  # fmt: skip
    px = np.array([leg.px_e9 for leg in legs])
    columns = {
        "kind": np.array([leg.kind for leg in legs]),
        "instrument": np.array([0 if leg.kind == "settlement" else 1 for leg in legs]),
        "side": np.array([leg.side for leg in legs]), "lots": np.array([leg.lots for leg in legs]),
        "multiplier": np.array([leg.multiplier for leg in legs]), "px_e9": px, "mark_e9": px,
        "fee_e9": px * 0, "spot_e9": px * 0 + fixing * USD, "delta": px * 0.0,
        "mark_300s_e9": px, "spot_300s_e9": px * 0 + fixing * USD,
    }  # fmt: skip
    value = max(right * (fixing - 100), 0) * USD
    net, split = both(
        columns, np.array([value]), fixing * USD, opening=[OpeningPosition(0, lots, 2 * USD, 100)]
    )
    assert split.net_e9 == net == lots * 100 * (value - 2 * USD)
    assert split.spread_capture_e9 == split.hedging_costs_e9 == split.adverse_selection_e9 == 0
    # The mark of a series that has settled may be anything: nothing is held in it.
    again, odd = both(
        columns, np.array([77]), fixing * USD, opening=[OpeningPosition(0, lots, 2 * USD, 100)]
    )
    assert odd.net_e9 == again == net


def test_a_polars_frame_is_read_like_a_dict(random_tape):
    table, closing, spot = random_tape(np.random.default_rng(8))
    from_dict = attribute(table, closing_marks_e9=closing, closing_spot_e9=spot)
    frame = pl.DataFrame(table)
    assert attribute(frame, closing_marks_e9=closing, closing_spot_e9=spot) == from_dict
    ledger = Ledger()
    ledger.book_table(frame)
    assert ledger.net_e9(closing, spot) == from_dict.net_e9


def test_terms_of_fills_add_up_to_the_lines(random_tape):
    table, closing, spot = random_tape(np.random.default_rng(9))
    terms = fill_terms(table, closing_marks_e9=closing, closing_spot_e9=spot)
    split = attribute(table, closing_marks_e9=closing, closing_spot_e9=spot)
    assert int(terms.total().sum()) == split.net_e9
    assert int(terms.inventory.sum()) == split.inventory_alpha_e9


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"kind": "gift"}, DataError, r"kind\[0\] is 'gift'\. Known are quote, hedge"),
        ({"px_e9": 2.5e9}, DataError, "column px_e9 is float64, must be integers"),
        ({"delta": np.nan}, DataError, r"delta\[0\] is nan. A quote fill needs the delta"),
        ({"instrument": 4}, DataError, "instrument 4 has no closing mark. There are 1 options"),
        ({"lots": 10**9, "mark_300s_e9": 10**17}, LimitBreached, r"does not fit 2\^62"),
        ({"px_e9": 2**61}, LimitBreached, "column px_e9 holds a figure beyond"),
    ],
)
def test_a_table_that_cannot_be_attributed_says_why(change, error, match):
    with pytest.raises(error, match=match):
        attribute(quote(**change), closing_marks_e9=[USD], closing_spot_e9=USD)


def test_worlds_are_not_mixed_and_a_horizon_needs_its_columns(random_tape):
    table, closing, spot = random_tape(np.random.default_rng(10))
    mixed = {**table, "bound": np.where(np.arange(200) % 2, "queue", "optimistic")}
    with pytest.raises(DataError, match=r"fills mix the worlds optimistic, queue\. Filter"):
        attribute(mixed, closing_marks_e9=closing, closing_spot_e9=spot)
    with pytest.raises(DataError, match="no column mark_30s_e9"):
        attribute(table, closing_marks_e9=closing, closing_spot_e9=spot, tau_s=30)


def snapshots(scale):
    """A book of three options over one step of 1 % in spot and 1 point in vol, times `scale`."""
    lots = np.array([10.0, -4.0, 7.0]) * 100
    right, strike = np.array([1, -1, 1]), np.array([100.0, 95.0, 108.0])
    tenor = np.array([0.1, 0.25, 0.5])
    spot = np.array([100.0, 100.0 + 1.0 * scale])
    vol = np.array([[0.2, 0.22, 0.18]]) + np.array([[0.0], [0.01 * scale]])
    years = np.array([0.0, scale**2 / 365])
    at = [
        black.greeks(
            right=right, forward=spot[i], strike=strike, years=tenor - years[i], vol=vol[i]
        )
        for i in range(2)
    ]
    rows = {
        name: np.stack([lots * getattr(g, name) for g in at])
        for name in ("delta", "gamma", "vega", "theta", "vanna", "volga")
    }
    value = np.stack([lots * g.price for g in at])
    return Snapshots(years=years, spot=spot, vol=vol, value_start=value, value_end=value, **rows)


def test_taylor_lines_explain_the_revaluation_and_the_rest_dies_eightfold():
    """Moves halve and time quarters: the residual is of third order (FORMULAS, section 9)."""
    wide, half, quarter = (explain(snapshots(scale)) for scale in (1.0, 0.5, 0.25))
    assert abs(wide.unexplained) < 0.05 * wide.gross
    assert wide.unexplained / half.unexplained == pytest.approx(8.0, rel=0.15)
    assert half.unexplained / quarter.unexplained == pytest.approx(8.0, rel=0.08)

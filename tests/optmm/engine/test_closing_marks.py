"""The closing-mark policy: whose mark counts, and the difference to the others, by hand."""

import itertools

import numpy as np
import pytest

from optmm.config_days import Marks as MarksConfig
from optmm.engine import closing_marks, rows_file
from optmm.engine import state as tables
from optmm.engine.closing_marks import ABSENT, NAMES, ORDER
from optmm.engine.marks import Marks
from optmm.errors import DataError
from optmm.market.chain import Underlying
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain

E9 = 10**9
CHAIN = list_chain(
    [parse_osi(f"SPY230317{side}00{k}000") for side in "CP" for k in (390, 395, 400)],
    date="2023-03-16",
    underlying=Underlying("SPY", "equity", 1, 10_000_000),
)
N = len(CHAIN)
UNIT = np.array([100] * N + [1])


def marks(**columns):
    return {
        name: np.array(columns.get(name, [ABSENT] * (N + 1)), np.int64)
        for name in ("settlement", "theo", "mid", "last", "official")
    }


def test_each_policy_takes_the_first_mark_there_is():
    """All presence patterns of five marks, against a plain search in the order of the docstring."""
    order = {
        "settlement_theo_mid": ("settlement", "theo", "mid", "last"),
        "mid": ("mid", "settlement", "theo", "last"),
        "theo": ("theo", "settlement", "mid", "last"),
        "official": ("official", "settlement", "theo", "mid", "last"),
    }
    names = ("settlement", "theo", "mid", "last", "official")
    for there in itertools.product([True, False], repeat=5):
        have = {name: 10 + k for k, (name, t) in enumerate(zip(names, there, strict=True)) if t}
        columns = marks(**{name: [value] * (N + 1) for name, value in have.items()})
        for policy, ranks in order.items():
            got = closing_marks.mark(columns, policy=policy, lots=np.zeros(N + 1), multiplier=UNIT)
            wanted = "settlement" if "settlement" in have else next(
                (name for name in ranks if name in have), "none"
            )  # fmt: skip
            assert {NAMES[s] for s in got.source} == {wanted}
            assert got.e9.tolist() == [have.get(wanted, 0)] * (N + 1)


def test_the_difference_between_policies_in_usd():
    """+3 calls and -2 puts: theo 1.20 and 2.00, mid 1.25 and 1.90, so mid is worth 15 + 20 more."""
    columns = marks(
        theo=[1_200_000_000, ABSENT, 2_000_000_000, 0, 0, 0, ABSENT],
        mid=[1_250_000_000, 5, 1_900_000_000, 7, 7, 7, 396 * E9],
        official=[ABSENT] * N + [395_900_000_000],
    )
    lots = np.array([3, 0, -2, 0, 0, 0, 50])
    found = closing_marks.mark(columns, policy="settlement_theo_mid", lots=lots, multiplier=UNIT)
    assert found.value_e9 == (360 - 400 + 50 * 396) * E9
    assert found.against_e9 == {
        "settlement_theo_mid": 0, "theo": 0, "mid": 35 * E9, "official": -5 * E9,
    }  # fmt: skip
    assert set(found.against_e9) == set(ORDER)


def test_candidates_are_the_engines_own_marks_under_the_default_policy():
    """`Marks.refresh` is the referee, on random tops, sheets and settlements."""
    rng = np.random.default_rng(3)
    state = tables.create(CHAIN, "queue")
    for _ in range(40):
        mkt = state.mkt
        mkt["bid_e9"] = rng.integers(0, 3, N + 1) * E9
        mkt["ask_e9"] = mkt["bid_e9"] + rng.integers(-1, 3, N + 1) * 7_000_001
        mkt["theo"][-1] = 7.0
        mkt["theo"][:-1] = np.where(rng.random(N) < 0.3, np.nan, rng.normal(1, 1, N))
        mkt["delta"], mkt["gamma_half"] = rng.normal(size=(2, N + 1))
        mkt["spot_ref"] = 100.0
        state.head["spot"] = state.head["mid"] = 100.3
        state.head["spot_e9"], state.head["spot_ns"] = 100_300_000_000, 1
        own = Marks(N)
        settled = np.full(N + 1, ABSENT)
        for i in np.flatnonzero(rng.random(N) < 0.2):
            settled[i] = rng.integers(0, 10) * E9
            own.settle(int(i), int(settled[i]))
        own.refresh(state)
        none = np.full(N + 1, ABSENT)
        found = closing_marks.mark(
            closing_marks.candidates(state, settled, none, none),
            policy="settlement_theo_mid", lots=np.ones(N + 1, int), multiplier=UNIT,
        )  # fmt: skip
        np.testing.assert_array_equal(found.e9, own.e9)
        np.testing.assert_array_equal(found.source, own.source)


def test_official_closes_are_read_by_date(tmp_path):
    path = tmp_path / "closes.csv"
    path.write_text(
        "date,symbol,px_usd\n2023-03-16,SPY230317C00390000,6.25\n2023-03-16,SPY,396.11\n"
        "2023-03-16,QQQ,1\n2023-03-17,SPY   230317P00390000,0\n"
    )
    found = closing_marks.read_official(path, CHAIN)
    assert sorted(found) == ["2023-03-16", "2023-03-17"]
    assert found["2023-03-16"].tolist() == [6_250_000_000, *[ABSENT] * 5, 396_110_000_000]
    assert found["2023-03-17"].tolist() == [ABSENT, 0, *[ABSENT] * 5]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("16.03.2023,SPY,1", r"closes\.csv, row 3: date is '16\.03\.2023'\. Write YYYY"),
        ("2023-03-16,SPY,396", "has SPY twice"),
        ("2023-03-16,SPY230317C00390000,-1", "px_usd is no price"),
        ("2023-03-16,SPY230317C00390000,", "px_usd is no price"),
        ("2023-03-16,SPY230317C00390000,x", r"row 3: px_usd is 'x', which is no number"),
    ],
)
def test_a_bad_official_close_is_named(tmp_path, row, message):
    path = tmp_path / "closes.csv"
    path.write_text(f"date,symbol,px_usd\n2023-03-16,SPY,396.11\n{row}\n")
    with pytest.raises(DataError, match=message):
        closing_marks.read_official(path, CHAIN)


def test_the_policy_official_wants_a_file():
    with pytest.raises(ValueError, match="no official_file"):
        MarksConfig(policy="official")
    assert MarksConfig(policy="official", official_file="closes.csv").policy == "official"


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_file, "MOST_BYTES", 10)
    path = tmp_path / "a.csv"
    path.write_text("date,symbol,px_usd\n")
    with pytest.raises(DataError, match="more than 64 MiB"):
        closing_marks.read_official(path, CHAIN)

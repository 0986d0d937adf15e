"""OSI symbols both ways."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmm.errors import DataError
from optmm.market.instruments import Option, is_adjusted, parse_osi

# Examples printed in Wikipedia, "Option symbol" (the OCC's Options Symbology Initiative).
PRINTED = [
    ("SPX   141122P00019500", Option("SPX", dt.date(2014, 11, 22), -1, 19_500_000_000)),
    ("LAMR  150117C00052500", Option("LAMR", dt.date(2015, 1, 17), +1, 52_500_000_000)),
]


@pytest.mark.parametrize(("symbol", "option"), PRINTED)
def test_symbol_matches_the_printed_examples(symbol, option):
    assert option.osi == symbol
    assert parse_osi(symbol) == option


@given(
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True),
    expiry=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
    right=st.sampled_from([1, -1]),
    strike_mills=st.integers(1, 99_999_999),
)
def test_every_series_survives_the_round_trip(root, expiry, right, strike_mills):
    option = Option(root, expiry, right, strike_mills * 1_000_000)
    assert len(option.osi) == 21
    assert parse_osi(option.osi) == option
    assert parse_osi("O:" + option.osi.replace(" ", "")) == option


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("GOOG", "not an option symbol"),
        ("GOOG  151224X00750000", "not an option symbol"),
        ("GOOG  151324C00750000", "impossible date"),
        ("GOOG  151224C00000000", "strike of zero"),
        ("goog  151224C00750000", "not an option symbol"),
        ("TOOLONG151224C00750000", "not an option symbol"),
        ("      151224C00750000", "not an option symbol"),
    ],
)
def test_a_bad_symbol_says_what_is_wrong(symbol, words):
    with pytest.raises(DataError, match=words):
        parse_osi(symbol)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (Option("GOOG", dt.date(2015, 12, 24), 1, 333_333_300), "multiple of 0.001"),
        (Option("GOOG", dt.date(2015, 12, 24), 1, 100_000 * 10**9), "between 0 and 100,000"),
        (Option("goog", dt.date(2015, 12, 24), 1, 10**9), "capitals"),
        (Option("GOOG", dt.date(1999, 12, 24), 1, 10**9), "2000 to 2099"),
    ],
)
def test_a_series_without_a_symbol_says_why(option, words):
    with pytest.raises(DataError, match=words):
        _ = option.osi


def test_adjusted_roots_end_in_a_digit():
    assert [is_adjusted(r) for r in ("SPY", "SPY1", "GOOG7", "SPXW", "7")] == [
        False, True, True, False, False,
    ]  # fmt: skip

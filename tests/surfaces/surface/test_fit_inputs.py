"""What `fit` refuses, in its own words, and the dresses of one chain that it takes."""

import datetime as dt
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from surfaces import fit
from surfaces.curves.cash import CashDividends
from surfaces.curves.discount import DiscountCurve
from surfaces.errors import InvalidInput
from surfaces.fitting import chain_of
from surfaces.live import FitConfig, LiveFitter

NOW = dt.datetime(2024, 3, 14, 20, 0, tzinfo=dt.UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
EXPIRY = dt.date(2024, 6, 21)


def two(**change) -> dict:
    """A call and a put at 100, worth the same: the forward is 100."""
    frame = {"expiry": [EXPIRY] * 2, "strike": [100.0] * 2, "right": [1, -1]}
    return frame | {"bid": [4.0, 4.0], "ask": [4.2, 4.2]} | change


def refused(words: str, quotes=None, **given) -> None:
    """The whole message, word for word."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        fit(two() if quotes is None else quotes, **{"valuation_ns": NOW_NS} | given)


EXPIRIES = "must be a date, a timestamp or an integer in ns UTC"


@pytest.mark.parametrize(
    ("expiry", "words"),
    [
        (None, f"is None, {EXPIRIES}; drop rows without one"),
        (pd.NaT, f"is NaT, {EXPIRIES}; drop rows without one"),
        (pd.NA, f"is <NA>, {EXPIRIES}; drop rows without one"),
        (np.datetime64("NaT"), f"is NaT, {EXPIRIES}; drop rows without one"),
        ("soon", f"is 'soon', {EXPIRIES}"),
        (
            dt.date(2300, 1, 1),
            "is datetime.date(2300, 1, 1), must lie from 1990 to 2200; check the year",
        ),
        ("9999-12-31", "is '9999-12-31', must lie from 1990 to 2200; check the year"),
        (
            20240621,
            "is 20240621, must lie from 1990 to 2200 in ns UTC; it looks like yyyymmdd: "
            "pass a date",
        ),
        (
            19895,
            "is 19895, must lie from 1990 to 2200 in ns UTC; it looks like days since 1970: "
            "multiply by 86,400 * 10**9",
        ),
    ],
    ids=str,
)
def test_an_expiry_that_is_none_is_refused(expiry, words):
    """These used to be expired slices with forwards of any size, and no error."""
    refused(f"expiry[1] {words}", two(expiry=[EXPIRY, expiry]))


def test_a_null_expiry_of_polars_is_refused():
    refused(f"expiry[1] is None, {EXPIRIES}; drop rows without one",
            pl.DataFrame(two(expiry=[EXPIRY, None])))  # fmt: skip


SAY = "must be an integer in ns UTC or a datetime; for a time.time() in seconds pass round(1e9 * t)"


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (
            1_710_446_400,
            "is 1710446400, must lie from 1990 to 2200 in ns UTC; it looks like seconds: "
            "multiply by 10**9",
        ),
        (
            1_710_446_400_000,
            "is 1710446400000, must lie from 1990 to 2200 in ns UTC; it looks like milliseconds: "
            "multiply by 10**6",
        ),
        (
            1_710_446_400_000_000,
            "is 1710446400000000, must lie from 1990 to 2200 in ns UTC; it looks like "
            "microseconds: multiply by 1,000",
        ),
        (0, "is 0, must lie from 1990 to 2200 in ns UTC; check its unit"),
        (10**19, f"is {10**19}, must lie from 1990 to 2200 in ns UTC; check its unit"),
        (None, f"is None, {SAY}"),
        ("now", f"is 'now', {SAY}"),
        (float("nan"), f"is nan, {SAY}"),
        (1.7e18, f"is 1.7e+18, {SAY}"),
        (True, f"is True, {SAY}"),
        (dt.date(2024, 3, 14), f"is datetime.date(2024, 3, 14), {SAY}"),
        (np.datetime64("2024-03-14"), f"is np.datetime64('2024-03-14'), {SAY}"),
        (pd.NaT, f"is NaT, {SAY}"),
        (
            dt.datetime(2300, 1, 1),
            "is datetime.datetime(2300, 1, 1, 0, 0), must lie from 1990 to 2200; check the year",
        ),
    ],
    ids=str,
)
def test_a_valuation_that_is_no_time_names_the_likely_unit(when, words):
    refused(f"valuation_ns {words}", valuation_ns=when)


@pytest.mark.parametrize(
    "when",
    [
        NOW,
        NOW.replace(tzinfo=None),
        NOW.astimezone(dt.timezone(dt.timedelta(hours=-4))),
        pd.Timestamp(NOW),
        pd.Timestamp(NOW).tz_convert("America/New_York"),
        np.datetime64("2024-03-14T20:00"),
        np.int64(NOW_NS),
    ],
    ids=repr,
)
def test_a_valuation_may_be_a_datetime_in_utc_or_with_its_zone(when):
    assert fit(two(), valuation_ns=when).ts_ns == NOW_NS


@pytest.mark.parametrize(
    ("quotes", "words"),
    [
        (0.5, "a float, must be {}"),
        ([two()], "a list, must be {}; polars.DataFrame(rows) makes one of a list of rows"),
        (np.ones((2, 5)), "a ndarray, must be {}"),
        (pl.DataFrame(two()).lazy(), "a LazyFrame; call .collect() on it first"),
    ],
    ids=["float", "rows", "array", "lazy"],
)
def test_what_is_no_frame_is_refused(quotes, words):
    frames = "a polars or pandas frame, an Arrow table, or a dict of columns"
    refused(f"quotes is {words.format(frames)}", quotes)


def test_no_quotes_at_all_are_refused():
    words = "quotes is None, must be a polars or pandas frame, an Arrow table, or a dict of columns"
    with pytest.raises(InvalidInput, match=f"^{words}$"):
        fit(None, valuation_ns=NOW_NS)


def test_an_arrow_table_is_a_frame():
    arrow = pytest.importorskip("pyarrow")
    a, b = (fit(q, valuation_ns=NOW_NS) for q in (arrow.table(two()), two()))
    np.testing.assert_array_equal(a.row_vols(), b.row_vols())


def test_ragged_columns_are_named():
    refused(
        "columns of quotes differ in length: expiry 2, strike 2, right 2, bid 1, ask 2; give each "
        "a value a row",
        two(bid=[4.0]),
    )


def test_a_column_that_is_one_value_is_named():
    refused(
        "column style of quotes is 'american', must be a list, a value a row; write "
        "['american'] * rows",
        two(style="american"),
    )


def test_a_text_price_names_its_first_row():
    remedy = "Cast the column to floats, absent prices to None."
    refused(f"bid[1] is 'n/a', must be a number (1 of 2 fail). {remedy}", two(bid=[4.0, "n/a"]))
    refused(f"ask[0] is '4.2', must be a number (2 of 2 fail). {remedy}", two(ask=["4.2", "4.3"]))


def test_a_missing_price_of_pandas_is_absent():
    frame = pd.DataFrame(two(bid=pd.array([4.0, None], dtype="Float64")))
    assert frame["bid"][1] is pd.NA
    assert fit(frame, valuation_ns=NOW_NS, spot=100.0).removed == {"no bid": 1}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"spot": [100.0, 101.0]}, "spot has shape (2,), must be one number"),
        ({"spot": 0.0}, "spot is 0 USD, must be > 0 (1 of 1 fail). Leave spot out to use the "
                        "parity forward."),
        ({"rate": 5.0}, "rate is 5 per year, 500 %, must lie from -1 to 1. Give decimals, 0.05 "
                        "for 5 %."),
        ({"rate": [0.05]}, "rate has shape (1,), must be one number"),
        ({"curve": 0.04}, "curve is 0.04, must be a DiscountCurve. DiscountCurve.from_par_yields "
                          "makes one; a flat rate is `rate`."),
        ({"rate": 0.04, "curve": "x"}, "curve is 'x', must be a DiscountCurve. "
         "DiscountCurve.from_par_yields makes one; a flat rate is `rate`."),
        ({"dividends": [0.5]}, "dividends is [0.5], must be a CashDividends. "
                               "CashDividends.of_dates(dates, cash) makes one."),
        ({"clock": None}, "clock is None, must be a VolClock. CALENDAR is calendar time."),
    ],
    ids=str,
)  # fmt: skip
def test_arguments_of_the_wrong_kind_or_size_are_named(given, words):
    refused(words, **given)


def test_a_rate_and_a_curve_are_one_too_many():
    curve = DiscountCurve.from_par_yields(NOW.date(), {"3 Mo": 5.0, "1 Yr": 5.0})
    refused("both rate and curve are given; leave one out", rate=0.05, curve=curve)


def test_dividends_larger_than_the_share_are_refused():
    paid = CashDividends.of_dates([dt.date(2024, 4, 1), dt.date(2025, 1, 1)], [500.0, 1.0])
    refused(
        "dividends until the last expiry add up to 500 USD in 1 ex-dates, must be below 0.9 of "
        "spot, 90 USD; give USD per share",
        two(style=["american"] * 2), spot=100.0, dividends=paid,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"right": [1, 1], "strike": [100.0, 110.0]}, "no strike has both a call and a put"),
        (
            {"bid": [4.0, 0.0]},
            "none of 1 call-put pairs has a bid and a finite ask on both legs",
        ),
        (
            {"ask": [np.inf, np.inf]},
            "none of 1 call-put pairs has a bid and a finite ask on both legs",
        ),
        ({"ask": [3.9, 3.9]}, "all 1 call-put pairs with bids and asks are crossed or locked"),
    ],
)
def test_without_spot_it_is_said_why_parity_tells_none(change, why):
    """Infinite asks used to warn, and crossed markets to be called absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused(f"spot is not given and parity tells none: {why}. Give spot=.", two(**change))


DECIMALS = "Give decimals, 0.05 for 5 %."


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rate_prior_sd": -1.0}, "rate_prior_sd is -1 per year, must be >= 0 (1 of 1 fail). "
                                  "Zero is an exact rate."),
        ({"rate_prior": "5%"}, "rate_prior is '5%', must be a number or numbers"),
        ({"rate_prior": 5.0}, f"rate_prior is 5.0 per year, must lie from -1 to 1. {DECIMALS}"),
        ({"rate_prior": [[0.05]]}, "rate_prior has shape (1, 1), must be one number or (m,)"),
        ({"last_good_s": -1.0}, "last_good_s is -1 seconds, must be >= 0 (1 of 1 fail). Zero "
                                "keeps no old curve."),
        ({"floor_seconds": 0}, "floor_seconds is 0 seconds, must be > 0 (1 of 1 fail). The least "
                               "time to expiry priced."),
        ({"borrow_sd": [0.1]}, "borrow_sd has shape (1,), must be one number"),
        ({"certificate_points": 0}, "certificate_points is 0, must be a whole number >= 10. A "
                                    "hundred is quick, 2000 the usual."),
        ({"certificate_points": 1.5}, "certificate_points is 1.5, must be a whole number >= 10. A "
                                      "hundred is quick, 2000 the usual."),
        ({"cold_rounds": 0}, "cold_rounds is 0, must be a whole number >= 1. The usual is 4."),
        ({"future": "no"}, "future is 'no', must be a bool. True if options are on the future."),
        ({"premium": 0.1}, "premium is 0.1, must be a PremiumLimits. Leave it out for the usual."),
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_fail_where_they_are_written(given, words):
    with pytest.raises(InvalidInput, match=f"^{re.escape(words)}$"):
        FitConfig(**given)


def test_the_fewest_points_of_a_certificate_warn_of_nothing(european):
    world = european()
    got = LiveFitter(world.slices, FitConfig(certificate_points=10)).update(
        world.now_ns, spot=world.spot, bid=world.bid, ask=world.ask
    )
    assert got.certificate.points == 10 and got.certificate.certified.all()


def test_chain_of_is_the_chain_and_the_order_of_its_rows(european):
    """Rows in any order: the fitter on `chain_of` says what `fit` says."""
    world = european()
    order = np.random.default_rng(3).permutation(len(world.slices))
    frame = {name: [values[i] for i in order] for name, values in world.frame().items()}
    chain, into = chain_of(frame)
    np.testing.assert_array_equal(np.array(frame["strike"])[into], chain.strike)
    sides = {name: np.array(frame[name])[into] for name in ("bid", "ask")}
    got = LiveFitter(chain).update(world.now_ns, spot=world.spot, **sides)
    whole = fit(frame, valuation_ns=world.now_ns, spot=world.spot)
    np.testing.assert_array_equal(got.row_vols(), whole.row_vols())

"""Treasury curves: par bonds reprice, a bootstrap in plain Python agrees, the real files read."""

import datetime as dt
import gzip
import pickle
import subprocess
import sys

import numpy as np
import pytest

from surfaces.curves.cash import CashDividends
from surfaces.curves.discount import DiscountCurve, read_dividends, read_overnight, read_treasury
from surfaces.errors import InvalidInput

# Shapes a curve takes: normal, inverted, humped, flat, below zero.
CURVES = {
    "normal": [0.1, 0.2, 0.4, 0.7, 1.1, 1.5, 1.75, 1.9, 2.0, 2.05, 2.4, 2.3],
    "inverted": [5.5, 5.5, 5.45, 5.4, 5.1, 4.7, 4.4, 4.2, 4.2, 4.2, 4.5, 4.3],
    "humped": [1.0, 1.5, 2.5, 3.5, 5.0, 6.0, 5.5, 4.5, 4.0, 3.8, 3.7, 3.6],
    "flat": [5.0] * 12,
    "negative": [-0.6, -0.6, -0.65, -0.7, -0.7, -0.7, -0.6, -0.3, 0.0, 0.2, 0.5, 0.4],
}
TENORS = ("1 Mo", "2 Mo", "3 Mo", "6 Mo", "1 Yr", "2 Yr", "3 Yr", "5 Yr", "7 Yr", "10 Yr", "20 Yr")
TENORS += ("30 Yr",)
MONTHS = [1, 2, 3, 6, 12, 24, 36, 60, 84, 120, 240, 360]
DATES = ["2024-05-15", "2023-08-31", "2024-02-29", "2022-12-30"]  # ends of months among them


def later(day: dt.date, months: int) -> dt.date:
    """The same day so many months on, or the month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = (dt.date(year + (month == 11), (month + 1) % 12 + 1, 1) - dt.timedelta(days=1)).day
    return dt.date(year, month + 1, min(day.day, last))


def years(day: dt.date, months) -> np.ndarray:
    return np.array([(later(day, int(m)) - day).days / 365.0 for m in np.atleast_1d(months)])


def hand_bootstrap(day: dt.date, percents) -> tuple[np.ndarray, np.ndarray]:
    """Pillar after pillar by bisection in plain Python: ln(df) linear in time between pillars."""
    times, logs = [0.0], [0.0]

    def at(t):
        for i in range(1, len(times)):
            if t <= times[i] + 1e-12:
                part = (t - times[i - 1]) / (times[i] - times[i - 1])
                return np.exp(logs[i - 1] + part * (logs[i] - logs[i - 1]))
        raise AssertionError

    for months, percent in zip(MONTHS, percents, strict=True):
        end = years(day, months)[0]
        if months <= 6:
            times.append(end)
            logs.append(-np.log1p(percent / 100 * end))
            continue
        coupon = percent / 200
        dates = years(day, range(6, months + 1, 6))
        low, high = -1.0, 5.0  # of the forward rate after the last pillar
        times.append(end)
        logs.append(0.0)
        for _ in range(100):
            rate = 0.5 * (low + high)
            logs[-1] = logs[-2] - rate * (end - times[-2])
            value = sum(coupon * at(t) for t in dates) + at(end)
            low, high = (rate, high) if value > 1.0 else (low, rate)
    return np.array(times), np.array(logs)


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("shape", CURVES)
def test_every_security_of_the_curve_is_at_par(shape, date):
    """Simple interest to six months; half the coupon every half year and par at the end after."""
    day = dt.date.fromisoformat(date)
    curve = DiscountCurve.from_par_yields(day, dict(zip(TENORS, CURVES[shape], strict=True)))
    for months, percent in zip(MONTHS, CURVES[shape], strict=True):
        end = years(day, months)
        if months <= 6:
            price = 100.0 * (1.0 + percent / 100 * end) * curve.df(end)
        else:
            coupons = percent / 2 * curve.df(years(day, range(6, months + 1, 6))).sum()
            price = coupons + 100.0 * curve.df(end)
        np.testing.assert_allclose(price, 100.0, rtol=0, atol=1e-8, err_msg=f"{months} months")


@pytest.mark.parametrize("shape", CURVES)
def test_zero_rates_agree_with_a_bootstrap_by_hand(shape):
    day = dt.date(2024, 5, 15)
    curve = DiscountCurve.from_par_yields(day, dict(zip(TENORS, CURVES[shape], strict=True)))
    times, logs = hand_bootstrap(day, CURVES[shape])
    at = np.concatenate((np.linspace(0.01, 30.0, 500), times[1:]))
    inside = at[at <= times[-1]]
    theirs = -np.interp(inside, times, logs) / inside
    np.testing.assert_allclose(curve.zero(inside), theirs, rtol=0, atol=1e-10)


def test_a_flat_par_curve_has_flat_zero_rates():
    """5 % twice a year is 2 ln(1.025) a year at every coupon date, but for the days of a month."""
    curve = DiscountCurve.from_par_yields("2023-05-15", dict.fromkeys(TENORS[4:], 5.0))
    half_years = years(dt.date(2023, 5, 15), range(12, 361, 12))
    periods = np.arange(2, 61, 2)
    np.testing.assert_allclose(curve.df(half_years), 1.025**-periods, rtol=3e-4)


def test_overnight_is_the_first_day():
    curve = DiscountCurve.from_par_yields("2024-05-15", {"1 Mo": 5.4, "1 Yr": 5.1}, overnight=5.31)
    np.testing.assert_allclose(curve.df(1 / 365), 1.0 / (1.0 + 0.0531 / 360), rtol=1e-12)
    np.testing.assert_allclose(curve.zero(0.0), np.log1p(0.0531 / 360) * 365, rtol=1e-9)


def test_the_last_forward_is_held():
    curve = DiscountCurve.from_par_yields("2024-05-15", {"1 Yr": 5.0, "2 Yr": 4.0})
    end = curve.years[-1]
    forward = np.log(curve.df(end - 0.1) / curve.df(end)) / 0.1
    np.testing.assert_allclose(curve.df(end + 3.0), curve.df(end) * np.exp(-3.0 * forward))
    assert curve.df(np.zeros((2, 3))).shape == (2, 3)
    assert curve.df(0.0) == 1.0


def test_the_global_date_of_quantlib_is_left_alone():
    from surfaces.curves.discount import _quantlib

    ql = _quantlib()
    settings = ql.Settings.instance()
    before = settings.evaluationDate
    try:
        settings.evaluationDate = ql.Date(3, 7, 2001)
        DiscountCurve.from_par_yields("2024-05-15", {"1 Yr": 5.0})
        with pytest.raises(InvalidInput):
            DiscountCurve.from_par_yields("2024-05-15", {"1 Yr": 5.0, "2 Yr": -300.0})
        assert settings.evaluationDate == ql.Date(3, 7, 2001)
    finally:
        settings.evaluationDate = before


def test_a_curve_travels():
    curve = DiscountCurve.from_par_yields("2024-05-15", {"1 Yr": 5.0})
    other = pickle.loads(pickle.dumps(curve))
    np.testing.assert_array_equal(other.df([0.1, 4.0]), curve.df([0.1, 4.0]))


@pytest.mark.parametrize(
    ("date", "yields", "said"),
    [
        ("2024-05-15", {"1 Fortnight": 5.0}, "tenor '1 Fortnight' is not a number of months"),
        ("2024-05-15", {"1 Yr": float("nan")}, "yields of 2024-05-15 are all missing"),
        ("2024-05-15", {"1 Yr": float("inf")}, "yields is inf percent, must be finite"),
        ("05/15/2024", {"1 Yr": 5.0}, "date is '05/15/2024', must be a date: YYYY-MM-DD"),
        ("2024-05-15", {"1 Yr": 5.0, "2 Yr": -300.0}, "have no discount factors"),
    ],
)
def test_errors_name_what_is_wrong(date, yields, said):
    with pytest.raises(InvalidInput, match=said):
        DiscountCurve.from_par_yields(date, yields)


def test_files_read_plain_and_gzipped(tmp_path):
    text = 'Date,"1 Mo","4 Mo","1 Yr"\n12/08/2023,5.54,,5.13\n12/06/2023,5.5,5.4,5.05\n'
    plain, packed = tmp_path / "treasury_par_a.csv", tmp_path / "other.csv.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed, tmp_path):
        assert read_treasury(path, "2023-12-08") == {"1 Mo": 5.54, "1 Yr": 5.13}
        with pytest.raises(InvalidInput, match=r"no yields of 2023-12-07, the nearest are "
                           "2023-12-06 and 2023-12-08"):  # fmt: skip
            read_treasury(path, dt.date(2023, 12, 7))
    with pytest.raises(InvalidInput, match=r"the nearest are 2023-12-08\. Use"):
        read_treasury(plain, "2024-01-02")
    sofr = tmp_path / "SOFR.csv"
    sofr.write_text("observation_date,SOFR\n2023-12-07,5.32\n2023-12-08,\n2023-12-11,5.31\n")
    assert read_overnight(sofr, "2023-12-07") == 5.32
    with pytest.raises(InvalidInput, match="nearest are 2023-12-07 and 2023-12-11"):
        read_overnight(sofr, "2023-12-08")


def test_values_pushed_left_return_to_their_tenors(tmp_path):
    """Ten yields of 1995 under a header of twelve: 3 Mo to 30 Yr; FRED has 6.62 for ten years."""
    path = tmp_path / "pushed.csv"
    head = ",".join(("Date", *TENORS))
    values = "5.88,5.95,5.99,6.16,6.26,6.41,6.49,6.62,7,6.95"
    path.write_text(f"{head}\n5/15/1995,{values},,\n5/12/1995,,,{values}\n")
    pushed, placed = read_treasury(path, "1995-05-15"), read_treasury(path, "1995-05-12")
    assert pushed == placed
    assert (pushed["3 Mo"], pushed["10 Yr"], pushed["30 Yr"]) == (5.88, 6.62, 6.95)


def test_dividends_become_a_schedule(tmp_path):
    path = tmp_path / "paid.csv"
    path.write_text("Date,Dividends\n2024-06-21,1.759\n2024-03-15,1.595\n2024-09-20,1.7\n")
    paid = read_dividends(path)
    now = int(np.datetime64("2024-06-20T20:00", "ns").astype(np.int64))
    assert paid.cash.tolist() == [1.595, 1.759, 1.7]
    coming = paid.repeated(now, int(paid.ex_ns[-1])).at(now)
    np.testing.assert_allclose(
        coming.years * 365 * 24, [8.0, 8.0 + 91 * 24]
    )  # midnight is 04:00 UTC
    np.testing.assert_array_equal(coming.cash, [1.759, 1.7])
    gone = now + 8 * 3_600_000_000_000
    assert len(paid.repeated(gone, int(paid.ex_ns[-1])).at(gone)) == 1
    year = 365 * 86_400 * 10**9
    longer = paid.repeated(now, now + 2 * year)
    np.testing.assert_array_equal(longer.cash, [1.759, 1.7, 1.595, 1.759, 1.7, 1.595])
    assert longer.ex_ns[2] == paid.ex_ns[0] + year
    stopped = now + 3 * year
    assert not paid.repeated(stopped, stopped + year).ex_ns.size  # paid nothing for two years


def test_a_quarterly_payer_whose_dates_drift_pays_four_times_a_year():
    """Its February date came a day earlier each year, and was counted twice a year once."""
    dates = ["2023-02-10", "2023-05-12", "2023-08-11", "2023-11-10", "2024-02-09"]
    paid = CashDividends.of_dates(map(dt.date.fromisoformat, dates), [0.23, 0.24, 0.24, 0.24, 0.24])
    now = int(paid.ex_ns[-1]) + 1
    coming = paid.repeated(now, now + 3 * 365 * 86_400 * 10**9)
    assert coming.ex_ns.size == 12
    assert np.diff(coming.ex_ns).min() > 80 * 86_400 * 10**9


def test_reading_a_curve_module_loads_no_quantlib():
    code = "import sys, surfaces.curves.discount; sys.exit('QuantLib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.real
def test_real_yields_give_falling_discount_factors(shared_data):
    """Every security printed is at par again; inverted, humped and near-zero days among them."""
    folder = shared_data / "rates"
    for date in ("1990-01-02", "2006-02-09", "2022-02-04", "2023-09-14", "2024-09-30"):
        yields = read_treasury(folder, date)
        curve = DiscountCurve.from_par_yields(date, yields)
        day = dt.date.fromisoformat(date)
        assert np.all(np.diff(curve.df(np.linspace(0.0, curve.years[-1], 400))) < 0.0)
        coupons = curve.df(years(day, range(6, 121, 6)))
        par = 200.0 * (1.0 - coupons[-1]) / coupons.sum()
        assert par == pytest.approx(yields["10 Yr"], abs=1e-8)
    with pytest.raises(InvalidInput, match="2022-02-16 and 2023-01-03"):
        read_treasury(folder, "2022-07-12")


@pytest.mark.real
def test_real_ten_year_yields_are_those_of_fred(shared_data):
    """DGS10 is the same number from another archive; 1990-2018 is pushed left in ours."""
    folder = shared_data / "rates"
    with gzip.open(folder / "DGS10.csv.gz", "rt") as lines:
        rows = [line.strip().split(",") for line in list(lines)[1:]]
    fred = {day: float(value) for day, value in rows if value.strip(" .")}
    days = [d for d in sorted(fred) if "1990-01-01" < d < "2022-02-17" or d[:4] == "2023"]
    days = [*[d for d in days if d < "2023-12-09"][::97], "2018-10-15", "2018-10-16"]
    got = [read_treasury(folder, d)["10 Yr"] for d in days]
    np.testing.assert_array_equal(got, [fred[d] for d in days])
    with pytest.raises(InvalidInput, match="2008-12-24 has 10 yields for the 11 tenors of its day"):
        read_treasury(folder, "2008-12-24")
    with pytest.raises(InvalidInput, match="no yields of 2010-10-11, the nearest are 2010-10-08"):
        read_treasury(folder, "2010-10-11")


@pytest.mark.real
def test_real_dividends_of_spy(shared_data):
    paid = read_dividends(shared_data / "rates" / "spy_dividends_2010_2024.csv")
    assert paid.ex_ns.size == 58
    now = int(np.datetime64("2023-09-14T20:00", "ns").astype(np.int64))
    coming = paid.repeated(now, int(paid.ex_ns[-1])).at(now)
    np.testing.assert_array_equal(coming.cash, [1.583, 1.906, 1.595, 1.759])
    assert read_overnight(shared_data / "rates" / "SOFR.csv", "2023-09-14") == 5.3

"""The VIX rule on closing SPX chains against the index's published closes.

The published close is computed from quotes of 16:15 New York and Cboe's rates; a download shows
the last quotes and is priced here at 16:00 with the 1-month Treasury. A quarter of an hour is
0.035 % of variance, 0.003 points; a rate off by half a percent moves less. Quotes of the same
instant therefore leave a hundredth of a point; quotes of another one leave what the index moved in
between. So: the middle day within a hundredth, and every day within a twentieth.
"""

import csv
import gzip

import numpy as np
import pytest

import surfaces
from optmm.data.snapshots import open_snapshot
from surfaces import variance_swap, vix

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def days(shared_data):
    """(day, published close, snapshot, rate) of every SPX close."""
    files = sorted((shared_data / "cboe_quotedata").glob("spx_*_close.csv.gz"))
    if not files:
        pytest.skip("the SPX closes are not here: put them in ../shared/data/cboe_quotedata")
    with gzip.open(shared_data / "rates" / "VIXCLS.csv.gz", "rt") as file:
        closes = dict(csv.reader(file))
    par = {}
    for name in ("treasury_par_2023.csv", "treasury_par_1990-01-02_2022-02-16.csv.gz"):
        path = shared_data / "rates" / name
        with gzip.open(path, "rt") if name.endswith(".gz") else path.open() as file:
            for row in csv.DictReader(file):
                month, day, year = map(int, row["Date"].split("/"))
                if row["1 Mo"]:
                    par[f"{year}-{month:02d}-{day:02d}"] = float(row["1 Mo"]) / 100.0
    out = []
    for path in files:
        day = path.name[4:14]
        rate = 2.0 * np.log1p(0.5 * par[day])  # bond-equivalent to continuous
        out.append((day, float(closes[day]), open_snapshot(path), rate))
    return out


def test_closes_are_reproduced(days):
    off = {}
    for day, close, found, rate in days:
        got = vix.vix_of_chain(found.quotes, found.valuation_ns, rate=rate)
        off[day] = got.index - close
        assert got.near.strike.size > 100
        assert got.near.minutes <= vix.THIRTY_DAYS < got.next.minutes
    assert len(off) == 10
    assert max(map(abs, off.values())) < 0.05, off
    assert float(np.median(np.abs(list(off.values())))) < 0.01, off


def test_the_curves_own_variance_is_near_the_rules(days):
    """At the rule's two expiries, 2023-05-26. The rule drops the strikes past the last bid and adds
    up trapezoids; together under 1 % of variance on this chain's spacing."""
    _, _, found, rate = next(d for d in days if d[0] == "2023-05-26")
    index = vix.vix_of_chain(found.quotes, found.valuation_ns, rate=rate)
    surface = surfaces.fit(found.quotes, valuation_ns=found.valuation_ns)
    years = [index.near.years, index.next.years]
    got = variance_swap.fair_variance(surface, years)
    rule = np.array([index.near.variance, index.next.variance])
    assert np.abs(got.variance / rule - 1.0).max() < 0.01, (got, rule)
    assert np.all(got.left_share + got.right_share < 0.02)

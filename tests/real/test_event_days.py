"""SPX chains of 2022 and 2023 name the days of the Fed and of the inflation numbers by themselves.

The truth is published elsewhere: Federal Reserve (FOMC decisions) and Bureau of Labor Statistics
(CPI releases). At-the-money vols are taken from the rows next to the forward of put-call parity.
"""

import csv
import datetime as dt
import gzip
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from surfaces.curves.clock import VolClock
from surfaces.curves.events import estimate_events, estimate_weekend_weight
from surfaces.pricing import implied
from surfaces.units import NS_PER_DAY, years_between

pytestmark = pytest.mark.real
NEW_YORK = ZoneInfo("America/New_York")
RATE = 0.05  # of discounting; parity at the money hardly sees it

# file, New York time of its quotes, days that must be found
CHAINS = [
    ("spx_2022-07-12_1155ET", "2022-07-12T11:40", {"2022-07-13", "2022-07-27"}),
    ("spx_2023-02-07_close", "2023-02-07T16:10", {"2023-02-14"}),
    ("spx_2023-04-14_close", "2023-04-14T16:10", {"2023-05-03"}),
    ("spx_2023-05-19_close", "2023-05-19T16:10", {"2023-06-14"}),
    ("spx_2023-05-26_close", "2023-05-26T16:10", {"2023-06-14"}),
    ("spx_2023-08-18_close", "2023-08-18T16:10", set()),
    ("spx_2023-09-14_close", "2023-09-14T16:10", set()),
]
CPI = "2022-07-13 2022-08-10 2022-09-13 2023-02-14 2023-03-14 2023-04-12 2023-05-10 2023-06-13"
CPI += " 2023-07-12 2023-08-10 2023-09-13 2023-10-12"
FOMC = "2022-07-27 2022-09-21 2023-03-22 2023-05-03 2023-06-14 2023-07-26 2023-09-20 2023-11-01"


def ns(day: dt.date, time: dt.time) -> int:
    return int(dt.datetime.combine(day, time, NEW_YORK).timestamp()) * 1_000_000_000


@lru_cache
def chain(folder, name, when):
    """(now, fixings, ATM total variances, their errors) of the PM-settled expiries."""
    moment = dt.datetime.fromisoformat(when)
    now = ns(moment.date(), moment.time())
    with gzip.open(folder / "cboe_quotedata" / f"{name}.csv.gz", "rt") as lines:
        rows = [r for r in csv.reader(lines) if len(r) >= 22 and "SPXW" in r[1]]
    by = {}
    for r in rows:
        quote = [float(r[i]) for i in (11, 4, 5, 15, 16)]
        if quote[1] > 0.0 and quote[3] > 0.0:
            by.setdefault(dt.datetime.strptime(r[0], "%a %b %d %Y").date(), []).append(quote)
    made = []
    for day, quotes in sorted(by.items()):
        fixing = ns(day, dt.time(16))
        if fixing > now + NS_PER_DAY // 24 and len(quotes) >= 8:
            made.append((fixing, *at_the_money(np.array(quotes), years_between(now, fixing))))
    fixings, vol, error = (np.array(column) for column in zip(*made, strict=True))
    years = years_between(now, fixings)
    return now, fixings, vol**2 * years, 2.0 * vol * years * error


def at_the_money(quotes, years):
    """Vol at the forward and its error, from six strikes, calls and puts."""
    strike, df = quotes[:, 0], np.exp(-RATE * years)
    gap = 0.5 * (quotes[:, 1] + quotes[:, 2] - quotes[:, 3] - quotes[:, 4]) / df
    near = np.argsort(np.abs(gap))[:6]
    forward = np.mean((strike + gap)[near])
    near = np.argsort(np.abs(strike - forward))[:6]
    K, right = np.tile(strike[near], 2), np.repeat([1.0, -1.0], 6)
    bid, ask = (np.concatenate((quotes[near, i], quotes[near, i + 2])) for i in (1, 2))

    def vol(price):
        made = implied.vol(price=price, right=right, forward=forward, strike=K, years=years, df=df)
        return made.vol

    mid, width = vol(0.5 * (bid + ask)), vol(ask) - vol(bid)
    good = np.isfinite(mid)
    level = np.polyfit(np.log(K[good] / forward), mid[good], 1)[1]
    return level, max(np.nanmedian(width) / 4.0, 1e-4)


@pytest.mark.parametrize(("name", "when", "must"), CHAINS, ids=[c[0] for c in CHAINS])
def test_events_found_are_days_of_the_fed_or_of_inflation(shared_data, name, when, must):
    """Every gap is on offer; what is found holds a published date, and the big ones are found."""
    now, fixings, w, error = chain(shared_data, name, when)
    got = estimate_events(tau=VolClock().tau(now, fixings), atm_variance=w, errors=error)
    starts = np.concatenate(([now], fixings[:-1]))
    published = [dt.date.fromisoformat(d) for d in (CPI + " " + FOMC).split()]
    named = set()
    for g in got.gap[got.found]:
        inside = {
            d.isoformat()
            for d in published
            if starts[g] <= ns(d, dt.time(14)) < fixings[g]
            or starts[g] <= ns(d, dt.time(8, 30)) < fixings[g]
        }
        assert inside, np.datetime64(int(fixings[g]), "ns")
        named |= inside
    assert must <= named
    assert np.all(np.sqrt(got.variance[got.found]) < 0.025)  # moves of one or two per cent


def test_options_pay_for_a_weekend_no_more_than_it_moves(shared_data):
    """Seven chains together: within two errors of the default weight, 0.036, and below 0.07."""
    readings = []
    for name, when, _ in CHAINS:
        now, fixings, w, error = chain(shared_data, name, when)
        near = fixings < now + 90 * NS_PER_DAY
        readings.append(
            estimate_weekend_weight(
                now_ns=now, fixing_ns=fixings[near], atm_variance=w[near], errors=error[near]
            )
        )
    weight, error = np.array(readings).T
    pooled = np.average(weight, weights=error**-2)
    assert pooled + 2.0 * np.sum(error**-2) ** -0.5 < 0.07
    assert np.all(np.abs(weight - VolClock().weekend) < 3.0 * error)

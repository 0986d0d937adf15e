"""The Cboe reader on the real snapshots: what their own README says, and put-call parity.

Parity is the referee of pairing, instants and styles: European pairs at one strike must agree on
one forward within their spreads, whatever the model.
"""

import re

import numpy as np
import polars as pl
import pytest

from optmm.data import stamps
from optmm.data.snapshot import both_sides
from optmm.data.snapshots import open_snapshot
from optmm.errors import DataError

pytestmark = pytest.mark.real
UNDERLYING = {"spx": "SPX", "ndx": "NDX", "xsp": "XSP", "spy": "SPY", "qqq": "QQQ"}
EUROPEAN = {"SPX", "NDX", "XSP"}


@pytest.fixture(scope="module")
def files(shared_data):
    found = sorted((shared_data / "cboe_quotedata").glob("*.csv.gz"))
    if not found:
        pytest.skip("the Cboe snapshots are not here: put them in ../shared/data/cboe_quotedata")
    return found


@pytest.fixture(scope="module")
def snapshots(files):
    """Every snapshot but the broken one, by file name."""
    return {path.name: open_snapshot(path) for path in files if "BROKEN" not in path.name}


def test_every_file_is_read_as_its_name_says(snapshots):
    assert len(snapshots) == 20
    for name, found in snapshots.items():
        day, time = re.search(r"_(\d{4}-\d\d-\d\d)_(close|\d{4})", name).groups()
        assert found.underlying == UNDERLYING[name[:3]]
        assert found.american is (found.underlying not in EUROPEAN)
        # an intraday page shows the market of a quarter of an hour before
        shown = {"close": "16:00", "1155": "11:40", "1209": "11:54", "1510": "14:55"}[time]
        assert stamps.clock_words(found.valuation_ns) == f"{day} {shown} New York", name
        assert found.check() is found


def test_counts_are_those_of_the_readme(snapshots):
    """6.7k-22k options, none crossed, 4-10 % without a bid, up to five years."""
    for name, found in snapshots.items():
        assert 6_600 <= found.read <= 22_000, name
        assert found.read == found.quotes.height + sum(found.quarantined.values())
        assert set(found.quarantined) <= {"expired", "no quote at all"}, name
        assert 0.88 <= found.two_sided_share <= 0.99, name
        assert 28 <= found.quotes["expiry"].n_unique() <= 60, name
        assert found.quotes["expiry"].max() - found.valuation_ns < 5.5 * 365 * 86_400e9


def test_both_roots_of_an_index_may_share_a_date_but_not_an_instant(snapshots):
    found = snapshots["spx_2023-05-26_close.csv.gz"]
    june = found.quotes.filter(pl.col("date") == pl.date(2023, 6, 16))
    fixing = dict(june.select("root", "expiry").unique().iter_rows())
    assert stamps.clock_words(fixing["SPX"]) == "2023-06-16 09:30 New York"
    assert stamps.clock_words(fixing["SPXW"]) == "2023-06-16 16:00 New York"


@pytest.mark.parametrize("underlying", sorted(EUROPEAN))
def test_pairs_near_the_money_agree_on_one_forward(snapshots, underlying):
    """The README: every European expiry fits inside the spread; here within 45 days, df ~ 1."""
    shares = []
    for found in snapshots.values():
        if found.underlying == underlying:
            shares += _inside(found)
    assert len(shares) > 10
    assert np.median(shares) >= 0.95


def _inside(found) -> list[float]:
    """Share of the pairs of each short expiry that admit the forward in the middle of all."""
    quotes = found.quotes.filter(
        both_sides()
        & ((pl.col("strike") / found.spot - 1.0).abs() < 0.02)
        & (pl.col("expiry") - found.valuation_ns < 45 * 86_400 * 10**9)
    )
    call, put = (quotes.filter(pl.col("right") == w) for w in (1, -1))
    pairs = call.join(put, on=["expiry", "root", "strike"], suffix="_put").with_columns(
        low=pl.col("strike") + pl.col("bid") - pl.col("ask_put"),
        high=pl.col("strike") + pl.col("ask") - pl.col("bid_put"),
    )
    out = []
    for group in pairs.partition_by("expiry", "root"):
        if group.height >= 8:
            forward = ((group["low"] + group["high"]) / 2).median()
            out.append(float(((group["low"] <= forward) & (forward <= group["high"])).mean()))
    return out


def test_the_pre_open_file_is_diagnosed(files):
    broken = next(path for path in files if "BROKEN" in path.name)
    with pytest.raises(DataError, match=r"only 1\.5 % have both sides.*before the open") as caught:
        open_snapshot(broken).check()
    assert caught.value.exit_code == 4


def test_the_json_variant(shared_data):
    """9,208 options, 34 expiries, 94 % two-sided, sizes, 2022-07-12 after the close."""
    found = open_snapshot(next((shared_data / "cboe_json").glob("*.json.gz"))).check()
    assert stamps.clock_words(found.valuation_ns) == "2022-07-12 16:00 New York"
    assert (found.underlying, found.american, found.read) == ("SPY", True, 9_208)
    assert found.quotes["expiry"].n_unique() == 34
    assert round(found.two_sided_share, 2) == 0.94
    assert found.quotes["ask_size"].min() > 0


def test_a_recorded_day_gives_the_same_kind_of_snapshot(shared_data):
    found = open_snapshot(shared_data / "lean", at="2015-12-24 11:00", underlying="GOOG").check()
    assert (found.underlying, found.american, found.read) == ("GOOG", True, 2_192)
    assert stamps.clock_words(found.valuation_ns) == "2015-12-24 11:00 New York"
    assert found.bid < found.spot < found.ask

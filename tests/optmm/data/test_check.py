"""`optmm data check`: every figure of the quality table against a source made to have it."""

import datetime as dt
import json

import pytest
import vendor_files as made
from cboe_files import DATE, NAME, row, table
from typer.testing import CliRunner

from optmm.cli.data import app
from optmm.data.check import check
from optmm.data.readers import open_day
from optmm.data.store import write
from optmm.errors import DataError, OptmmError

MARKET, LATER = made.market(), made.market(503.1)
TEN = "2024-03-12 10:00:00"
MINUTE = 60 * 10**9


@pytest.fixture
def put(tmp_path):
    def save(text: str, name: str = "quotes.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return save


def index_chain(shift: float = 0.0) -> dict:
    """European quotes on exact parity at forward 502.3, the calls dearer by `shift`."""
    expiry = dt.date(2024, 4, 19)
    out = {}
    for strike in range(480, 525, 5):
        put_mid = 30.0 + 0.4 * (strike - 500)
        call_mid = put_mid + 502.3 - strike + (shift if strike == 500 else 0.0)
        for right, mid in ((1, call_mid), (-1, put_mid)):
            out[expiry, float(strike), right] = (mid - 0.05, mid + 0.05, 5, 5)
    return out


def test_sides_locks_and_zero_bids_are_counted(put):
    quotes = dict(list(MARKET.items())[:6])
    keys = list(quotes)
    quotes[keys[0]] = (0.0, 0.05, 0, 5)
    quotes[keys[1]] = (0.05, 0.0, 5, 0)
    quotes[keys[2]] = (5.0, 5.0, 5, 5)
    quotes[keys[3]] = (5.1, 5.0, 5, 5)
    quotes[keys[4]] = (0.0, 0.0, 0, 0)
    facts = check(put(made.datashop_intervals({TEN: quotes})))
    want = {"rows": 6, "quotes": 5, "one_sided": 2, "zero_bids": 1, "no_ask": 1, "empty": 1,
            "locked": 1, "crossed": 1, "duplicates": 0}  # fmt: skip
    assert {name: facts[name] for name in want} == want
    assert facts["two_sided_share"] == pytest.approx(2 / 5)
    assert facts["usable"] and facts["problems"] == []


def test_stale_quotes_of_a_table_are_those_that_did_not_move(put):
    half = {key: LATER[key] if key[2] == 1 else quote for key, quote in MARKET.items()}
    same = sum(half[key][:2] == MARKET[key][:2] for key in MARKET)
    assert 0 < same < len(MARKET)
    facts = check(put(made.datashop_intervals({TEN: MARKET, "2024-03-12 10:15:00": half})))
    assert facts["stale_share"] == pytest.approx(same / len(MARKET))
    assert (facts["instants"], facts["longest_gap_seconds"]) == (2, 900.0)
    assert (facts["first"], facts["last"]) == ("2024-03-12T14:00:00Z", "2024-03-12T14:15:00Z")


def test_the_instant_before_is_that_of_the_clock_not_of_the_file(put):
    """End-of-day files give both chains of a date in one row: 15:45, close, 15:45, close."""
    days = ("2024-03-11", "2024-03-12")
    text = made.datashop_eod(MARKET, LATER, date=days[0])
    text += made.datashop_eod(MARKET, LATER, date=days[1]).partition("\n")[2]
    still = sum(quote[:2] == LATER[key][:2] for key, quote in MARKET.items())
    facts = check(put(text))
    # A B A B by the clock, A A B B by the file
    assert facts["stale_share"] == pytest.approx(still / len(MARKET))


def test_sessions_without_a_chain_are_gaps_and_weekends_are_none(put):
    """2024-03-28 to 04-02: Good Friday and a weekend between, Monday is missing."""
    days = ("2024-03-28", "2024-04-02")
    quotes = {key: quote for key, quote in MARKET.items() if key[0].month == 4}
    text = "".join(
        made.optionsdx(quotes, date=day, heading=day == days[0], spot=502.0) for day in days
    )
    facts = check(put(text, "spy_eod_202403.txt"))
    assert (facts["gaps"], facts["instants"], facts["stale_share"]) == (1, 2, 1.0)


@pytest.mark.parametrize(("shift", "violations"), [(0.0, 0), (0.3, 1)])
def test_a_pair_off_parity_by_more_than_its_spread_is_found(put, shift, violations):
    """Half spreads add up to 0.10: 0.30 lies outside, whatever the rate."""
    text = made.datashop_intervals({TEN: index_chain(shift)}, symbol="^SPX", root="SPXW")
    facts = check(put(text))
    assert facts["parity_pairs"] == 9
    assert facts["parity_violations"] == violations
    american = check(put(made.datashop_intervals({TEN: index_chain(shift)}), "spy.csv"))
    assert american["parity_pairs"] is None, "early exercise: nothing can be said"


def test_ages_and_gaps_of_a_tape(put):
    """The call is quoted at 10:00 and 10:30, the put at 10:00 only; the options shut at 16:15."""
    start = made.at("2024-03-12", "10:00") * 10**9
    call, other = (f"O:SPY240315{right}00500000" for right in "CP")
    good = (5.0, 5.1, 1, 2)
    path = put(
        made.massive(
            [(call, start, good), (other, start + MINUTE, good), (call, start + 30 * MINUTE, good)]
        )
    )
    facts = check(path, date="2024-03-12")
    held = (30 + 345) + (375 - 1)  # minutes
    old = (25 + 340) + (374 - 5)
    assert facts["stale_share"] == pytest.approx(old / held, rel=1e-12)
    assert facts["gaps"] == 3  # from the open, between the quotes, to the close
    assert facts["longest_gap_seconds"] == 345 * 60
    assert facts["date"] == "2024-03-12"
    stored = check(write(open_day(path), path.parent / "day"))
    for name in ("stale_share", "gaps", "longest_gap_seconds", "quotes", "two_sided_share"):
        assert stored[name] == facts[name], name


def test_out_of_order_and_duplicates_of_a_tape(put):
    start = made.at("2024-03-12", "10:00") * 10**9
    call, good, other = "O:SPY240315C00500000", (5.0, 5.1, 1, 2), (5.0, 5.2, 1, 2)
    rows = [(call, start + 20 * 10**9, good), (call, start, good),
            (call, start + 15 * 10**9, other), (call, start + 15 * 10**9, other)]  # fmt: skip
    path = put(made.massive(rows))
    whole = check(path)
    assert (whole["out_of_order"], whole["duplicates"], whole["rows"]) == (None, None, 4)
    assert any("name --underlying" in note for note in whole["notes"])
    facts = check(path, underlying="SPY")
    assert (facts["out_of_order"], facts["reordered"], facts["duplicates"]) == (1, 1, 1)


def test_a_page_from_before_the_open_is_unusable(put):
    rows = "".join(row("SPXW", "240315", k, (0, 0, 0, 0)) for k in (4900, 5000, 5100))
    rows += row("SPXW", "240315", 5200, (1.0, 2.0, 0, 0))
    path = put(table(name=NAME, date=DATE, rows=rows), "quotedata.csv")
    facts = check(path)
    assert not facts["usable"]
    assert facts["problems"] == ["12.5 % of the quotes have both sides, needed are 25 %"]
    good = check(put(table(), "good.csv"))
    assert good["usable"] and good["quotes"] == 8 and good["quarantined"] == {}


def test_mostly_rubbish_is_unusable(put):
    lines = made.datashop_intervals({TEN: MARKET}).splitlines(keepends=True)
    bad = [line.replace(",SPY,2024", ",SPY1,2024") for line in lines[1:]]
    facts = check(put("".join([lines[0], *lines[1:6], *bad])))
    assert facts["problems"] == ["20 of 25 rows had to be set aside"]


def run(*words):
    return CliRunner().invoke(app, ["check", *map(str, words)], env={"COLUMNS": "100"})


def test_the_command_prints_the_table_then_fails_with_4(put):
    good, bad = put(made.datashop_intervals({TEN: MARKET})), put("expiry,strike,right,bid,ask\n")
    assert bad == good
    good.write_text(made.datashop_intervals({TEN: MARKET}))
    result = run(good)
    assert result.exit_code == 0 and "two-sided, %" in result.stdout
    facts = json.loads(run(good, "--json").stdout)
    assert facts["schema"] == "optmm.data_check/1"
    empty = dict.fromkeys(MARKET, (0.0, 0.0, 0, 0))
    good.write_text(made.datashop_intervals({TEN: empty}))
    result = run(good, "--json")
    assert isinstance(result.exception, DataError) and result.exception.exit_code == 4
    facts = json.loads(result.stdout)
    assert not facts["usable"] and "both sides" in facts["problems"][0]


def test_nothing_there_and_nothing_of_ours(tmp_path, put):
    for path in (tmp_path / "nowhere", put("a,b\n1,2\n"), tmp_path):
        result = run(path)
        assert isinstance(result.exception, OptmmError) and result.exception.exit_code == 4

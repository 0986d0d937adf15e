"""`optmm iv`: printed prices back to their vols within what their digits allow, and bad quotes."""

import csv
import json

import pytest
from typer.testing import CliRunner

from optmm.cli.main import app
from optmm.errors import DataError, UsageError

RUN = CliRunner()
HULL = ("call", 40, "--spot", 42, "--years", 0.5, "--rate", "10%")


def said(*args: object) -> dict:
    """The object that `optmm iv ... --json` prints."""
    ran = RUN.invoke(app, ["iv", *map(str, args), "--json"])
    assert ran.exit_code == 0, ran.output or ran.exception
    return json.loads(ran.stdout)


def test_a_price_printed_in_cents_gives_its_vol_back_within_the_doubt():
    """Hull, Options, Futures and Other Derivatives, example 15.6: 4.76 at a vol of 20 %."""
    got = said(*HULL, "--price", 4.76)
    assert got["status"] == "OK"
    assert abs(got["vol_per_sqrt_year"] - 0.20) <= got["doubt_half_tick_per_sqrt_year"]
    low, high = got["vol_half_tick_down_per_sqrt_year"], got["vol_half_tick_up_per_sqrt_year"]
    assert low < 0.20 < high
    assert high - low == pytest.approx(2.0 * got["doubt_half_tick_per_sqrt_year"], rel=1e-2)


def test_printed_prices_of_haug_1998_give_their_vols_back(tables):
    """Four printed digits: half a unit of the last one is what the vol may be off by."""
    checked = 0
    with (tables / "bsm_haug1998.csv").open() as file:
        for row in csv.DictReader(file):
            if float(row["value"]) < 0.05:
                continue
            got = said(
                row["flag"], row["K"], "--spot", row["S"], "--years", row["T"], "--rate", row["r"],
                "--dividend-yield", row["q"], "--price", row["value"], "--tick", 2e-4,
            )  # fmt: skip
            doubt = got["doubt_half_tick_per_sqrt_year"]
            assert abs(got["vol_per_sqrt_year"] - float(row["sigma"])) <= 1.1 * doubt, row
            checked += 1
    assert checked > 10


WAYS = {
    "European": (),
    "American": ("--model", "american"),
    "European, cash": ("--dividend", "0.1:2"),
    "European, escrowed": ("--dividend", "0.1:2", "--dividend-model", "escrowed"),
    "American, cash": ("--dividend", "0.1:2", "--model", "american"),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_inverts_what_price_prints(way):
    terms = ("put", 110, "--spot", 100, "--days", 90, "--rate", "5%", *WAYS[way])
    priced = RUN.invoke(app, ["price", *map(str, terms), "--vol", "27%", "--json"])
    usd = json.loads(priced.stdout)["price_usd"]
    assert said(*terms, "--price", usd)["vol_per_sqrt_year"] == pytest.approx(0.27, rel=1e-6)


def test_a_normal_vol_is_in_usd():
    """At the money the normal price is vol sqrt(T / (2 pi)): Bachelier (1900)."""
    got = said(
        "call", 0, "--forward", 0, "--years", 0.25, "--price", 3.989422804, "--model", "bachelier"
    )
    assert got["vol_usd_per_sqrt_year"] == pytest.approx(20.0, rel=1e-8)


def test_a_price_under_cash_dividends_may_hold_no_vol():
    """A call is worth at least spot less dividends less the strike's present value."""
    terms = ("call", 80, "--spot", 100, "--years", 1, "--dividend", "0.5:3")
    for price, status in ((16.9, "BELOW_INTRINSIC"), (100.0, "ABOVE_BOUND"), ("inf", "BAD_INPUT")):
        ran = RUN.invoke(app, ["iv", *map(str, terms), "--price", str(price), "--json"])
        assert isinstance(ran.exception, DataError)
        assert json.loads(ran.stdout)["status"] == status


def test_a_vol_of_an_hour_under_a_cash_dividend_may_be_large():
    """0.8 spot vol sqrt(T) = 6 + what the dividend took: a vol above 1000 % a year is no bound."""
    terms = ("call", 100, "--spot", 100, "--years", 0.0001, "--dividend", "0.00005:0.5")
    got = said(*terms, "--price", 6)
    assert got["status"] == "OK"
    again = RUN.invoke(
        app,
        ["price", *map(str, terms), "--vol", f"{100 * got['vol_per_sqrt_year']!r}%", "--json"],
    )
    assert json.loads(again.stdout)["price_usd"] == pytest.approx(6.0, abs=1e-10)


BAD = [
    (1.0, "BELOW_INTRINSIC", "stale quote or wrong forward"),
    (43.0, "ABOVE_BOUND", "check the multiplier and the right"),
    ("nan", "BAD_INPUT", "an input is NaN"),
]


@pytest.mark.parametrize(("price", "status", "remedy"), BAD)
def test_a_bad_quote_names_its_status_and_the_remedy(price, status, remedy):
    ran = RUN.invoke(app, ["iv", *map(str, HULL), "--price", str(price)])
    assert isinstance(ran.exception, DataError) and ran.exception.exit_code == 4
    assert f"a price of {float(price):g} USD has no vol ({status})" in str(ran.exception)
    assert remedy in str(ran.exception)
    assert ran.stdout == ""


@pytest.mark.parametrize(("price", "status", "remedy"), BAD)
def test_a_bad_quote_in_json_is_still_one_object(price, status, remedy):
    ran = RUN.invoke(app, ["iv", *map(str, HULL), "--price", str(price), "--json"])
    assert isinstance(ran.exception, DataError)
    got = json.loads(ran.stdout)
    assert got["vol_per_sqrt_year"] is None and got["status"] == status
    assert remedy in got["remedy"]


def test_a_table_for_people_is_in_percent_and_vol_points():
    ran = RUN.invoke(app, ["iv", *map(str, HULL), "--price", "4.76"])
    assert ran.exit_code == 0, ran.output
    assert "vol points" in ran.stdout and "USD per vol point" in ran.stdout
    assert "price 4.76 USD, tick 0.01 USD" in ran.stdout


def test_a_tick_of_nothing_is_refused():
    ran = RUN.invoke(app, ["iv", *map(str, HULL), "--price", "4.76", "--tick", "0"])
    assert isinstance(ran.exception, UsageError)
    assert "--tick is 0 USD, must be > 0" in str(ran.exception)

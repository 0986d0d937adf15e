"""The door to a day, the summary of it, and the command that prints both."""

import json
import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

from optmm.cli.data import app
from optmm.data import store
from optmm.data.info import catalogue, summary
from optmm.data.readers import READERS, open_day, register
from optmm.errors import DataError, OptmmError, UsageError

ROW = "34200000,20000,20000,20000,20000,7,21500,21500,21500,21500,19\n"


@pytest.fixture
def tree(tmp_path, goog):
    goog(ROW, prints="34260000,21000,21500,20500,21000,4\n")
    return tmp_path


@pytest.fixture
def two_days(tree, add):
    add(
        "option/usa/minute/goog/20151223_quote_american.zip",
        {"20151223_goog_minute_quote_american_call_7500000_20151231.csv": ROW},
    )
    return tree


def test_the_only_day_needs_no_name(tree):
    assert open_day(tree).session.date == "2015-12-24"
    assert open_day(tree, "goog").session.date == "2015-12-24"
    assert open_day(str(tree), date="20151224").chain.underlying.symbol == "GOOG"


def test_several_days_are_listed(two_days):
    with pytest.raises(UsageError, match=r"2 days fit .*GOOG 2015-12-23; GOOG 2015-12-24"):
        open_day(two_days)
    assert open_day(two_days, date="2015-12-23").session.date == "2015-12-23"


@pytest.mark.parametrize("asked", [("MSFT", None), (None, "2015-12-28"), ("MSFT", "2015-12-24")])
def test_no_day_is_answered_with_what_is_there(tree, asked):
    with pytest.raises(DataError, match="GOOG"):
        open_day(tree, *asked)


def test_a_stored_day_is_recognised_and_answers_to_its_names(tree, tmp_path):
    day = open_day(tree)
    folder = store.write(day, tmp_path / "stored")
    for names in ((), ("GOOG",), ("goog", "2015-12-24")):
        assert np.array_equal(open_day(folder, *names).events, day.events)
    with pytest.raises(DataError, match=r"holds GOOG 2015-12-24, not SPY 2015-12-24"):
        open_day(folder, "SPY", "2015-12-24")


def test_a_path_that_is_nothing_we_read(tmp_path):
    with pytest.raises(DataError, match="there is no"):
        open_day(tmp_path / "nowhere")
    with pytest.raises(
        DataError,
        match=r"is no source we read.*LEAN data folder, folder of stored days, stored day",
    ):
        open_day(tmp_path)


def test_a_second_reader_of_one_name_is_refused():
    with pytest.raises(UsageError, match="already registered"):
        register(next(iter(READERS.values())))


def test_summary_counts_what_the_files_hold(tree):
    facts = summary(open_day(tree))
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert (facts["contracts"], facts["expiries"], facts["rows"]) == (1, 1, 2)
    assert facts["events"] == {"status": 2, "bar": 1, "quote": 1}
    assert facts["contracts_traded"] == 4
    assert (facts["open"], facts["close"]) == ("2015-12-24T14:30:00Z", "2015-12-24T18:00:00Z")
    assert facts["slices"][0]["last_trade"] == "2015-12-31T21:00:00Z"
    assert catalogue(tree)["available"] == [
        {"underlying": "GOOG", "class": "option", "dates": ["2015-12-24"]}
    ]


def run(*words) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, ["info", *map(str, words)], env={"COLUMNS": "100"})
    return result.output, result.exception


def test_info_prints_the_day(tree):
    text, error = run(tree)
    assert error is None
    for words in (
        "GOOG options, 2015-12-24",
        "2015-12-24 14:30 to 2015-12-24 18:00",
        "0.05, from 3 0.1",
    ):
        assert words in text


def test_info_lists_days_when_none_is_named(two_days):
    text, error = run(two_days)
    assert error is None and "2015-12-23, 2015-12-24" in text
    text, _ = run(two_days, "--json")
    assert json.loads(text)["available"][0]["dates"] == ["2015-12-23", "2015-12-24"]


def test_info_json_is_one_object_and_errors_carry_their_exit_code(two_days):
    text, _ = run(two_days, "--date", "2015-12-23", "--json")
    assert json.loads(text)["date"] == "2015-12-23"
    for words, code in (
        ((two_days, "--underlying", "GOOG"), 2),
        ((two_days, "--underlying", "X"), 4),
    ):
        _, error = run(*words)
        assert isinstance(error, OptmmError) and error.exit_code == code


def test_help_has_an_example_and_units():
    text, _ = run("--help")
    assert "Example: optmm data info" in text and "USD" in text


def test_errors_survive_the_way_between_processes():
    """A replay of several worlds sends its errors through a pipe."""
    error = DataError("is torn", file="a.zip", row=3, remedy="Mend it.")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.zip, row 3: is torn. Mend it."
    assert (again.file, again.row, again.remedy, again.exit_code) == ("a.zip", 3, "Mend it.", 4)
    assert isinstance(again, ValueError)

"""The page, the figures, the terminal and the command: what a reader gets."""

import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

from optmm import reports
from optmm.cli.main import app
from optmm.errors import UsageError
from optmm.reports import figures, html, run, terminal
from optmm.reports.tables import number, percent


@pytest.fixture(scope="module")
def page(_busy, busy_report) -> str:
    """The page of the synthetic day."""
    loaded = run.load(_busy)
    return html.render(loaded, busy_report, figures.draw(loaded, busy_report))


def test_the_page_asks_nothing_of_the_network(page):
    """Addresses occur in xmlns only: no script, link, import, font or image from elsewhere."""
    assert not re.findall(r"https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))
    assert not re.findall(r"<(script|link|img|iframe|object)\b|@import|src=", page)
    assert "url(#" in page
    assert not re.findall(r"url\((?!#)", page)


def test_every_figure_is_well_formed_and_its_own(page):
    svgs = re.findall(r"<svg .*?</svg>", page, flags=re.DOTALL)
    assert len(svgs) == len(figures.FIGURES) == 8
    for svg in svgs:
        ET.fromstring(svg)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for used in re.findall(r'(?:href="|url\()#([\w-]+)', page):
        assert used in ids


def test_figures_take_their_colours_from_the_page(page):
    """Dark pages swap CSS variables, so no fixed ink may remain outside a fallback."""
    for hexed, variable in figures.PALETTE.items():
        drawn = re.findall(
            rf"(?<!var\({variable}, ){hexed}", "".join(re.findall("<svg.*?</svg>", page, re.DOTALL))
        )
        assert not drawn, hexed


def test_text_from_the_run_is_escaped(_busy, busy_report):
    """A symbol is data: it must not become markup."""
    loaded = run.load(_busy)
    page = html.render(
        loaded, busy_report | {"underlying": "<b>&"}, dict.fromkeys(figures.FIGURES, "")
    )
    assert "&lt;b&gt;&amp;" in page
    assert "<b>&" not in page


def test_the_page_says_what_it_must(page):
    assert "differs across fill assumptions" in page
    assert "cannot identify the level" in page
    assert "needs 20 days, has 1" in page


@pytest.mark.parametrize("which", ["busy_report", "hand_report"])
def test_the_terminal_report_is_plain_and_narrow(which, request):
    """Piped: no escape codes, at most 100 columns, about eighty lines, the same digits as JSON."""
    report = request.getfixturevalue(which)
    out = io.StringIO()
    terminal.show(report, out)
    lines = out.getvalue().rstrip().splitlines()
    assert "\x1b" not in out.getvalue()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 80
    assert "…" not in out.getvalue()
    assert number(report["bounds"]["queue"]["pnl"]["net"], 2) in out.getvalue()


def test_no_color_is_honoured_on_a_terminal(busy_report, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.show(busy_report, colour := Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.show(busy_report, plain := Terminal())
    assert "\x1b[" in colour.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain.getvalue())


def test_expiry_chooses_the_rows(busy_report):
    out = io.StringIO()
    terminal.show(busy_report, out, expiries=["2024-09-20"])
    assert "2024-09-20 SYN" in out.getvalue()
    assert "2024-06-21 SYN" not in out.getvalue()


def test_the_command_prints_the_report_and_where_it_is(busy):
    done = CliRunner().invoke(app, ["report", str(busy)])
    assert done.exit_code == 0, done.output
    assert "Net P&L" in done.stdout
    assert "report.html" in done.stderr


def test_the_command_s_json_is_report_json(hand):
    done = CliRunner().invoke(app, ["report", str(hand), "--json"])
    assert json.loads(done.stdout) == json.loads((hand / "report.json").read_text("utf-8"))


def test_an_unknown_expiry_is_refused_with_the_known_ones(hand):
    done = CliRunner().invoke(app, ["report", str(hand), "--expiry", "2030-01-01"])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "--expiry 2030-01-01: this run has 2024-06-21"


def test_a_simulated_run_has_one_world_and_no_tape_caveat(tmp_path):
    from make_busy import busy_run

    report = reports.write(busy_run(tmp_path / "sim", bounds=("simulated",)))
    assert list(report["bounds"]) == ["simulated"]
    assert "react to our price" in report["headline"]["limits"]
    assert report["headline"]["sign_differs"] is False


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234567.891, 2, "1,234,567.89"),
        (-0.001, 2, "0.00"),
        (None, 0, "n/a"),
        (float("nan"), 1, "n/a"),
    ],
)
def test_numbers_have_separators_and_no_negative_zero(value, digits, text):
    assert number(value, digits) == text


def test_percent_scales_a_share():
    assert percent(0.9321) == "93.2"

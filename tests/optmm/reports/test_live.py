"""The live view: one screen on a terminal, a line now and then elsewhere."""

import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from optmm.reports.live import (
    LiveRow,
    LiveSide,
    LiveSnapshot,
    LiveView,
    LiveWorld,
    export_svg,
    line,
    render,
)

INSIDE = LiveSide(2.01, 2.09, 2.00, 2.10, 2.05, 3)
OUTSIDE = LiveSide(1.99, 2.11, 2.00, 2.10, 2.05, -2)


def snapshot(progress: float = 0.25, **changes) -> LiveSnapshot:
    """Three strikes and one world."""
    rows = tuple(LiveRow(k, INSIDE, OUTSIDE) for k in (95.0, 100.0, 105.0))
    world = LiveWorld("queue", -12.5, 4, -30.0, 120.0, 500_000.0, 10_000_000.0)
    body = {"title": "SYN 2024-06-03", "time": "10:31:00", "progress": progress, "spot": 99.9,
            "events": 12_345, "rate": 800_000.0, "expiry": "2024-06-21", "rows": rows,
            "worlds": (world,)}  # fmt: skip
    return LiveSnapshot(**(body | changes))


def screen(shot: LiveSnapshot, **options) -> str:
    out = io.StringIO()
    Console(file=out, width=100, **options).print(render(shot))
    return out.getvalue()


def test_one_screen_of_a_hundred_columns():
    lines = screen(snapshot()).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 30


def test_only_quotes_at_or_inside_the_market_are_highlighted():
    """2.01 and 2.09 are inside 2.00-2.10; 1.99 and 2.11 are not."""
    text = screen(snapshot(), force_terminal=True, color_system="standard")
    green = "\x1b[1;32m"
    assert f"{green}  2.01" in text or f"{green}2.01" in text
    assert "2.09" in text.split(green)[2]
    assert not any(part.lstrip().startswith(("1.99", "2.11")) for part in text.split(green)[1:])


def test_the_strike_nearest_spot_is_marked_and_absent_prices_are_blank():
    empty = LiveRow(100.0, LiveSide(), LiveSide())
    text = screen(snapshot(rows=(empty,)))
    assert "100.00" in text
    assert "nan" not in text.lower()


class Clock:
    """Wall time under the test's control."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_elsewhere_a_line_every_few_seconds_and_the_last_one_always():
    out, clock = io.StringIO(), Clock()
    with LiveView(out, line_s=5.0, clock=clock) as view:
        for i in range(12):
            clock.now = float(i)
            view.show(snapshot(i / 11))
    lines = out.getvalue().splitlines()
    assert [row.split("%")[0].split()[-1] for row in lines] == ["0", "45", "91", "100"]
    assert "\x1b" not in out.getvalue()


def test_a_line_has_every_world_s_result():
    assert line(snapshot()).endswith("; queue -12.50 USD (4 fills)")


def test_the_view_survives_an_error_in_its_body_and_shows_where_it_stopped():
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), LiveView(out, clock=Clock()) as view:
        view.show(snapshot(0.1))
        view.show(snapshot(0.2))
        raise KeyboardInterrupt
    assert "20 %" in out.getvalue().splitlines()[-1]


def test_the_picture_is_self_contained_and_repeatable(tmp_path):
    for name in ("a.svg", "b.svg"):
        export_svg(snapshot(), tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    ET.fromstring(first)
    assert b"@font-face" not in first
    assert b"https://" not in first

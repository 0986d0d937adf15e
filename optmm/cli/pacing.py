"""Pace, pause and stop of a run from the terminal: `--speed 10x`, the space bar, Ctrl-C.

While a run is on, a first Ctrl-C ends it at the next safe point, where everything decided so far is
durable; a second one at once. With a terminal on stdin, space pauses and q stops.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from optmm.errors import UsageError

ASK_S = 0.2  # wall time between two looks at keys and clock
BEHIND_S = 1.0  # a run that is later than this does not catch up: pace never exceeds --speed
FASTEST = 10_000.0
PAUSED = "paused: space goes on, q stops"


def speed_of(text: str) -> float | None:
    """Event seconds a wall second of `--speed`; None for max.

    Raises UsageError for anything but max or a positive number, with or without x.
    """
    if text == "max":
        return None
    try:
        speed = float(text.lower().removesuffix("x"))
    except ValueError:
        speed = float("nan")
    if not 0.0 < speed <= FASTEST:
        raise UsageError(f"--speed is {text!r}; write max, 1x, 10x or any number up to 10000")
    return speed


class Pacer:
    """Context manager and the `control` of `engine.replay.run`."""

    def __init__(self, speed: float | None, *, say: Callable[[str], None]) -> None:
        self._speed, self._say = speed, say
        self._anchor: tuple[float, int] | None = None  # (wall s, event ns) that belong together
        self._stop = self._paused = False
        self._previous: Any = None
        self._terminal: Any = None

    def __enter__(self) -> "Pacer":
        self._previous = signal.signal(signal.SIGINT, self._interrupted)
        if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
            import termios
            import tty

            self._terminal = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._previous)
        if self._terminal is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._terminal)

    def until(self, now_ns: int, *, hurry: bool) -> int | None:
        """Hold the run back to its speed; return when to ask again. See `loop.Control`."""
        self._obey()
        if self._speed is None or hurry:
            self._anchor = None
            return None
        ahead = self._ahead_s(now_ns)
        if ahead is None or ahead < -BEHIND_S or ahead > 3600.0 / self._speed:
            # the start, a machine too slow, a pause, a night between two sessions
            self._anchor = (time.monotonic(), now_ns)
            ahead = 0.0
        while ahead > 0.0:
            time.sleep(min(ahead, ASK_S))
            self._obey()
            left = self._ahead_s(now_ns)
            ahead = 0.0 if left is None else left
        return now_ns + max(1, round(ASK_S * self._speed * 1e9))

    def _ahead_s(self, now_ns: int) -> float | None:
        """Wall seconds by which event time is ahead of its pace; None without an anchor."""
        if self._anchor is None or self._speed is None:
            return None
        wall, event = self._anchor
        return (now_ns - event) / 1e9 / self._speed - (time.monotonic() - wall)

    def _obey(self) -> None:
        """Do what keys and signals ask for; KeyboardInterrupt to stop."""
        self._read_keys(0.0)
        if self._paused:
            self._say(PAUSED)
            while self._paused and not self._stop:
                self._read_keys(ASK_S)
            self._say("")
            self._anchor = None
        if self._stop:
            raise KeyboardInterrupt

    def _read_keys(self, wait_s: float) -> None:
        if self._terminal is None:
            time.sleep(wait_s)
            return
        ready, _, _ = select.select([sys.stdin], [], [], wait_s)
        if not ready:
            return
        for key in os.read(sys.stdin.fileno(), 64).decode(errors="replace"):
            if key == " ":
                self._paused = not self._paused
            elif key in "qQ":
                self._stop = True

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """First Ctrl-C: stop at the next safe point. Second: at once."""
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True

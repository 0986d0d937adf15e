"""`--speed`: words that are refused, and event time that never runs faster than asked."""

import os
import signal
import time

import pytest

from optmm.cli.pacing import Pacer, speed_of
from optmm.errors import UsageError

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("1x", 1.0), ("10X", 10.0), ("2.5", 2.5)]
)
def test_speeds(text, speed):
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["", "fast", "0x", "-1x", "nan", "1e9x", "inf"])
def test_words_that_are_no_speed(text):
    with pytest.raises(UsageError, match="--speed is"):
        speed_of(text)


def test_event_time_is_held_back_to_its_speed():
    """100 event seconds at 200x take half a wall second at least, whatever the pieces."""
    started, now = time.monotonic(), 0
    with Pacer(200.0, say=lambda words: None) as pacer:
        while now < 100 * S:
            limit = pacer.until(now, hurry=False)
            assert limit is not None and now < limit <= now + 41 * S
            now = limit
    # the last piece was let go at `now` less a step of 0.2 s of wall time
    assert time.monotonic() - started >= 0.5 - 0.2


def test_at_max_speed_and_while_catching_up_nothing_waits():
    with Pacer(None, say=lambda words: None) as pacer:
        assert pacer.until(5 * S, hurry=False) is None
    with Pacer(1.0, say=lambda words: None) as pacer:
        assert pacer.until(0, hurry=True) is None
        assert pacer.until(3600 * S, hurry=True) is None


def test_a_first_interrupt_stops_at_the_next_safe_point_and_a_second_at_once():
    before = signal.getsignal(signal.SIGINT)
    with Pacer(None, say=lambda words: None) as pacer:
        os.kill(os.getpid(), signal.SIGINT)  # nothing is torn here
        with pytest.raises(KeyboardInterrupt):
            pacer.until(0, hurry=False)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)
    assert signal.getsignal(signal.SIGINT) is before

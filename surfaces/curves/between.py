"""Total variance between two expiries and past the last, on a clock that knows its events.

Ordinary variance accrues evenly in the clock's tau; an event's arrives whole, at its instant. So
the variance between two slices is linear in tau but for a step at each event, and a vol quoted
between an expiry before earnings and one after does not leak the move into the days before.

Units   as in `surfaces.curves.clock`; w = vol^2 years at equal log-moneyness.
Checked tests/surfaces/curves/test_vol_clock.py.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces.curves.clock import CALENDAR, Floats, VolClock
from surfaces.errors import InvalidInput


class Between(NamedTuple):
    """Total variance, and how much event variance did not fit under the slices; same shape."""

    total_variance: Floats
    excess: Floats


def interpolate(
    *,
    at_ns: ArrayLike,
    before_ns: ArrayLike,
    after_ns: ArrayLike,
    w_before: ArrayLike,
    w_after: ArrayLike,
    clock: VolClock = CALENDAR,
    room: ArrayLike | None = None,
) -> Between:
    """w(at) = w_before + share (w_after - w_before - events between) + events until `at`.

    `share` is that of tau between the slices. Monotone in `at_ns` where w_after >= w_before. Events
    larger than the gap between the slices are scaled down to it and `excess` is what was cut; where
    the slices cross (w_after < w_before) there is no room and the line between them is returned.
    For a time before the first expiry give the valuation as `before_ns` and zero as `w_before`.

    Parameters
    ----------
    at_ns, before_ns, after_ns : int64 ns UTC, before < after, at within; broadcast with the rest
    w_before, w_after : total variance of the two slices at one log-moneyness, >= 0
    clock : calendar time without events unless given
    room : most event variance to leave between the slices, where other log-moneyness has less of it
        than here; one amount for all keeps the smile in between smooth

    Raises
    ------
    InvalidInput
        Names the first instant that is not between its slices, or the first variance below zero.
    """
    hint = "Total variance, vol^2 years."
    low = check.at_least("w_before", w_before, 0.0, unit="", hint=hint)
    high = check.at_least("w_after", w_after, 0.0, unit="", hint=hint)
    at, before, after = np.broadcast_arrays(*map(np.asarray, (at_ns, before_ns, after_ns)))
    inside = (before <= at) & (at <= after) & (before < after)
    if not np.all(inside):
        i = int(np.argmin(inside))
        raise InvalidInput(
            f"at_ns[{i}] is {at.flat[i]}, must lie between slices at {before.flat[i]} and "
            f"{after.flat[i]} ({int(np.sum(~inside))} of {at.size} fail). Past the last slice use "
            "extrapolate."
        )
    share = clock.tau(before, at) / clock.tau(before, after)
    jumps, seen = clock.event_variance(before, after), clock.event_variance(before, at)
    gap = high - low
    most = gap if room is None else np.minimum(gap, room)
    fits = np.minimum(jumps, np.maximum(most, 0.0))
    kept = np.where(jumps > 0.0, fits / np.where(jumps > 0.0, jumps, 1.0), 0.0)
    w = low + share * (gap - kept * jumps) + kept * seen
    return Between(w, np.broadcast_to(jumps - kept * jumps, w.shape))


def extrapolate(
    *,
    at_ns: ArrayLike,
    now_ns: ArrayLike,
    last_ns: ArrayLike,
    w_last: ArrayLike,
    clock: VolClock = CALENDAR,
) -> Between:
    """Past the last slice: its vol between events is held, and events go on adding theirs.

    Arguments broadcast; `at_ns` >= `last_ns` > `now_ns`. Events before the last slice that exceed
    `w_last` are scaled down to it; `excess` is what was cut.
    """
    last_w = check.at_least("w_last", w_last, 0.0, unit="", hint="Total variance, vol^2 years.")
    at, now, last = np.broadcast_arrays(*map(np.asarray, (at_ns, now_ns, last_ns)))
    outside = (at >= last) & (last > now)
    if not np.all(outside):
        i = int(np.argmin(outside))
        raise InvalidInput(
            f"at_ns[{i}] is {at.flat[i]}, must be at or after last_ns {last.flat[i]}, itself after "
            f"now_ns {now.flat[i]} ({int(np.sum(~outside))} of {at.size} fail). Use interpolate."
        )
    jumps = clock.event_variance(now, last)
    fits = np.minimum(jumps, last_w)
    growth = clock.tau(now, at) / clock.tau(now, last)
    w = fits + (last_w - fits) * growth + clock.event_variance(last, at)
    return Between(w, np.broadcast_to(jumps - fits, w.shape))

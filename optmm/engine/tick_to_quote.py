"""Tick to quote: wall time from an event to the quote messages it caused, sampled in a replay.

The clock is beside the engine, never in it: nothing measured here reaches a table, an act row or a
journal. `Stopwatch.advance` stands in for `core.advance` and gives the same answers, because the
loop does not depend on where its blocks end; now and then it hands the kernel one event alone and
takes the time of that call, as a live desk runs it, the call's own few microseconds included.

Two kinds of answer are kept apart:
event     one market event to the last message the loop sent for it; events that sent none are
          looked at and not counted
decision  a stop to the end of the slow path's step: refit, widths, skew, limits, hedge, requote

A histogram of counts in buckets of 1/64 octave holds any number of samples; a percentile is the
upper edge of its bucket, so it is never stated too low, and at most 1.1 % too high.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optmm.engine import core
from optmm.engine.reasons import Reason
from optmm.engine.state import EngineState
from optmm.market.events import Kind

EVERY = 256  # events a sample, besides
EVERY_SPOT = 4  # changes of the underlying a sample: they move most quotes
OCTAVE = 64  # buckets that a doubling of time is divided into
OCTAVES = 44  # up to five hours
PERCENTILES = (50, 90, 99)
SPOT = (int(Kind.UNDERLYING_QUOTE), int(Kind.UNDERLYING_TRADE))


@dataclass(slots=True)
class Histogram:
    """Counts of durations by the logarithm of their nanoseconds; the largest is kept as it is."""

    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(OCTAVE * OCTAVES + 1, np.int64)
    )
    largest_ns: int = 0

    def add(self, ns: int) -> None:
        """Count one duration; what is beyond the last bucket is counted there."""
        at = int(np.ceil(OCTAVE * np.log2(max(ns, 1))))
        self.counts[min(at, self.counts.size - 1)] += 1
        self.largest_ns = max(self.largest_ns, ns)

    @property
    def samples(self) -> int:
        """How many durations were counted."""
        return int(self.counts.sum())

    def percentile_us(self, percent: float) -> float:
        """Microseconds that `percent` % of the durations do not exceed; NaN without any."""
        if not self.samples:
            return float("nan")
        rank = int(np.ceil(self.samples * percent / 100.0))
        at = int(np.searchsorted(np.cumsum(self.counts), max(rank, 1)))
        return min(float(2.0 ** (at / OCTAVE)), float(self.largest_ns)) / 1e3

    def bars(self, per_octave: int = 2) -> list[dict[str, float]]:
        """Coarser buckets from the first to the last that holds one: upper edge and count."""
        width = OCTAVE // per_octave
        held = np.flatnonzero(self.counts)
        if not held.size:
            return []
        # bucket b holds (edge b - 1, edge b], so coarse bar k ends at fine bucket k * width
        first, last = -(-int(held[0]) // width), -(-int(held[-1]) // width)
        return [
            {
                "le_us": float(2.0 ** (k / per_octave)) / 1e3,
                "count": int(self.counts[max((k - 1) * width + 1, 0) : k * width + 1].sum()),
            }
            for k in range(first, last + 1)
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values: samples, percentiles and maximum in microseconds, bars; None if empty."""
        out: dict[str, Any] = {"samples": self.samples}
        for percent in PERCENTILES:
            out[f"p{percent}_us"] = round(self.percentile_us(percent), 3) if self.samples else None
        out["max_us"] = round(self.largest_ns / 1e3, 3) if self.samples else None
        return out | {"histogram": self.bars()}


class Stopwatch:
    """Samples tick to quote while a world is replayed; one stopwatch may serve several worlds.

    Parameters
    ----------
    every : look at one event in so many
    every_spot : and at one change of the underlying in so many
    """

    def __init__(self, every: int = EVERY, every_spot: int = EVERY_SPOT) -> None:
        self._every, self._every_spot = every, every_spot
        self._tape: NDArray[np.void] | None = None
        self._chosen: list[int] = []
        self.event, self.decision = Histogram(), Histogram()
        self.looked_at = 0

    def advance(self, state: EngineState, events: NDArray[np.void], start: int) -> tuple[int, int]:
        """`core.advance`, with some events run alone under the clock; the answer is the same."""
        chosen, at = self._samples(events), start
        nth = bisect_left(chosen, at)
        while nth < len(chosen):
            alone = chosen[nth]
            nth += 1
            if at < alone:
                at, reasons = core.advance(state, events[:alone], at)
                if reasons != Reason.END:
                    return at, reasons
            before = int(state.head["messages"][0])
            begun = time.perf_counter_ns()
            at, reasons = core.advance(state, events[: alone + 1], at)
            spent = time.perf_counter_ns() - begun
            if at > alone:
                self.looked_at += 1
                if int(state.head["messages"][0]) > before:
                    self.event.add(spent)
            if reasons != Reason.END:
                return at, reasons
        if at == events.size and at > start:
            return at, int(Reason.END)
        return core.advance(state, events, at)

    def _samples(self, events: NDArray[np.void]) -> list[int]:
        """Rows of `events` to look at, rising; worked out once a block."""
        if self._tape is not events:
            spot = np.flatnonzero(np.isin(events["kind"], SPOT))[:: self._every_spot]
            rest = np.arange(self._every - 1, events.size, self._every)
            self._chosen = np.union1d(spot, rest).tolist()
            self._tape = events
        return self._chosen

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Take the time of one step of the slow path."""
        begun = time.perf_counter_ns()
        yield
        self.decision.add(time.perf_counter_ns() - begun)

    def as_json(self) -> dict[str, Any]:
        """The report's `latency`."""
        return {
            "method": (
                f"wall clock, sampled: one event in {self._every} and one change of the "
                f"underlying in {self._every_spot}, each run alone, the call included; "
                "percentiles are at most 1.1 % too high"
            ),
            "looked_at": self.looked_at,
            "event": self.event.as_json(),
            "decision": self.decision.as_json(),
        }

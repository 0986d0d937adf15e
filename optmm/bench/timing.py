"""Clocks for benchmarks: CPU seconds of this process, pinned to one core, best of many.

`time.process_time` counts every thread of the process, so a peer that starts threads is charged
for them. Tasks are measured in turns, so that a machine that slows down slows all of them.
"""

import gc
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

# Libraries read these once, when they are first imported.
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def pin(core: int | None = None) -> str:
    """Keep this process on one core and its libraries on one thread; say in words what was done.

    Call before numba, polars or a peer is imported. `core` is the operating system's number; by
    default the last one that this process may use.
    """
    for name in ONE_THREAD:
        os.environ[name] = "1"
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned to a core: this system has no sched_setaffinity"
    allowed = sorted(os.sched_getaffinity(0))
    chosen = allowed[-1] if core is None else core
    try:
        os.sched_setaffinity(0, {chosen})
    except OSError as error:
        return f"not pinned to core {chosen}: {error.strerror}; this process may use {allowed}"
    return f"pinned to core {chosen}"


def race(
    tasks: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 9,
    sample: float = 0.02,
    budget: float = 3.0,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Best CPU seconds of one call of each task, taken in turns.

    Parameters
    ----------
    tasks : what to call, by name; each is called twice first, to compile and to fill caches
    rounds : how many samples of each; slow tasks get fewer, at least 2
    sample : seconds that one sample should last: quick tasks are repeated inside it
    budget : seconds to spend on one task
    clock : seconds, for tests
    """
    repeats, turns, best = {}, {}, {}
    for name, task in tasks.items():
        task()
        start = clock()
        task()
        once = max(clock() - start, 1e-7)
        repeats[name] = max(1, math.ceil(sample / once))
        turns[name] = min(rounds, max(2, int(budget / (repeats[name] * once))))
        best[name] = math.inf
    was_on = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for name, task in tasks.items():
                if turn < turns[name]:
                    best[name] = min(best[name], _sample(task, repeats[name], clock))
    finally:
        if was_on:
            gc.enable()
    return best


def _sample(task: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """Seconds of one call, averaged over `repeats` of them."""
    start = clock()
    for _ in range(repeats):
        task()
    return (clock() - start) / repeats


def machine() -> dict[str, str]:
    """Processor, Python and the versions that shape the figures."""
    import platform
    from importlib.metadata import version

    return {
        "processor": _processor() or platform.processor() or platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite", "scipy")},
    }


def _processor() -> str:
    """The processor's name, where the system tells it; empty elsewhere."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""

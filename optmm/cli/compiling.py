"""Say so when a command compiles, and let the second core help: silence looks like a hang."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer


def say_if_cold() -> None:
    """From now on, one line on stderr when the first kernel has to be compiled.

    What is in the cache is loaded without a word.
    """
    from numba.core import event

    from surfaces.kernels import cache

    cache.prepare()

    class Once(event.Listener):
        """Speaks at the first compilation, then never again."""

        said = False

        def on_start(self, event: Any) -> None:
            if not self.said:
                self.said = True
                typer.echo("compiling, once for this version: 5 to 40 seconds", err=True)

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Once())


_beside: list[subprocess.Popen[bytes]] = []  # kept, or Python warns of a child nobody waits for


def compile_ahead() -> None:
    """Once per version, a process beside this one compiles the fit while this one does the rest.

    Nothing depends on it: without a second core, or without a lasting cache, it is not started.
    """
    from surfaces.kernels import cache

    where = cache.prepare()
    if where.is_temporary or (os.cpu_count() or 1) < 2:
        return
    try:  # the first to make the mark is the one that starts it
        os.close(os.open(Path(where.path) / "ahead.started", os.O_CREAT | os.O_EXCL))
        _beside.append(
            subprocess.Popen(
                [sys.executable, "-m", "surfaces.ahead"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
    except OSError:
        return

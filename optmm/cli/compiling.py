"""Say so when a command compiles: silence for ten seconds looks like a hang."""

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

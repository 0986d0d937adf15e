"""Say so when a command will first compile: silence for ten seconds looks like a hang."""

import typer


def say_if_cold() -> None:
    """One line on stderr, if no kernel of this version has been compiled here yet."""
    from surfaces.kernels import cache

    if cache.is_cold():
        typer.echo("compiling, once for this version: 10 to 40 seconds", err=True)

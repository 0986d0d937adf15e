"""optmm doctor: is this installation able to run, and if not, what to do."""

from typing import Annotated

import typer

DISTRIBUTIONS = (
    "numpy", "scipy", "numba", "QuantLib", "pandas", "polars", "matplotlib", "pyarrow",
    "pydantic", "typer", "rich", "jinja2", "apsw", "pandas_market_calendars",
)  # fmt: skip


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Check Python, packages, the compile cache and the three packages' common home.

    Example: optmm doctor
    """
    import json
    import sys

    checks = [_python(sys.version_info), *_packages(), _home(), _cache(), _compiled()]
    if as_json:
        typer.echo(json.dumps({"checks": checks}, indent=2))
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check['ok'] else 'BAD '} {check['name']}: {check['found']}")
            if not check["ok"]:
                typer.echo(f"     {check['remedy']}")
    if not all(check["ok"] for check in checks):
        raise typer.Exit(1)


def _check(name: str, ok: bool, found: str, remedy: str = "") -> dict:
    return {"name": name, "ok": ok, "found": found, "remedy": remedy}


def _python(info: tuple) -> dict:
    text = ".".join(map(str, info[:3]))
    return _check("python", info[:2] >= (3, 11), text, "install Python 3.11 or later")


def _packages() -> list[dict]:
    from importlib.metadata import PackageNotFoundError, version

    out = []
    for name in DISTRIBUTIONS:
        try:
            out.append(_check(name, True, version(name)))
        except PackageNotFoundError:
            out.append(_check(name, False, "missing", f"pip install {name}"))
    return out


def _home() -> dict:
    """An unrelated distribution is called `surfaces` too: a mixed import would be nonsense."""
    from importlib.util import find_spec
    from pathlib import Path

    homes = {}
    for name in ("surfaces", "hedging", "optmm"):
        spec = find_spec(name)
        homes[name] = Path(spec.origin).parent.parent if spec and spec.origin else None
    ok = None not in homes.values() and len(set(homes.values())) == 1
    found = "surfaces, hedging and optmm share one folder" if ok else str(homes)
    return _check("packages", ok, found, "uninstall the other distribution named `surfaces`")


def _cache() -> dict:
    import surfaces.kernels  # noqa: F401  (decides the folder)
    from surfaces.kernels.cache import status

    path, temporary, why = status()
    found = f"{path}" + (" (temporary)" if temporary else "")
    return _check(
        "compile cache",
        not temporary,
        found,
        f"{why}: every start compiles anew; set OPTMM_CACHE_DIR",
    )


def _compiled() -> dict:
    """Price one option with a closed form known by hand: C - P = F - K."""
    from surfaces.pricing import black

    call, put = (
        float(black.price(right=w, forward=101.0, strike=100.0, years=0.5, vol=0.2))
        for w in (1, -1)
    )
    ok = abs(call - put - 1.0) < 1e-12
    return _check(
        "kernels", ok, f"put-call parity off by {call - put - 1.0:.1e}", "report this as a bug"
    )

"""optmm iv: the vol that one price implies, how sure it is, or why there is none."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optmm.cli import terms as typed
from optmm.cli.compiling import say_if_cold

if TYPE_CHECKING:
    from surfaces.pricing.implied import ImpliedVol


def iv(
    right: typed.Right,
    strike: typed.Strike,
    price: Annotated[float, typer.Option("--price", help="USD per share, as traded")],
    spot: typed.Spot = None,
    forward: typed.Forward = None,
    expiry: typed.Expiry = None,
    date: typed.Date = None,
    days: typed.Days = None,
    years: typed.Years = None,
    rate: typed.Rate = "0",
    dividend_yield: typed.Yield = "0",
    borrow: typed.Borrow = "0",
    dividend: typed.Dividend = None,
    dividend_model: typed.DividendModel = None,
    model: typed.Model = None,
    tick: Annotated[
        float, typer.Option("--tick", help="USD between prices that trade; half of it is doubt")
    ] = 0.01,
    as_json: typed.AsJson = False,
) -> None:
    """Invert one price; a price that has no vol names its status and the remedy, exit code 4.

    The doubt shown is what half a tick of the price is worth in vol.

    Example: optmm iv call 570 --price 4.20 --spot 561.2 --days 30 --rate 4.3% --model american
    """
    import json

    from optmm.errors import DataError, UsageError
    from surfaces.status import Status, remedy

    if not tick > 0.0:
        raise UsageError(f"--tick is {tick:g} USD, must be > 0")
    terms = typed.read(
        right=right, strike=strike, spot=spot, forward=forward, expiry=expiry, date=date, days=days,
        years=years, rate=rate, dividend_yield=dividend_yield, borrow=borrow, dividend=dividend,
        dividend_model=dividend_model, model=model,
    )  # fmt: skip
    say_if_cold()
    with typed.usage():
        got = invert(terms, price)
    status = Status(int(got.status))
    if status is not Status.OK:
        if as_json:
            said = _answer(terms, price, None, status.name) | {"remedy": remedy(status)}
            typer.echo(json.dumps(said, indent=2, allow_nan=False))
        raise DataError(
            f"a price of {price:g} USD has no vol ({status.name})", remedy=f"{remedy(status)}."
        )
    found = doubt(terms, price, float(got.vol), tick)
    if as_json:
        said = _answer(terms, price, float(got.vol), status.name) | found
        typer.echo(json.dumps(said, indent=2, allow_nan=False))
    else:
        _show(terms, price, float(got.vol), tick, found)


def invert(terms: typed.Terms, price: float) -> "ImpliedVol":
    """The vol of `price` under the model that was chosen, with its status."""
    arguments = terms.arguments() | {"price": price}
    if terms.model == "bachelier":
        from surfaces.pricing import bachelier

        return bachelier.vol(**arguments)
    if terms.model == "american":
        from surfaces.pricing import american, american_cash

        arguments["accuracy"] = "precise"
        if terms.cash:
            return american_cash.vol(**arguments | {"dividends": terms.schedule()})
        return american.vol(**arguments)
    if terms.cash:
        from surfaces.pricing import cash_european

        arguments |= {"dividends": terms.schedule(), "model": terms.dividend_model}
        return cash_european.vol(**arguments)
    from surfaces.pricing import implied

    return implied.vol(**arguments)


def doubt(terms: typed.Terms, price: float, vol: float, tick: float) -> dict[str, float | None]:
    """Vega, and the vols of half a tick less and more; None where such a price has no vol."""
    from optmm.cli.price import greeks_of, units_of

    vega = float(greeks_of(terms, vol).vega)
    below, above = (invert(terms, price + side * 0.5 * tick) for side in (-1.0, 1.0))
    suffix = _suffix(terms)
    return {
        f"vega_{units_of(terms.model)['vega'][0]}": vega / 100.0,
        f"doubt_half_tick{suffix}": 0.5 * tick / vega if vega > 0.0 else None,
        f"vol_half_tick_down{suffix}": float(below.vol) if bool(below.ok) else None,
        f"vol_half_tick_up{suffix}": float(above.vol) if bool(above.ok) else None,
    }


def _suffix(terms: typed.Terms) -> str:
    return "_usd_per_sqrt_year" if terms.model == "bachelier" else "_per_sqrt_year"


def _answer(terms: typed.Terms, price: float, vol: float | None, status: str) -> dict[str, Any]:
    """The object of --json; a price that is not finite is said in words."""
    said = price if math.isfinite(price) else str(price)
    return terms.as_json() | {"price_usd": said, f"vol{_suffix(terms)}": vol, "status": status}


def _show(
    terms: typed.Terms, price: float, vol: float, tick: float, found: dict[str, float | None]
) -> None:
    """The vol, and what half a tick is worth, in the units that people quote."""
    import sys

    from optmm.reports.terminal import console, grid

    normal = terms.model == "bachelier"
    unit, scale, digits = ("USD per sqrt-year", 1.0, 6) if normal else ("%", 100.0, 4)
    vega, half, low, high = found.values()

    def cell(value: float | None, times: float = scale) -> str:
        return "no vol" if value is None else f"{times * value:,.{digits}f}"

    rows = [
        ("vol", unit, cell(vol)),
        ("doubt of half a tick", unit if normal else "vol points", cell(half)),
        ("vol half a tick lower", unit, cell(low)),
        ("vol half a tick higher", unit, cell(high)),
        ("vega", "USD per 0.01 USD of vol" if normal else "USD per vol point", cell(vega, 1.0)),
    ]
    out = console(sys.stdout)
    out.print(f"{terms.words()}\nprice {price:g} USD, tick {tick:g} USD\n")
    out.print(grid(("figure", "unit", "value"), rows, text=2))

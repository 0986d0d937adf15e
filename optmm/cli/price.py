"""optmm price: one option with its Greeks, for a quick sanity check at the desk."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from optmm.cli import terms as typed
from optmm.cli.compiling import say_if_cold

if TYPE_CHECKING:
    from surfaces.pricing.greeks import Greeks

# name: (unit in a JSON key, unit in words); trader units
UNITS = {
    "price": ("usd", "USD"),
    "delta": ("shares", "shares"),
    "gamma": ("shares_per_usd", "shares per USD"),
    "vega": ("usd_per_volpt", "USD per vol point"),
    "theta": ("usd_per_day", "USD per calendar day"),
    "rho": ("usd_per_1pct", "USD per 1 % of rate"),
    "vanna": ("shares_per_volpt", "shares per vol point"),
    "volga": ("usd_per_volpt2", "USD per (vol point)^2"),
    "charm": ("shares_per_day", "shares per calendar day"),
    "speed": ("shares_per_usd2", "shares per USD^2"),
    "zomma": ("shares_per_usd_per_volpt", "shares per USD per vol point"),
    "color": ("shares_per_usd_per_day", "shares per USD per calendar day"),
    "dual_delta": ("usd_per_usd_of_strike", "USD per USD of strike"),
    "density": ("per_usd", "per USD, at the strike"),
    "european": ("usd", "USD"),
    "early_exercise_premium": ("usd", "USD"),
    "exercise_boundary": ("usd", "USD of spot, today"),
    "exercise_lower": ("usd", "USD of spot, today"),
    "exercise_upper": ("usd", "USD of spot, today"),
}


def price(
    right: typed.Right,
    strike: typed.Strike,
    vol: Annotated[
        str, typer.Option("--vol", help="20% or 0.2 a sqrt-year; bachelier: USD, such as 12.5")
    ],
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
    accuracy: Annotated[
        str | None,
        typer.Option("--accuracy", help="fast or precise (default); only for --model american"),
    ] = None,
    as_json: typed.AsJson = False,
) -> None:
    """Price one option and its Greeks: European or American, on a forward or on spot.

    Vega is per vol point, theta per calendar day, rho per 1 %, per share. Without cash dividends an
    American price comes with the European one, the premium and the exercise boundary of today.

    Example: optmm price put 560 --spot 561.2 --days 30 --vol 18.5% --rate 4.3% --model american
    """
    import json

    terms = typed.read(
        right=right, strike=strike, spot=spot, forward=forward, expiry=expiry, date=date, days=days,
        years=years, rate=rate, dividend_yield=dividend_yield, borrow=borrow, dividend=dividend,
        dividend_model=dividend_model, model=model,
    )  # fmt: skip
    sigma, closely = typed.vol(vol, terms.model), typed.accuracy(accuracy, terms.model)
    say_if_cold()
    with typed.usage():
        found = figures(terms, sigma, closely)
    units = units_of(terms.model)
    if as_json:
        said = terms.as_json() | {vol_key(terms.model): sigma}
        said |= {f"{name}_{units[name][0]}": value for name, value in found.items()}
        typer.echo(json.dumps(said, indent=2, allow_nan=False))
        return
    second = f"vol {typed.vol_words(sigma, terms.model)}"
    show(terms, second, [(name, units[name][1], value) for name, value in found.items()])


def vol_key(model: str) -> str:
    """The JSON name of a vol."""
    return "vol_usd_per_sqrt_year" if model == "bachelier" else "vol_per_sqrt_year"


def units_of(model: str) -> dict[str, tuple[str, str]]:
    """Units of every figure; a normal vol's point is 0.01 USD."""
    if model != "bachelier":
        return UNITS
    return {
        name: (key.replace("volpt", "cent_of_vol"), words.replace("vol point", "0.01 USD of vol"))
        for name, (key, words) in UNITS.items()
    }


def figures(terms: typed.Terms, vol: float, accuracy: str = "precise") -> dict[str, float]:
    """Price and Greeks in trader units, and what early exercise adds, by name."""
    greeks = greeks_of(terms, vol, accuracy).in_trader_units()
    found = {name: float(value) + 0.0 for name, value in greeks.items()}  # -0.0 becomes 0.0
    if terms.model == "american" and not terms.cash:
        found |= _exercise(terms, vol, found["price"], accuracy)
    return found


def greeks_of(terms: typed.Terms, vol: float, accuracy: str = "precise") -> "Greeks":
    """Price and Greeks of the model that was chosen, in natural units."""
    arguments = terms.arguments() | {"vol": vol}
    if terms.model == "black":
        from surfaces.pricing import black

        return black.greeks(**arguments)
    if terms.model == "bachelier":
        from surfaces.pricing import bachelier

        return bachelier.greeks(**arguments)
    if terms.model == "american":
        from surfaces.pricing import american, american_cash

        arguments["accuracy"] = accuracy
        if terms.cash:
            return american_cash.greeks(**arguments | {"dividends": terms.schedule()})
        return american.greeks(**arguments)
    if terms.cash:
        from surfaces.pricing import cash_european

        arguments |= {"dividends": terms.schedule(), "model": terms.dividend_model}
        return cash_european.greeks(**arguments)
    from surfaces.pricing import bsm

    return bsm.greeks(**arguments)


def show(terms: typed.Terms, second: str, rows: list[tuple[str, str, float]]) -> None:
    """The option in words, then one line a figure with its unit."""
    import sys

    from optmm.reports.terminal import console, grid

    out = console(sys.stdout)
    out.print(f"{terms.words()}\n{second}\n")
    cells = [(name.replace("_", " "), unit, _digits(value)) for name, unit, value in rows]
    out.print(grid(("figure", "unit", "per share"), cells, text=2))


def _digits(value: float) -> str:
    """Six decimals, or six significant digits of what is small; a zero has no sign."""
    value += 0.0
    return f"{value:,.6f}" if value == 0.0 or abs(value) >= 1e-3 else f"{value:.5e}"


def _exercise(terms: typed.Terms, vol: float, price: float, accuracy: str) -> dict[str, float]:
    """The European price, the premium over it, and the boundary at which to exercise today."""
    from surfaces.pricing import american, bsm

    arguments = terms.arguments() | {"vol": vol}
    european = float(bsm.price(**arguments))
    found = {"european": european, "early_exercise_premium": max(price - european, 0.0)}
    curve = {name: value for name, value in arguments.items() if name != "spot"}
    curve["accuracy"] = accuracy
    region = american.boundary(**curve)
    low, high = float(region.lower), float(region.upper)
    if low > 0.0 and high < math.inf:  # two boundaries: exercise is best between them
        return found | {"exercise_lower": low, "exercise_upper": high}
    edge = float(region.critical)
    return found | ({"exercise_boundary": edge} if 0.0 < edge < math.inf else {})

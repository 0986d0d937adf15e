"""Two payoffs made of European calls and puts: digitals, and the straddle with its implied move.

A digital is the slope of the option's price in its strike, so it needs the slope of the smile as
well as a vol: for a call -d/dK V(K, vol(K)) = df N(d2) - vega vol_slope. With `vol_slope` = 0 it is
Black's, which on an index, whose vol falls with the strike, is some cents in the dollar too low.

Units   as `surfaces.pricing.black`; vol_slope in decimal vol per USD of strike (-0.0005: half a vol
        point less for a strike 10 USD higher), held fixed by a digital's Greeks, as vol is.
Source  M. Rubinstein, E. Reiner, Risk 4 (1991) for digitals; the smile's term is the chain rule.
Checked tests/surfaces/pricing/test_payoffs.py: Haug's printed values, tight spreads on a smile,
        high-order differences, parity, Brenner and Subrahmanyam's straddle.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.pricing import black, implied
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted

Pays = Literal["cash", "asset"]
DIGITAL_NAMES = NAMES[:12]  # the strike's derivatives of a digital are nobody's risk


def digital_price(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
    vol_slope: ArrayLike = 0.0,
    pays: Pays = "cash",
) -> Any:
    """Price digitals: 1 USD ("cash") or one share ("asset") if they expire in the money.

    Parameters
    ----------
    right, forward, strike, years, vol, df : as `surfaces.pricing.black.price`
    vol_slope : d(vol)/d(strike) at this strike, per USD
    pays : "cash" or "asset"

    Returns
    -------
    USD; within [0, df] for cash unless the slope is one that no arbitrage-free smile has. Expired
    at the strike it is worth half.

    Examples
    --------
    >>> terms = dict(forward=100.0, strike=100.0, years=0.25, vol=0.20)
    >>> float(digital_price(right=1, **terms).round(4))
    0.4801
    >>> float(digital_price(right=1, vol_slope=-0.002, **terms).round(4))
    0.5199
    """
    got = digital_greeks(
        right=right,
        forward=forward,
        strike=strike,
        years=years,
        vol=vol,
        df=df,
        vol_slope=vol_slope,
        pays=pays,
        which=["price"],
    )
    return got.price


def digital_greeks(
    *,
    right: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    df: ArrayLike = 1.0,
    vol_slope: ArrayLike = 0.0,
    pays: Pays = "cash",
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and eleven Greeks of digitals with respect to the forward, as `black.greeks` has them.

    Forward, vol and `vol_slope` are moved one at a time. Without vol or time the curvature is zero.
    """
    if pays not in ("cash", "asset"):
        raise InvalidInput(f"pays is {pays!r}, must be 'cash' or 'asset'")
    names = wanted(which, DIGITAL_NAMES)
    given = (right, forward, strike, years, vol, df, vol_slope)
    box = containers.of(*given)
    hint = "Take it from the smile, in decimal vol per USD of strike."
    slope = check.finite("vol_slope", vol_slope, unit="per USD", hint=hint)
    named = ("forward", "strike", "years", "vol", "df")
    market = (check.numbers(name, a) for name, a in zip(named, given[1:6], strict=True))
    shape, (w, F, K, T, v, d, slope) = check.columns(check.right(right), *market, slope)
    plain = black.greeks(right=w, forward=F, strike=K, years=T, vol=v, df=d)
    rows = _digital(w, F, K, T, v, d, plain) - w * slope * _vega(F, K, T, v, d, plain)
    if pays == "asset":  # one share if in the money = the option, and its strike in cash
        tilt = K * w * slope * plain.vega
        rows = w * np.array([getattr(plain, name) for name in DIGITAL_NAMES]) + K * rows
        rows[0] = w * F * plain.delta - tilt  # the same, without cancelling where K >> F
    kept = rows[[DIGITAL_NAMES.index(name) for name in names]]
    return Greeks.from_rows(kept, shape, names, box).in_units(units)


def straddle_price(
    *,
    forward: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    strike: ArrayLike | None = None,
    df: ArrayLike = 1.0,
) -> Any:
    """USD of a call and a put at `strike`, by default at the forward; units as `black.price`.

    At the forward and for a small vol it is about 0.8 forward vol sqrt(years) df.
    """
    K = forward if strike is None else strike
    call, put = (
        black.price(right=w, forward=forward, strike=K, years=years, vol=vol, df=df)
        for w in (1, -1)
    )
    return call + put


def straddle_vol(
    *,
    price: ArrayLike,
    forward: ArrayLike,
    years: ArrayLike,
    strike: ArrayLike | None = None,
    df: ArrayLike = 1.0,
) -> implied.ImpliedVol:
    """The vol at which `straddle_price` is `price` (USD, discounted); statuses as `implied.vol`.

    The straddle is |forward - strike| df and twice the option that is out of the money. A straddle
    worth no more than the first has vol 0.0 and NO_VEGA, one worth less is BELOW_INTRINSIC.
    """
    K = forward if strike is None else strike
    box = containers.of(price, forward, K, years, df)
    shape, (p, F, k, T, d) = check.columns(
        check.numbers("price", price),
        check.numbers("forward", forward),
        check.numbers("strike", K),
        check.numbers("years", years),
        check.numbers("df", df),
    )
    with np.errstate(invalid="ignore"):
        outside = 0.5 * (p - d * np.abs(F - k))
    side = np.where(k > F, 1.0, -1.0)
    got = implied.vol(price=outside, right=side, forward=F, strike=k, years=T, df=d)
    return implied.ImpliedVol(
        box.wrap("vol", np.asarray(got.vol), shape),
        box.wrap("status", np.asarray(got.status), shape),
    )


def implied_move(*, price: ArrayLike, forward: ArrayLike, df: ArrayLike = 1.0) -> Any:
    """The mean absolute move to expiry that a straddle at the forward pays for, as a share of it.

    price / (df forward), which is E|S - F| / F under any distribution: no model is involved. The
    standard deviation of a nearly normal one is 1.25 times this.
    """
    F = check.above("forward", forward, 0.0, unit="USD", hint="A share of it needs one.")
    d = check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T).")
    p = check.at_least("price", price, 0.0, unit="USD", hint="Call plus put.")
    box = containers.of(price, forward, df)
    shape, (p, F, d) = check.columns(p, F, d)
    return box.wrap("implied_move", p / (d * F), shape)


def break_evens(*, price: ArrayLike, strike: ArrayLike, df: ArrayLike = 1.0) -> tuple[Any, Any]:
    """(low, high): the prices at expiry, USD, between which a straddle's holder loses.

    The straddle is paid now and pays at expiry, so its cost grows by 1/df; `low` may be negative.
    """
    d = check.above("df", df, 0.0, unit="", hint="Discount factors, not rates: exp(-r*T).")
    p = check.at_least("price", price, 0.0, unit="USD", hint="Call plus put.")
    K = check.finite("strike", strike, unit="USD", hint="Drop adjusted contracts before pricing.")
    box = containers.of(price, strike, df)
    shape, (p, K, d) = check.columns(p, K, d)
    return box.wrap("low", K - p / d, shape), box.wrap("high", K + p / d, shape)


def _digital(
    w: Floats, F: Floats, K: Floats, T: Floats, v: Floats, df: Floats, plain: Greeks
) -> Floats:
    """Twelve rows for 1 USD in the money, V = df N(w d2)."""
    s, d1, d2, half, rate = _state(F, K, T, v, df)
    unit = w * df * plain.density * K * s  # w df phi(d2)
    share = np.divide(1.0, F * s, out=np.zeros_like(s), where=s > 0.0)
    per_vol = np.divide(1.0, v, out=np.zeros_like(s), where=s > 0.0)
    price, delta = -w * plain.dual_delta, unit * share
    gamma = -unit * d1 * share**2
    vega = -unit * d1 * per_vol
    vanna = unit * (d1 * d2 - 1.0) * share * per_vol
    volga = -unit * (d1 * d1 * d2 - d1 - d2) * per_vol**2
    speed = -unit * (1.0 - d1 * d2 - 2.0 * s * d1) * share**3
    zomma = -unit * (d1 * d1 * d2 - 2.0 * d1 - d2) * share**2 * per_vol
    theta, charm = rate * price - half * v * vega, rate * delta - half * v * vanna
    color, rho = rate * gamma - half * v * zomma, -T * price
    return np.array(
        [price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, zomma, color]
    )


def _vega(F: Floats, K: Floats, T: Floats, v: Floats, df: Floats, plain: Greeks) -> Floats:
    """Twelve rows for the vega of an option, V = df F phi(d1) sqrt(T), as if it were a price."""
    s, d1, d2, half, rate = _state(F, K, T, v, df)
    per_vol = np.divide(1.0, v, out=np.zeros_like(s), where=s > 0.0)
    share = np.divide(1.0, F * s, out=np.zeros_like(s), where=s > 0.0)
    unit = df * plain.density * K * K * s * s * share  # df phi(d1)
    both, squares = d1 * d2, d1 * d1 + d2 * d2
    price, delta, gamma, vega = plain.vega, plain.vanna, plain.zomma, plain.volga
    vanna = -unit * (both * d2 - d1 - d2) * per_vol**2
    volga = price * (both * both - both - squares) * per_vol**2
    speed = unit * (d1 + d2 - (d1 + s) * (both - 1.0)) * share**2 * per_vol
    zomma = unit * ((both - 1.0) * (both - 2.0) - squares) * share * per_vol**2
    theta = rate * price - half * (price + v * vega)
    charm = rate * delta - half * (delta + v * vanna)
    color, rho = rate * gamma - half * (gamma + v * zomma), -T * price
    return np.array(
        [price, delta, gamma, vega, theta, rho, vanna, volga, charm, speed, zomma, color]
    )


def _state(F: Floats, K: Floats, T: Floats, v: Floats, df: Floats) -> tuple[Floats, ...]:
    """(s, d1, d2, 1/(2 T), rate); zeros where there is no vol, time, forward or strike."""
    s = v * np.sqrt(T)
    alive = (s > 0.0) & (F > 0.0) & (K > 0.0)
    over, under = np.where(alive, F, 1.0), np.where(alive, K, 1.0)
    near = np.abs(over - under) < 0.5 * under  # the quotient alone would round the difference away
    x = np.where(near, np.log1p(np.where(near, over - under, 0.0) / under), np.log(over / under))
    s = np.where(alive, s, 0.0)
    d1 = np.divide(x, s, out=np.zeros_like(s), where=alive) + 0.5 * s
    half = np.divide(0.5, T, out=np.zeros_like(s), where=alive)
    rate = np.divide(-np.log(df), T, out=np.zeros_like(s), where=T > 0.0)
    return s, d1, d1 - s, half, rate

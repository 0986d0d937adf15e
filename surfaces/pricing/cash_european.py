"""European prices, Greeks and vols with cash dividends, under either of the two usual models.

"spot"      the share is lognormal between ex-dates, and on an ex-date S becomes max(S (1 -
            proportional) - cash, 0). This is what `american` prices with dividends.
"escrowed"  Black (1976) on the forward that the dividends leave, so vol acts on the share less the
            present value of what it will pay. Quick, and the same vol is worth less: the two
            prices differ by more than a spread, so a vol belongs to the model it was implied in.

Without a dividend before expiry both are Black-Scholes-Merton.

Accuracy  the spot model to about 1e-13 of spot. Its Greeks in vol and rate are differences: half of
          them are within 1e-8 of themselves, and in 99 of 100 drawn options (vols 5 to 100 %, a
          week to 18 months, three deviations) rho is within 1e-8, vega 2e-8, vanna 3e-8, zomma
          1e-7 and volga 7e-7; next to where one passes through zero it has fewer digits. A vol is
          as exact as 1e-13 of spot over its vega.
Cost      of the spot model grows with the number of ex-dates and with years over the shortest gap
          between two of them; gaps under half a minute count as none.
Units     as `surfaces.pricing.bsm`.
Source    see `surfaces.kernels.cash_european`.
Checked   tests/surfaces/pricing/test_cash_european.py: 25-digit quadrature, Haug-Haug-Lewis (2003)
          as corrected, nested adaptive quadrature, parity, proportional dividends in closed form,
          QuantLib's escrowed and finite-difference engines.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from surfaces import checks as check
from surfaces import containers
from surfaces.errors import InvalidInput
from surfaces.pricing import implied
from surfaces.pricing.bsm import spot_columns
from surfaces.pricing.dividends import Dividends
from surfaces.pricing.greeks import NAMES, Floats, Greeks, Unit, wanted
from surfaces.pricing.implied import ImpliedVol
from surfaces.status import Status

Model = Literal["spot", "escrowed"]
# prices of some rows at ln(vol sqrt(years)) less the ones given, as a share of them
Miss = Callable[[Floats, NDArray[np.intp]], Floats]
SAME_DATE = 1e-6  # years
ERROR = 1e-13  # of spot, of a price under "spot"
LEAST, MOST = 1e-6, 16.0  # vol sqrt(years) between which a vol under "spot" is sought
NEAR = 1e-14  # of a vol, where the search ends
TURNS = 80
AROUND = -0.5, 0.05  # of the ln of an escrowed vol: the spot model's is mostly lower
MOST_GROWTH = 700.0  # of |rate| x years: exp overflows at 709


def price(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None,
    model: Model = "spot",
) -> Any:
    """Price European options on a share that pays `dividends`; the arrays broadcast together.

    Parameters
    ----------
    right : +1, True or "c" for a call; -1, False or "p" for a put
    spot : USD per share, >= 0, with the dividends still to come
    strike : USD per share, >= 0
    years : time to expiry in years, >= 0; a dividend on the day of expiry is still paid before
    vol : decimal per square-root year, >= 0; of the share ("spot") or of the forward ("escrowed")
    rate : continuously compounded decimal per year; may be negative
    dividend_yield : the same, of what is paid besides `dividends`, including borrow
    dividends : one schedule for all rows; None for none
    model : "spot" or "escrowed"

    Returns
    -------
    USD per share, >= 0.

    Raises
    ------
    InvalidInput
        Names the first offending element; also where "escrowed" dividends are worth more than spot.

    Examples
    --------
    >>> paid = Dividends.declared(years=[0.5, 1.5], cash=4.0)
    >>> terms = dict(right=1, spot=100.0, strike=100.0, years=2.0, vol=0.25, rate=0.06)
    >>> float(price(**terms, dividends=paid).round(4))
    15.2007
    """
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    box = containers.of(*given)
    shape, columns = spot_columns(*given)
    out = np.empty(columns[0].size)
    dates = _dates(dividends)
    from surfaces.kernels import cash_european as kernel

    if _is_escrowed(model):
        if not kernel.fill_escrowed(*columns, *dates, out):
            _refuse(columns, dates, shape)
    else:
        kernel.fill_spot(*columns, *_merged(*dates), out)
    return box.wrap("price", out, shape)


def greeks(
    *,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None,
    model: Model = "spot",
    which: Sequence[str] | None = None,
    units: Unit = "natural",
) -> Greeks:
    """Price and thirteen Greeks with respect to spot; arguments and errors as in `price`.

    Rate, yield and dividends (dates and amounts) stay as they are while spot, vol or time moves, so
    theta has no part for a dividend going ex. Under "spot", the density leaves out the chance that
    the share falls to zero. `which` names the numbers to return, by default all.
    """
    given = (right, spot, strike, years, vol, rate, dividend_yield)
    names = wanted(which)
    box = containers.of(*given)
    shape, columns = spot_columns(*given)
    out = np.empty((len(NAMES), columns[0].size))
    dates = _dates(dividends)
    from surfaces.kernels import cash_european_greeks as kernel

    if _is_escrowed(model):
        if not kernel.fill_escrowed_greeks(*columns, *dates, out):
            _refuse(columns, dates, shape)
    else:
        kernel.fill_spot_greeks(*columns, *_merged(*dates), out)
    if which is not None:
        out = out[[NAMES.index(name) for name in names]]
    return Greeks.from_rows(out, shape, names, box).in_units(units)


def vol(
    *,
    price: ArrayLike,
    right: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    rate: ArrayLike,
    dividend_yield: ArrayLike = 0.0,
    dividends: Dividends | None,
    model: Model = "spot",
) -> ImpliedVol:
    """Invert `price` under the same model. A bad quote never raises: it gets NaN and a status.

    `status` is as in `implied.vol`, to the accuracy of a price: under "spot" with a dividend before
    expiry, a price within 1e-13 of spot of what the option is worth without vol is NO_VEGA (vol 0.0
    if that is nothing, else NaN), and one that no vol sqrt(years) up to 16 reaches is ABOVE_BOUND.
    BAD_INPUT also where "escrowed" dividends are worth as much as spot. If dividends may take all
    of the share, a put need not rise with vol: then any vol that gives the price is returned.

    Raises
    ------
    InvalidInput
        For an unknown right or model, or shapes that do not broadcast.

    Examples
    --------
    >>> paid = Dividends.declared(years=[0.5, 1.5], cash=4.0)
    >>> terms = dict(right=1, spot=100.0, strike=100.0, years=2.0, rate=0.06, dividends=paid)
    >>> got = vol(price=15.2007, **terms)
    >>> float(got.vol.round(5)), int(got.status)
    (0.25, 0)
    """
    box = containers.of(price, right, spot, strike, years, rate, dividend_yield)
    named = {"spot": spot, "strike": strike, "years": years, "rate": rate}
    named["dividend_yield"] = dividend_yield
    rest = (check.numbers(name, values) for name, values in named.items())
    shape, columns = check.columns(check.numbers("price", price), check.right(right), *rest)
    escrowed, dates = _is_escrowed(model), _dates(dividends)
    p, w, S, K, T, r, q = columns
    with np.errstate(all="ignore"):  # bad quotes get their status
        good = np.isfinite(columns).all(axis=0) & (S > 0.0) & (K > 0.0) & (T > 0.0)
        good &= np.maximum(np.abs(r), np.abs(q)) * T < MOST_GROWTH
    none = Dividends([], []) if dividends is None else dividends
    df, forward = np.full(p.size, np.nan), np.full(p.size, np.nan)
    df[good] = np.exp(-r[good] * T[good])
    forward[good] = none.forward(spot=S[good], years=T[good], rate=r[good], dividend_yield=q[good])
    plain = implied.vol(price=p, right=w, forward=forward, strike=K, years=T, df=df)
    found, status = np.array(plain.vol), np.array(plain.status)
    if not escrowed and dates[0].size:
        rows = np.flatnonzero(good & (dates[0][0] <= T))
        few = [a[rows] for a in columns]
        found[rows], status[rows] = _spot_vols(few, _merged(*dates), found[rows])
    return ImpliedVol(box.wrap("vol", found, shape), box.wrap("status", status, shape))


def _spot_vols(
    columns: list[Floats], dates: tuple[Floats, Floats, Floats], escrowed: Floats
) -> tuple[Floats, NDArray[np.uint8]]:
    """(vols, statuses) under the spot model of finite quotes that see a dividend.

    The search starts from the `escrowed` vols, as far as there are any.
    """
    from surfaces.kernels import cash_european as kernel

    p, S, T = columns[0], columns[2], columns[4]

    def worth(x: Floats, rows: NDArray[np.intp]) -> Floats:
        """Prices of `rows` at ln(vol sqrt(years)) = x."""
        _, w, S, K, T, r, q = (a[rows] for a in columns)
        out = np.empty(rows.size)
        kernel.fill_spot(w, S, K, T, np.exp(x) / np.sqrt(T), r, q, *dates, out)
        return out

    def miss(x: Floats, rows: NDArray[np.intp]) -> Floats:
        return worth(x, rows) / p[rows] - 1.0

    idle = worth(np.full(p.size, -np.inf), np.arange(p.size))
    calm = np.abs(p - idle) <= ERROR * S
    found = np.where(calm & (idle == 0.0), 0.0, np.nan)
    status = np.full(p.size, Status.NOT_CONVERGED, np.uint8)
    status[p < idle] = Status.BELOW_INTRINSIC
    status[calm] = Status.NO_VEGA
    rows = np.flatnonzero(status == Status.NOT_CONVERGED)
    start = escrowed[rows] * np.sqrt(T[rows])
    start = np.log(np.where(start > 0.0, start, 1.0))
    bracket = _bracket(miss, rows, start, idle[rows] / p[rows] - 1.0)
    beyond = (bracket[1] == np.log(MOST)) & (bracket[3] <= 0.0)
    status[rows[beyond]] = Status.ABOVE_BOUND
    rows = rows[~beyond]
    x, solved = _ridders(miss, rows, *(a[~beyond] for a in bracket))
    found[rows] = np.where(solved, np.exp(x) / np.sqrt(T[rows]), np.nan)
    status[rows[solved]] = Status.OK
    return found, status


def _bracket(miss: Miss, rows: NDArray[np.intp], start: Floats, idle: Floats) -> tuple[Floats, ...]:
    """(a, b, miss at a, miss at b): about `start` if the sign changes there, else to an end.

    `idle` is the miss without vol. The far end is only tried if need be: it costs the most.
    """
    least, most = np.log(LEAST), np.log(MOST)
    a, b = (np.clip(start + shift, least, most) for shift in AROUND)
    below, above = miss(a, rows), miss(b, rows)
    over, under = below > 0.0, above < 0.0
    top = np.full(rows.size, np.nan)
    top[under] = miss(np.full(under.sum(), most), rows[under])
    return (
        np.where(over, least, np.where(under, b, a)),
        np.where(over, a, np.where(under, most, b)),
        np.where(over, idle, np.where(under, above, below)),
        np.where(over, below, np.where(under, top, above)),
    )


def _ridders(
    miss: Miss, rows: NDArray[np.intp], a: Floats, b: Floats, below: Floats, above: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """(x, whether it was found) between `a` and `b`, where `miss` is below <= 0 and above >= 0.

    C. Ridders, IEEE Trans. Circuits Syst. 26 (1979): the bracket at least halves at each turn.
    """
    found = np.full(rows.size, np.nan)
    at, last = np.arange(rows.size), np.full(rows.size, np.inf)
    for _ in range(TURNS):
        m = 0.5 * (a + b)
        middle = miss(m, rows[at])
        x = m - (m - a) * middle / np.sqrt(middle * middle - below * above)
        here = miss(x, rows[at])
        first, second = np.minimum(m, x), np.maximum(m, x)
        at_first, at_second = np.where(m <= x, middle, here), np.where(m <= x, here, middle)
        # of the three parts of the bracket the one in which the sign changes
        left, right = at_first >= 0.0, at_second < 0.0
        a, b = (
            np.where(left, a, np.where(right, second, first)),
            np.where(left, first, np.where(right, b, second)),
        )
        below, above = (
            np.where(left, below, np.where(right, at_second, at_first)),
            np.where(left, at_first, np.where(right, above, at_second)),
        )
        done = (here == 0.0) | (np.abs(x - last) <= NEAR) | (b - a <= NEAR)
        found[at[done]] = x[done]
        go = ~done
        at, a, b, below, above, last = (v[go] for v in (at, a, b, below, above, x))
        if not at.size:
            break
    return found, np.isfinite(found)


def _is_escrowed(model: str) -> bool:
    """Whether `model` is the escrowed one; an unknown name raises."""
    if model not in ("spot", "escrowed"):
        raise InvalidInput(f"model is {model!r}, must be 'spot' or 'escrowed'")
    return model == "escrowed"


def _dates(dividends: Dividends | None) -> tuple[Floats, Floats, Floats]:
    """(ex-dates after now, share of the price kept, cash), one array each."""
    if dividends is None:
        return np.empty(0), np.empty(0), np.empty(0)
    if not isinstance(dividends, Dividends):
        raise InvalidInput(
            f"dividends is a {type(dividends).__name__}, must be a "
            "surfaces.pricing.dividends.Dividends, or None for no dividends"
        )
    left = dividends.years > 0.0
    return dividends.years[left], 1.0 - dividends.proportional[left], dividends.cash[left]


def _merged(years: Floats, keep: Floats, cash: Floats) -> tuple[Floats, Floats, Floats]:
    """The schedule with dividends on one date made one: keep (keep' S - cash') - cash."""
    if not np.any(np.diff(years) < SAME_DATE):
        return years, keep, cash
    out: list[list[float]] = []
    for t, k, c in zip(years.tolist(), keep.tolist(), cash.tolist(), strict=True):
        if out and t - out[-1][0] < SAME_DATE:
            out[-1][1] *= k
            out[-1][2] = out[-1][2] * k + c
        else:
            out.append([t, k, c])
    first, second, third = np.array(out).T.copy()
    return first, second, third


def _refuse(
    columns: list[Floats], dates: tuple[Floats, Floats, Floats], shape: tuple[int, ...]
) -> None:
    """Raise, naming the first option whose dividends are worth more than its spot."""
    from surfaces.kernels.cash_european import forward_jet

    _, S, _, T, _, r, q = columns
    forward = np.array([forward_jet(S[i], T[i], r[i] - q[i], *dates)[0] for i in range(S.size)])
    check.at_least(
        "spot less dividends, grown to expiry,",
        forward.reshape(shape),
        0.0,
        unit="USD",
        hint="Use model='spot', where the share stops at zero, or correct the schedule.",
    )

"""Other libraries, each at its best: what it is given is prepared outside the timed call.

An adapter makes a `Job`: `call` is what is timed, `read` turns its result into our columns. Where a
library has one right, one forward or total vols in its vector call, the set is split or rescaled
beforehand. Libraries are imported by name when asked for; one that is missing says why.
"""

import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from optmm.bench.markets import Floats, Options

# lines "distribution <tab> why" of what could not be installed, written by scripts/bench
FAILURES = "OPTMM_PEERS_FAILED"


@dataclass(frozen=True, slots=True)
class Job:
    """`call` is timed; `read` makes of its result one array, or arrays by name, in our order."""

    call: Callable[[], Any]
    read: Callable[[Any], Any]


class Peer(Protocol):
    """One library: its distribution, its module, and the Greeks that its call brings."""

    name: str
    module: str
    greeks_of: str

    @property
    def rows(self) -> int | None:
        """How many options a scalar library is given; None is the whole set."""

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job | None:
        """Implied vols of undiscounted prices; None where the library has none."""

    def greeks(self, lib: ModuleType, it: Options) -> Job | None:
        """Price and what Greeks it has of discounted options on a forward."""


def load(peer: Peer) -> ModuleType | str:
    """The library, or why it cannot be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(peer.module)
    except (ImportError, AttributeError, RuntimeError) as error:
        said = _failures().get(peer.name, "")
        return f"not installed: {said or error}"


def tried(peer: Peer) -> ModuleType | str:
    """The library after a first use of all that will be timed, or why it cannot be used."""
    from numba.core.errors import NumbaError
    from polars.exceptions import PolarsError

    from optmm.bench import exact, markets

    lib = load(peer)
    if isinstance(lib, str):
        return lib
    it = markets.realistic(16)
    price = exact.black(it).price
    strange = (AttributeError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
    try:
        for job in (peer.vols(lib, it, price), peer.greeks(lib, it)):
            if job is not None:
                job.read(job.call())
    except (*strange, ImportError, NumbaError, PolarsError) as error:
        said = (str(error).splitlines() or [""])[0]
        return f"installed, but fails: {type(error).__name__}: {said}"
    return lib


def release_of(name: str) -> str:
    """The installed version; empty when there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _failures() -> dict[str, str]:
    """Why installations failed, by distribution."""
    path = os.environ.get(FAILURES, "")
    if not path or not Path(path).is_file():
        return {}
    lines = (line.partition("\t") for line in Path(path).read_text(encoding="utf-8").splitlines())
    return {name: why for name, tab, why in lines if tab}


def _letters(right: Floats) -> np.ndarray:
    return np.where(right > 0.0, "c", "p")


def _rates(it: Options) -> Floats:
    return -np.log(it.df) / it.years


def _same(result: Any) -> Floats:
    return np.asarray(result, np.float64)


def _sides(it: Options) -> tuple[Options, Options, Callable[[Any], Floats]]:
    """Calls, puts, and how a pair of results goes back into the order of `it`."""
    up = it.right > 0.0

    def join(pair: Any) -> Floats:
        out = np.empty(len(it))
        out[up], out[~up] = pair
        return out

    return it.rows(up), it.rows(~up), join


class Lbriv:
    """Cython port of Let's Be Rational; its vector call has one forward and one right."""

    name, module, rows, greeks_of = "lbriv", "lbriv", None, ""

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Prices and strikes per unit of forward, calls and puts apart: its quickest call."""
        call = lib.vectorized_implied_vol_strikes
        up = it.right > 0.0
        p, K = price / it.forward, it.strike / it.forward
        halves = ((p[up], K[up], 1), (p[~up], K[~up], -1))
        join = _sides(it)[2]
        root = np.sqrt(it.years)
        return Job(
            lambda: [call(p, 1.0, K, w) for p, K, w in halves], lambda pair: join(pair) / root
        )

    def exact_vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Its call with a forward a row, which adds three Greeks: no rescaling, so no rounding."""
        out = [np.empty(len(it)) for _ in range(4)]
        p, F, K, df = price.copy(), it.forward.copy(), it.strike.copy(), np.ones(len(it))
        is_call = (it.right > 0.0).astype(np.int8)
        root = np.sqrt(it.years)

        def read(_: None) -> Floats:
            return np.where(out[0] > 0.0, out[0], np.nan) / root

        return Job(lambda: lib.compute_trades_greeks(p, F, K, is_call, df, *out), read)

    def greeks(self, lib: ModuleType, it: Options) -> None:
        """It has none without an inversion."""


class IvEngine:
    """Rust; one right a call, serial on request."""

    name, module, rows = "iv-engine", "iv_engine", None
    greeks_of = "price, delta, gamma, vega, vanna, volga"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Calls and puts apart."""
        up = it.right > 0.0
        calls, puts, join = _sides(it)
        halves = ((calls, price[up], True), (puts, price[~up], False))
        from iv_engine.batch import implied_volatilities

        return Job(
            lambda: [
                implied_volatilities(p, o.forward, o.strike, o.years, w, False)
                for o, p, w in halves
            ],
            join,
        )

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """Six calls a right, undiscounted."""
        from iv_engine import batch

        signed = (batch.black_prices, batch.deltas)
        plain = (batch.gammas, batch.vegas, batch.vannas, batch.vommas)
        calls, puts, join = _sides(it)
        halves = [(o.forward, o.strike, o.years, o.vol) for o in (calls, puts)]

        def call() -> list[list[Floats]]:
            out = []
            for columns, w in zip(halves, (True, False), strict=True):
                rows = [f(*columns, w, False) for f in signed]
                out.append(rows + [f(*columns, False) for f in plain])
            return out

        def read(pair: list[list[Floats]]) -> dict[str, Floats]:
            names = ("price", "delta", "gamma", "vega", "vanna", "volga")
            rows = [join(both) * it.df for both in zip(*pair, strict=True)]
            return dict(zip(names, rows, strict=True))

        return Job(call, read)


class PyVollibVectorized:
    """numba port of Let's Be Rational behind a checked vector call; letters for rights."""

    name, module, rows = "py_vollib_vectorized", "py_vollib_vectorized", None
    greeks_of = ""

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Rights as +1 and -1, which it also takes; warnings off."""
        call, zero = lib.vectorized_implied_volatility_black, np.zeros(len(it))
        flag = it.right.astype(np.int64)
        return Job(
            lambda: call(
                price, it.forward, it.strike, zero, it.years, flag,
                on_error="ignore", return_as="numpy",
            ),
            _same,
        )  # fmt: skip

    def greeks(self, lib: ModuleType, it: Options) -> None:
        """Only by differences, a Greek a call: not compared."""


class FastVollib:
    """numpy or numba behind a checked vector call; numba is its quickest on a processor."""

    name, module, rows = "fast-vollib", "fast_vollib", None
    greeks_of = "price, delta, gamma, vega, theta, rho"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Its numba backend."""
        call, zero, flag = lib.fast_implied_volatility_black, np.zeros(len(it)), _letters(it.right)
        return Job(
            lambda: call(
                price, it.forward, it.strike, zero, it.years, flag,
                on_error="ignore", return_as="numpy", backend="numba",
            ),
            _same,
        )  # fmt: skip

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """Price, then its five Greeks in one call."""
        flag, r = _letters(it.right), _rates(it)
        columns = (flag, it.forward, it.strike, it.years, r, it.vol)

        def call() -> tuple[Floats, dict[str, Floats]]:
            price = lib.fast_black(*columns, return_as="numpy", backend="numba")
            return price, lib.get_all_greeks(
                *columns, model="black", return_as="dict", backend="numba"
            )

        def read(result: tuple[Floats, dict[str, Floats]]) -> dict[str, Floats]:
            price, rows = result
            return {"price": price, "gamma": rows["gamma"], "vega": rows["vega"] * 100.0}

        return Job(call, read)


class Pyvolr:
    """Rust; checked vector calls."""

    name, module, rows = "pyvolr", "pyvolr.black76", None
    greeks_of = "price, delta, gamma, vega, theta, rho"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """Rights as +1 and -1."""
        flag, zero = it.right.astype(np.int8), np.zeros(len(it))
        return Job(
            lambda: lib.implied_vol(
                price, flag, it.forward, it.strike, it.years, zero, on_error="ignore"
            ),
            _same,
        )

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """Price, then its five Greeks in one call."""
        columns = (it.right.astype(np.int8), it.forward, it.strike, it.years, _rates(it), it.vol)

        def read(result: tuple[Floats, dict[str, Floats]]) -> dict[str, Floats]:
            price, rows = result
            return {"price": price, "gamma": rows["gamma"], "vega": rows["vega"]}

        return Job(lambda: (lib.price(*columns), lib.greeks(*columns)), read)


class PolarsVol:
    """Rust expressions on a polars frame; spot form without a yield."""

    name, module, rows = "polars-vol", "polars_vol", None
    greeks_of = "price, delta, gamma, vega, theta, rho"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """At a rate of zero, spot is the forward."""
        frame = self._frame(it, it.forward, np.zeros(len(it))).with_columns(price=price)
        made = lib.implied_vol("price", "strike", "spot", "years", "rate", "call", method="halley")
        return Job(lambda: frame.select(made.alias("vol")), lambda out: out["vol"].to_numpy())

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """On the spot that gives our forward without a yield, so its delta and gamma are spot's."""
        frame = self._frame(it, it.forward * it.df, _rates(it))
        made = lib.black_scholes_with_greeks("strike", "spot", "vol", "years", "rate", "call")

        def read(out: Any) -> dict[str, Floats]:
            rows = out["all"].struct.unnest()
            return {
                "price": rows["model_price"].to_numpy(),
                "gamma": rows["gamma"].to_numpy() * it.df * it.df,
                "vega": rows["vega"].to_numpy(),
            }

        return Job(lambda: frame.select(made.alias("all")), read)

    @staticmethod
    def _frame(it: Options, spot: Floats, rate: Floats) -> Any:
        import polars as pl

        return pl.DataFrame(
            {"strike": it.strike, "spot": spot, "vol": it.vol, "years": it.years, "rate": rate,
             "call": it.right > 0.0}
        )  # fmt: skip


class QuantLib:
    """C++ behind a scalar Python call."""

    name, module, rows, greeks_of = "QuantLib", "QuantLib", 2_000, "price"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> Job:
        """A loop at an accuracy of 1e-12 (its default is 1e-6); what it throws becomes NaN."""
        solve = lib.blackFormulaImpliedStdDev
        rights = [lib.Option.Call if w > 0.0 else lib.Option.Put for w in it.right]
        rows = list(
            zip(rights, it.strike.tolist(), it.forward.tolist(), price.tolist(), strict=True)
        )
        root, guess = np.sqrt(it.years), lib.nullDouble()

        def one(w: Any, K: float, F: float, p: float) -> float:
            try:
                return solve(w, K, F, p, 1.0, 0.0, guess, 1e-12, 200)
            except RuntimeError:
                return np.nan

        return Job(lambda: [one(*row) for row in rows], lambda out: np.array(out) / root)

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """Price alone, a loop."""
        price = lib.blackFormula
        rights = [lib.Option.Call if w > 0.0 else lib.Option.Put for w in it.right]
        columns = (it.strike, it.forward, it.vol * np.sqrt(it.years), it.df)
        rows = list(zip(rights, *(c.tolist() for c in columns), strict=True))
        return Job(lambda: [price(*row) for row in rows], lambda out: {"price": np.array(out)})


class NumpyScipy:
    """The formulas in numpy with scipy's normal function: what anybody would write first."""

    name, module, rows = "scipy", "scipy.special", None
    greeks_of = "price, delta, gamma, vega, theta, rho, vanna, volga"

    def vols(self, lib: ModuleType, it: Options, price: Floats) -> None:
        """No vectorised inversion."""

    def greeks(self, lib: ModuleType, it: Options) -> Job:
        """Price and seven Greeks, sharing what they share."""
        ndtr = lib.ndtr
        w, F, K, T, v, df = (getattr(it, n) for n in it.__slots__)

        def call() -> dict[str, Floats]:
            root = np.sqrt(T)
            s = v * root
            d1 = np.log(F / K) / s + 0.5 * s
            d2 = d1 - s
            n1, n2 = df * ndtr(w * d1), df * ndtr(w * d2)
            price = w * (F * n1 - K * n2)
            density = df * np.exp(-0.5 * d1 * d1) * 0.3989422804014327
            gamma, vega = density / (F * s), F * density * root
            r = -np.log(df) / T
            return {
                "price": price, "delta": w * n1, "gamma": gamma, "vega": vega,
                "theta": r * price - 0.5 * F * density * v / root, "rho": -T * price,
                "vanna": -density * d2 / v, "volga": vega * d1 * d2 / v,
            }  # fmt: skip

        return Job(call, dict)


SHELF: tuple[Peer, ...] = (
    Lbriv(), IvEngine(), PyVollibVectorized(), FastVollib(), Pyvolr(), PolarsVol(),
    QuantLib(), NumpyScipy(),
)  # fmt: skip

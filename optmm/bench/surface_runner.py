"""One other library fits one chain: run as a script, by the Python the library is installed in.

    python surface_runner.py NAME request.json answer.json

It imports nothing of ours, since the peers live in an environment of their own. The request has
`slices` (years, k = ln(strike/forward) rising, bid and ask vols) and `at`, where to evaluate each.
The answer has `version`, the CPU `seconds` of a first fit of the whole chain, which compiles
whatever there is to compile, and of the second (`again`, absent when the first took long), and
`vols` a slice, None where that slice failed; or `error`. Every library sees forwards of one, no
rates, and the middles of the vols unless its own interface takes bids and asks.
"""

import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = Any
Curve = Callable[[Array], Array]  # vols at k
Slice = dict[str, Any]
Fit = Callable[[list[Slice]], list["Curve | None"]]
DOLLARS = 6_000.0  # the forward for a library whose tolerances are in dollars
LONG = 5.0  # CPU seconds after which a fit is not repeated


def otm(k: Array, total_vol: Array) -> Array:
    """Undiscounted out-of-the-money prices for a forward of one."""
    from scipy.special import ndtr

    w = np.where(k >= 0.0, 1.0, -1.0)
    d1 = -k / total_vol + 0.5 * total_vol
    return w * (ndtr(w * d1) - np.exp(k) * ndtr(w * (d1 - total_vol)))


def each(fit: Callable[[Slice], Curve]) -> Fit:
    """Slice by slice; a slice that raises has no curve."""

    def every(slices: list[Slice]) -> list[Curve | None]:
        out: list[Curve | None] = []
        for one in slices:
            try:
                out.append(fit(one))
            except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
                out.append(None)
        return out

    return every


def raw_svi(letters: list[float], years: float) -> Curve:
    """Vols of raw SVI's total variance; letters a, b, rho, m, sigma."""
    a, b, rho, m, sigma = letters

    def vols(k: Array) -> Array:
        w = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma * sigma))
        return np.sqrt(np.where(w > 0.0, w, np.nan) / years)

    return vols


def quantlib(ql: Any) -> Fit:
    """SviInterpolatedSmileSection, its own start and search, weighted by vega; whole days."""
    today = ql.Date(11, 11, 2024)
    ql.Settings.instance().evaluationDate = today
    null = ql.nullDouble()

    def one(s: Slice) -> Curve:
        mid, k = s["mid"], s["k"]
        section = ql.SviInterpolatedSmileSection(
            today + round(s["years"] * 365.0), 1.0, np.exp(k).tolist(), False,
            float(np.interp(0.0, k, mid)), mid.tolist(),
            null, null, null, null, null, False, False, False, False, False, True,
        )  # fmt: skip
        letters = [getattr(section, name)() for name in ("a", "b", "rho", "m", "sigma")]
        return raw_svi(letters, s["years"])

    return each(one)


def svi_py(lib: Any, model: str, **more: Any) -> Fit:
    """Its models by name."""

    def one(s: Slice) -> Curve:
        made = lib.get_model(model)
        w_bid, w_ask = (s[side] ** 2 * s["years"] for side in ("bid", "ask"))
        own = {"w_bid": w_bid, "w_ask": w_ask} if more.get("objective") == "bid_ask" else {}
        found = made.calibrate(s["k"], s["mid"] ** 2 * s["years"], **more, **own)
        if found is None:
            raise ValueError("no parameters")
        names = ("a", "b", "rho", "m", "sigma")
        return raw_svi([found[name] for name in names], s["years"])

    return each(one)


def volsurface_slices(lib: Any, s: Slice) -> Any:
    core = importlib.import_module("volsurface.core")
    return core.MarketSlice(
        strikes=np.exp(s["k"]), ivs=s["mid"], expiry_years=s["years"], forward=1.0, spot=1.0
    )


def volsurface_svi(lib: Any) -> Fit:
    """Raw SVI an expiry."""
    models = importlib.import_module("volsurface.models")

    def one(s: Slice) -> Curve:
        model = models.RawSVI()
        model.fit(volsurface_slices(lib, s))
        return lambda k: np.sqrt(np.maximum(model.total_variance(k), 0.0) / s["years"])

    return each(one)


def volsurface_ssvi(lib: Any) -> Fit:
    """One SSVI for the chain."""
    models = importlib.import_module("volsurface.models")

    def every(slices: list[Slice]) -> list[Curve | None]:
        found, _ = models.SSVI().fit_surface([volsurface_slices(lib, s) for s in slices])

        def curve(s: Slice) -> Curve:
            return lambda k: np.sqrt(found[s["years"]].total_variance(k) / s["years"])

        return [curve(s) for s in slices]

    return every


def ssvi_surface(lib: Any) -> Fit:
    """One SSVI for the chain, from bid and ask prices, as its README sets it up."""

    def every(slices: list[Slice]) -> list[Curve | None]:
        model = lib.SSVIModel(outside_spread_penalty=2.0, lr=1e-3)
        bids, asks = (
            [DOLLARS * otm(s["k"], s[side] * np.sqrt(s["years"])) for s in slices]
            for side in ("bid", "ask")
        )
        years = np.array([s["years"] for s in slices])
        model.fit(
            years, [DOLLARS * np.exp(s["k"]) for s in slices], bids, asks,
            [np.where(s["k"] >= 0.0, "call", "put") for s in slices], DOLLARS, 0.0, 0.0,
        )  # fmt: skip
        return [lambda k, t=s["years"]: model.predict(k, t) for s in slices]

    return every


def qsmile(lib: Any, name: str) -> Fit:
    """A model of its own shelf through its quotes with bids and asks."""
    import pandas as pd

    def one(s: Slice) -> Curve:
        date = pd.Timestamp("2024-11-11")
        meta = lib.SmileMetadata(
            date=date, expiry=date + pd.Timedelta(days=round(s["years"] * 365.0)), forward=1.0,
            discount_factor=1.0, sigma_atm=float(np.interp(0.0, s["k"], s["mid"])),
        )  # fmt: skip
        strikes = lib.StrikeArray()
        index = pd.Index(np.exp(s["k"]), dtype=np.float64)
        for side in ("bid", "ask"):
            strikes.set(("y", side), pd.Series(s[side], index=index))
        data = lib.VolData(strikes, lib.XCoord.FixedStrike, lib.YCoord.Volatility, meta)
        model = lib.fit(data, getattr(lib, name)).model
        own = model.transform(lib.XCoord.LogMoneynessStrike, lib.YCoord.Volatility)
        return lambda k: np.asarray(own.evaluate(k))

    return each(one)


def volsplines(lib: Any, name: str) -> Fit:
    """A model of VolSplinesLib with bids and asks, in its own scaling of the strike."""
    inner = importlib.import_module("VolSplinesLib.interpolations").Interpolations

    def one(s: Slice) -> Curve:
        x = np.exp(s["k"])
        low, wide = x.min(), x.max() - x.min()
        found = inner.fit_model((x - low) / wide + 0.5, s["mid"], s["bid"], s["ask"], name)
        shape = getattr(inner, f"{name.lower()}_model")

        def vols(k: Array) -> Array:
            scaled = (np.exp(k) - low) / wide + 0.5
            return shape(np.log(np.where(scaled > 0.0, scaled, np.nan)), found)

        return vols

    return each(one)


def stochastic_rs(lib: Any) -> Fit:
    """SVI in Rust."""

    def one(s: Slice) -> Curve:
        found = lib.SviCalibrator(s["k"], s["mid"] ** 2 * s["years"])
        return lambda k: np.sqrt([found.total_variance(float(x)) / s["years"] for x in k])

    return each(one)


def quantkit(lib: Any) -> Fit:
    """SVI in Rust."""

    def one(s: Slice) -> Curve:
        found = lib.svi_fit(s["k"], s["mid"] ** 2 * s["years"])
        return raw_svi([found[n] for n in ("a", "b", "rho", "m", "sigma")], s["years"])

    return each(one)


def cedardev(lib: Any) -> Fit:
    """SVI by least squares."""

    def one(s: Slice) -> Curve:
        p = lib.fit_svi_slice(np.exp(s["k"]), s["mid"], s["years"], 1.0)
        return raw_svi([p.a, p.b, p.rho, p.m, p.sigma], s["years"])

    return each(one)


def spy_asian(lib: Any) -> Fit:
    """SVI by least squares, weights of its own."""

    def one(s: Slice) -> Curve:
        p = lib.calibrate_svi(s["k"], s["mid"], s["years"])
        return raw_svi([p.a, p.b, p.rho, p.m, p.sigma], s["years"])

    return each(one)


def pysabr(lib: Any) -> Fit:
    """Hagan's lognormal SABR with beta one; vols in percent, evaluated strike by strike."""
    module = importlib.import_module("pysabr.models.hagan_2002_lognormal_sabr")

    def one(s: Slice) -> Curve:
        model = lib.Hagan2002LognormalSABR(f=1.0, shift=0.0, t=s["years"], beta=1.0)
        level = float(np.interp(0.0, s["k"], s["mid"]))
        alpha, rho, nu = model.fit(np.exp(s["k"]), 100.0 * s["mid"], [level, -0.5, 1.0])

        def vol(strike: float) -> float:
            return module.lognormal_vol(strike, 1.0, s["years"], alpha, 1.0, rho, nu)

        return lambda k: np.array([vol(strike) for strike in np.exp(k).tolist()])

    return each(one)


# name: (distribution, module, how it fits)
PEERS: dict[str, tuple[str, str, Callable[[Any], Fit]]] = {
    "QuantLib SVI": ("QuantLib", "QuantLib", quantlib),
    "svi-py SVI": ("svi-py", "pysvi", lambda lib: svi_py(lib, "svi")),
    "svi-py SVI, bid/ask": (
        "svi-py", "pysvi", lambda lib: svi_py(lib, "svi", objective="bid_ask")
    ),
    "volsurface SVI": ("volsurface", "volsurface", volsurface_svi),
    "volsurface SSVI": ("volsurface", "volsurface", volsurface_ssvi),
    "ssvi-surface": ("ssvi-surface", "ssvi_surface", ssvi_surface),
    "qsmile SVI": ("qsmile", "qsmile", lambda lib: qsmile(lib, "SVIModel")),
    "qsmile SABR": ("qsmile", "qsmile", lambda lib: qsmile(lib, "SABRModel")),
    "VolSplinesLib RFV": ("VolSplinesLib", "VolSplinesLib", lambda lib: volsplines(lib, "RFV")),
    "VolSplinesLib SVI": ("VolSplinesLib", "VolSplinesLib", lambda lib: volsplines(lib, "SVI")),
    "stochastic-rs SVI": ("stochastic-rs", "stochastic_rs", stochastic_rs),
    "quantkit-rs SVI": ("quantkit-rs", "quantkit", quantkit),
    "cedardev SVI": (
        "cedardev-equity-derivatives", "cedardev.equity.calibration.svi", cedardev
    ),
    "pysabr SABR": ("pysabr", "pysabr", pysabr),
    "spy-asian-pricer SVI": ("spy-asian-pricer", "spy_asian_pricer", spy_asian),
}  # fmt: skip


def run(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    distribution, module, adapt = PEERS[name]
    slices: list[Slice] = [
        {"years": float(s["years"]), **{n: np.array(s[n], float) for n in ("k", "bid", "ask")}}
        for s in request["slices"]
    ]
    for s in slices:
        s["mid"] = 0.5 * (s["bid"] + s["ask"])
    fit = adapt(importlib.import_module(module))
    times: list[float] = []
    curves: list[Curve | None] = []
    while not times or (len(times) < 2 and times[0] < LONG):
        start = time.process_time()
        curves = fit(slices)
        times.append(time.process_time() - start)
    vols = []
    for curve, at in zip(curves, request["at"], strict=True):
        got = None if curve is None else np.asarray(curve(np.array(at, float)), float)
        vols.append(None if got is None else np.where(np.isfinite(got), got, -1.0).tolist())
    answer = {"version": importlib.metadata.version(distribution), "seconds": times[0]}
    return answer | {"vols": vols} | ({"again": times[1]} if len(times) > 1 else {})


def main(name: str, request: str, answer: str) -> None:
    """Read, fit, write; whatever a library raises becomes its `error`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            said = run(name, json.loads(Path(request).read_text(encoding="utf-8")))
        except Exception as error:  # a stranger's code: what it raises is its row in the table
            first = (str(error).splitlines() or [""])[0]
            said = {"error": f"{type(error).__name__}: {first}"}
    Path(answer).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4])

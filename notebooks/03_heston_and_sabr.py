# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Heston and SABR
#
# Two models with few parameters, on the same quotes. Heston takes five for the whole surface, SABR
# three for each expiry. First a market whose truth is known, then a chain as it is: SPX after four
# closes, if the data are in `../shared/data` beside the repository, else the embedded simulated day
# at four instants. QuantLib is the referee.

# %%
# %matplotlib inline
import os
import time
from pathlib import Path

import numpy as np
import polars as pl

import optmm
import surfaces
from optmm.data.snapshots import frozen, open_snapshot
from surfaces import quantlib
from surfaces.plots.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION
from surfaces.plots.style import figure, tidy, time_axis
from surfaces.pricing import bates, black, heston, monte_carlo
from surfaces.quantlib import ql
from surfaces.smiles import sabr

_ = pl.Config(tbl_cols=-1, tbl_rows=24, tbl_width_chars=180, float_precision=4)

# OPTMM_DATA names another folder of data.
DATA = Path(os.environ.get("OPTMM_DATA", Path(optmm.__file__).parents[2] / "shared/data"))
LETTERS = ("v0", "kappa", "theta", "sigma", "rho")

# %% [markdown]
# # Part one: a market that is Heston's
#
# ## 1. Find what was planted
#
# dF = sqrt(v) F dW, dv = kappa (theta - v) dt + sigma sqrt(v) dZ, correlation rho. v0 and theta are
# variances a year: 0.04 is a vol of 20 %. Ten expiries of ten strikes; first the exact vols, then
# forty markets whose makers are each a little off, with a spread of half a vol point.

# %%
truth = heston.Parameters(v0=0.03, kappa=2.0, theta=0.05, sigma=0.7, rho=-0.7)
years = np.repeat(np.array([7, 14, 30, 61, 91, 182, 274, 365, 548, 730]) / 365, 10)
strike = 100.0 * np.exp(0.2 * np.tile(np.linspace(-2.0, 2.0, 10), 10) * np.sqrt(years))
place = {"forward": np.full(100, 100.0), "strike": strike, "years": years}
vol = heston.vol(truth, **place).vol

exact = heston.calibrate(place | {"vol": vol})
off = np.abs(exact.params.vector() / truth.vector() - 1.0).max()
print(f"exact vols: {exact.message} in {exact.iterations} steps, parameters within {off:.0e}")
assert exact.ok and off < 1e-5

rng = np.random.default_rng(5)
fits = []
for _ in range(40):
    middle = vol + 0.001 * rng.standard_normal(100)
    quotes = {"bid_vol": middle - 0.0025, "ask_vol": middle + 0.0025}
    fits.append(heston.calibrate(place | quotes))
z = [(f.params.vector() - truth.vector()) / [*f.standard_errors.values()] for f in fits]
covered = np.mean(np.abs(z) < 1.96)
print(f"noisy quotes: {covered:.0%} of 200 parameters within 1.96 of their standard errors")
assert all(f.ok for f in fits) and covered > 0.85
pl.DataFrame(
    {
        "letter": LETTERS,
        "planted": truth.vector(),
        "found": fits[0].params.vector(),
        "standard error": [*fits[0].standard_errors.values()],
        "off, errors": z[0],
    }
)

# %% [markdown]
# A standard error speaks of noise in the quotes, if the model is right. Part two shows what it is
# worth when the model is not.
#
# # Part two: a market as it is
#
# ## 2. The surface
#
# The surface brings forwards, discount factors and cleaned quotes out of the money; its mixtures
# are what the parametric models are measured by. Heston and Bates see twelve of its expiries, from
# four days on, and strikes within four deviations.


# %%
def simulated(minutes):
    """The embedded SPY day, so many minutes after its open."""
    from optmm.data.simulator import simulate_day
    from optmm.data.simulator.config import SimulationConfig

    day = simulate_day(SimulationConfig(minutes=20), seed=7).day
    return frozen(day, day.session.open_ns + minutes * 60 * 10**9)


def fitted(snapshot):
    """Its surface."""
    return surfaces.fit(snapshot.quotes, valuation_ns=snapshot.valuation_ns, spot=snapshot.spot)


def twelve(surface, first=4.0):
    """Twelve slices from `first` days to the last expiry."""
    at = np.flatnonzero(surface.years > first / 365)
    wanted = np.geomspace(surface.years[at[0]], surface.years[at[-1]], 12)
    return np.unique([at[np.argmin(np.abs(np.log(surface.years[at] / t)))] for t in wanted])


def quotes_of(surface, slices, deviations=4.0):
    """Quotes of some slices as `calibrate` takes them."""
    q, of = surface.quotes, surface.chain.slice_of[surface.quotes.row]
    width = (surface.atm_vol * np.sqrt(surface.years))[of]
    use = q.used & np.isin(of, slices) & (np.abs(q.k) < deviations * width)
    use &= np.isfinite(q.bid_vol + q.ask_vol)
    of = of[use]
    return {
        "years": surface.years[of],
        "forward": surface.forwards[of],
        "df": surface.dfs[of],
        "strike": surface.chain.strike[q.row[use]],
        "bid_vol": q.bid_vol[use],
        "ask_vol": q.ask_vol[use],
        "mixture": q.model_vol[use],
        "slice": of,
    }


SPX = DATA / "cboe_quotedata"
CLOSES = [SPX / f"spx_2023-{day}_close.csv.gz" for day in ("04-14", "04-17", "05-05", "05-19")]
real = all(path.exists() for path in CLOSES)
named = {p.name[4:14]: p for p in CLOSES} if real else {f"09:{30 + m}": m for m in (15, 5, 10, 20)}
chains = {name: (open_snapshot if real else simulated)(at).check() for name, at in named.items()}
fits = {name: fitted(snapshot) for name, snapshot in chains.items()}
today, snapshot = next(iter(chains.items()))
surface = fits[today]
shown = twelve(surface)
quotes = quotes_of(surface, shown)
print(f"{snapshot.underlying}: {surface}")
print(f"{quotes['strike'].size} quotes of {shown.size} expiries")

# %% [markdown]
# ## 3. Heston
#
# Least squares of vols, weighed by one over the half spread, with the exact gradient. `feller` is 2
# kappa theta / sigma^2: below one the variance can reach zero, and fits to an equity index usually
# are below. Bates adds jumps of ln F: so many a year, of some mean and deviation.

# %%
started = time.perf_counter()
plain = heston.calibrate(quotes)
print(f"Heston: {1e3 * (time.perf_counter() - started):.0f} ms, {plain.message}")
started = time.perf_counter()
jumps = bates.calibrate(quotes)
print(f"Bates: {1e3 * (time.perf_counter() - started):.0f} ms, {jumps.message}")
print(
    f"Feller {plain.feller:.2f} and {jumps.feller:.2f}; root mean square error "
    f"{100 * plain.rmse_vol:.2f} and {100 * jumps.rmse_vol:.2f} vol points"
)
assert plain.ok and plain.feller < 1.0 and plain.params.rho < -0.4
weighed = [np.mean((c.quotes.weight * (c.model_vol - c.quotes.vol)) ** 2) for c in (plain, jumps)]
assert weighed[1] < weighed[0], "Heston is Bates without jumps"
pl.DataFrame(
    {
        "letter": jumps.names,
        "Heston": [*plain.params.vector(), *[None] * 3],
        "error": [*plain.standard_errors.values(), *[None] * 3],
        "Bates": jumps.params.vector(),
        "error of Bates": [*jumps.standard_errors.values()],
    },
    strict=False,
)

# %% [markdown]
# An error that is NaN belongs to a letter at the edge of its bounds, which the message names: the
# quotes do not tell how far it should go. `bounds=` changes them.

# %%
drawing = figure(10.5, 6.0)
panels = drawing.subplots(2, 3).ravel()
for panel, j in zip(panels, shown[[0, 1, 3, 5, 7, 8]], strict=True):
    mine = quotes["slice"] == j
    x = np.log(quotes["strike"][mine] / surface.forwards[j])
    low, high = 100 * quotes["bid_vol"][mine], 100 * quotes["ask_vol"][mine]
    panel.vlines(x, low, high, color=GREY, lw=1.2, label="bid to ask")
    grid = np.linspace(x.min(), x.max(), 121)
    at = {"forward": surface.forwards[j], "years": surface.years[j]}
    at["strike"] = at["forward"] * np.exp(grid)
    panel.plot(grid, 100 * surface.slice_vol(j, at["strike"]), color=INK, lw=0.9, label="mixture")
    panel.plot(grid, 100 * heston.vol(plain.params, **at).vol, color=BLUE, label="Heston")
    panel.plot(grid, 100 * bates.vol(jumps.params, **at).vol, "--", color=VERMILION, label="Bates")
    days = 365 * surface.years[j]
    panel.set_title(f"{surface.chain.expiry_labels[j]}, {days:.0f} days", fontsize=10)
    panel.set(xlabel="ln(strike / forward)", ylabel="Black vol, %")
    tidy(panel)
panels[0].legend(frameon=False, fontsize=8)
drawing

# %% [markdown]
# The market's smiles bend and tilt the more, the shorter they are. A diffusion's do not: vol needs
# time to move, and its skew dvol/dk tends to rho sigma / (4 vol) as time runs out. So one sigma is
# too little for the first days and too much for the rest, and the fit lies between. Jumps bend the
# short wings; their effect dies out with time.
#
# ## 4. Who hits?
#
# The share of quotes between whose bid and ask a model lies, and its typical error, by expiry. The
# mixture has dozens of parameters an expiry and is certified free of arbitrage; five for all of
# them cannot follow quotes of a liquid index.


# %%
def score(vols, mine):
    """(share between bid and ask, root mean square error in vol points)."""
    low, high = quotes["bid_vol"][mine], quotes["ask_vol"][mine]
    error = vols[mine] - 0.5 * (low + high)
    inside = (vols[mine] >= low) & (vols[mine] <= high)
    return 100.0 * inside.mean(), 100.0 * np.sqrt(np.mean(error**2))


where = {name: quotes[name] for name in ("forward", "strike", "years")}
answers = {
    "mixture": quotes["mixture"],
    "Heston": heston.vol(plain.params, **where).vol,
    "Bates": bates.vol(jumps.params, **where).vol,
}
lines = []
for j in shown:
    mine = quotes["slice"] == j
    half = 50.0 * np.median((quotes["ask_vol"] - quotes["bid_vol"])[mine])
    line = {"expiry": surface.chain.expiry_labels[j], "quotes": mine.sum(), "half spread": half}
    for name, vols in answers.items():
        line[f"{name} hit %"], line[f"{name} off"] = score(vols, mine)
    lines.append(line)
everything = np.ones(quotes["strike"].size, bool)
total = {name: score(vols, everything) for name, vols in answers.items()}
print(", ".join(f"{name} {hit:.0f} % at {off:.2f} points" for name, (hit, off) in total.items()))
assert total["mixture"][0] > 97.0 > 50.0 > total["Heston"][0]
pl.DataFrame(lines)

# %% [markdown]
# Leave the first month out, and Heston serves better: the rest of the surface is more like it.

# %%
later = quotes_of(surface, np.flatnonzero(surface.years > 30 / 365))
calm = heston.calibrate(later)
whole = heston.calibrate(quotes_of(surface, np.arange(surface.chain.slices)))
for name, fit in (("every expiry", whole), ("from a month on", calm)):
    print(
        f"{name}: {len(fit.quotes)} quotes, {100 * fit.rmse_vol:.2f} points, "
        f"sigma {fit.params.sigma:.2f}, kappa {fit.params.kappa:.2f}"
    )
assert calm.rmse_vol < 0.7 * whole.rmse_vol and calm.params.sigma < whole.params.sigma

# %% [markdown]
# ## 5. Is it the answer?
#
# Eight starts drawn at random, one descent each: do they meet? Then the same model at other times:
# how far do its letters move, in the errors that each fit claims?

# %%
same = 0
for _ in range(8):
    start = rng.uniform([0.01, 0.5, 0.01, 0.2, -0.9], [0.15, 8.0, 0.15, 1.5, 0.0])
    start = heston.Parameters(**dict(zip(LETTERS, start, strict=True)))
    again = heston.calibrate(quotes, start, starts=1)
    near = np.abs(again.params.vector() / plain.params.vector() - 1.0).max()
    same += near < 1e-3
print(f"{same} of 8 starts end where the calibration did")
assert same >= 6

lines, before = [], plain
for name, other in fits.items():
    fit = heston.calibrate(quotes_of(other, twelve(other)), before)
    errors = np.array([*fit.standard_errors.values()])
    away = (fit.params.vector() - plain.params.vector()) / errors
    line = {"when": name} | dict(zip(LETTERS, fit.params.vector(), strict=True))
    lines.append(line | {"feller": fit.feller, "farthest move, errors": np.abs(away).max()})
    assert fit.ok
    before = fit
moves = pl.DataFrame(lines)
print(f"moves of up to {moves['farthest move, errors'].max():.0f} standard errors")
moves

# %% [markdown]
# The letters move by many of their errors. Constants that move are no constants: the errors count
# noise only, while most of what is left is the model's own. kappa and sigma move together: beyond
# the first weeks the skew goes like rho sigma / kappa, so quotes see their ratio best.
#
# ## 6. QuantLib
#
# The same letters must give the same prices. QuantLib counts whole days, so both are given those.

# %%
RATE, CARRY = 0.045, 0.015
reference = np.datetime64(surface.ts_ns, "ns").astype("datetime64[D]").astype(object)
on = quantlib.flat_curves(reference=reference, spot=100.0, rate=RATE, carry=CARRY)
model = quantlib.heston_model(plain.params, on)
engine = ql.AnalyticHestonEngine(model, 192)
begin = ql.Date(reference.day, reference.month, reference.year)
gaps = []
with quantlib.evaluation_date(reference):
    for days in (7, 30, 91, 365, 730):
        T = days / 365
        F = 100.0 * np.exp((RATE - CARRY) * T)
        for K in np.round(100.0 * np.exp(0.2 * np.sqrt(T) * np.array([-2.0, -1.0, 0.0, 1.0]))):
            put = ql.PlainVanillaPayoff(ql.Option.Put, K)
            option = ql.VanillaOption(put, ql.EuropeanExercise(begin + days))
            option.setPricingEngine(engine)
            terms = {"forward": F, "strike": K, "years": T, "df": np.exp(-RATE * T)}
            gaps.append(abs(heston.price(plain.params, right=-1, **terms) - option.NPV()))
print(f"{len(gaps)} puts on a spot of 100: {max(gaps):.0e} USD apart at most")
assert max(gaps) < 1e-6
assert np.array_equal(quantlib.heston_letters(model), plain.params.vector()), "there and back"

# %% [markdown]
# And the same quotes from the same start must lead to the same fit. QuantLib fits by its helpers
# and its own Levenberg-Marquardt; some two hundred of the quotes will do.

# %%
few = np.arange(0, quotes["strike"].size, max(quotes["strike"].size // 200, 1))
days = np.maximum(np.rint(365 * quotes["years"][few]), 1).astype(int)
x = np.log(quotes["strike"] / quotes["forward"])[few]
middle = 0.5 * (quotes["bid_vol"] + quotes["ask_vol"])[few]
half = 0.5 * (quotes["ask_vol"] - quotes["bid_vol"])[few]
weight = 1.0 / np.maximum(half, np.median(half))
weight /= np.sqrt(np.mean(weight**2))
problem = {"years": days / 365, "forward": np.full(few.size, 100.0)}
problem |= {"strike": 100.0 * np.exp(x), "vol": middle}
start = heston.Parameters(v0=0.04, kappa=2.0, theta=0.05, sigma=0.8, rho=-0.6)


def theirs():
    """QuantLib's letters and seconds."""
    zero = quantlib.flat_curves(reference=reference, spot=100.0, rate=0.0)
    model = quantlib.heston_model(start, zero)
    engine = ql.AnalyticHestonEngine(model, 64)
    helpers = []
    by_vol = zero.risk_free, zero.dividend, ql.BlackCalibrationHelper.ImpliedVolError
    for day, K, v in zip(days.tolist(), problem["strike"].tolist(), middle.tolist(), strict=True):
        quote = ql.QuoteHandle(ql.SimpleQuote(v))
        after = ql.Period(day, ql.Days)
        helper = ql.HestonModelHelper(after, ql.NullCalendar(), 100.0, K, quote, *by_vol)
        helper.setPricingEngine(engine)
        helpers.append(helper)
    method = ql.LevenbergMarquardt(1e-8, 1e-8, 1e-8), ql.EndCriteria(400, 40, 1e-8, 1e-8, 1e-8)
    started = time.perf_counter()
    model.calibrate(helpers, *method, ql.NoConstraint(), (weight**2).tolist())
    seconds = time.perf_counter() - started
    return heston.Parameters(**quantlib.heston_letters(model)._asdict()), seconds


with quantlib.evaluation_date(reference):
    referee, their_seconds = theirs()
started = time.perf_counter()
ours = heston.calibrate(problem, start, weights=weight)
our_seconds = time.perf_counter() - started
place = {name: problem[name] for name in ("forward", "strike", "years")}
cost = {
    name: float(np.sqrt(np.mean((weight * (heston.vol(p, **place).vol - middle)) ** 2)))
    for name, p in (("ours", ours.params), ("QuantLib", referee))
}
print(
    f"{few.size} quotes: ours {100 * cost['ours']:.4f} weighed vol points, QuantLib "
    f"{100 * cost['QuantLib']:.4f}, in {their_seconds / our_seconds:.0f} times the time"
)
assert cost["ours"] <= cost["QuantLib"] * (1.0 + 1e-6)
pl.DataFrame({"letter": LETTERS, "ours": ours.params.vector(), "QuantLib": referee.vector()})

# %% [markdown]
# ## 7. Monte Carlo
#
# Paths of the fitted model by Andersen's QE scheme, and the Fourier price they must find. The bars
# are two of the errors that the simulation reports: the spread of independent replicates, and what
# a time step twice as long would change. All options share one set of paths, so they err together.

# %%
ends = shown[[3, 6, 9]]
drawing = figure(10.5, 3.3)
spread_out = np.linspace(-2.0, 2.0, 11)
T = np.repeat(surface.years[ends], spread_out.size)
F = np.repeat(surface.forwards[ends], spread_out.size)
level = np.repeat(surface.atm_vol[ends], spread_out.size)
K = F * np.exp(level * np.sqrt(T) * np.tile(spread_out, ends.size))
option = {"right": np.where(K >= F, 1, -1), "forward": F, "strike": K, "years": T}
drawn = monte_carlo.heston(plain.params, **option, paths=32_768)
fourier = heston.price(plain.params, **option)
vega = black.greeks(**option, vol=heston.vol(plain.params, forward=F, strike=K, years=T).vol).vega
gap, error = 1e4 * (drawn.price - fourier) / vega, 1e4 * drawn.error / vega
looks = {"fmt": "o", "ms": 3.5, "lw": 1.2, "color": BLUE, "capsize": 2}
for panel, j, by, bar in zip(
    drawing.subplots(1, 3), ends, np.split(gap, ends.size), np.split(error, ends.size), strict=True
):
    panel.errorbar(spread_out, by, 2.0 * bar, **looks)
    panel.axhline(0.0, color=INK, lw=0.8)
    panel.set_title(f"{365 * surface.years[j]:.0f} days", fontsize=10)
    panel.set(xlabel="deviations from the forward", ylabel="simulated less Fourier, bp of vol")
    tidy(panel)
z = (drawn.price - fourier) / drawn.error
print(
    f"{drawn.paths:,} paths of {drawn.steps} steps: {np.mean(np.abs(z) < 2):.0%} of {z.size} "
    f"prices within two errors, the farthest at {np.abs(z).max():.1f}"
)
assert np.abs(z).max() < 4.5 and np.mean(np.abs(z) < 2.0) > 0.75
drawing

# %% [markdown]
# ## 8. SABR, expiry by expiry
#
# dF = A F^beta dW, dA = nu A dZ. One expiry's smile does not tell beta from rho, so beta is chosen;
# one is the usual choice for equities. A desk reads the fit in other letters: vol, skew and
# curvature at the money.


# %%
def sabr_fits(beta):
    """A calibration by slice, for the slices with ten quotes or more."""
    found = {}
    for j in range(surface.chain.slices):
        mine = quotes_of(surface, [j])
        if mine["strike"].size < 10 or surface.years[j] < 4 / 365:
            continue
        half = 0.5 * (mine["ask_vol"] - mine["bid_vol"])
        found[j] = sabr.calibrate(
            forward=surface.forwards[j],
            years=surface.years[j],
            strike=mine["strike"],
            vol=0.5 * (mine["bid_vol"] + mine["ask_vol"]),
            half_spread=np.maximum(half, 0.1 * np.median(half[half > 0.0])),
            beta=beta,
        )
    return found


lognormal = sabr_fits(1.0)
good = [j for j, fit in lognormal.items() if fit.status == "ok"]
print(f"{len(good)} of {len(lognormal)} expiries have all three letters inside their bounds")
assert len(good) > 0.8 * len(lognormal)
T = surface.years[good]
found = [lognormal[j] for j in good]
value = np.array(
    [(f.params.alpha, f.params.rho, f.params.nu, 100 * f.at_money[0], *f.at_money[1:])
     for f in found]
).T  # fmt: skip
error = np.array([(*f.errors, 100 * f.at_money_error[0], *f.at_money_error[1:]) for f in found]).T
names = ("alpha", "rho", "nu per root year", "vol at the money, %", "skew, dvol/dk", "d2vol/dk2")
drawing = figure(10.5, 5.4)
panels = drawing.subplots(2, 3).ravel()
for panel, name, level, bar in zip(panels, names, value, error, strict=True):
    panel.errorbar(T, level, 2.0 * bar, fmt="o", ms=3, lw=1.0, color=BLUE, label="SABR")
    panel.set(xscale="log", xlabel="time to expiry", ylabel=name)
    time_axis(panel.xaxis, T[0], T[-1])
    tidy(panel)
panels[3].plot(T, 100 * surface.atm_vol[good], color=ORANGE, lw=1.0, label="mixture")
panels[4].plot(T, surface.skew[good], color=ORANGE, lw=1.0, label="mixture")
panels[3].legend(frameon=False, fontsize=8)
slope, nu = (np.polyfit(np.log(T), np.log(np.abs(value[i])), 1)[0] for i in (4, 2))
print(f"skew falls like years^{slope:.2f}, nu like years^{nu:.2f}")
assert -0.8 < slope < -0.1 and -0.8 < nu < -0.2
drawing

# %% [markdown]
# nu falls nearly like the root of time: no single nu serves two expiries, so SABR is a smile, not a
# model of a surface. What each model leaves, beside the market's own spread:

# %%
lines = []
for j in shown:
    mine = quotes["slice"] == j
    line = {"years": surface.years[j]}
    line["half spread"] = 50 * np.median((quotes["ask_vol"] - quotes["bid_vol"])[mine])
    where = {name: quotes[name][mine] for name in ("forward", "strike", "years")}
    vols = dict(answers) | {"SABR": np.full(everything.size, np.nan)}
    if j in lognormal:
        vols["SABR"][mine] = sabr.vol(lognormal[j].params, **where)
    for name, values in vols.items():
        line[f"{name} hit %"], line[name] = score(values, mine)
    lines.append(line)
left = pl.DataFrame(lines)
drawing = figure(7.5, 3.6)
panel = drawing.subplots()
panel.fill_between(left["years"], 0.0, left["half spread"], color=GREY, alpha=0.3, lw=0)
panel.plot([], [], color=GREY, alpha=0.5, lw=6, label="median half spread")
looks = {"Heston": (BLUE, "o"), "Bates": (VERMILION, "s"), "SABR": (GREEN, "^")}
for name, (colour, mark) in (looks | {"mixture": (INK, "D")}).items():
    panel.plot(left["years"], left[name], mark + "-", ms=4, lw=1.0, color=colour, label=name)
panel.set(xscale="log", yscale="log", xlabel="time to expiry")
panel.set_ylabel("root mean square error, vol points")
time_axis(panel.xaxis, left["years"].min(), left["years"].max())
tidy(panel)
panel.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
assert np.nanmedian(left["SABR"] / left["Heston"]) < 1.0
drawing

# %% [markdown]
# Three letters an expiry come nearer than five for all, and still lie outside most quotes of a
# liquid expiry. Hence the mixtures of `surfaces.fit`.
#
# ## 9. A negative density
#
# Hagan's formula is an expansion in time. At low strikes and long dates its density goes below
# zero: a butterfly for less than nothing. Here the forward is 1, alpha 0.35, beta 0.25, nu 1, rho
# -0.1, and the expiry in one year. `check_density` finds where; `arbitrage_free` solves the forward
# equation, in which a mass cannot become negative, and says how much of it is absorbed at zero.

# %%
p = sabr.Parameters(alpha=0.35, beta=0.25, nu=1.0, rho=-0.1)
wrong = sabr.check_density(p, forward=1.0, years=1.0)
print(wrong.words)
right = sabr.arbitrage_free(p, forward=1.0, years=1.0)
print(f"absorbed at zero: {right.absorbed:.1%}")
K = np.linspace(0.01, 2.5, 600)
hagan = sabr.density(p, forward=1.0, strike=K, years=1.0)
cured = right.density(K)
drawing = figure(9.5, 3.4)
one, two = drawing.subplots(1, 2)
one.plot(K, hagan, color=VERMILION, label="Hagan")
one.fill_between(K, hagan, 0.0, where=hagan < 0.0, color=VERMILION, alpha=0.3, lw=0)
one.plot(K, cured, "--", color=BLUE, label="arbitrage-free")
one.axhline(0.0, color=INK, lw=0.8)
one.set(xlabel="forward at expiry", ylabel="density", ylim=(-0.5, 1.6))
two.plot(K, 100 * sabr.vol(p, forward=1.0, strike=K, years=1.0), color=VERMILION, label="Hagan")
two.plot(K, 100 * right.vol(K).vol, "--", color=BLUE, label="arbitrage-free")
two.set(xlabel="strike, forward 1", ylabel="Black vol, %")
for panel in (one, two):
    panel.axvline(wrong.below, color=GREY, lw=0.8, ls=":")
    tidy(panel)
    panel.legend(frameon=False)
assert not wrong.free and hagan.min() < 0.0 <= cured.min() and 0.0 < right.absorbed < 0.3
free = [
    sabr.check_density(f.params, forward=surface.forwards[j], years=surface.years[j]).free
    for j, f in lognormal.items()
]
print(f"of today's {len(free)} smiles with beta 1, {sum(free)} have no negative density")
drawing

# %% [markdown]
# ## 10. Deltas
#
# What does vol do when the forward moves? "Sticky" leaves the vol of the strike, Hagan's delta
# holds alpha, and Bartlett's moves alpha by what rho expects of it. With alpha held the answer
# depends on beta, which was only chosen; Bartlett's delta hardly does.

# %%
normal = sabr_fits(0.5)
j = int(np.argmin(np.abs(surface.years - 0.25)))
x = np.linspace(-2.5, 2.0, 61) * surface.atm_vol[j] * np.sqrt(surface.years[j])
at = {"right": 1, "forward": surface.forwards[j], "years": surface.years[j]}
at |= {"strike": surface.forwards[j] * np.exp(x), "df": 1.0}
deltas = {
    (kind, beta): sabr.delta(book[j].params, **at, kind=kind)
    for beta, book in ((1.0, lognormal), (0.5, normal))
    for kind in ("sticky", "hagan", "bartlett")
}
drawing = figure(7.5, 3.6)
panel = drawing.subplots()
for kind, colour in (("hagan", VERMILION), ("bartlett", BLUE)):
    for beta, dashes in ((1.0, "-"), (0.5, "--")):
        more = deltas[kind, beta] - deltas["sticky", beta]
        label = f"{'alpha held' if kind == 'hagan' else 'Bartlett'}, beta {beta:g}"
        panel.plot(x, more, dashes, color=colour, label=label)
panel.axhline(0.0, color=INK, lw=0.8)
panel.set(
    xlabel="ln(strike / forward)",
    ylabel="call delta less sticky strike's",
    title=f"{surface.chain.expiry_labels[j]}, {365 * surface.years[j]:.0f} days",
)
tidy(panel)
panel.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
gap = {kind: np.abs(deltas[kind, 1.0] - deltas[kind, 0.5]).max() for kind in ("hagan", "bartlett")}
print(f"beta 1 against 0.5: {gap['hagan']:.3f} with alpha held, {gap['bartlett']:.3f} Bartlett's")
money = np.argmin(np.abs(x))
lower = deltas["bartlett", 1.0][money] - deltas["sticky", 1.0][money]
print(f"at the money Bartlett's delta is {lower:+.3f} off sticky strike's")
assert gap["bartlett"] < 0.5 * gap["hagan"] and lower < 0.0
drawing

# %% [markdown]
# With a falling skew vol rises when the forward falls, so a call is hedged with less than its Black
# delta. How much less is an empirical question: notebook 05 asks it.

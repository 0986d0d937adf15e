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
# # Local vol and dynamics
#
# Today's quotes say what every option is worth today. What will the smile do when spot moves? Local
# volatility is one answer, and the market gives another. First the local vol of a chain: SPX after
# one close, if the data are in `../shared/data` beside the repository, else a quarter of an hour
# into the embedded simulated day. Then how smiles move, what a hedge gains by knowing it, and what
# the whole smile is worth as variance.

# %%
# %matplotlib inline
import csv
import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import optmm
import surfaces
from hedging import minimum_variance
from hedging.delta import smile_aware
from optmm.bench.surface_minutes import tops
from optmm.data.readers import open_day
from optmm.data.simulator import simulate_day
from optmm.data.simulator.config import SimulationConfig
from optmm.data.snapshots import frozen, open_snapshot
from optmm.engine.market import slices_of
from optmm.risk.scenarios import Instruments, revalue
from surfaces import andreasen_huge, dynamics, plot, variance_swap, vix
from surfaces.dynamics_changes import of_surfaces
from surfaces.dynamics_history import skew_stickiness
from surfaces.live import FitConfig, LiveFitter
from surfaces.local_vol import dupire
from surfaces.plots.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION
from surfaces.plots.style import figure, tidy, time_axis
from surfaces.pricing import black, heston, implied, monte_carlo
from surfaces.pricing import local_vol as forward_equation

_ = pl.Config(tbl_cols=-1, tbl_rows=24, tbl_width_chars=160, float_precision=4)

# OPTMM_DATA names another folder of data.
DATA = Path(os.environ.get("OPTMM_DATA", Path(optmm.__file__).parents[2] / "shared/data"))
SPX = DATA / "cboe_quotedata/spx_2023-05-26_close.csv.gz"


def embedded():
    """The simulated SPY day, a quarter of an hour after its open."""
    day = simulate_day(SimulationConfig(minutes=20), seed=7).day
    return frozen(day, day.session.open_ns + 15 * 60 * 10**9)


snapshot = (open_snapshot(SPX) if SPX.exists() else embedded()).check()
surface = surfaces.fit(snapshot.quotes, valuation_ns=snapshot.valuation_ns, spot=snapshot.spot)
quotes, of = surface.quotes, surface.chain.slice_of[surface.quotes.row]
print(f"{snapshot.underlying}: {surface}")


def nearest(days):
    """The slice that expires nearest to so many days from now."""
    return int(np.argmin(np.abs(365 * surface.years - days)))


# %% [markdown]
# # Part one: local vol
#
# ## 1. Dupire
#
# There is one diffusion whose vol depends on spot and time alone and whose European prices are the
# surface's: vol^2 = w_T / g, with w the total variance and g the density in Durrleman's form. Where
# the surface has a density and its variance rises with time, the local vol is a number; elsewhere
# it is nothing, and the node says why. Nothing is clipped.

# %%
local = dupire(surface)
print(local)
for why, count in local.why().items():
    print(f"{count / local.flag.size:.2%} {why}")
width = surface.atm_vol * np.sqrt(surface.years)
inside = np.abs(local.k) < 2.0 * np.interp(local.years, surface.years, width)[:, None]
print(f"within two deviations of the forward {local.bad[inside].mean():.1%} of the nodes are bad")
assert local.bad[inside].mean() < 0.01
plot.local_vol(local)

# %% [markdown]
# The skew of local vol is about twice that of the smile, and it jumps at every expiry, as variance
# between expiries is spread evenly. A pricer cannot use a hole: `filled` puts a neighbour's vol
# there, and counts. The steps of a simulation meet the jumps, whatever their length.
#
# ## 2. Does it reprice?
#
# One sweep of the forward equation prices every quoted option under the local vol; paths by Monte
# Carlo do so a second time, with error bars. Both are compared with the vols of the surface.

# %%
whole = local.filled()
priced = forward_equation.reprice(whole, surface)
off = priced["error_in_half_spreads"].abs().drop_nulls()
print(
    f"{len(priced)} quotes: median error {1e4 * priced['error'].abs().median():.2f} bp of vol, "
    f"99 % within {off.quantile(0.99):.2f} half spreads"
)
assert off.quantile(0.99) < 0.2

ends = [nearest(days) for days in (14, 30, 60)]
z = np.linspace(-2.0, 1.5, 8)
T = np.repeat(surface.years[ends], z.size)
k = np.tile(z, 3) * np.repeat(width[ends], z.size)
option = {"right": np.where(k >= 0, 1, -1), "forward": 1.0, "strike": np.exp(k), "years": T}
level = np.concatenate(
    [surface.slice_vol(j, surface.forwards[j] * np.exp(z * width[j])) for j in ends]
)
drawn = monte_carlo.local_vol(whole, **option, paths=32_768)
vega = black.greeks(**option, vol=level).vega
gap = 1e4 * (drawn.price - black.price(**option, vol=level)) / vega
bar = 1e4 * drawn.error / vega
by_equation = 1e4 * (forward_equation.implied_vol(whole, k=k, years=T) - level)
drawing = figure(10.5, 3.3)
looks = {"fmt": "o", "ms": 3.5, "capsize": 2, "color": BLUE, "label": "Monte Carlo, ± 2 errors"}
for i, (panel, j) in enumerate(zip(drawing.subplots(1, 3), ends, strict=True)):
    rows = slice(i * z.size, (i + 1) * z.size)
    panel.errorbar(z, gap[rows], 2.0 * bar[rows], **looks)
    panel.plot(z, by_equation[rows], "s", ms=4, mfc="none", color=VERMILION, label="equation")
    panel.axhline(0.0, color=INK, lw=0.8)
    panel.set_title(f"{365 * surface.years[j]:.0f} days", fontsize=10)
    panel.set(xlabel="deviations from the forward", ylabel="repriced less surface, bp of vol")
    tidy(panel)
panel.legend(frameon=False, fontsize=8)
print(
    f"{drawn.paths:,} paths of {drawn.steps} steps: at most {np.abs(gap).max():.0f} bp off, "
    f"{np.abs(gap / bar).max():.1f} errors; the equation {np.abs(by_equation).max():.1f} bp"
)
assert np.abs(gap / bar).max() < 4.5 and np.abs(by_equation).max() < 6.0
drawing

# %% [markdown]
# ## 3. A second opinion
#
# Andreasen and Huge never differentiate a surface. They take one implicit step of the forward
# equation from each expiry to the next, with a local vol at the strikes that is searched until the
# step meets the quotes. From the middles and spreads of the same quotes:

# %%
use = quotes.used & np.isfinite(quotes.bid_vol + quotes.ask_vol)
half = 0.5 * (quotes.ask_vol - quotes.bid_vol)[use]
second = andreasen_huge.calibrate(
    moneyness=np.exp(quotes.k[use]),
    years=surface.years[of[use]],
    vol=0.5 * (quotes.bid_vol + quotes.ask_vol)[use],
    half_spread=np.maximum(half, 1e-5),
)
within = np.abs(second.error) <= np.maximum(half, 1e-5)
print(f"{use.sum()} quotes of {second.years.size} expiries: {within.mean():.1%} within the spread")
assert within.mean() > 0.97
theirs = second.local_vol()
drawing = figure(10.5, 3.3)
for panel, j in zip(drawing.subplots(1, 3), ends, strict=True):
    grid = np.linspace(-2.5, 2.0, 181) * width[j]
    panel.plot(grid, 100 * whole.at(grid, surface.years[j]), color=BLUE, label="Dupire")
    other = 100 * theirs.at(grid, surface.years[j])
    panel.plot(grid, other, "--", color=VERMILION, label="Andreasen and Huge")
    smile = surface.slice_vol(j, surface.forwards[j] * np.exp(grid))
    panel.plot(grid, 100 * smile, ":", color=GREY, label="implied vol")
    panel.set_title(f"{365 * surface.years[j]:.0f} days", fontsize=10)
    panel.set(xlabel="ln(S / forward)", ylabel="vol, %")
    panel.locator_params(axis="x", nbins=6)
    tidy(panel)
panel.legend(frameon=False, fontsize=8)
drawing

# %% [markdown]
# Where quotes are dense both see the same vol. Andreasen and Huge's is rougher, as nothing smooths
# it but the spreads; in return it needs no surface.
#
# # Part two: dynamics
#
# ## 4. Spot falls by two percent
#
# `dynamics.vol_after` moves the smile by a rule: every strike keeps its vol, the smile slides with
# spot, or the local vols stay and every option is priced again on them: the same vols at the same
# spot, seen from another forward, through the forward equation. Greeks and reports hold that rule
# to first order only, `dynamics.vol_slope`, of today's smile and a ratio R.

# %%
MOVE = -0.02
step, j = np.log1p(MOVE), nearest(90)
grid = np.linspace(-2.2, 1.8, 33) * width[j]
strike = surface.forwards[j] * np.exp(grid)
after = {"spot": surface.spot * (1 + MOVE), "strike": strike, "years": surface.years[j]}
drawing = figure(10.5, 3.8)
smiles, ratios = drawing.subplots(1, 2)
vols = {}
for rule, colour in (
    ("sticky_strike", INK), ("sticky_moneyness", GREEN), ("sticky_local_vol", BLUE)
):  # fmt: skip
    vols[rule] = dynamics.vol_after(surface, **after, rule=rule, local_vol=whole)
    smiles.plot(strike, 100 * vols[rule], color=colour, label=rule.replace("_", " "))
listing = {"strike": strike, "years": surface.years[j]}
first_order = vols["sticky_strike"] + step * dynamics.vol_slope(
    surface, **listing, rule="sticky_local_vol"
)
smiles.plot(strike, 100 * first_order, "--", lw=1.0, color=BLUE, label="its first order")
smiles.axvline(surface.forwards[j] * (1 + MOVE), color=GREY, lw=0.8, ls=":")
title = f"{surface.chain.expiry_labels[j]}, spot {100 * MOVE:.0f} %"
smiles.set(xlabel="strike, USD", ylabel="Black vol, %", title=title)
smiles.legend(frameon=False, fontsize=8)

live = np.flatnonzero((surface.years > 4 / 365) & (np.diff(surface.years, append=9.0) > 1e-3))
formula = dynamics.stickiness(surface, "sticky_local_vol")[live]
small = 1e-3
bumped = {
    h: forward_equation.implied_vol(
        replace(whole, k=whole.k - h), k=np.zeros(live.size), years=surface.years[live]
    )
    for h in (small, -small)
}
by_solver = (bumped[small] - bumped[-small]) / (2.0 * small * surface.skew[live])
looks = {"ms": 4, "mfc": "none", "color": VERMILION, "label": "equation"}
ratios.plot(surface.years[live], by_solver, "o", **looks)
ratios.plot(surface.years[live], formula, color=BLUE, label="first order")
ratios.axhline(1.0, color=INK, lw=0.8, ls=":")
ratios.set(xscale="log", xlabel="time to expiry", ylabel="R under local vol", ylim=(0.0, 4.0))
time_axis(ratios.xaxis, surface.years[live][0], surface.years[live][-1])
ratios.legend(frameon=False)
for panel in (smiles, ratios):
    tidy(panel)
near = np.abs(grid - step) < 1.0 * width[j]
away = 100 * np.abs(vols["sticky_local_vol"] - first_order)[near].max()
print(f"first order off by {away:.2f} points within one deviation of the new forward")
print(f"R by the equation less first order: median {np.median(np.abs(by_solver - formula)):.2f}")
assert away < 1.5 and np.median(np.abs(by_solver - formula)) < 0.5
drawing

# %% [markdown]
# R says how much of the skew the vol at the money takes with spot: 0 for sticky moneyness, 1 for
# sticky strike. Local vol has 2 at short dates, and more where the skew flattens with time: it
# moves vol up when spot falls, and further than an index does. The first order is for moves of about
# one percent: after a larger gap spot lands in the wings of the first expiries, where local vols are
# large, and the vols go further.
#
# ## 5. The smile of tomorrow
#
# Quotes fix the prices of today's options, not those of options that start later. Paths of the
# local vol, and of a Heston fitted to the same surface, price calls on the ratio of spot at two
# dates. Both meet today's smiles near enough; the forward smiles differ.

# %%
T1, T2 = surface.years[nearest(180)], surface.years[nearest(180)] + surface.years[nearest(60)]
gone = T2 - T1
later = surface.years[of] > 14 / 365
span = np.abs(quotes.k) < 3.0 * width[of]
take = quotes.used & later & span & np.isfinite(quotes.bid_vol + quotes.ask_vol)
letters = heston.calibrate(
    {
        "years": surface.years[of[take]],
        "forward": surface.forwards[of[take]],
        "strike": surface.chain.strike[quotes.row[take]],
        "bid_vol": quotes.bid_vol[take],
        "ask_vol": quotes.ask_vol[take],
    }
).params
dates = {"forward": 1.0, "years": [T1, T2], "paths": 65_536}
worlds = {
    "local vol": (BLUE, monte_carlo.local_vol_paths(whole, **dates)),
    "Heston": (VERMILION, monte_carlo.heston_paths(letters, **dates)),
}
sd = float(np.sqrt(surface.total_variance(0.0, gone)))
x = np.linspace(-1.5, 1.0, 11) * sd
side = np.where(x >= 0, 1.0, -1.0)
drawing = figure(7.5, 3.6)
panel = drawing.subplots()
now = np.sqrt(surface.total_variance(x, gone) / gone)
panel.plot(x, 100 * now, color=GREY, label="today's smile of that length")
slopes = {"today": np.polyfit(x, now, 1)[0]}
for name, (colour, paths) in worlds.items():
    growth = paths.spot[:, 1] / paths.spot[:, 0]
    value = monte_carlo.value(paths, np.maximum(side * (growth[:, None] - np.exp(x)), 0.0))
    terms = {"right": side, "forward": 1.0, "strike": np.exp(x), "years": gone}
    vol = implied.vol(price=value.price, **terms).vol
    error = value.error / black.greeks(**terms, vol=vol).vega
    panel.errorbar(x, 100 * vol, 200 * error, fmt="o-", ms=3, lw=1.0, color=colour, label=name)
    slopes[name] = np.polyfit(x, vol, 1)[0]
panel.set(
    xlabel="ln(strike / forward)",
    ylabel="Black vol, %",
    title=f"{365 * gone:.0f} days, starting in {365 * T1:.0f}",
)
tidy(panel)
panel.legend(frameon=False)
print("slope of the smile:", ", ".join(f"{name} {value:.2f}" for name, value in slopes.items()))
assert abs(slopes["local vol"]) < 0.9 * abs(slopes["today"])
assert abs(slopes["local vol"]) < abs(slopes["Heston"])
drawing

# %% [markdown]
# Local vol flattens: what it knows of the skew is used up near today's spot. A model with a vol of
# its own keeps it. A book of options that start later wants the second.
#
# ## 6. What does the market do?
#
# Regress the changes of the vol at the money on skew times the move, an expiry date at a time.
# First where the answer is known: the simulated day has R = 1.3 in it, and is fitted anew every
# eight minutes, from quotes with spreads. A step is two of these, as what moves in eight minutes is
# small.

# %%
config = SimulationConfig(quote_events_target=200_000, level_noise_sd=0.002)


def walk(day, every, rate):
    """A live fitter's surfaces through a day, every so many minutes, and the quotes they saw."""
    fitter = LiveFitter(slices_of(day.chain), FitConfig(rate_prior=rate))
    seen = list(tops(day, every))
    return [fitter.update(now, spot=x, bid=bid, ask=ask) for now, x, bid, ask in seen], seen


EDGES = (1 / 365, 7 / 365, 45 / 365, 1.0)
path, _ = walk(simulate_day(config, seed=7).day, 8, config.rate_per_year)
changes = of_surfaces(path, step=2)
found = skew_stickiness(changes, edges=EDGES)
print(found)
assert all(abs(b.ratio - config.skew_stickiness) < 3.0 * b.error for b in found)
plot.stickiness(changes, EDGES, f"Simulated day, R = {config.skew_stickiness}")

# %% [markdown]
# A bucket may be in doubt, and says why: vols of a fit that follow spot late pull R down, noise in
# forwards pulls it to 1. Now a real day, where there is one: options on the ES future on 6 January
# 2020, one expiry of 74 days.

# %%
ES = DATA / "lean"
real = (ES / "futureoption/cme").is_dir()
if real:
    es_day = open_day(ES, "ES", "2020-01-06")
    es, es_quotes = walk(es_day, 5, 0.015)
    es_changes = of_surfaces(es, step=3)
    es_found = skew_stickiness(es_changes)
    print(es_found)
    assert all(0.0 < b.ratio < 2.5 for b in es_found)
plot.stickiness(es_changes, title="ES, 2020-01-06, a quarter of an hour a step") if real else None

# %% [markdown]
# ## 7. What is it worth to a hedge?
#
# Black's delta holds the vol of the strike. Two corrections: `smile_aware` moves vol by a ratio R,
# and Hull and White's minimum-variance delta by a regression on past hedging errors. Each is judged
# by the variance of the hedged position, after the time it was estimated on. First in Heston's
# world, where the best delta is known: that of spot, and rho sigma of what variance brings.

# %%
NAMES = ("ts_ns", "delta", "vega", "years", "spot", "option_change", "spot_change")


def gains(rows, skew, ratio, own=None):
    """Share of Black's hedged variance that a delta removes, on the second half of the time."""
    history = minimum_variance.blocks(**rows)
    half = history.ts_ns.size // 2
    out = minimum_variance.rolling(history, instants=half, least=half, refit=half // 4)
    size = np.abs(rows["delta"])
    late = (rows["ts_ns"] >= history.ts_ns[half]) & (size >= 0.05) & (size <= 0.95)

    def left(delta):
        hedged = (rows["option_change"] - delta * rows["spot_change"])[late]
        return hedged @ hedged

    black_left = left(rows["delta"])
    terms = {"skew": skew, "spot": rows["spot"]}
    line = {"R found": ratio, "minimum variance %": 100 * out.gain}
    for name, r in (("R = 0 %", 0.0), ("R found %", ratio), ("R = 2 %", 2.0)):
        moved = smile_aware(rows["delta"], rows["vega"], **terms, stickiness=r)
        line[name] = 100 * (1.0 - left(moved) / black_left)
    line["the model's own %"] = None if own is None else 100 * (1.0 - left(own) / black_left)
    return line


rng = np.random.default_rng(12)
KAPPA, MEAN, SIGMA, RHO, YEARS = 3.0, 0.04, 0.6, -0.7, 0.25
DT, STEPS, x, v = 1.0 / (252 * 20), 1500, 100.0, 0.04
lines, best, slope, levels = [], [], [], []
for i in range(STEPS):
    model = heston.Parameters(v0=v, kappa=KAPPA, theta=MEAN, sigma=SIGMA, rho=RHO)
    terms = {"forward": x, "strike": x * np.array([0.9, 0.95, 1.0, 1.05, 1.1]), "years": YEARS}
    at = heston.greeks(model, right=1, **terms, which=("price", "delta", "d_v0"))
    vol = implied.vol(price=at.price, right=1, **terms).vol
    flat = black.greeks(right=1, **terms, vol=vol, which=("delta", "vega"))
    best.append(at.delta + RHO * SIGMA * at.d_v0 / x)
    slope.append(np.full(5, (vol[3] - vol[1]) / np.log(1.05 / 0.95)))
    levels.append((np.log(x), vol[2]))
    before, (a, b) = x, np.sqrt(DT) * rng.standard_normal(2)
    x *= np.exp(np.sqrt(v) * a - 0.5 * v * DT)
    v += KAPPA * (MEAN - v) * DT + SIGMA * np.sqrt(v) * (RHO * a + np.sqrt(1 - RHO**2) * b)
    model = heston.Parameters(v0=v, kappa=KAPPA, theta=MEAN, sigma=SIGMA, rho=RHO)
    new = heston.price(model, right=1, **(terms | {"forward": x, "years": YEARS - DT}))
    one = np.ones(5)
    stamp = np.full(5, i * 86400 * 10**9)
    lines.append((stamp, flat.delta, flat.vega, YEARS * one, before * one, new - at.price,
                  (x - before) * one))  # fmt: skip
rows = dict(zip(NAMES, (np.concatenate(c) for c in zip(*lines, strict=True)), strict=True))
best, slope = np.concatenate(best), np.concatenate(slope)
move, rise = np.diff(np.array(levels)[: STEPS // 2], axis=0).T
there = slope[::5][: STEPS // 2 - 1] * move
ratio = there @ rise / (there @ there)
table = [{"world": "Heston, calls"} | gains(rows, slope, ratio, best)]
line = table[0]
assert 0.0 < line["minimum variance %"] < line["the model's own %"] + 1.0
assert line["R = 0 %"] < 0.0 < line["R found %"]


def es_rows(right):
    """Changes of the ES options of one right that are quoted within a dollar, and the skew."""
    lines, skews = [], []
    chain = es[0].chain
    for i in range(len(es) - 1):
        old, new = es[i], es[i + 1]
        at = black.greeks(right=chain.right, forward=old.forwards[chain.slice_of],
                          strike=chain.strike, years=old.years[chain.slice_of], vol=old.row_vol,
                          df=old.dfs[chain.slice_of], which=("delta", "vega"))  # fmt: skip
        (bid, ask), (bid1, ask1) = es_quotes[i][2:], es_quotes[i + 1][2:]
        use = (chain.right == right) & (ask - bid <= 1.0) & (ask1 - bid1 <= 1.0)
        one = np.ones(int(use.sum()))
        change = (0.5 * (bid1 + ask1 - bid - ask))[use]
        lines.append((np.full(one.size, old.ts_ns), at.delta[use], at.vega[use],
                      old.years[chain.slice_of][use], old.spot * one, change,
                      (new.spot - old.spot) * one))  # fmt: skip
        skews.append(old.skew[0] * one)
    parts = (np.concatenate(c) for c in zip(*lines, strict=True))
    return dict(zip(NAMES, parts, strict=True)), np.concatenate(skews)


if real:
    (first,) = skew_stickiness(of_surfaces(es[: len(es) // 2], step=3))
    for right, name in ((1, "ES, calls"), (-1, "ES, puts")):
        line = gains(*es_rows(right), first.ratio)
        table.append({"world": name} | line)
        assert 0.0 < line["minimum variance %"] < 70.0
pl.DataFrame(table)

# %% [markdown]
# Plain Black is the zero of this scale, and R = 1. Too large an R costs as much as too small a one:
# the hedge wants the market's own. What no delta can remove is the part of vol that spot does not
# explain.
#
# ## 8. A small book, bumped
#
# A long straddle of a month, short puts of two, long calls of half a year, hedged at Black's delta.
# The same spot, the same book: what the rule says of vol decides the loss.

# %%
def listed(days, deviations, right):
    """The row listed nearest to a strike."""
    j = nearest(days)
    rows = np.arange(len(surface.chain))[surface.chain.rows(j)]
    rows = rows[surface.chain.right[rows] == right]
    wanted = surface.forwards[j] * np.exp(deviations * width[j])
    return rows[np.argmin(np.abs(surface.chain.strike[rows] - wanted))]


rows = np.array(
    [listed(30, 0, 1), listed(30, 0, -1), listed(60, -1.0, -1), listed(180, 1.0, 1)]
)
lots, at = np.array([10.0, 10.0, -25.0, 15.0]), surface.chain.slice_of[rows]
book = Instruments(
    right=surface.chain.right[rows].astype(float),
    strike=surface.chain.strike[rows],
    years=surface.years[at],
    vol=surface.row_vol[rows],
    forward=surface.forwards[at],
    df=surface.dfs[at],
    multiplier=np.full(rows.size, 100.0),
    spot=surface.spot,
    american=np.full(rows.size, bool(snapshot.american)),
)
shocks = np.linspace(-0.06, 0.06, 13)
tiny = np.array([-1e-4, 1e-4])
slope = revalue(lots, book, spot_shocks=tiny, vol_shocks=[0.0])[:, 0]
hedge = -(slope[1] - slope[0]) / (2e-4 * surface.spot)
where = {"strike": book.strike, "years": book.years}
drawing = figure(10.0, 3.6)
by_rule, by_vol = drawing.subplots(1, 2)
answers = {}
for rule, colour in (
    ("sticky_moneyness", GREEN), ("sticky_strike", INK), (1.3, ORANGE), ("sticky_local_vol", BLUE)
):  # fmt: skip
    moved = [
        dynamics.vol_after(
            surface, spot=surface.spot * (1 + h), **where, rule=rule, local_vol=whole
        )
        for h in shocks
    ]
    answers[rule] = revalue(
        lots, book, spot_shocks=shocks, vol_shocks=[0.0], hedge_shares=hedge,
        vols_after=np.array(moved).T,
    )[:, 0]  # fmt: skip
    name = f"R = {rule}" if isinstance(rule, float) else rule.replace("_", " ")
    by_rule.plot(100 * shocks, answers[rule] / 1e3, color=colour, label=name)
points = np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
pnl = revalue(lots, book, spot_shocks=shocks, vol_shocks=points, hedge_shares=hedge) / 1e3
for i, colour in enumerate((BLUE, GREEN, INK, ORANGE, VERMILION)):
    by_vol.plot(100 * shocks, pnl[:, i], color=colour, label=f"{100 * points[i]:+.0f} points")
by_vol.set_title("vols shifted, sticky strike", fontsize=10)
by_rule.set_title("vols by a rule", fontsize=10)
for panel in (by_rule, by_vol):
    panel.set(xlabel="spot, %", ylabel="profit, thousand USD")
    tidy(panel)
    panel.legend(frameon=False, fontsize=8)
assert all(abs(a[6]) < 1e-6 for a in answers.values()), "no move, no profit"
assert np.allclose(answers["sticky_strike"], 1e3 * pnl[:, 2])
drawing

# %% [markdown]
# ## 9. The whole smile as one number
#
# A variance swap pays the variance that spot realises; without jumps it is worth a strip of all
# out-of-the-money options, whatever vol does. It lies above the vol at the money by what the skew
# and the wings are worth. `left_share` is how much of it hangs on strikes below any quote.

# %%
after = np.flatnonzero(surface.years > 6 / 365)
swap = variance_swap.fair_variance(surface, surface.years[after])
drawing = figure(7.5, 3.4)
panel = drawing.subplots()
bars = 100 * swap.error / swap.vol  # two errors of the vol
panel.errorbar(swap.years, 100 * swap.vol, bars, fmt="o", ms=3, color=BLUE, label="variance swap")
panel.plot(swap.years, 100 * surface.atm_vol[after], color=ORANGE, label="at the money")
panel.set(xscale="log", xlabel="time to expiry", ylabel="vol, %")
time_axis(panel.xaxis, swap.years[0], swap.years[-1])
tidy(panel)
panel.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
print(f"beyond the quotes: at most {100 * (swap.left_share + swap.right_share).max():.1f} % of it")
assert (swap.vol > surface.atm_vol[after]).mean() > 0.9
drawing

# %% [markdown]
# Cboe's VIX is the same strip by a rule of its own: middles of quotes, steps between strikes, an
# end at two empty bids, interpolated to thirty days. Here from the same chain. The simulated
# options are American, and the rule is for European ones; so there it is given the surface's
# European values.


# %%
def european_quotes():
    """The surface's own values of its listed options, half a cent or 0.5 % to either side."""
    chain, j = surface.chain, surface.chain.slice_of
    terms = {"right": chain.right, "forward": surface.forwards[j], "strike": chain.strike}
    value = black.price(**terms, years=surface.years[j], vol=surface.row_vol, df=surface.dfs[j])
    side = 0.005 + 0.005 * value
    columns = {"expiry": chain.fixing_ns[j], "strike": chain.strike, "right": chain.right}
    return pl.DataFrame(
        columns | {"bid": np.maximum(value - side, 0.0), "ask": value + side}
    ).filter(pl.col("expiry") > surface.ts_ns)


month = float(np.interp(30 / 365, surface.years, surface.rate))
listed_quotes = european_quotes() if snapshot.american else snapshot.quotes
index = vix.vix_of_chain(listed_quotes, surface.ts_ns, rate=month)
for name, leg in (("near", index.near), ("next", index.next)):
    own = variance_swap.fair_variance(surface, leg.years)
    print(
        f"{name}, {leg.minutes / 1440:.1f} days: by the rule {100 * np.sqrt(leg.variance):.2f}, "
        f"by the curve {100 * own.vol:.2f}"
    )
    assert abs(leg.variance / own.variance - 1.0) < 0.05
print(f"index {index.index:.2f}")
closes = DATA / "rates/VIXCLS.csv.gz"
if closes.exists() and not snapshot.american:
    with gzip.open(closes, "rt") as file:
        published = float(dict(csv.reader(file))["2023-05-26"])
    print(f"published close {published:.2f}")
    assert abs(index.index - published) < 0.1

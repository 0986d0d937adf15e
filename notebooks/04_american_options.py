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
# # American options, dividends, implied borrow
#
# Options on shares may be exercised early, shares pay dividends, and some are dear to borrow. All
# three sit in one price. Here they are taken apart: first where the terms are known, then in a
# chain of quotes. The chain is SPY after a close, if the data are in `../shared/data` beside the
# repository, else the embedded simulated day. QuantLib is the referee.

# %%
# %matplotlib inline
import datetime as dt
import os
import warnings
from pathlib import Path

import numpy as np
import polars as pl

import optmm
import surfaces
from optmm.data.snapshots import frozen, open_snapshot
from surfaces.curves.cash import CashDividends
from surfaces.curves.discount import read_dividends
from surfaces.plots.style import BLUE, GREEN, GREY, INK, ORANGE, VERMILION, figure, tidy
from surfaces.pricing import american, american_cash, bsm, cash_european, deamericanise, implied
from surfaces.pricing.dividends import Dividends

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import QuantLib as ql

_ = pl.Config(tbl_cols=-1, tbl_rows=24, tbl_width_chars=160, float_precision=4)

# OPTMM_DATA names another folder of data.
DATA = Path(os.environ.get("OPTMM_DATA", Path(optmm.__file__).parents[2] / "shared/data"))


def referee(right, spot, strike, days, vol, rate, dividend_yield=0.0, dividends=()):
    """QuantLib's American price, USD; `dividends`: (days, cash) pairs."""
    today = ql.Date(1, 3, 2024)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    flat = [
        ql.YieldTermStructureHandle(ql.FlatForward(today, x, count)) for x in (dividend_yield, rate)
    ]
    level = ql.BlackVolTermStructureHandle(
        ql.BlackConstantVol(today, ql.NullCalendar(), vol, count)
    )
    process = ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(spot)), *flat, level)
    kind = ql.Option.Call if right > 0 else ql.Option.Put
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(kind, float(strike)), ql.AmericanExercise(today, today + days)
    )
    if dividends:
        paid = ql.DividendVector([today + d for d, _ in dividends], [c for _, c in dividends])
        option.setPricingEngine(ql.FdBlackScholesVanillaEngine(process, paid, 400, 1600))
    else:
        option.setPricingEngine(
            ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
        )
    return option.NPV()


# %% [markdown]
# ## 1. The right to exercise early
#
# A put in the money earns no interest on its strike; a call in the money earns no dividends. At
# some spot the waiting costs more than the option can still gain, and the holder exercises. Half a
# year, vol 25 %, rate 5 %, yield 4 %, strike 100.

# %%
terms = {"strike": 100.0, "years": 0.5, "vol": 0.25, "rate": 0.05, "dividend_yield": 0.04}
grid = np.linspace(60.0, 160.0, 401)
left = np.linspace(0.0, 0.5, 101)
drawing = figure(9.0, 3.4)
worth, edge = drawing.subplots(1, 2)
for right, name, colour in ((-1, "put", BLUE), (1, "call", ORANGE)):
    region = american.boundary(right=right, **terms)
    worth.plot(grid, american.premium(right=right, spot=grid, **terms), color=colour, label=name)
    worth.axvline(region.critical, color=colour, lw=0.8, ls=":")
    line = american.boundary(right=right, **(terms | {"years": left})).critical
    edge.plot(365 * left, line, color=colour, label=name)
worth.set(xlabel="spot, USD", ylabel="early-exercise premium, USD")
edge.set(xlabel="days to expiry", ylabel="exercised from this spot on, USD")
for panel in (worth, edge):
    tidy(panel)
    panel.legend(frameon=False)
drawing

# %% [markdown]
# Dotted: the boundary with half a year left. Past it the option is its intrinsic value, and price
# and delta pass over without a break. The put's boundary ends at the strike, the call's, as the
# rate is above the yield, at 100 x 5 % / 4 %.

# %%
put = american.boundary(right=-1, **terms)
near = put.critical + 0.01
there = american.greeks(right=-1, spot=near, **terms, accuracy="precise", which=("price", "delta"))
print(
    f"put, exercised up to {put.critical:.3f}; a cent above, price less intrinsic "
    f"{there.price - (100.0 - near):.1e} USD, delta {there.delta:.5f}"
)
assert 0.0 <= there.price - (100.0 - near) < 1e-4 and 0.0 < there.delta + 1.0 < 2e-3
last = [american.boundary(right=w, **(terms | {"years": 0.0})).critical for w in (-1, 1)]
assert np.allclose(last, [100.0, 125.0])

days = 182
tried = [(w, s, v) for w in (-1, 1) for s in (80.0, 95.0, 105.0, 125.0) for v in (0.15, 0.4)]
right, spot, vol = np.array(tried).T
ours = american.price(
    right=right, spot=spot, strike=100.0, years=days / 365, vol=vol, rate=0.05, dividend_yield=0.04
)
theirs = np.array([referee(w, s, 100.0, days, v, 0.05, 0.04) for w, s, v in tried])
print(f"{len(tried)} prices against QuantLib: {np.abs(ours - theirs).max():.1e} USD at most")
assert np.abs(ours - theirs).max() < 1e-4

# %% [markdown]
# ## 2. Greeks
#
# Ours are analytic in spot and time; beside them the same numbers by moving QuantLib's inputs. Vega
# is per 1.00 of vol, rho per 1.00 of rate, theta per year.

# %%
base = {"right": -1, "spot": 95.0, "strike": 100.0}
base |= {"vol": 0.25, "rate": 0.05, "dividend_yield": 0.04}
greeks = american.greeks(**base, years=days / 365, accuracy="precise")


def bumped(days=days, **changed):
    """QuantLib's price with other inputs."""
    return referee(**(base | changed), days=days)


def central(name, step):
    """Its central difference."""
    return (bumped(**{name: base[name] + step}) - bumped(**{name: base[name] - step})) / (2 * step)


h, v = 0.2, 0.002
up, down = (
    bumped(spot=95.0 + a, vol=0.25 + v) - bumped(spot=95.0 + a, vol=0.25 - v) for a in (h, -h)
)
by_bumps = {
    "price": bumped(),
    "delta": central("spot", 0.05),
    "gamma": (bumped(spot=95.0 + h) - 2.0 * bumped() + bumped(spot=95.0 - h)) / h**2,
    "vega": central("vol", 0.001),
    "theta": -(bumped(days=days + 1) - bumped(days=days - 1)) / (2 / 365),
    "rho": central("rate", 0.0001),
    "vanna": (up - down) / (4.0 * h * v),
}
beside = pl.DataFrame(
    {
        "greek": list(by_bumps),
        "ours": [float(getattr(greeks, name)) for name in by_bumps],
        "QuantLib, bumped": list(by_bumps.values()),
    }
).with_columns(((pl.col("ours") / pl.col("QuantLib, bumped") - 1.0) * 1e4).alias("off, bp of it"))
assert beside["off, bp of it"].abs().max() < 10.0
beside

# %% [markdown]
# ## 3. A dividend is a lump
#
# A share of 100 USD pays 1.50 each quarter. A yield with the same forward in a year has another
# forward on every other day, and no day before an ex-date on which to exercise a call.

# %%
ex_days = (30, 121, 212, 303)
paid = Dividends.declared(years=np.array(ex_days) / 365, cash=1.5)
rate, S = 0.05, 100.0
at = np.arange(1, 366) / 365
forward = paid.forward(spot=S, years=at, rate=rate)
same_yield = rate - np.log(forward[-1] / S)
strikes = np.arange(70.0, 131.0, 2.5)
lump = {"spot": S, "strike": strikes, "years": 1.0, "vol": 0.22, "rate": rate}
drawing = figure(9.0, 3.4)
one, two = drawing.subplots(1, 2)
one.plot(365 * at, forward, color=BLUE, label="four dividends")
one.plot(365 * at, S * np.exp((rate - same_yield) * at), color=ORANGE, ls="--", label="a yield")
one.set(xlabel="days to delivery", ylabel="forward, USD")
for right, name, colour in ((1, "call", BLUE), (-1, "put", VERMILION)):
    gap = american_cash.price(right=right, **lump, dividends=paid, accuracy="precise")
    gap = gap - american.price(right=right, **lump, dividend_yield=same_yield)
    two.plot(strikes, 100.0 * gap, color=colour, label=name)
two.axhline(0.0, color=INK, lw=0.8)
two.set(
    xlabel="strike, USD", ylabel="dearer by cash than by yield, cents", title="American, one year"
)
for panel in (one, two):
    tidy(panel)
    panel.legend(frameon=False)
schedule = [(d, 1.5) for d in ex_days]
ours = [
    american.price(
        right=w,
        spot=S,
        strike=k,
        years=1.0,
        vol=0.22,
        rate=rate,
        dividends=paid,
        accuracy="precise",
    )
    for w, k in ((1, 80.0), (1, 100.0), (-1, 100.0), (-1, 120.0))
]
theirs = [
    referee(w, S, k, 365, 0.22, rate, dividends=schedule)
    for w, k in ((1, 80.0), (1, 100.0), (-1, 100.0), (-1, 120.0))
]
print("ours    ", np.round(ours, 3), "\nQuantLib", np.round(theirs, 3))
assert np.allclose(ours, theirs, atol=0.005)
drawing

# %% [markdown]
# ### The last evening before the ex-date
#
# Tonight a call can be exercised at S - K; tomorrow the share opens 1.50 lower. Where no other
# dividend follows, it is exercised tonight exactly where S - K is more than a European call on the
# share tomorrow, which has a closed form: the referee for the grid of `american_cash`.

# %%
moment = 1e-8  # years: a third of a second before
tomorrow = Dividends.declared(years=[moment], cash=1.5)
deep = np.linspace(75.0, 100.0, 201)
tonight = {"right": 1, "spot": 100.0, "strike": deep, "vol": 0.22, "rate": rate}
drawing = figure(7.5, 3.2)
panel = drawing.subplots()
for d, colour in ((7, BLUE), (35, ORANGE), (91, GREEN)):
    value = american_cash.price(**tonight, years=d / 365, dividends=tomorrow, accuracy="precise")
    held = bsm.price(**(tonight | {"spot": 98.5}), years=d / 365)
    exact = np.maximum(100.0 - deep, held)
    exercised = deep[held <= 100.0 - deep].max()
    panel.plot(deep, value - held, color=colour, label=f"{d} days, exercised below {exercised:.1f}")
    panel.axvline(exercised, color=colour, lw=0.8, ls=":")
    assert np.abs(value - exact).max() < 1e-4
panel.set(xlabel="strike, USD (spot 100)", ylabel="worth of exercising tonight, USD")
tidy(panel)
panel.legend(frameon=False)
drawing

# %% [markdown]
# Who does not exercise gives the dividend to whoever wrote the call: far in the money nearly all of
# 1.50 USD, less the interest on the strike and the put that goes with it.

# %% [markdown]
# ### A vol belongs to its model
#
# Vol of the share between its dividends ("spot"), or of the share less what it will pay
# ("escrowed")? The same number is another price.

# %%
europe = {
    "right": 1,
    "spot": S,
    "strike": np.array([80.0, 100.0, 120.0]),
    "years": 1.0,
    "rate": rate,
}
cost = {
    model: cash_european.price(**europe, vol=0.22, dividends=paid, model=model)
    for model in ("spot", "escrowed")
}
as_escrowed = cash_european.vol(price=cost["spot"], **europe, dividends=paid, model="escrowed").vol
two_models = pl.DataFrame(
    {"strike": europe["strike"]} | cost | {"vol of the first, escrowed %": 100.0 * as_escrowed}
)
assert np.all(cost["spot"] > cost["escrowed"]) and np.all(as_escrowed > 0.22)
two_models

# %% [markdown]
# ## 4. A chain: parity is a band
#
# For European options call less put is df (F - K), a straight line. American ones may leave it
# downwards by the interest on the strike, and upwards by the dividends and the borrow:
#
# S - PV(D) - PV(borrow) - K <= C - P <= S - K df.
#
# SPY is told its dividends: those declared by that evening, and last year's again. Its referee is
# XSP of the same close, an index on the same shares with European options. The simulated day has a
# truth instead.


# %%
def recorded():
    """SPY, its expected dividends, and (years, rate, vol at the money) of XSP."""
    spy, xsp = (
        open_snapshot(DATA / f"cboe_quotedata/{name}_2023-09-14_close.csv.gz").check()
        for name in ("spy", "xsp")
    )
    ever = read_dividends(DATA / "rates/spy_dividends_2010_2024.csv")
    declared = ever.ex_ns <= spy.valuation_ns + 7 * 86400 * 10**9
    known = CashDividends(ever.ex_ns[declared], ever.cash[declared])
    expected = known.repeated(spy.valuation_ns, int(spy.quotes["expiry"].max()))
    index = surfaces.fit(xsp.quotes, valuation_ns=xsp.valuation_ns, spot=xsp.spot)
    return spy, expected, "XSP", (index.years, index.rate, index.atm_vol)


def simulated():
    """The embedded SPY day at its quarter of an hour, which pays a yield, and its truth."""
    from optmm.data.simulator import simulate_day
    from optmm.data.simulator.config import SimulationConfig

    world = simulate_day(SimulationConfig(minutes=20), seed=7)
    at_ns = world.day.session.open_ns + 15 * 60 * 10**9
    spy = frozen(world.day, at_ns).check()
    chain, config = world.day.chain, world.truth.prices.config
    years = (chain.fixing_ns[chain.slice_start[:-1]] - at_ns) / (365 * 86400e9)
    w = world.truth.total_variance(np.arange(chain.slices), at_ns, 0.0)
    return (
        spy,
        None,
        "truth",
        (years, np.full(years.size, config.rate_per_year), np.sqrt(w / years)),
    )


NEEDED = [f"cboe_quotedata/{fund}_2023-09-14_close.csv.gz" for fund in ("spy", "xsp")]
NEEDED.append("rates/spy_dividends_2010_2024.csv")
have = all((DATA / name).exists() for name in NEEDED)
snapshot, expected, name, (their_years, their_rate, their_vol) = recorded() if have else simulated()
S = snapshot.spot
surface = surfaces.fit(
    snapshot.quotes, valuation_ns=snapshot.valuation_ns, spot=S, dividends=expected
)
chain, premium = surface.chain, surface.premium(S)[0]
bid, ask = (snapshot.quotes[side].to_numpy() for side in ("bid", "ask"))
print(surface)


def pairs(j, share=0.08):
    """Strikes within `share` of spot that list both, and their rows: (strike, calls, puts)."""
    rows = np.arange(len(chain))[chain.rows(j)]
    rows = rows[np.isfinite(bid[rows] + ask[rows]) & (np.abs(chain.strike[rows] / S - 1.0) < share)]
    call, put = (rows[chain.right[rows] == w] for w in (1, -1))
    strike, c, p = np.intersect1d(chain.strike[call], chain.strike[put], return_indices=True)
    return strike, call[c], put[p]


j = int(np.argmin(np.abs(surface.years - 0.77)))
strike, call, put = pairs(j, 0.15)
F, df, T = surface.forwards[j], surface.dfs[j], surface.years[j]
line = df * (F - strike)
middle = 0.5 * (bid + ask)
gap = middle[call] - middle[put] - line
half = 0.5 * (ask[call] - bid[call] + ask[put] - bid[put])
free = gap - (premium[call] - premium[put])
drawing = figure(8.0, 3.6)
panel = drawing.subplots()
panel.fill_between(
    strike,
    df * F - strike - line,
    S - df * strike - line,
    color=GREY,
    alpha=0.2,
    lw=0,
    label="band",
)
panel.errorbar(strike, gap, half, color=VERMILION, fmt="o", ms=2.5, lw=0.8, label="as quoted")
panel.errorbar(
    strike,
    free,
    half,
    color=BLUE,
    fmt="s",
    ms=2.5,
    lw=0.8,
    label="premia for early exercise taken off",
)
panel.axhline(0.0, color=INK, lw=0.8)
lowest = min(gap.min() - half.max(), -1.0)
panel.set(
    xlabel="strike, USD",
    ylabel="C - P less df (F - K), USD",
    title=f"{chain.expiry_labels[j]}, {365 * T:.0f} days",
    ylim=(1.4 * lowest, max(1.3 * (S - df * F), 1.3 * half.max())),
)
tidy(panel)
panel.legend(frameon=False, loc="lower left")
inside = np.mean(np.abs(free) <= half)
print(
    f"{inside:.0%} of {strike.size} pairs contain the parity line once the premia are off, "
    f"{np.mean(np.abs(gap) <= half):.0%} before"
)
assert inside > 0.9
assert np.all((df * F - strike - line - half <= gap) & (gap <= S - df * strike - line + half))
drawing

# %% [markdown]
# ## 5. What a European reading gets wrong
#
# A straight line through the pairs within 8 % of spot, as a European chain allows, bends down with
# the puts' premia, and reads a rate that nobody pays. The fit takes the premia off in rounds: rate,
# dividends, what is left as borrow, vols, premia again.

# %%
found = []
for j in range(chain.slices):
    T = surface.years[j]
    k = int(np.argmin(np.abs(their_years - T)))
    strike, call, put = pairs(j)
    if abs(their_years[k] - T) > 4 / 365 or not 60 / 365 <= T <= 2.5 or strike.size < 8:
        continue
    slope = np.polyfit(strike, (middle[call] - middle[put]), 1)[0]
    found.append(
        {
            "expiry": chain.expiry_labels[j],
            "years": T,
            f"rate, {name} %": 100.0 * their_rate[k],
            "rate, fit %": 100.0 * surface.rate[j],
            "rate, straight line %": -100.0 * np.log(-slope) / T,
            f"vol, {name} %": 100.0 * their_vol[k],
            "vol, fit %": 100.0 * surface.atm_vol[j],
        }
    )
found = pl.DataFrame(found)
drawing = figure(9.0, 3.4)
whole, close = drawing.subplots(1, 2)
for what, colour, mark in (("straight line", VERMILION, "^"), ("fit", BLUE, "s"), (name, INK, "o")):
    for panel in (whole, close) if what != "straight line" else (whole,):
        line = 365 * found["years"], found[f"rate, {what} %"]
        panel.plot(*line, color=colour, marker=mark, ms=4, label=what)
middling = found[f"rate, {name} %"].mean()
close.set_ylim(middling - 1.0, middling + 1.0)
for panel, title in ((whole, "all three"), (close, "without the straight line")):
    panel.set(xlabel="days to expiry", ylabel="implied rate, % a year", title=title)
    tidy(panel)
    panel.legend(frameon=False)
off = {
    what: (found[f"rate, {what} %"] - found[f"rate, {name} %"]).abs()
    for what in ("fit", "straight line")
}
vol_off = (found["vol, fit %"] - found[f"vol, {name} %"]).abs().max()
print(
    f"rates are off by {100 * off['fit'].max():.0f} bp at most, by a straight line by up to "
    f"{100 * off['straight line'].max():.0f} bp; vols at the money by {vol_off:.2f} points"
)
assert off["fit"].max() < 0.4 and vol_off < 0.5
assert off["straight line"].min() > 0.0 and off["straight line"].max() > 2.0 * off["fit"].max()
drawing

# %%
found

# %% [markdown]
# The same for vols. Call and put of one strike must have one vol. Read as European ones with the
# right forward, puts in the money still look too volatile; read as American ones, both agree. A put
# quoted at what its exercise pays has no vol, and no mark.

# %%
j = int(np.argmin(np.abs(surface.years - 0.77)))
strike, call, put = pairs(j, 0.13)
T, F, df = surface.years[j], surface.forwards[j], surface.dfs[j]
cash = None if expected is None else expected.at(snapshot.valuation_ns)
terms = {"spot": S, "years": T, "rate": surface.rate[j]}
if cash is None:
    terms["dividend_yield"] = surface.carry[j]
else:
    # what cash leaves of the forward: borrow
    terms["dividend_yield"] = np.log(cash.forward(spot=S, years=T, rate=surface.rate[j]) / F) / T
    terms["dividends"] = cash
drawing = figure(8.0, 3.4)
panel = drawing.subplots()
spread = {}
for reading, colour in (("European", VERMILION), ("American", BLUE)):
    vols = []
    for rows, right, mark in ((call, 1, "^"), (put, -1, "v")):
        given = {"right": right, "strike": strike}
        if reading == "European":
            value = middle[rows]
        else:
            of_share = deamericanise.vols(price=middle[rows], **given, **terms).vol
            value = deamericanise.prices(vol=of_share, **given, **terms)
        vol = implied.vol(price=value, **given, forward=F, years=T, df=df).vol
        vols.append(100.0 * vol)
        label = f"{'call' if right > 0 else 'put'}, read as {reading}"
        panel.plot(strike, vols[-1], mark, color=colour, ms=3.5, mfc="none", label=label)
    high = strike > F
    spread[reading] = np.nanmedian(np.abs(vols[0] - vols[1])[high])
panel.set(
    xlabel="strike, USD", ylabel="Black vol of the middle, %", title=f"{chain.expiry_labels[j]}"
)
tidy(panel)
panel.legend(frameon=False)
print(
    f"call and put above the forward differ by {spread['European']:.2f} points when read as "
    f"European, {spread['American']:.2f} as American"
)
assert spread["American"] < 0.15 < 0.5 < spread["European"]
drawing

# %% [markdown]
# ## 6. Implied borrow
#
# Once rate and dividends are known, what is left of the forward is borrow: carry = rate - ln(F/S) /
# years. Here a share of 40 USD, hard to borrow, pays nothing; lenders take 22 % a year for the next
# days and 9 % for two years. Quotes in whole cents, spreads of some 3 %, and makers who are each a
# little off; QuantLib checks the prices they start from.

# %%
NOW = int(dt.datetime(2025, 6, 2, 15, tzinfo=dt.UTC).timestamp()) * 10**9
SPOT, RATE = 40.0, 0.043
DAYS = np.array([11, 18, 46, 74, 109, 200, 291, 382, 563, 746])


def planted(years):
    """Borrow for a loan until then, a year, continuous."""
    return 0.09 + 0.13 * np.exp(-3.0 * years)


rng = np.random.default_rng(4)
sheets, checks = [], []
for days in DAYS:
    expiry = dt.date(2025, 6, 2) + dt.timedelta(int(days))
    years = (days * 24 + 5) / 24 / 365  # 16:00 New York
    reach = np.sqrt(years)
    strike = np.arange(
        np.ceil(SPOT * np.exp(-1.3 * reach)), np.floor(SPOT * np.exp(0.9 * reach)) + 1
    )
    strike, right = np.repeat(strike, 2), np.tile([1.0, -1.0], strike.size)
    vol = 0.62 - 0.12 * np.log(strike / SPOT) / reach
    world = {"spot": SPOT, "years": years, "rate": RATE, "dividend_yield": planted(years)}
    price = american.price(right=right, strike=strike, vol=vol, **world)
    if days in (46, 382):
        # the referee counts whole days: a slower clock makes up for the hours
        slow = years * 365 / days
        for i in range(0, strike.size, 9):
            option = right[i], SPOT, strike[i], int(days), vol[i] * np.sqrt(slow)
            checks.append(price[i] - referee(*option, RATE * slow, planted(years) * slow))
    half = 0.01 + 0.015 * price
    middle = price + half * np.clip(0.3 * rng.standard_normal(price.size), -0.9, 0.9)
    bid, ask = np.floor(100 * (middle - half)) / 100, np.ceil(100 * (middle + half)) / 100
    sheets.append(
        pl.DataFrame({"expiry": [expiry] * price.size, "strike": strike, "right": right.astype(int),
                      "bid": np.maximum(bid, 0.0), "ask": ask, "style": ["american"] * price.size})
    )  # fmt: skip
quotes = pl.concat(sheets)
print(
    f"{len(quotes)} options; {len(checks)} prices against QuantLib: {np.abs(checks).max():.1e} USD"
)
assert np.abs(checks).max() < 1e-4

# %%
lent = surfaces.fit(quotes, valuation_ns=NOW, spot=SPOT, rate=RATE)
european = surfaces.fit(
    quotes.with_columns(style=pl.lit("european")), valuation_ns=NOW, spot=SPOT, rate=RATE
)
error = lent.forward_error / lent.forwards / lent.years
truth = planted(lent.years)
away = (lent.carry - truth) / error
drawing = figure(8.0, 3.4)
panel = drawing.subplots()
days = 365 * lent.years
fine = np.linspace(lent.years[0], lent.years[-1], 200)
panel.plot(365 * fine, 100 * planted(fine), color=INK, lw=1.0, label="planted")
panel.errorbar(
    days, 100 * lent.carry, 200 * error, fmt="s", color=BLUE, ms=4, label="implied, ± 2 errors"
)
panel.plot(days, 100 * european.carry, "^", color=VERMILION, ms=5, label="read as European")
panel.set(xlabel="days to expiry", ylabel="borrow, % a year", ylim=(0.0, 30.0))
tidy(panel)
panel.legend(frameon=False)
print(f"implied borrow is off by {np.abs(away).max():.1f} of its errors at most")
assert np.abs(away).max() < 3.0
drawing

# %%
pl.DataFrame(
    {
        "expiry": lent.chain.expiry_labels,
        "planted %": 100 * truth,
        "implied %": 100 * lent.carry,
        "one error": 100 * error,
        "read as European %": 100 * european.carry,
        "forward": lent.forwards,
        "status": lent.status,
    }
)

# %% [markdown]
# A call on such a share is worth exercising without any dividend: whoever holds the share can lend
# it. The premium of a one-year call at 70 % of spot, beside the forward:

# %%
last = int(np.argmin(np.abs(lent.years - 1.05)))
T, b = lent.years[last], lent.carry[last]
deep_call = {"right": 1, "spot": SPOT, "strike": 0.7 * SPOT, "years": T, "vol": 0.62, "rate": RATE}
extra = american.premium(**deep_call, dividend_yield=b)
print(f"forward {lent.forwards[last]:.2f} USD on a spot of {SPOT:.2f}; premium {extra:.2f} USD")
assert lent.forwards[last] < SPOT and extra > 0.1

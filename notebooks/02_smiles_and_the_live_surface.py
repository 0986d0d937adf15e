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
# # Smiles and the live surface
#
# From a table of quotes to a surface that says what every option is worth, how sure it is, and
# where it must not be asked. Part one fits a real chain: all of SPX after one close, if the data
# are in `../shared/data` beside the repository, else a quarter of an hour into the embedded
# simulated day; on the command line it is `optmm calibrate CHAIN`. Part two fits a chain that is
# made up, because only there is a truth to compare with.

# %%
# %matplotlib inline
import datetime as dt
import os
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

import optmm
import surfaces
from optmm.data.snapshots import frozen, open_snapshot
from surfaces import plot
from surfaces.curves.clock import CALENDAR, Event, VolClock
from surfaces.live import FitConfig, LiveFitter
from surfaces.plots.style import BLUE, GREY, INK, ORANGE, VERMILION, figure, tidy
from surfaces.pricing import black, implied

_ = pl.Config(tbl_cols=-1, tbl_rows=20, tbl_width_chars=200, float_precision=4)

# A chain of your own: the path of a Cboe download, or of a CSV or Parquet table with the columns
# expiry, strike, right, bid and ask; and when its quotes were in force, "2025-06-02 11:40" in New
# York, where the file does not say.
OWN, AT = None, None

# OPTMM_DATA names another folder of data.
DATA = Path(os.environ.get("OPTMM_DATA", Path(optmm.__file__).parents[2] / "shared/data"))
SPX = DATA / "cboe_quotedata/spx_2023-04-14_close.csv.gz"

# %% [markdown]
# # Part one: a chain as it is
#
# ## 1. Read and clean
#
# Nothing is repaired. What cannot be used is left out and counted, by the reader (expired, crossed,
# no quote at all) and by the fit (`surface.removed`).


# %%
def embedded():
    """The simulated SPY day, a quarter of an hour after its open."""
    from optmm.data.simulator import simulate_day
    from optmm.data.simulator.config import SimulationConfig

    day = simulate_day(SimulationConfig(minutes=20), seed=7).day
    return frozen(day, day.session.open_ns + 15 * 60 * 10**9)


if OWN is not None:
    snapshot = open_snapshot(OWN, at=AT)
else:
    snapshot = open_snapshot(SPX) if SPX.exists() else embedded()
snapshot.check()
exercise = "American" if snapshot.american else "European"
print(
    f"{snapshot.underlying}, {exercise}, {np.datetime64(snapshot.valuation_ns // 10**9, 's')} UTC\n"
    f"{len(snapshot.quotes):,} options, {snapshot.two_sided_share:.0%} with both sides, "
    f"spot {snapshot.spot}; left out: {snapshot.quarantined or 'nothing'}"
)
snapshot.quotes.sample(5, seed=3)

# %% [markdown]
# ## 2. Fit
#
# Forwards and rates come from put-call parity, smiles from a program that keeps every density
# positive and neighbouring expiries in calendar order. The first call compiles, once and for all.


# %%
def fitted():
    """The chain's surface, from nothing but its quotes and spot."""
    return surfaces.fit(snapshot.quotes, valuation_ns=snapshot.valuation_ns, spot=snapshot.spot)


fitted()  # compile
started = time.perf_counter()
surface = fitted()
print(f"{time.perf_counter() - started:.2f} s, set aside: {surface.removed}")
table = surface.diagnostics
shown = np.unique(np.linspace(0, len(table) - 1, 12).astype(int))
table[shown].select(
    "expiry",
    "root",
    "forward",
    "forward_error",
    "rate",
    "carry",
    "atm_vol",
    "skew",
    "quotes",
    "hits",
    "path",
    "status",
)

# %%
total = table.select(pl.col("quotes", "hits", "core_quotes", "core_hits", "loo_hits").sum())
quotes, hits, core_quotes, core_hits, loo_hits = total.row(0)
print(
    f"{quotes:,} quotes out of the money: {hits / quotes:.2%} met, near the money "
    f"{core_hits / core_quotes:.2%}, by fits without the quote itself {loo_hits / quotes:.2%}"
)
assert hits > 0.98 * quotes and loo_hits > 0.95 * quotes, "read the column status"

# %% [markdown]
# The third figure is the honest one: a curve through every dot meets them all, and only a good one
# meets a quote that it has not seen. Bars are bid to ask, the band is two standard errors.

# %%
plot.smiles(surface, shown[[0, 2, 3, 5, 6, 8, 10, 11]].tolist())

# %% [markdown]
# ## 3. Forwards
#
# Call less put is df (F - K), so every pair of one strike names a forward, with an interval as wide
# as both spreads. The premium for early exercise is taken off first where the options are American.
# The line is zero where the fitted forward lies.

# %%
j = int(np.argmin(np.abs(surface.years - 45 / 365)))
rows = np.arange(len(surface.chain))[surface.chain.rows(j)]
bid, ask = (snapshot.quotes[side].to_numpy() for side in ("bid", "ask"))
premium = surface.premium(surface.spot)[0]
call, put = (rows[surface.chain.right[rows] == w] for w in (1, -1))
strike, c, p = np.intersect1d(
    surface.chain.strike[call], surface.chain.strike[put], return_indices=True
)
call, put = call[c], put[p]
net = premium[call] - premium[put]
low = strike + (bid[call] - ask[put] - net) / surface.dfs[j] - surface.forwards[j]
high = strike + (ask[call] - bid[put] - net) / surface.dfs[j] - surface.forwards[j]
z = np.log(strike / surface.forwards[j]) / (surface.atm_vol[j] * np.sqrt(surface.years[j]))
near = (np.abs(z) < 1.0) & np.isfinite(low + high)
agree = (low <= 0.0) & (high >= 0.0)

drawing = figure(7.5, 3.2)
panel = drawing.subplots()
for which, colour, label in ((agree, BLUE, "contains it"), (~agree, VERMILION, "excludes it")):
    some = near & which
    if some.any():
        panel.vlines(strike[some], low[some], high[some], color=colour, lw=1.4, label=label)
panel.axhline(0.0, color=INK, lw=0.8)
panel.set(
    xlabel="strike, USD",
    ylabel="forward of the pair less fitted, USD",
    title=f"{table['expiry'][j]}: {surface.forwards[j]:.2f} ± {surface.forward_error[j]:.2f} USD",
)
tidy(panel)
panel.legend(frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left")
print(f"{agree[near].mean():.1%} of {near.sum()} pairs within one deviation contain the forward")
assert agree[near].mean() > 0.95
drawing

# %% [markdown]
# The slope of call less put is the discount factor, so the rate is implied as well. Carry is the
# rate less ln(F/S) / years: dividends and borrow. In the first weeks it is noise: an hour's lag of
# an index behind its options, divided by next to no time.

# %%
plot.term_structure(surface)

# %% [markdown]
# ## 4. What is left
#
# Every quote by expiry and distance from the money. Specks of colour in no order are noise; a patch
# of one colour would be a curve that cannot bend there.

# %%
plot.residuals(surface)

# %%
plot.heat_map(surface)

# %% [markdown]
# ## 5. The certificate
#
# Free of butterflies (`min_g` >= 0) and of calendar arbitrage (margins >= 0, in units of the later
# expiry's variance at the money), looked at on 2,000 points apart from the fit. `calendar_margin`
# is on strikes that both expiries quote; where `calendar_margin_wings` is negative, the certificate
# ends earlier, at `certified_k_low` and `certified_k_high`. The engine quotes nothing outside.

# %%
table[shown].select(
    "expiry",
    "root",
    "min_g",
    "calendar_margin",
    "calendar_margin_wings",
    "certified",
    "certified_k_low",
    "certified_k_high",
    "verticals",
    "butterflies",
)

# %%
print(
    f"{table['certified'].sum()} of {len(table)} expiries are certified, and "
    f"{surface.row_certified.mean():.1%} of {len(surface.chain):,} listed options may be quoted"
)
assert table["certified"].all() and (table["min_g"] >= 0.0).all()

# %% [markdown]
# ## 6. Models side by side
#
# The same quotes, the same forwards. A hit rate counts only beside its certificate. "Cold" is a
# first fit, forwards, marks and certificate included. "Refit" is what a desk does from then on: one
# option in ten has a new quote, and the certificate is looked at on 101 points.


# %%
def timed(call):
    """The last answer of three, and the least time of a call in ms."""
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        answer = call()
        spent.append(1e3 * (time.perf_counter() - started))
    return answer, round(min(spent), 1)


NOW, SPOT = snapshot.valuation_ns, snapshot.spot
rng = np.random.default_rng(1)
rows = []
for model in ("mixture", "spline", "svi", "essvi"):

    def cold(model=model):
        return LiveFitter(surface.chain, FitConfig(model=model)).update(
            NOW, spot=SPOT, bid=bid, ask=ask
        )

    first, cold_ms = timed(cold)
    fitter = LiveFitter(surface.chain, FitConfig(model=model, certificate_points=101))
    seconds = iter(range(100))

    def refit(fitter=fitter, seconds=seconds):
        wider = 0.01 * (rng.random(bid.size) < 0.1)
        now = NOW + next(seconds) * 10**9
        return fitter.update(now, spot=SPOT, bid=bid - wider, ask=ask + wider)

    refit()  # the first is cold
    _, refit_ms = timed(refit)
    d = first.diagnostics
    rows.append(
        {
            "model": model,
            "hit %": round(100.0 * d["hits"].sum() / d["quotes"].sum(), 1),
            "core hit %": round(100.0 * d["core_hits"].sum() / d["core_quotes"].sum(), 1),
            "certified": f"{d['certified'].sum()} of {len(d)}",
            "least g": round(d["min_g"].min(), 4),
            "least calendar": round(d["calendar_margin"].drop_nans().min(), 4),
            "cold ms": cold_ms,
            "refit ms": refit_ms,
        }
    )
compared = pl.DataFrame(rows)
assert compared["hit %"][0] >= compared["hit %"][1:].max() - 1.0
compared

# %% [markdown]
# On a real index five letters an expiry, or three, cannot follow quotes this tight from one wing to
# the other, however well they are fitted, and slices of SVI know nothing of their neighbours. On
# the simulated day they can: its smiles are SVI. The spline always bends, but nothing in its making
# keeps it free of arbitrage: its certificate has to be looked at, every time.

# %% [markdown]
# ## 7. Live, and when quotes go away
#
# A `LiveFitter` remembers forwards, weights and premia. It never changes a surface, it publishes
# the next version. Here all quotes of one expiry vanish for ten minutes: its last good curve stays,
# and says so; its error bars grow with its age. A curve that is kept may fall foul of its
# neighbours, which go on; then it loses its certificate, and is not quoted from.

# %%
fitter = LiveFitter(surface.chain, FitConfig())
fitter.update(NOW, spot=SPOT, bid=bid, ask=ask)
gone = np.zeros(bid.size, bool)
gone[surface.chain.rows(j)] = True
log = []
for minute in (0, 1, 2, 5, 10, 11):
    lost = gone & (1 <= minute <= 10)
    now_surface = fitter.update(
        NOW + (1 + 60 * minute) * 10**9,
        spot=SPOT,
        bid=np.where(lost, np.nan, bid),
        ask=np.where(lost, np.nan, ask),
    )
    others = np.delete(now_surface.atm_vol - surface.atm_vol, j)
    log.append(
        {
            "minute": minute,
            "version": now_surface.version,
            "path": now_surface.path[j],
            "status": now_surface.status[j],
            "atm vol %": 100.0 * now_surface.atm_vol[j],
            "its error, bp": 1e4 * now_surface.error(j, np.zeros(1))[0],
            "others moved, median bp": 1e4 * np.median(np.abs(others)),
            "certified": int(now_surface.certificate.certified.sum()),
        }
    )
log = pl.DataFrame(log)
doubt = log["its error, bp"]
assert log["path"].to_list() == ["mixture", *["last_good"] * 4, "mixture"]
assert doubt[:5].is_sorted() and doubt[5] < doubt[4]
log

# %% [markdown]
# # Part two: a chain whose truth is known
#
# ## 8. A made-up market
#
# A share of 250 USD with earnings in thirteen days, when it will jump some 6 % up or 7 % down. Two
# regimes, calm and nervous, and the independent jump: a mixture of lognormals, so there is no
# arbitrage in it. It is none of the models that are fitted.

# %%
NEW_YORK = ZoneInfo("America/New_York")
TODAY = dt.date(2025, 6, 2)
NOW = int(dt.datetime(2025, 6, 2, 11, tzinfo=NEW_YORK).timestamp()) * 10**9
EARNINGS = int(dt.datetime(2025, 6, 15, 16, 30, tzinfo=NEW_YORK).timestamp()) * 10**9
RATE, YIELD, SPOT = 0.043, 0.006, 250.0
DAYS = (4, 11, 18, 25, 31, 46, 74, 109, 200, 381)
REGIMES = ((0.8, 0.21, 0.10), (0.2, 0.38, -0.40))  # probability, vol, drift a year
JUMPS = ((0.54, 0.06), (0.46, -0.07))  # probability, ln of the move


def close_of(days):
    """16:00 New York, `days` from today, ns UTC."""
    day = TODAY + dt.timedelta(days)
    return int(dt.datetime.combine(day, dt.time(16), NEW_YORK).timestamp()) * 10**9


def components(until_ns, now_ns=NOW):
    """(probability, ln of the mean, total vol) of every lognormal, and the calendar years."""
    years = (until_ns - now_ns) / (365 * 86400 * 1e9)
    jumps = JUMPS if now_ns < EARNINGS < until_ns else ((1.0, 0.0),)
    parts = np.array(
        [
            (p * q, drift * years + jump, vol * np.sqrt(years))
            for p, vol, drift in REGIMES
            for q, jump in jumps
        ]
    )
    parts[:, 1] -= np.log(parts[:, 0] @ np.exp(parts[:, 1]))
    return parts, years


def true_prices(right, strike, until_ns, spot=SPOT, now_ns=NOW):
    """What options are worth, USD."""
    parts, years = components(until_ns, now_ns)
    forward, df = spot * np.exp((RATE - YIELD) * years), np.exp(-RATE * years)
    return sum(
        p
        * black.price(
            right=right, forward=forward * np.exp(m), strike=strike, years=1.0, vol=s, df=df
        )
        for p, m, s in parts
    )


def true_vols(strike, until_ns):
    """Black vols of those prices."""
    years = components(until_ns)[1]
    forward, df = SPOT * np.exp((RATE - YIELD) * years), np.exp(-RATE * years)
    right = np.where(strike >= forward, 1.0, -1.0)
    price = true_prices(right, strike, until_ns)
    return implied.vol(
        price=price, right=right, forward=forward, strike=strike, years=years, df=df
    ).vol


# %% [markdown]
# Makers quote it with spreads of a few cents, rounded outward to the cent, each a little off.


# %%
def listed(days):
    """Strikes in USD."""
    reach = 0.26 * np.sqrt(days / 365) + 0.02
    step = 1.0 if days < 15 else 2.5 if days < 120 else 5.0
    low, high = SPOT * np.exp(-4.5 * reach), SPOT * np.exp(3.0 * reach)
    return step * np.arange(np.ceil(low / step), np.floor(high / step) + 1.0)


def quoted(spot=SPOT, now_ns=NOW, seed=1):
    """A frame of the whole chain, one row an option."""
    rng = np.random.default_rng(seed)
    frames = []
    for days in DAYS:
        strike = np.repeat(listed(days), 2)
        right = np.tile([1.0, -1.0], strike.size // 2)
        price = true_prices(right, strike, close_of(days), spot, now_ns)
        extrinsic = np.minimum(price, true_prices(-right, strike, close_of(days), spot, now_ns))
        half = 0.01 + 0.012 * extrinsic
        middle = price + half * np.clip(0.3 * rng.standard_normal(price.size), -0.9, 0.9)
        bid, ask = (
            np.floor(100.0 * (middle - half)) / 100.0,
            np.ceil(100.0 * (middle + half)) / 100.0,
        )
        frames.append(
            pl.DataFrame(
                {
                    "expiry": [TODAY + dt.timedelta(days)] * price.size,
                    "strike": strike,
                    "right": np.where(right > 0.0, "call", "put"),
                    "bid": np.maximum(bid, 0.0),
                    "ask": ask,
                }
            )
        )
    return pl.concat(frames)


chain = quoted()
print(f"{len(chain):,} options, {len(DAYS)} expiries")
chain.sample(5, seed=3)

# %%
surface = surfaces.fit(chain, valuation_ns=NOW, spot=SPOT)
real_forward = SPOT * np.exp((RATE - YIELD) * surface.years)
off = (surface.forwards - real_forward) / surface.forward_error
print(surface)
print(f"forwards are off by {np.abs(off).max():.1f} of their errors at most")
assert np.abs(off).max() < 3.0 and surface.certificate.certified.all()

# %% [markdown]
# Two modes of the jump make the first expiry after the earnings bend twice.

# %%
plot.smiles(surface, [0, 1, 2, 3])

# %% [markdown]
# ## 9. Is it as sure as it says?
#
# `row_vol` is the vol of every listed option on its expiry's own
# curve, `row_error` one standard error of it.

# %%
vol_error = np.concatenate(
    [
        surface.row_vol[surface.chain.rows(j)]
        - true_vols(surface.chain.strike[surface.chain.rows(j)], close_of(days))
        for j, days in enumerate(DAYS)
    ]
)
judged = surface.quotes.row
z = vol_error[judged] / surface.row_error[judged]
covered = float(np.mean(np.abs(z) < 1.96))
print(
    f"{judged.size} quoted strikes: median error of vol "
    f"{1e4 * np.median(np.abs(vol_error[judged])):.1f} bp; "
    f"{covered:.0%} of the truth within 1.96 error bars"
)
assert covered > 0.85

# %% [markdown]
# More than the 95 % that 1.96 errors should hold: the bars are cautious, as spreads are wider than
# these makers are wrong.
#
# The risk-neutral density of the first expiry after the earnings: two modes, none negative.

# %%
j = DAYS.index(18)
grid = np.linspace(200.0, 300.0, 401)
parts, years = components(close_of(18))
forward = SPOT * np.exp((RATE - YIELD) * years)
truth = sum(
    p
    * np.exp(-0.5 * ((np.log(grid / forward) - m) / s + 0.5 * s) ** 2)
    / (grid * s * np.sqrt(2.0 * np.pi))
    for p, m, s in parts
)
drawing = figure(7.5, 3.2)
panel = drawing.subplots()
panel.plot(grid, surface.density(grid, surface.years[j]), color=BLUE, label="fitted")
panel.plot(grid, truth, color=INK, ls="--", lw=1.0, label="true")
panel.set(
    xlabel="price at expiry, USD", ylabel="density per USD", title=f"{TODAY + dt.timedelta(18)}"
)
tidy(panel)
panel.legend(frameon=False)
drawing

# %% [markdown]
# ## 10. A date between two expiries
#
# On calendar time the variance of the earnings is smeared over the week around them. The term
# structure shows that it is there, though not on which day.

# %%
found = surface.implied_events(CALENDAR)
pl.DataFrame(
    {
        "after": [
            str(TODAY) if i < 0 else str(surface.chain.expiry_labels[i]) for i in found.after
        ],
        "before": [str(surface.chain.expiry_labels[i]) for i in found.before],
        "move %": 100.0 * np.sqrt(found.estimated.variance),
        "significance": found.estimated.significance,
        "found": found.estimated.found,
    }
)

# %%
gap = int(np.argmax(found.estimated.found))
event = Event(EARNINGS, float(found.estimated.variance[gap]), "earnings")
real = np.sqrt(sum(p * (x - sum(q * y for q, y in JUMPS)) ** 2 for p, x in JUMPS))
print(f"implied move {event.move:.2%}, true {real:.2%}")
assert found.estimated.found.sum() == 1 and abs(event.move - real) < 0.01

# %% [markdown]
# The difference is no error. Options at the money pay for the mean move, and a jump between two
# places has a larger mean for its deviation than a normal one, as which an event counts.

# %% [markdown]
# This world runs on calendar time, so its clock is the calendar and one event; `VolClock()` with
# nothing said weighs nights, weekends and holidays as index options do. Told when, the clock puts
# the step at its instant, but not all of it: an event adds the same variance at every strike, at
# most what the poorest strike gains from one expiry to the next, or densities in between would turn
# negative. A jump between two places gains less in the wings than at the money, so about half of
# the gap to the truth remains.

# %%
with_event = VolClock(1.0, 1.0, 1.0, holidays=(), half_days=(), events=(event,))
aware = surface.on_clock(with_event)
days = np.append(np.arange(3.0, 26.0, 0.5), (EARNINGS - NOW) / 86400e9 + np.array([-1e-3, 1e-3]))
days.sort()
instants = NOW + np.rint(days * 86400).astype(np.int64) * 10**9
years = days / 365
money = surface.forward(years)
drawing = figure(7.5, 3.4)
panel = drawing.subplots()
truth = np.array(
    [float(true_vols(np.array([f]), int(t))[0]) for f, t in zip(money, instants, strict=True)]
)
panel.plot(days, 100.0 * truth, "o", color=INK, ms=3.5, label="true")
panel.plot(days, 100.0 * surface.vol(money, years), color=ORANGE, ls="--", label="calendar time")
panel.plot(days, 100.0 * aware.vol(money, years), color=BLUE, label="with the event")
gaps = {"calendar": surface, "event": aware}
gaps = {name: np.abs(s.vol(money, years) - truth).max() for name, s in gaps.items()}
print(", ".join(f"{name}: at most {100 * gap:.1f} points off" for name, gap in gaps.items()))
assert gaps["event"] < 0.6 * gaps["calendar"]
panel.axvline((EARNINGS - NOW) / 86400e9, color=GREY, lw=0.8, ls=":")
panel.set(xlabel="days to expiry", ylabel="at-the-money vol, %")
tidy(panel)
panel.legend(frameon=False)
drawing

# %% [markdown]
# ## 11. Who is wrong?
#
# A fit that has heard a quote is biased towards it, so every quote is judged by the fit *without*
# it: `loo` is that fit less the quote's middle in half spreads, `loo_sd` one standard error of it,
# `edge` = -loo/loo_sd, above zero for a quote that is dear. Three quotes are moved by two and a
# half of their half spreads, on this chain less than a vol point. Beyond |loo| = 1 the fair value
# lies outside the market: something to trade, or to doubt. A wrong quote brings its neighbours with
# it, but they are doubted less.

# %%
planted = [(11, 251.0, "call", -2.5), (74, 300.0, "call", -2.5), (109, 225.0, "put", 2.5)]
wrong = chain
for days_to, strike, right, halves in planted:
    here = (
        (pl.col("expiry") == TODAY + dt.timedelta(days_to))
        & (pl.col("strike") == strike)
        & (pl.col("right") == right)
    )
    shift = pl.when(here).then(halves * (pl.col("ask") - pl.col("bid")) / 2).otherwise(0.0)
    wrong = wrong.with_columns(bid=pl.col("bid") + shift, ask=pl.col("ask") + shift)
judged = surfaces.fit(wrong, valuation_ns=NOW, spot=SPOT).residuals
outside = judged.filter(pl.col("loo").abs() > 1.0).sort(pl.col("edge").abs(), descending=True)
outside.select(
    "expiry", "strike", "right", "bid_vol", "model_vol", "ask_vol", "loo", "loo_sd", "edge"
)

# %%
suspects = set(outside.head(len(planted)).select("expiry", "strike").iter_rows())
assert suspects == {(TODAY + dt.timedelta(d), k) for d, k, *_ in planted}
print(f"the {len(planted)} planted quotes lead a list of {len(outside)} of {len(judged)}")

# %% [markdown]
# ## 12. Between refits
#
# Spot falls by 2 % in ten steps of ten seconds, with a refit at the first, the sixth and the last.
# Between them `move` carries the level along the skew: stickiness R = 0 holds vols at equal
# moneyness, 1 at equal strikes. In this world the smile sticks to moneyness, so R = 1 is wrong
# until the next refit puts it right.

# %%
fitters = {r: LiveFitter(surface.chain, FitConfig()) for r in (0.0, 1.0)}
j = DAYS.index(46)
truth = 100.0 * true_vols(surface.forwards[[j]], close_of(46))[0]
log = []
for step in range(11):
    now, spot = NOW + step * 10 * 10**9, SPOT * (1.0 - 0.002 * step)
    fresh = step in (0, 5, 10)
    frame = quoted(spot, now, seed=100 + step)
    bid, ask = (frame[side].to_numpy() for side in ("bid", "ask"))
    line = {"spot": spot, "by": "update" if fresh else "move"}
    for r, fitter in fitters.items():
        if fresh:
            here = fitter.update(now, spot=spot, bid=bid, ask=ask)
        else:
            here = fitter.move(spot, stickiness=r)
        line[f"vol off, R = {r:g}, points"] = 100.0 * here.atm_vol[j] - truth
    log.append(line | {"version": here.version, "certified": here.certificate.certified.sum()})
log = pl.DataFrame(log)
right, wrong = (log[f"vol off, R = {r}, points"].abs() for r in (0, 1))
assert right.max() < 0.03 and wrong.gather([5, 10]).max() < 0.03 < 0.06 < wrong.gather([4, 9]).min()
log

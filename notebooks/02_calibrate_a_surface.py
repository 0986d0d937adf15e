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
# # Calibrate a surface
#
# From a table of quotes to a surface that says what every option is worth, how sure it is, and
# where it must not be asked. The chain is made up, so there is a truth to compare with: a share of
# 250 USD with earnings in thirteen days, when it will jump some 6 % up or 7 % down. A real chain
# goes the same way: `surfaces.fit` on any frame, or `optmm calibrate CHAIN` on a file.

# %%
# %matplotlib inline
import datetime as dt
import time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from matplotlib.figure import Figure

import surfaces
from surfaces import plot
from surfaces.curves.clock import CALENDAR, Event, VolClock
from surfaces.live import FitConfig, LiveFitter
from surfaces.pricing import black, implied

_ = pl.Config(tbl_cols=-1, tbl_rows=20, tbl_width_chars=200, float_precision=4)

# %% [markdown]
# ## 1. A market whose truth is known
#
# Two regimes, calm and nervous, and an independent jump at the earnings: a mixture of lognormals,
# so there is no arbitrage in it. It is none of the models that will be fitted.

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

# %% [markdown]
# ## 2. Fit
#
# Forwards and rates come from put-call parity, smiles from a program that keeps every density
# positive and neighbouring expiries in calendar order. The first call compiles.

# %%
surfaces.fit(chain, valuation_ns=NOW, spot=SPOT)  # compile
started = time.perf_counter()
surface = surfaces.fit(chain, valuation_ns=NOW, spot=SPOT)
print(f"{1e3 * (time.perf_counter() - started):.0f} ms, set aside: {surface.removed}")
table = surface.diagnostics
table.select(
    "expiry",
    "forward",
    "forward_error",
    "rate",
    "atm_vol",
    "skew",
    "quotes",
    "hits",
    "certified",
    "path",
    "status",
)

# %%
hit_rate = table["hits"].sum() / table["quotes"].sum()
real_forward = SPOT * np.exp((RATE - YIELD) * surface.years)
off = (surface.forwards - real_forward) / surface.forward_error
print(f"hit rate {hit_rate:.1%}; forwards off by {np.abs(off).max():.1f} of their errors at most")
assert hit_rate > 0.98

# %% [markdown]
# Each smile with its quotes, and two standard errors around it. Two modes of the jump make the
# first expiry after the earnings bend twice.

# %%
plot.smiles(surface, [0, 1, 2, 3, 5, 7, 8, 9])

# %%
plot.term_structure(surface)

# %%
plot.residuals(surface)

# %% [markdown]
# From above: the island near the money is the first expiry after the earnings.

# %%
plot.heat_map(surface)

# %% [markdown]
# ## 3. Against the truth
#
# Only a made-up chain has one. `row_vol` is the vol of every listed option on its expiry's own
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
figure = Figure(figsize=(7.5, 3.2), layout="constrained")
panel = figure.subplots()
panel.plot(grid, surface.density(grid, surface.years[j]), color="#0072B2", label="fitted")
panel.plot(grid, truth, color="#222222", ls="--", lw=1.0, label="true")
panel.set(
    xlabel="price at expiry, USD", ylabel="density per USD", title=f"{TODAY + dt.timedelta(18)}"
)
panel.spines[["top", "right"]].set_visible(False)
panel.legend(frameon=False)
figure

# %% [markdown]
# ## 4. The certificate
#
# Free of butterflies (`min_g` >= 0) and of calendar arbitrage (margins >= 0, in units of the later
# expiry's variance at the money), looked at on 2,000 points. `calendar_margin` is on strikes that
# both expiries quote; where `calendar_margin_wings` is negative, the certificate ends earlier, at
# `certified_k_low` and `certified_k_high`. The engine makes no quote outside.

# %%
quoted_low, quoted_high = surface.quoted_range.T
table.select(
    "expiry",
    "min_g",
    "calendar_margin",
    "calendar_margin_wings",
    "certified",
    "certified_k_low",
    "certified_k_high",
).with_columns(quoted_k_low=quoted_low, quoted_k_high=quoted_high)

# %%
print(f"{surface.row_certified.sum()} of {len(surface.chain)} listed options may be quoted")
assert table["certified"].all()

# %% [markdown]
# ## 5. A date between two expiries
#
# On calendar time the variance of the earnings is smeared over the week around them. The term
# structure shows that it is there; told when, a clock puts it where it belongs.

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
# nothing said weighs nights, weekends and holidays as index options do.

# %%
with_event = VolClock(1.0, 1.0, 1.0, holidays=(), half_days=(), events=(event,))
aware = surface.on_clock(with_event)
days = np.append(np.arange(3.0, 26.0, 0.5), (EARNINGS - NOW) / 86400e9 + np.array([-1e-3, 1e-3]))
days.sort()
instants = NOW + np.rint(days * 86400).astype(np.int64) * 10**9
years = days / 365
money = surface.forward(years)
figure = Figure(figsize=(7.5, 3.4), layout="constrained")
panel = figure.subplots()
truth = np.array(
    [float(true_vols(np.array([f]), int(t))[0]) for f, t in zip(money, instants, strict=True)]
)
panel.plot(days, 100.0 * truth, "o", color="#222222", ms=3.5, label="true")
panel.plot(days, 100.0 * surface.vol(money, years), color="#E69F00", ls="--", label="calendar time")
panel.plot(days, 100.0 * aware.vol(money, years), color="#0072B2", label="with the event")
panel.axvline((EARNINGS - NOW) / 86400e9, color="#8a8a8a", lw=0.8, ls=":")
panel.set(xlabel="days to expiry", ylabel="at-the-money vol, %")
panel.spines[["top", "right"]].set_visible(False)
panel.legend(frameon=False)
figure

# %% [markdown]
# ## 6. Who is wrong?
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
# ## 7. Models side by side
#
# The same quotes, the same forwards. A hit rate counts only beside its certificate. "Cold" is a
# first fit, forwards, marks and certificate included; "unchanged" is the same quotes again.

# %%
order = ["expiry", "strike", "right"]  # a chain's: calls before puts
sides = chain.sort(order)
bid, ask = (sides[side].to_numpy() for side in ("bid", "ask"))


def timed(call, times=3):
    """The last answer, and the least time of a call in ms."""
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        answer = call()
        spent.append(1e3 * (time.perf_counter() - started))
    return answer, min(spent)


rows = []
for model in ("mixture", "spline", "svi", "essvi"):

    def cold(model=model):
        return LiveFitter(surface.chain, FitConfig(model=model)).update(
            NOW, spot=SPOT, bid=bid, ask=ask
        )

    cold()  # compile
    fitted, cold_ms = timed(cold)
    fitter = LiveFitter(surface.chain, FitConfig(model=model))
    fitter.update(NOW, spot=SPOT, bid=bid, ask=ask)

    def warm(fitter=fitter):
        return fitter.update(NOW + 10**9, spot=SPOT, bid=bid, ask=ask)

    _, warm_ms = timed(warm)
    d = fitted.diagnostics
    rows.append(
        {
            "model": model,
            "hit %": round(100.0 * d["hits"].sum() / d["quotes"].sum(), 1),
            "core hit %": round(100.0 * d["core_hits"].sum() / d["core_quotes"].sum(), 1),
            "after earnings %": round(100.0 * d["hits"][2] / d["quotes"][2], 1),
            "certified": f"{d['certified'].sum()} of {len(d)}",
            "least g": round(d["min_g"].min(), 4),
            "least calendar": round(d["calendar_margin"].min(), 4),
            "cold ms": round(cold_ms, 1),
            "unchanged ms": round(warm_ms, 1),
        }
    )
pl.DataFrame(rows)

# %% [markdown]
# Five letters an expiry cannot bend twice, nor can three: SVI and eSSVI miss most of the week after
# the earnings, however well they are fitted. The spline bends, and nothing in its making keeps it
# free of butterflies: look at its least g.

# %% [markdown]
# ## 8. Live
#
# A `LiveFitter` remembers. Spot falls by 2 % in ten steps; between refits `move` carries the level
# along the skew (R = 0 holds vols at equal moneyness, 1 at equal strikes); a refit puts it right.
# In this world the smile sticks to moneyness, so that is what we say.

# %%
fitter = LiveFitter(surface.chain, FitConfig())
log = []
for step in range(11):
    now, spot = NOW + step * 10 * 10**9, SPOT * (1.0 - 0.002 * step)
    fresh = step % 5 == 0
    started = time.perf_counter()
    if fresh:
        frame = quoted(spot, now, seed=100 + step)
        bid, ask = (frame[side].to_numpy() for side in ("bid", "ask"))
        started = time.perf_counter()
        now_surface = fitter.update(now, spot=spot, bid=bid, ask=ask)
    else:
        now_surface = fitter.move(spot, stickiness=0.0)
    spent = time.perf_counter() - started
    log.append(
        {
            "version": now_surface.version,
            "by": "update" if fresh else "move",
            "spot": spot,
            "forward 46 d": now_surface.forwards[5],
            "atm vol 46 d %": 100.0 * now_surface.atm_vol[5],
            "certified": int(now_surface.certificate.certified.sum()),
            "ms": round(1e3 * spent, 1),
        }
    )
pl.DataFrame(log)

# %% [markdown]
# When quotes go away, the last good curve stays, and says so; its error bars grow with its age.

# %%
nothing = np.full(len(surface.chain), np.nan)
minutes_later = fitter.update(now + 120 * 10**9, spot=spot, bid=nothing, ask=nothing)
kept = minutes_later.diagnostics.select("expiry", "atm_vol", "quotes", "path", "status")
assert (kept["path"] == "last_good").all()
print(
    "error of the 46-day at-the-money vol: "
    f"{1e4 * now_surface.error(5, np.zeros(1))[0]:.1f} bp, two minutes later "
    f"{1e4 * minutes_later.error(5, np.zeros(1))[0]:.1f} bp"
)
kept

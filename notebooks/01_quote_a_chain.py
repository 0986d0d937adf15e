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
# # Quote a chain
#
# From a day of market data to two-sided quotes, fills and an explained P&L, in five steps. The day
# is the embedded simulated SPY day, so nothing has to be downloaded; any recorded day works the
# same way: `open_day("../shared/data/lean", "GOOG", "2015-12-24")`.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from optmm.cli.simulate import configured
from optmm.data.simulator import simulate_day

world = simulate_day(configured(20), seed=7)  # the first twenty minutes
day = world.day
chain = day.chain
print(f"{chain.underlying.symbol} {day.session.date}: {len(chain):,} options, {chain.slices} expiries")

# %% [markdown]
# A day is one table of events: quotes, prints, underlying quotes, and (only in a simulation) the
# takers that the venue alone may see. Prices are exact integers in 1e-9 USD, time is ns UTC.

# %%
from optmm.market.events import Kind

kinds, counts = np.unique(day.events["kind"], return_counts=True)
{Kind(int(k)).name: int(n) for k, n in zip(kinds, counts, strict=True)}

# %% [markdown]
# ## 1. The market at one moment
#
# The event loop applies every event in order. Here we only want the tops of book ten minutes in.

# %%
from optmm.engine import core, state

now_ns = day.session.open_ns + 600 * 1_000_000_000
tables = state.create(chain, "simulated")
for field in ("stale_spot_ns", "stale_quote_ns"):
    tables.head[field] = 10**18
stop = int(np.searchsorted(day.events["ts_event_ns"], now_ns, side="right"))
at = 0
while at < stop:
    at, _ = core.advance(tables, day.events[:stop], at)
    state.drained(tables)
top = tables.mkt[:-1]
spot = float(tables.head["spot"][0])
bid, ask = (np.where(top[f] > 0, top[f] / 1e9, np.nan) for f in ("bid_e9", "ask_e9"))
print(f"spot {spot:.2f}; {np.mean(ask > bid):.0%} of the chain is two-sided")

# %% [markdown]
# ## 2. The surface
#
# Forward and discount factor of each expiry come from put-call parity, the early-exercise premium
# of American options is taken off, and one smile is fitted per expiry.

# %%
from optmm.engine.market import slices_of
from surfaces.live import FitConfig, LiveFitter

fitter = LiveFitter(slices_of(chain), FitConfig(rate_prior=0.04))
surface = fitter.update(now_ns, spot=spot, bid=bid, ask=ask, usable=ask > bid)
surface.diagnostics.select("expiry", "forward", "forward_error", "rate", "atm_vol", "quotes", "hits", "path")

# %%
from surfaces import plot

plot.smiles(surface)

# %%
plot.term_structure(surface)

# %% [markdown]
# The simulated day has a truth to compare with, which no quoter can see.

# %%
truth = world.truth.theo(np.arange(len(chain)), np.full(len(chain), now_ns))

from optmm.quoting import theo

sheet = theo.sheet(chain, surface, now_ns, spot, stickiness=1.3)
liquid = (np.abs(sheet.delta) > 0.1) & (np.abs(sheet.delta) < 0.9) & (sheet.years < 0.25)
error_cents = 100.0 * np.abs(sheet.theo - truth)[liquid]
print(f"fair value against truth, {liquid.sum()} liquid options: median {np.median(error_cents):.2f} cents")
assert np.median(error_cents) < 1.0

# %% [markdown]
# ## 3. Quotes
#
# Theo plus and minus a half width, skewed by inventory, outward to the tick. A book that is long a
# hundred contracts of one expiry leans on everything that shares its risk.

# %%
from optmm.config import DeskConfig
from optmm.quoting import quoter

terms = quoter.terms(chain, sheet, bid=bid, ask=ask, spot_half=0.005, config=DeskConfig())
rows = chain.rows(8)
middle = rows.start + int(np.argmin(np.abs(chain.strike[rows] - spot)))
book = np.zeros(len(chain), np.int64)
flat = quoter.plan(terms, book, 0.0, DeskConfig())
book[middle] = 100
long = quoter.plan(terms, book, 0.0, DeskConfig())
near = np.arange(middle - 4, middle + 5)
pl.DataFrame(
    {
        "series": [chain.symbol[i] for i in near],
        "market_bid": bid[near],
        "market_ask": ask[near],
        "theo": sheet.theo[near].round(4),
        "half_width": terms.half[near].round(4),
        "skew_flat": flat.skew[near].round(4),
        "skew_long_100": long.skew[near].round(4),
    }
)

# %% [markdown]
# ## 4. The whole run
#
# The desk does all of this on every event: it refits, quotes, gets filled, hedges at the touch and
# writes down every consequence.

# %%
from optmm.engine import replay

folder = Path(tempfile.mkdtemp()) / "run"
run = replay.run(day, DeskConfig(), folder, seed=7, command="notebook")

# %% [markdown]
# ## 5. The report
#
# Net P&L is split into what was captured, what informed flow took back, what inventory did, and what
# hedging and fees cost. Two independent computations must agree to the last 1e-9 dollar.

# %%
from optmm import reports

report = reports.write(folder)
replay.complete_run(folder)
result = report["bounds"]["simulated"]
assert result["identity_error"] == 0
{name: round(usd, 2) for name, usd in result["pnl"].items() if isinstance(usd, int | float)}

# %%
from optmm.engine.verify import verify_run

verify_run(folder)["bounds"]["simulated"]

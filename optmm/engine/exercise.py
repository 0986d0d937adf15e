"""Evening and expiry: who exercises, who is assigned, and which legs that books.

Longs are ours to decide: exercised in full when `hedging.early_exercise` says so. Shorts are
decided by their holders, of whom a configured share does the same; which of our lots that hits is
dealt by lot, fixed by the run's seed, the date and the symbol. At expiry holders follow the
exercise-by-exception rule but for a share of those near the strike who act against it.

Each exercise is two legs at one price of the underlying: the option closed at what it settles at,
the underlying delivered at that price. Together they move exactly the strike payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from hedging import early_exercise, expiry, lottery
from hedging.early_exercise import Answer
from optmm.config import Dividends
from optmm.config_days import Exercise, exact_e9
from optmm.errors import DataError
from optmm.market.booking import Cause, Leg, moved
from optmm.market.chain import Chain
from surfaces.curves.cash import CashDividends
from surfaces.units import years_between


@dataclass(frozen=True, slots=True)
class Evening:
    """What is known when a session has closed; arrays (n,) in chain order.

    `vol`, `rate` and `carry` are of the closing sheet, NaN where there is none.
    """

    now_ns: int  # the close
    next_open_ns: int
    date: str  # of the session that closed
    spot_e9: int  # closing mark of the underlying, with any dividend
    vol: np.ndarray
    rate: np.ndarray
    carry: np.ndarray


@dataclass(frozen=True, slots=True)
class Exercised:
    """One position that ended early, for the journal and the report."""

    instrument: int
    cause: Literal["early_exercise", "assignment"]
    lots: int  # of the position, signed: the part that ended
    held: int
    gain_usd: float  # a share, of exercising over holding


@dataclass(frozen=True, slots=True)
class EveningResult:
    """Legs to book before the night, in order of instrument; and what could not be decided."""

    legs: tuple[Leg, ...]
    rows: tuple[Exercised, ...]
    undecided: tuple[int, ...]  # held, in the money, asked, and without a volatility


def evening(
    chain: Chain,
    lots: np.ndarray,
    known: Evening,
    *,
    config: Exercise,
    dividends: Dividends,
    seed: int,
) -> EveningResult:
    """Early exercise and assignment after a close, on what is known then.

    Parameters
    ----------
    lots : signed option positions (n,), after the settlement of what expired this evening
    seed : of the run
    """
    rows = np.flatnonzero(
        (lots != 0) & chain.american & chain.physical
        & (chain.fixing_ns > known.now_ns) & (chain.exercise_ns > known.now_ns)
    )  # fmt: skip
    if not config.early or not rows.size or known.spot_e9 <= 0:
        return EveningResult((), (), ())
    future = chain.underlying.kind == "future"
    paid = CashDividends.of_dates(map(date.fromisoformat, dividends.ex_dates), dividends.cash_usd)
    schedule = paid.at(known.now_ns)
    ahead = (schedule.years > 0.0) & (not future)
    found = early_exercise.decide(
        right=chain.right[rows],
        strike=chain.strike[rows],
        years=years_between(known.now_ns, chain.fixing_ns[rows]),
        vol=known.vol[rows],
        rate=known.rate[rows],
        # with cash dividends given, the carry holds them already
        dividend_yield=0.0 if dividends.ex_dates else known.carry[rows],
        spot=known.spot_e9 / 1e9,
        ex_years=schedule.years[ahead],
        cash=schedule.cash[ahead],
        next_years=years_between(known.now_ns, known.next_open_ns),
        min_gain=config.min_gain_usd,
        on_future=future,
    )
    legs: list[Leg] = []
    out: list[Exercised] = []
    for i, answer, gain in zip(rows.tolist(), found.answer, found.gain.tolist(), strict=True):
        if answer != Answer.EXERCISE:
            continue
        held = int(lots[i])
        cause: Literal["early_exercise", "assignment"] = "early_exercise"
        ended = held
        if held < 0:
            cause = "assignment"
            keys = (known.date, chain.symbol[i], cause)
            ended = -lottery.share_of(-held, config.assignment_share, seed, *keys)
        if ended:
            legs += _delivered(chain, i, ended, known.spot_e9, cause)
            out.append(Exercised(i, cause, ended, held, gain))
    undecided = rows[found.answer == Answer.UNKNOWN]
    return EveningResult(tuple(legs), tuple(out), tuple(undecided.tolist()))


def expired(
    chain: Chain, i: int, lots: int, *, fixing_e9: int, config: Exercise, day: str, seed: int
) -> tuple[Leg, ...]:
    """Legs that end one expiring position at its fixing; contrary exercise included.

    Longs of ours follow the rule. Of our shorts that deliver and lie within `contrary_within_usd`
    of the strike, the share `contrary_share` goes against it: assigned out of the money, left alone
    in the money. `day` is the trade date, for the lot.
    """
    if lots == 0:
        return ()
    plain = _settled(chain, i, lots, fixing_e9)
    strike = int(chain.strike_e9[i])
    within = abs(fixing_e9 - strike) <= exact_e9(config.contrary_within_usd)
    if lots > 0 or not chain.physical[i] or not within or not config.contrary_share:
        return plain
    keys = (day, chain.symbol[i], "contrary_exercise")
    against = lottery.share_of(-lots, config.contrary_share, seed, *keys)
    if not against:
        return plain
    by_rule = _settled(chain, i, lots + against, fixing_e9)
    if len(plain) == 2:  # the rule exercises; these holders let the option go
        left = moved(
            instrument=i, lots=against, px_e9=0, kind="settlement", cause="contrary_exercise"
        )
        return (*by_rule, left)
    return (*by_rule, *_delivered(chain, i, -against, fixing_e9, "contrary_exercise"))


def threshold_e9(chain: Chain, i: int) -> int:
    """Least amount in the money that is exercised: any on a future, else a cent."""
    deliver = bool(chain.physical[i]) and chain.underlying.kind == "future"
    return 1 if deliver else expiry.EXERCISE_THRESHOLD_E9


def _settled(chain: Chain, i: int, lots: int, fixing_e9: int) -> tuple[Leg, ...]:
    legs = expiry.settle(
        lots,
        right=int(chain.right[i]),
        strike_e9=int(chain.strike_e9[i]),
        fixing_e9=fixing_e9,
        multiplier=int(chain.multiplier[i]),
        physical=bool(chain.physical[i]),
        underlying_multiplier=chain.underlying.multiplier,
        threshold_e9=threshold_e9(chain, i),
    )
    return _placed(legs, i, len(chain), "expiry")


def _delivered(chain: Chain, i: int, lots: int, spot_e9: int, cause: Cause) -> tuple[Leg, ...]:
    """Exercise of signed `lots` at a price of the underlying, in the money or not."""
    w, strike = int(chain.right[i]), int(chain.strike_e9[i])
    each, odd = divmod(int(chain.multiplier[i]), chain.underlying.multiplier)
    if odd:
        raise DataError(
            f"{chain.symbol[i]} does not deliver a whole number of {chain.underlying.symbol}",
            remedy="Adjusted contracts are not exercised here: leave them out.",
        )
    return (
        moved(
            instrument=i, lots=-lots, px_e9=w * (spot_e9 - strike), kind="settlement", cause=cause
        ),
        moved(
            instrument=len(chain), lots=w * lots * each, px_e9=spot_e9, kind="exercise", cause=cause
        ),
    )


def _placed(legs: Sequence[expiry.Leg], i: int, n: int, cause: Cause) -> tuple[Leg, ...]:
    return tuple(
        Leg(
            i if leg.kind == "settlement" else n,
            leg.side, leg.lots, leg.px_e9, leg.px_e9, leg.kind, cause,
        )
        for leg in legs
    )  # fmt: skip

"""Early exercise: the parity condition of Merton, and QuantLib's own American values."""

import numpy as np
import pytest

from hedging import early_exercise
from hedging.early_exercise import Answer
from hedging.errors import InvalidInput
from surfaces.pricing import black

NIGHT = 17.5 / 24 / 365


def decide(**changes):
    terms = {"right": 1, "strike": 380.0, "years": 1 / 365, "vol": 0.2, "rate": 0.05,
             "dividend_yield": 0.0, "spot": 396.11, "ex_years": [NIGHT / 2], "cash": [1.506],
             "next_years": NIGHT}  # fmt: skip
    return early_exercise.decide(**(terms | changes))


def test_a_call_is_exercised_iff_the_dividend_beats_the_put_and_the_interest():
    """Without later dividends the American call is European: S - K > C(S - PV D) is by parity
    PV(D) > P(S - PV D) + K (1 - exp(-rT)), and P comes from another formula."""
    rng = np.random.default_rng(11)
    n = 4000
    strike = rng.uniform(250, 396, n)
    years = rng.uniform(1.0 / 365, 0.3, n)
    vol, rate, cash = rng.uniform(0.08, 0.6, n), 0.045, 2.1
    found = decide(strike=strike, years=years, vol=vol, rate=rate, cash=[cash])
    paid = cash * np.exp(-rate * NIGHT / 2)
    df = np.exp(-rate * years)
    put = black.price(right=-1, forward=(396.11 - paid) / df, strike=strike, years=years, vol=vol,
                      df=df)  # fmt: skip
    margin = paid - put - strike * (1.0 - df)
    clear = np.abs(margin) > 1e-8
    wanted = np.where(margin > 0, Answer.EXERCISE, Answer.HOLD)
    assert 200 < (wanted == Answer.EXERCISE).sum() < n - 200
    np.testing.assert_array_equal(found.answer[clear], wanted[clear])
    np.testing.assert_allclose(found.gain, margin, atol=1e-9 * 396)


def test_without_a_dividend_tonight_a_call_waits():
    for ex in ([], [2 * NIGHT]):
        found = decide(strike=[100.0, 380.0], ex_years=ex, cash=[50.0] * len(ex), years=0.1)
        assert found.answer.tolist() == [Answer.HOLD, Answer.HOLD]
    assert decide(strike=420.0).answer.tolist() == [Answer.HOLD]  # out of the money


def test_a_least_gain_and_a_missing_vol():
    gain = float(decide(strike=300.0).gain[0])
    assert gain == pytest.approx(1.506 - 300 * 0.05 / 365, abs=2e-4)
    assert decide(strike=300.0, min_gain=gain + 1e-6).answer.tolist() == [Answer.HOLD]
    assert decide(strike=300.0, min_gain=gain - 1e-6).answer.tolist() == [Answer.EXERCISE]
    found = decide(strike=[300.0, 420.0], vol=np.nan)
    assert found.answer.tolist() == [Answer.UNKNOWN, Answer.HOLD]


def test_later_dividends_keep_a_call_alive_for_them():
    """QuantLib's finite differences on the share after tonight's dividend, with the later one."""
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(16, 3, 2023)
    ql.Settings.instance().evaluationDate = today
    count, act = ql.Actual365Fixed(), ql.QuoteHandle
    strikes = [330.0, 350.0, 370.0, 385.0]
    later = 91
    found = decide(strike=strikes, years=120 / 365, vol=0.18, rate=0.04,
                   ex_years=[NIGHT, later / 365], cash=[1.5, 1.6])  # fmt: skip
    spot = 396.11 - 1.5 * np.exp(-0.04 * NIGHT)
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.0, 0.04)]
    vol = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), 0.18, count))
    process = ql.BlackScholesMertonProcess(act(ql.SimpleQuote(spot)), *flat, vol)
    schedule = ql.DividendVector([today + later], [1.6])
    engine = ql.FdBlackScholesVanillaEngine(process, schedule, 200, 1000)
    for strike, value in zip(strikes, found.continuation, strict=True):
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call, strike), ql.AmericanExercise(today, today + 120)
        )
        option.setPricingEngine(engine)
        # both are finite differences: ours to 5e-4 a share at 560, QuantLib's grid as much again
        assert value == pytest.approx(option.NPV(), abs=5e-3), strike


@pytest.mark.parametrize("on_future", [False, True])
def test_past_the_boundary_and_only_there(on_future):
    """QuantLib's QD+ fixed-point engine (1e-10) says which options are worth just intrinsic."""
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(16, 3, 2023)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    rng = np.random.default_rng(4)
    n = 60
    days, strike = rng.integers(5, 300, n), rng.uniform(60, 190, n)
    right = rng.choice([-1, 1], n) if on_future else np.full(n, -1)
    rate, vol, carry = 0.06, 0.18, 0.01
    found = early_exercise.decide(
        right=right, strike=strike, years=days / 365, vol=vol, rate=rate, dividend_yield=carry,
        spot=100.0, next_years=NIGHT, on_future=on_future,
    )  # fmt: skip
    carries = (rate if on_future else carry, rate)
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in carries]
    black_vol = ql.BlackConstantVol(today, ql.NullCalendar(), vol, count)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(100.0)), *flat, ql.BlackVolTermStructureHandle(black_vol)
    )
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())
    told = 0
    for i in range(n):
        kind = ql.Option.Call if right[i] > 0 else ql.Option.Put
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(kind, float(strike[i])),
            ql.AmericanExercise(today, today + int(days[i])),
        )
        option.setPricingEngine(engine)
        intrinsic = right[i] * (100.0 - strike[i])
        left = option.NPV() - intrinsic
        if intrinsic > 0 and 1e-8 < left < 5e-4:
            continue  # within rounding of the boundary either answer costs nothing
        told += 1
        ends = intrinsic > 0 and left <= 1e-8
        assert found.answer[i] == (Answer.EXERCISE if ends else Answer.HOLD), (i, strike[i])
    assert told > 40
    assert 5 < (found.answer == Answer.EXERCISE).sum() < n - 15


@pytest.mark.parametrize("rate", [0.0, -0.01])
def test_a_put_without_interest_is_never_exercised(rate):
    found = decide(right=-1, strike=[500.0, 2000.0], rate=rate, ex_years=[], cash=[], years=0.5)
    assert found.answer.tolist() == [Answer.HOLD, Answer.HOLD]


def test_a_dividend_to_come_keeps_a_put_alive():
    """A put on 800 with nothing to hope for is exercised, but not the evening before 5 USD fall."""
    alone = decide(right=-1, strike=800.0, years=0.1, ex_years=[], cash=[])
    before = decide(right=-1, strike=800.0, years=0.1, cash=[5.0])
    assert alone.answer.tolist() == [Answer.EXERCISE]
    assert before.answer.tolist() == [Answer.HOLD]


def test_bad_arguments_are_named():
    with pytest.raises(InvalidInput, match="spot is 0 USD"):
        decide(spot=0.0)
    with pytest.raises(InvalidInput, match="ex_years has 1 dates and cash 2"):
        decide(cash=[1.0, 2.0])

"""The ways to ask for Greeks agree: which=, out=, chain layout, units, addition of legs."""

import numpy as np
import pytest

from surfaces.errors import InvalidInput
from surfaces.pricing import black, bsm
from surfaces.pricing.greeks import NAMES


@pytest.fixture(params=["black", "bsm"])
def chain(request):
    """(module, expiry arguments of shape (m,), option arguments of shape (n,), slices)."""
    rng = np.random.default_rng(12)
    sizes = np.array([1, 0, 255, 256, 257, 7, 1000])
    slices = np.concatenate([[0], np.cumsum(sizes)])
    n, m = int(slices[-1]), sizes.size
    years = np.exp(rng.uniform(-8.0, 1.0, m))
    options = {
        "right": rng.choice([-1.0, 1.0], n),
        "strike": 100.0 * np.exp(rng.uniform(-1.0, 1.0, n)),
        "vol": rng.uniform(0.05, 3.0, n),
    }
    options["vol"][::97] = 0.0
    expiry = {"years": years}
    if request.param == "black":
        module, expiry = black, expiry | {"forward": rng.uniform(90, 110, m),
                                          "df": np.exp(-0.05 * years)}  # fmt: skip
    else:
        rates = {name: rng.uniform(-0.01, 0.1, m) for name in ("rate", "dividend_yield")}
        module, expiry = bsm, expiry | {"spot": np.full(m, 100.0)} | rates
    return module, expiry, options, slices


def test_chain_layout_is_the_general_layout(chain):
    module, expiry, options, slices = chain
    of = np.repeat(np.arange(slices.size - 1), np.diff(slices))
    general = module.greeks(**options, **{name: v[of] for name, v in expiry.items()})
    got = module.greeks(**options, **expiry, slices=slices)
    for name in NAMES:
        assert getattr(got, name).tobytes() == getattr(general, name).tobytes(), name
    price = module.price(**options, **expiry, slices=slices)
    assert price.tobytes() == general.price.tobytes()


def test_which_and_out_change_nothing_but_what_is_computed(chain):
    module, expiry, options, slices = chain
    every = module.greeks(**options, **expiry, slices=slices)
    rng = np.random.default_rng(1)
    asked = [[name] for name in NAMES] + [list(rng.permutation(NAMES)[:k]) for k in (2, 5, 9, 14)]
    for names in asked:
        out = np.full((len(names), options["strike"].size), np.nan)
        got = module.greeks(**options, **expiry, slices=slices, which=names, out=out)
        assert [name for name, _ in got.items()] == names
        for row, name in zip(out, names, strict=True):
            assert row.tobytes() == getattr(every, name).tobytes(), (name, names)
            assert np.shares_memory(getattr(got, name), out)
    with pytest.raises(InvalidInput, match=r"'volgamma'.*must be some of"):
        module.greeks(**options, **expiry, slices=slices, which=["volgamma"])
    with pytest.raises(AttributeError, match="gamma was not computed"):
        module.greeks(**options, **expiry, slices=slices, which=["delta"]).gamma


def test_out_must_fit_and_must_not_be_an_argument():
    """An `out` on top of an argument would be read after it was written."""
    n = 300
    rows = {"right": 1, "forward": 100.0, "strike": np.linspace(80, 120, n), "years": 0.5,
            "vol": np.linspace(0.1, 0.5, n)}  # fmt: skip
    want = black.price(**rows)
    for out in (
        np.empty(n - 1),
        np.empty(n, np.float32),
        np.empty((n, 2))[:, 0],
        np.empty(n).tolist(),
    ):
        with pytest.raises(InvalidInput, match="out has shape"):
            black.price(**rows, out=out)
    locked = np.empty(n)
    locked.flags.writeable = False
    with pytest.raises(InvalidInput, match="out has shape"):
        black.price(**rows, out=locked)
    vol = rows["vol"].copy()
    try:
        got = black.price(**{**rows, "vol": vol}, out=vol)
    except InvalidInput:
        return
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("slices", [[0, 3, 2, 5], [1, 5], [0, 4], [0, 6], [], [0.0, 5.0], [[0, 5]]])
def test_slices_that_are_no_partition_are_refused(slices):
    m = max(np.size(slices) - 1, 1)
    with pytest.raises(InvalidInput, match="slices"):
        black.price(right=1, strike=np.full(5, 90.0), vol=0.2, forward=np.full(m, 100.0), years=0.5,
                    slices=slices)  # fmt: skip


def test_slices_must_match_the_expiries():
    with pytest.raises(InvalidInput, match=r"2 expiries.* have 3"):
        black.price(right=1, strike=np.full(5, 90.0), vol=0.2, forward=np.full(3, 100.0), years=0.5,
                    slices=[0, 2, 5])  # fmt: skip


def test_trader_units_are_exact_factors(chain):
    module, expiry, options, slices = chain
    natural = module.greeks(**options, **expiry, slices=slices)
    trader = module.greeks(**options, **expiry, slices=slices, units="trader")
    per = {"vega": 100, "vanna": 100, "zomma": 100, "rho": 100, "volga": 10_000, "theta": 365,
           "charm": 365, "color": 365}  # fmt: skip
    for name in NAMES:
        want = getattr(natural, name) / per.get(name, 1)
        np.testing.assert_allclose(getattr(trader, name), want, rtol=4e-16, err_msg=name)
    assert trader.units == "trader"
    with pytest.raises(InvalidInput, match="units is 'bank'"):
        module.greeks(**options, **expiry, slices=slices, units="bank")

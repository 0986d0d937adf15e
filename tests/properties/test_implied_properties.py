"""Implied vols of a million drawn prices: the vol comes back, the price comes back, none is lost.

The prices are 80-bit prices rounded once, so nothing here depends on `black.price` being right.
"""

import numpy as np
import pytest
from bounds import EPS, input_rounding, price_error, vol_error
from longdouble import LD, black_parts, in_chunks

from surfaces.pricing import black, implied
from surfaces.status import Status


@pytest.fixture(scope="module")
def quotes(million, parts) -> dict[str, np.ndarray]:
    """The million as quotes: price instead of vol."""
    out = {name: v for name, v in million.items() if name != "vol"}
    w, F, K = (million[name] for name in ("right", "forward", "strike"))
    value = parts["otm"] + np.maximum(w * (F.astype(LD) - K), 0)
    return {"price": np.asarray(million["df"] * value, float), **out}


@pytest.fixture(scope="module")
def attainable(million, parts) -> np.ndarray:
    """Relative error of the vol that rounding price, forward and strike causes."""
    names = ("forward", "strike", "years", "vol", "df", "right")
    return vol_error(parts, *(million[name] for name in names))


def test_vol_comes_back_as_far_as_the_price_holds_it(million, quotes, attainable, within):
    """At most 4 x attainable wherever the price determines its vol to a part in a thousand."""
    got = implied.vol(**quotes)
    sound = (attainable < 1e-3) & (quotes["price"] > 1e-300)
    assert sound.mean() > 0.6
    bad = sound & ~got.ok
    i = int(np.argmax(bad))
    assert not bad.any(), (bad.sum(), got.status[i], {k: v[i] for k, v in quotes.items()})
    error = np.where(sound, got.vol / million["vol"] - 1.0, 0.0)
    within(error, 4.0 * attainable + EPS, million, "vol")


def test_every_other_row_has_a_reason(quotes, attainable):
    """No vol means: no time value left in the price, or none left to its cap, never a failure."""
    got = implied.vol(**quotes)
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    np.testing.assert_array_equal(np.isfinite(got.vol), got.ok | (got.vol == 0.0))
    w, F, K = (quotes[name] for name in ("right", "forward", "strike"))
    p, df = quotes["price"], quotes["df"]
    intrinsic = df * np.maximum(w * (F - K), 0.0)
    spent = np.abs(p - intrinsic) <= 4 * EPS * np.maximum(p, intrinsic)
    full = p >= df * np.where(w > 0, F, K) * (1 - 4 * EPS)
    status = got.status
    low = np.isin(status, [Status.BELOW_INTRINSIC, Status.NO_VEGA])
    assert np.all(spent[low])
    assert np.all(full[status == Status.ABOVE_BOUND])
    assert np.all((got.vol > 0.0)[got.ok])


def test_price_comes_back_from_any_price_between_its_bounds(million, within):
    """price(vol(p)) = p for p drawn anywhere between intrinsic and cap, with no vol behind it."""
    rng = np.random.default_rng(5)
    w, F, K, T, df = (million[name] for name in ("right", "forward", "strike", "years", "df"))
    cap, n = np.minimum(F, K), F.size
    share = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-250.0, 0.0, n), rng.random(n))
    share = np.where(rng.random(n) < 0.2, 1.0 - 10 ** rng.uniform(-15.0, 0.0, n), share)
    price = df * (np.maximum(w * (F - K), 0.0) + share * cap)
    quotes = {name: v for name, v in million.items() if name != "vol"} | {"price": price}
    got = implied.vol(**quotes)
    assert not np.isin(got.status, [Status.NOT_CONVERGED, Status.BAD_INPUT]).any()
    vol = np.where(got.ok, got.vol, 1.0)
    again = black.price(**{**million, "vol": vol})
    parts = in_chunks(black_parts, F, K, T, vol)
    # what 4 x attainable of the vol moves the price by, and the pricer's own rounding
    moved = 4.0 * df * input_rounding(parts, F, K, T, vol, df, w)[0]
    slack = moved + 2 * EPS * price + price_error(parts, F, K, df)
    within(np.where(got.ok, again - price, 0.0), slack, quotes, "price of vol of price")


def test_vol_rises_with_price(quotes, attainable, within):
    """Monotone, up to what the rounding of the price allows."""
    got = implied.vol(**quotes)
    up = implied.vol(**{**quotes, "price": quotes["price"] * (1.0 + 1e-6)})
    both = got.ok & up.ok & (attainable < 1e-3)
    fall = np.where(both, np.maximum(got.vol - up.vol, 0.0), 0.0)
    within(fall, 8.0 * attainable * np.where(got.ok, got.vol, 1.0), quotes, "vol falls")


def test_both_rights_agree(million, parts, quotes, within):
    """Call and put of one vol: each carries it as far as its own price does."""
    got = implied.vol(**quotes)
    w, F, K, df = (quotes[name] for name in ("right", "forward", "strike", "df"))
    value = parts["otm"] + np.maximum(-w * (F.astype(LD) - K), 0)
    twin = {**quotes, "right": -w, "price": np.asarray(df * value, float)}
    other = implied.vol(**twin)
    names = ("forward", "strike", "years", "vol", "df")
    slack = sum(vol_error(parts, *(million[n] for n in names), side) for side in (w, -w))
    both = got.ok & other.ok & (slack < 1e-3)
    gap = np.where(both, got.vol / np.where(both, other.vol, 1.0) - 1.0, 0.0)
    within(gap, np.where(both, 4.0 * slack + EPS, 1.0), quotes, "call against put")


def test_the_same_input_gives_the_same_bytes(quotes):
    """In one batch, reversed, and in pieces across block edges: no lane knows its neighbours."""
    few = {name: v[:20_000] for name, v in quotes.items()}
    whole = implied.vol(**few)
    backwards = implied.vol(**{name: v[::-1] for name, v in few.items()})
    assert backwards.vol[::-1].tobytes() == whole.vol.tobytes()
    assert backwards.status[::-1].tobytes() == whole.status.tobytes()
    for size in (1, 5, 511, 513):
        part = implied.vol(**{name: v[777 : 777 + size] for name, v in few.items()})
        assert part.vol.tobytes() == whole.vol[777 : 777 + size].tobytes(), size

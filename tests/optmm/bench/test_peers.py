"""Each peer that is installed prices and inverts what we mean: rights, rates, units and order."""

import warnings

import numpy as np
import pytest

from optmm.bench import exact, markets, peers

NAMES = [peer.name for peer in peers.SHELF]


@pytest.fixture(scope="module")
def market():
    """Sixty options near the money, both rights mixed, and their figures in 70 digits."""
    drawn = markets.realistic(400, seed=5)
    reach = np.abs(np.log(drawn.forward / drawn.strike)) / (drawn.vol * np.sqrt(drawn.years))
    it = drawn.rows(np.flatnonzero(reach < 1.5)[:60])
    assert len(it) == 60 and len(set(it.right)) == 2
    return it, exact.black(it)


@pytest.fixture(params=NAMES)
def peer(request):
    """(adapter, library); skips, saying why, where it is not installed."""
    found = next(p for p in peers.SHELF if p.name == request.param)
    lib = peers.load(found)
    if isinstance(lib, str):
        pytest.skip(f"{request.param} is {lib}; scripts/bench installs it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield found, lib


def test_vols_come_back_in_our_order(peer, market):
    adapter, lib = peer
    it, truth = market
    job = adapter.vols(lib, it, truth.price)
    if job is None:
        pytest.skip(f"{adapter.name} inverts nothing in bulk")
    np.testing.assert_allclose(job.read(job.call()), it.vol, rtol=2e-5)
    if hasattr(adapter, "exact_vols"):
        job = adapter.exact_vols(lib, it, truth.price)
        np.testing.assert_allclose(job.read(job.call()), it.vol, rtol=1e-10)


def test_prices_and_greeks_mean_ours(peer, market):
    adapter, lib = peer
    it, truth = market
    job = adapter.greeks(lib, it)
    if job is None:
        assert adapter.greeks_of == ""
        pytest.skip(f"{adapter.name} has no Greeks in bulk")
    got = job.read(job.call())
    np.testing.assert_allclose(got["price"] / it.df, truth.price, atol=1e-6 * markets.SPOT)
    for name in {"gamma", "vega"} & set(got):
        np.testing.assert_allclose(got[name] / it.df, getattr(truth, name), rtol=1e-9)


def test_a_missing_peer_says_why_it_did_not_install(tmp_path, monkeypatch):
    class Absent:
        name, module, rows, greeks_of = "no-such-peer", "no_such_peer_anywhere", None, ""

    assert peers.load(Absent()) == "not installed: No module named 'no_such_peer_anywhere'"
    said = tmp_path / "failed"
    said.write_text("other\tx\nno-such-peer\tERROR: no wheel for this Python\n")
    monkeypatch.setenv(peers.FAILURES, str(said))
    assert peers.load(Absent()) == "not installed: ERROR: no wheel for this Python"
    assert peers.release_of("no-such-peer") == ""


def test_a_peer_that_breaks_in_use_is_named_and_stops_nothing():
    """py_vollib_vectorized installs beside a newer solver that numba cannot compile, for one."""

    class Broken:
        name, module, rows, greeks_of = "broken", "json", None, ""

        def vols(self, lib, it, price):
            raise TypeError("no such argument\nsecond line")

        def greeks(self, lib, it):
            return None

    assert peers.tried(Broken()) == "installed, but fails: TypeError: no such argument"
    whole = next(p for p in peers.SHELF if p.name == "QuantLib")
    assert not isinstance(peers.tried(whole), str)

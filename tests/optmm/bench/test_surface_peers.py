"""Peers of the surface: judged by known curves, run in processes, failures told and not fatal."""

import sys

import numpy as np
import pytest

from optmm.bench import surface_peers, surface_runner
from optmm.bench.surface_peers import Expiry, judged, places, read_chain, run
from surfaces.errors import InvalidInput
from surfaces.smiles.svi import SVI

# Gatheral-Jacquier 2014, example 3.1: Vogt's raw SVI, g < 0 near k = 0.88
VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
THETA = np.array([0.004, 0.05, -0.6, 0.01, 0.08])


def expiry(theta: np.ndarray, years: float, k: np.ndarray, half: float = 0.002) -> Expiry:
    vol = np.sqrt(SVI.total_variance(k, theta) / years)
    return Expiry(years, k, vol - half, vol + half)


def chain() -> list[Expiry]:
    k = np.linspace(-0.4, 0.2, 40)
    return [
        expiry(THETA * [ratio, ratio, 1.0, 1.0, 1.0], round(182 * ratio) / 365.0, k)
        for ratio in (1.0, 1.5)
    ]


def vols_of(thetas, expiries) -> list[np.ndarray]:
    at = places(expiries)
    return [
        np.sqrt(SVI.total_variance(k, theta) / e.years)
        for k, theta, e in zip(at, thetas, expiries, strict=True)
    ]


def test_the_truth_hits_everything_and_has_no_arbitrage():
    expiries = chain()
    thetas = [THETA * [ratio, ratio, 1.0, 1.0, 1.0] for ratio in (1.0, 1.5)]
    row = judged("truth", expiries, vols_of(thetas, expiries))
    assert (row.quotes, row.hits, row.failed) == (80, 80, 0)
    assert row.core_quotes == row.core_hits > 0
    assert row.min_g > 0.0 and row.butterflies == row.crossings == 0
    w = [SVI.total_variance(np.linspace(-0.4, 0.2, 9001), t) for t in thetas]
    wanted = np.min(w[1] - w[0]) / SVI.total_variance(np.zeros(1), thetas[1])[0]
    assert row.calendar == pytest.approx(wanted, rel=1e-6)


def test_vogts_butterfly_is_found_with_its_published_depth():
    """min g = -0.03286 (reference table of Vogt's parameters), by differences of vols alone."""
    one = [expiry(VOGT, 1.0, np.linspace(-1.0, 1.2, 30))]
    row = judged("vogt", one, vols_of([VOGT], one))
    assert row.butterflies == 1
    assert row.min_g == pytest.approx(-0.03286, abs=2e-5)


def test_crossed_expiries_and_missing_curves_are_counted():
    expiries = chain()
    crossed = judged("crossed", expiries, vols_of([THETA, 0.9 * THETA], expiries))
    assert crossed.crossings == 1 and crossed.calendar < 0.0
    half = judged("half", expiries, [vols_of([THETA] * 2, expiries)[0], None])
    assert (half.quotes, half.hits, half.failed, half.calendar) == (80, 40, 1, None)


def test_quantlibs_svi_recovers_an_svi():
    """Its own parametrisation, quotes without noise and 0.4 vol points wide."""
    pytest.importorskip("QuantLib")
    (row,) = run(chain(), names=["QuantLib SVI"])
    assert row.note == "" and row.version
    assert row.hits / row.quotes > 0.95 and row.failed == 0
    assert row.first > 0.0 and row.again > 0.0


def test_a_peer_that_is_not_there_is_a_row_that_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv(surface_peers.PYTHON, raising=False)
    (row,) = run(chain(), names=["volsurface SVI"])
    assert row.note.startswith("not tried: OPTMM_SURFACE_PEERS is not set")
    (row,) = run(chain(), names=["volsurface SVI"], python=sys.executable)
    assert row.note == "ModuleNotFoundError: No module named 'volsurface'" and row.quotes == 0
    said = tmp_path / "failed"
    said.write_text("volsurface==0.2.0\tERROR: no wheel\n")
    monkeypatch.setenv(surface_peers.FAILURES, str(said))
    (row,) = run(chain(), names=["volsurface SVI"], python=sys.executable)
    assert row.note == "does not install: ERROR: no wheel"
    (row,) = run(chain(), names=["volsurface SVI"], python=str(tmp_path / "nothing"))
    assert row.note == "does not install: ERROR: no wheel"


def test_what_a_library_raises_is_its_error_and_a_slice_that_fails_is_none(monkeypatch, tmp_path):
    def broken(lib):
        def one(s):
            if s["years"] > 0.6:
                raise ValueError("no such smile")
            return lambda k: np.full(k.size, 0.2)

        return surface_runner.each(one)

    monkeypatch.setitem(surface_runner.PEERS, "broken", ("numpy", "numpy", broken))
    one = {"k": [-0.1, 0.1], "bid": [0.19, 0.19], "ask": [0.21, 0.21]}
    request = {"slices": [one | {"years": 0.5}, one | {"years": 1.0}], "at": [[0.0], [0.0]]}
    got = surface_runner.run("broken", request)
    assert got["vols"] == [[0.2], None] and got["version"] == np.__version__


def test_prices_of_the_runner_are_blacks():
    """Its own formula, since it can import nothing of ours."""
    from surfaces.smiles.mixture import otm_price

    k = np.linspace(-1.0, 1.0, 21)
    got = surface_runner.otm(k, np.full(k.size, 0.3))
    np.testing.assert_allclose(got, otm_price(k, np.full(k.size, 0.3)), rtol=1e-10)


def test_a_chain_is_read_by_expiry_in_rising_strikes(tmp_path):
    path = tmp_path / "chain.csv"
    path.write_text(
        "expiry,T,F,DF,k,bid_iv,ask_iv,clean,source\n"
        "a,0.1,1,1,0.1,0.2,0.21,1,x\na,0.1,1,1,-0.1,0.3,0.31,1,x\nb,0.2,1,1,0,0.2,0.22,0,x\n"
    )
    first, second = read_chain(path)
    assert first.k.tolist() == [-0.1, 0.1] and first.bid.tolist() == [0.3, 0.2] and first.clean
    assert second.years == 0.2 and not second.clean
    path.write_text("expiry,T,F,DF,k,bid_iv,ask_iv,clean,source\n")
    with pytest.raises(InvalidInput, match=r"chain\.csv has no quotes"):
        read_chain(path)


@pytest.mark.real
def test_quantlibs_svi_on_the_spx_table_hits_what_raw_svi_does(shared_data):
    """Published for raw SVI on the clean expiries: 63-69 % of the quotes."""
    path = shared_data.parent / "reference" / "surfaces" / "spx_20241111_otm_quotes.csv"
    if not path.is_file():
        pytest.skip("the reference chain is not here: put it in ../shared/reference/surfaces")
    (row,) = run([e for e in read_chain(path) if e.clean], names=["QuantLib SVI"])
    assert 0.60 < row.hits / row.quotes < 0.75

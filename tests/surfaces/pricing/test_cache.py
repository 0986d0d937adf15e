"""The compiled-code cache: an edited callee is noticed, an unwritable place is reported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import surfaces
from surfaces.kernels import cache

SCRIPT = """
import sys
assert "numba" not in sys.modules
import surfaces
assert "numba" not in sys.modules, "import surfaces must not load a compiler"
from surfaces.pricing import black
from surfaces.kernels.cache import status
print(float(black.price(right=1, forward=100.0, strike=100.0, years=1.0, vol=0.2)))
print(status().path, status().is_temporary)
"""


def run(root: Path, base: Path) -> tuple[float, Path, bool]:
    """One price from a fresh process that sees the packages under `root` only."""
    env = {**os.environ, "PYTHONPATH": str(root), "OPTMM_CACHE_DIR": str(base)}
    env.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, cwd=root, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    price, where = done.stdout.splitlines()
    path, temporary = where.rsplit(" ", 1)
    return float(price), Path(path), temporary == "True"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources in a folder of their own, without compiled leftovers."""
    root = tmp_path / "copy"
    shutil.copytree(
        Path(surfaces.__file__).parent, root / "surfaces",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    return root


def test_an_edited_callee_changes_its_callers(copy: Path, tmp_path: Path):
    """numba alone would run the old normal density inside the cached Black kernel."""
    base = tmp_path / "cache"
    before, first, temporary = run(copy, base)
    assert not temporary
    assert list(first.rglob("*.nbi")), "numba did not keep its code where it was told"
    assert not list(copy.rglob("*.nbi"))
    again, same, _ = run(copy, base)
    assert (again, same) == (before, first)
    callee = copy / "surfaces" / "kernels" / "normal.py"
    text = callee.read_text()
    assert "INV_SQRT_2PI = 0.3989422804014327" in text
    callee.write_text(text.replace("INV_SQRT_2PI = 0.3989", "INV_SQRT_2PI = 0.7978"))
    after, second, _ = run(copy, base)
    assert second != first
    assert after != pytest.approx(before, rel=1e-3)


def test_an_unwritable_place_falls_back_to_a_temporary_folder(monkeypatch, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("OPTMM_CACHE_DIR", str(blocked))
    chosen = cache._choose()
    assert chosen.is_temporary
    assert Path(chosen.path).is_dir()
    assert "set OPTMM_CACHE_DIR to a writable folder" in chosen.why


def test_old_caches_are_swept_and_recent_ones_kept(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("OPTMM_CACHE_DIR", str(tmp_path))
    old, recent, foreign = (tmp_path / n for n in ("kernels-old", "kernels-recent", "other"))
    for folder in (old, recent, foreign):
        folder.mkdir()
    month = 31 * 86_400
    for folder in (old, foreign):
        stamp = folder.stat().st_mtime - month
        os.utime(folder, (stamp, stamp))
    chosen = cache._choose()
    assert not old.exists()
    assert recent.exists()
    assert foreign.exists()
    assert Path(chosen.path).parent == tmp_path


def test_the_fingerprint_sees_sources_and_flags(monkeypatch, copy: Path):
    first = cache.fingerprint(copy)
    assert cache.fingerprint(copy) == first
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    checked = cache.fingerprint(copy)
    assert checked != first
    monkeypatch.delenv("NUMBA_BOUNDSCHECK")
    engine = copy / "optmm" / "engine"
    engine.mkdir(parents=True)
    (engine / "core.py").write_text("import numba\n")
    assert cache.fingerprint(copy) != first


HERE = Path(surfaces.__file__).parents[1]
COLD = """
import hashlib, sys
import numpy as np
from surfaces.pricing import american, black, implied
from surfaces.smiles import mixture
from surfaces.smiles.mixture_errors import errors
rng, n = np.random.default_rng(0), 2_000
years, forward = rng.uniform(0.01, 2.0, n), rng.uniform(90.0, 110.0, n)
strike, vol = forward * np.exp(0.3 * rng.normal(size=n)), rng.uniform(0.05, 0.9, n)
right = rng.choice([-1.0, 1.0], n)
greeks = black.greeks(right=right, forward=forward, strike=strike, years=years, vol=vol)
back = implied.vol(price=greeks.price, right=right, forward=forward, strike=strike, years=years)
early = american.premium(right=right, spot=forward, strike=strike, years=years, vol=vol,
                         rate=0.05, dividend_yield=0.02)
k = np.linspace(-0.4, 0.25, 40)
smiles = [np.sqrt(0.04 * T) * (1.0 - 0.4 * k + 0.3 * k * k) for T in (0.1, 0.3, 0.8)]
slices = [mixture.Quotes(k, *(mixture.otm_price(k, s * c) for c in (0.995, 1.005))) for s in smiles]
fit = mixture.fit_joint(slices)
warm = mixture.fit_joint([q._replace(k=q.k + 1e-3) for q in slices], previous=fit, prior=0.1)
said = errors(warm)
made = (fit.theta, warm.theta, said.sd, said.loo_sd)
for found in (*greeks.values.values(), back.vol, early, *made):
    print(hashlib.sha256(np.ascontiguousarray(found)).hexdigest())
"""


@pytest.mark.slow
def test_a_process_that_compiles_computes_the_bits_of_one_that_loads(tmp_path: Path):
    """The compiler makes several copies of a function; fused differently they differ by an ulp."""
    env = os.environ | {"OPTMM_CACHE_DIR": str(tmp_path)}
    run = [
        subprocess.run(
            [sys.executable, "-c", COLD],
            env=env,
            cwd=HERE,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert len(run[0].split()) == 20
    assert run[0] == run[1]

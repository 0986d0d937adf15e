"""Samples are charged to who did the work, and a program that fails is seen to."""

import sys

import numpy as np
import pytest

from optmm.bench import profile, python_share
from optmm.bench.python_share import CannotWatchError, Split, owner, watched

SPIN = "x = 0\nfor i in range(4_000_000): x += i * i"
SORT = (
    "import numpy as np\na = np.random.default_rng(1).random(4_000_000)\n"
    "for _ in range(2): np.sort(a)"
)


def sampled(code):
    try:
        return watched([sys.executable, "-c", code])
    except CannotWatchError as why:
        pytest.skip(str(why))


def test_a_loop_in_python_is_the_interpreters():
    found = sampled(SPIN)
    assert found.code == 0 and found.total > 5
    assert found.share("interpreter") > 0.8 and found.outside > 0.8


def test_a_sort_in_numpy_is_numpys():
    found = sampled(SORT)
    assert found.code == 0 and found.share("numpy") > 0.4


def test_the_code_of_a_program_that_fails_comes_back():
    assert sampled("import sys; sys.exit(7)").code == 7
    assert sampled("import os, signal; os.kill(os.getpid(), signal.SIGTERM)").code == -15


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("", "numba"),
        ("/usr/bin/python3.11", "interpreter"),
        ("/usr/lib/libpython3.12.so.1.0", "interpreter"),
        ("/usr/lib/python3.11/lib-dynload/_json.cpython-311.so", "interpreter"),
        ("/v/site-packages/numpy/_core/_multiarray_umath.so", "numpy"),
        ("/v/site-packages/numpy.libs/libscipy_openblas64_.so", "numpy"),
        ("/v/site-packages/_polars_runtime_32/_polars_runtime.abi3.so", "polars"),
        ("/v/site-packages/apsw/__init__.cpython-311.so", "SQLite"),
        ("/v/site-packages/llvmlite/binding/libllvmlite.so", "compiler"),
        ("/usr/lib/libcrypto.so.3", "libcrypto"),
    ],
)
def test_owners(path, who):
    assert owner(path) == who


def test_shares_add_up_and_nothing_gives_none():
    it = Split({"numba": 60, "numpy": 20, "interpreter": 15, "pyarrow": 5})
    assert it.outside == pytest.approx(0.2) and it.share("interpreter") == pytest.approx(0.15)
    assert it.words().startswith("numba 60.0%, numpy 20.0%")
    assert np.isnan(Split().share("numba"))


def test_where_nothing_may_be_watched_rows_are_skipped(monkeypatch, tmp_path):
    def forbidden(command, ready):
        raise CannotWatchError("tracing a child is forbidden here (ptrace)")

    monkeypatch.setattr(profile, "watched", forbidden)
    monkeypatch.setattr(profile.replay_day, "recorded", lambda: None)
    monkeypatch.setattr(profile.replay_day, "stored", lambda base, times, folder: 7_000_000)
    rows, wrong = profile.run(tmp_path, quick=False, say=lambda words: None)
    assert [row.verdict for row in rows] == ["skipped"] * 3 and wrong == []
    assert "is not here" in rows[0].note and "ptrace" in rows[1].note


def test_a_share_over_the_bar_misses_and_a_failed_replay_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setattr(
        profile, "watched", lambda command, ready: Split({"numba": 3, "interpreter": 1}, 4)
    )
    monkeypatch.setattr(profile.replay_day, "recorded", lambda: None)
    monkeypatch.setattr(profile.replay_day, "stored", lambda base, times, folder: 7_000_000)
    rows, wrong = profile.run(tmp_path, quick=False, say=lambda words: None)
    assert rows[1].measured == pytest.approx(25.0) and rows[1].verdict == "misses"
    assert wrong == [
        f"correct: {name} ended with code 4"
        for name in ("the loop's tape", "optmm replay, 7.0 M events")
    ]


def test_only_linux_on_x86_is_watched(monkeypatch):
    monkeypatch.setattr(python_share.platform, "machine", lambda: "arm64")
    with pytest.raises(CannotWatchError, match="arm64"):
        watched([sys.executable, "-c", ""])


def test_samples_before_the_program_is_ready_are_not_counted(tmp_path):
    """One program says that it is ready before it begins, the other never does."""
    sampled(SPIN)  # skips where nothing may be watched
    never = watched([sys.executable, "-c", SPIN], ready=tmp_path / "no")
    told = watched([sys.executable, "-c", SPIN], ready=tmp_path)
    assert never.total == 0 and never.code == 0
    assert told.share("interpreter") > 0.8

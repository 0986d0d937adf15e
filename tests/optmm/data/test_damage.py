"""Random damage to every format: the chain, or one of our errors; never anything else."""

import gzip
import io
import random
import zipfile

import pyarrow as pa
import pytest
import vendor_files as made

from optmm.data.check import check
from optmm.data.convert import convert
from optmm.data.readers import open_day
from optmm.data.snapshots import open_snapshot
from optmm.errors import OptmmError

MARKET = dict(list(made.market().items())[:8])
TEN = "2024-03-12 10:00:00"
TEXT = {
    "spy_eod_2024.txt": made.optionsdx(MARKET),
    "eod.csv": made.datashop_eod(MARKET, MARKET),
    "intervals.csv": made.datashop_intervals({TEN: MARKET}),
    "spy_2024-03-12_close.csv": made.yahoo(MARKET),
    "tape.csv": made.massive(
        [
            ("O:" + made.osi("SPY", key), made.at("2024-03-12", "10:00") * 10**9, quote)
            for key, quote in MARKET.items()
        ]
    ),
    "book.json": made.deribit([("BTC-25SEP26-60000-C", 0.1, 0.11, 65_000.0)], 1_783_167_847_000),
}
NAMES = [*TEXT, "i.csv.gz", "i.csv.zst", "i.zip", "own.parquet", "q.dbn.zst", "q.dbn", "d.dbn"]
TRIES = 12


def whole(name: str, tmp_path) -> bytes:
    """The undamaged file."""
    if name in TEXT:
        return TEXT[name].encode()
    text = TEXT["intervals.csv"].encode()
    if name.endswith(".gz"):
        return gzip.compress(text, mtime=0)
    if name == "i.csv.zst":
        return pa.compress(text, "zstd", asbytes=True)
    if name.endswith(".zip"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("i.csv"), text, zipfile.ZIP_DEFLATED)
        return out.getvalue()
    if name == "own.parquet":
        (tmp_path / "source.csv").write_bytes(text)
        return convert(tmp_path / "source.csv", tmp_path / "own.parquet").out.read_bytes()
    dbn = pytest.importorskip("databento_dbn", reason="pip install 'optmm[databento]'")
    from dbn_files import CALL, PUT, Maker

    make = Maker(dbn, tmp_path)
    if name == "d.dbn":
        rows = [make.definition(CALL), make.definition(PUT)]
        return make.write("x", "definition", rows, packed=False).read_bytes()
    rows = [make.cmbp(CALL, t, 5.0, 5.1) for t in range(1, 6)]
    return make.write("x", "cmbp-1", rows, packed=name.endswith("zst")).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_random_damage_gives_a_chain_or_our_error(tmp_path, name):
    raw = whole(name, tmp_path)
    rng = random.Random(f"{name} 5")
    path = tmp_path / "w" / name
    path.parent.mkdir()
    for _ in range(TRIES):
        damaged = bytearray(raw)
        if rng.random() < 0.3:
            damaged = damaged[: rng.randrange(len(damaged))]
        else:
            for _ in range(rng.choice([1, 3, 20])):
                odd = rng.choice([0, 10, 34, 44, 45, 255, rng.randrange(256)])
                damaged[rng.randrange(len(damaged))] = odd
        path.write_bytes(damaged)
        for call in (
            lambda: open_snapshot(path, at="2024-03-12 16:00", underlying="SPY"),
            lambda: check(path),
            lambda: open_day(path, "SPY", "2024-03-12"),
        ):
            try:
                call()
            except OptmmError as error:
                assert error.exit_code in (2, 4) and str(error)

"""Opening positions: exact integers, or an error that names the row."""

import numpy as np
import polars as pl
import pytest

from optmm.engine import positions_file
from optmm.engine.positions_file import OpeningBook, Position
from optmm.errors import DataError
from optmm.market.chain import Underlying
from optmm.market.instruments import parse_osi
from optmm.market.products import list_chain
from optmm.pnl.ledger import Ledger

CHAIN = list_chain(
    [parse_osi(f"SPY2303{day}{side}0039{k}000") for day in (17, 24) for side in "CP" for k in "05"],
    date="2023-03-17",
    underlying=Underlying("SPY", "equity", 1, 10_000_000),
)
OPEN = int(CHAIN.fixing_ns[0]) - 1
WANTED = (Position(1, -3, None), Position(4, 10, 1_230_000_001), Position(8, 250, 390_120_000_000))


def read(path, text=None, open_ns=OPEN):
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return positions_file.read(path, CHAIN, open_ns=open_ns)


def test_three_formats_say_the_same(tmp_path):
    rows = [("SPY   230324C00390000", 10, 1.230000001), ("O:SPY230317P00390000", -3, None),
            ("SPY", 250, 390.12)]  # fmt: skip
    text = "\ufeffsymbol,lots,px_usd\n" + "".join(
        f"{s},{n},{'' if px is None else px}\n" for s, n, px in rows
    )
    assert read(tmp_path / "a.csv", text) == WANTED
    pl.DataFrame(rows, schema=["symbol", "lots", "px_usd"], orient="row").write_parquet(
        tmp_path / "a.parquet"
    )
    assert read(tmp_path / "a.parquet") == WANTED
    text = "".join(
        f'[[positions]]\nsymbol = "{s}"\nlots = {n}\n' + (f"px_usd = {px}\n" if px else "")
        for s, n, px in rows
    )
    assert read(tmp_path / "a.toml", text) == WANTED


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "SPY230324C00391000,1,",
            r"a\.csv, row 3: 'SPY230324C00391000' is not in the chain of SPY",
        ),
        ("SPY1  230324C00390000,1,", "adjusted contract: what it delivers is unknown"),
        ("SPY1,1,", "adjusted contract"),
        ("SPY,1.5,", r"row 3: lots is '1.5', which is not exact\. Give whole"),
        ("SPY,many,", "lots is 'many', which is no number"),
        ("SPY,0,", "lots is '0', must be whole, not 0"),
        ("SPY,,", "lots is '', must be whole"),
        ("SPY,20000000,", "within 10,000,000"),
        ("SPY,1e999999999,", "lots is '1e999999999', which is not exact"),
        ("SPY,1,1.0000000001", "px_usd is '1.0000000001', which is not exact"),
        ("SPY,1,-3", "px_usd is '-3', must lie from 0"),
        ("SPY,1,nan", "px_usd is 'nan', which is no number"),
        ("SPY230324C00390000,5,", "row 3: SPY230324C00390000 is in row 2 already.*Add the two up"),
        (",1,", "symbol is empty"),
        ("SPY,1", "row 3: has 2 cells, the first line 3"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv", f"symbol,lots,px_usd\nSPY   230324C00390000,1,2\n{row}\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "symbol,lots,price\nSPY,1,2\n", "has the column 'price'.*symbol, lots, px_usd"),
        ("a.csv", "symbol,px_usd\nSPY,1\n", "its first line is 'symbol,px_usd'"),
        ("a.csv", "", "its first line is ''"),
        ("a.csv", f"symbol,lots\nSPY,{'1' * 200_000}\n", "is no CSV table: field larger"),
        ("a.toml", "[positions]\nSPY = 1\n", r"must hold \[\[positions\]\] tables"),
        ("a.toml", "[[positions]", "not valid TOML"),
        ("a.toml", '[[positions]]\nsymbol = "SPY"\n', "lacks the column 'lots'"),
        ("a.toml", '[[positions]]\nsymbol = "SPY"\nlots = true\n', "lots is True, which is no"),
        ("a.parquet", "symbol,lots\n", "is no Parquet file"),
        ("a.txt", "SPY 1\n", r"is no table of ours\. Use one of \.csv"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, text)
    with pytest.raises(DataError, match=r"there is no none\.csv"):
        read(tmp_path / "none.csv")


def test_a_series_that_expired_before_the_run_is_refused(tmp_path):
    text = "symbol,lots\nSPY230317P00390000,1\n"
    with pytest.raises(DataError, match="expired before the run begins"):
        read(tmp_path / "a.csv", text, open_ns=OPEN + 2)
    # one that is fixed at the open, as AM series are, settles in the run
    assert [p.lots for p in read(tmp_path / "a.csv", text, open_ns=OPEN + 1)] == [1]


def test_the_pnl_counts_from_the_price_given_or_from_the_first_mark():
    """The ledger's own way to open a book is the referee."""
    book = OpeningBook(WANTED)
    marks = np.array([0, 700_000_000, 0, 0, 2 * 10**9, 0, 0, 0, 391 * 10**9])
    legs = book.at_open()
    assert [leg.instrument for leg in legs] == [4, 8]
    assert book.waiting == 1
    assert book.at_marks(marks, np.zeros(9, bool)) == ()
    legs += book.at_marks(marks, marks > 0)
    assert book.at_open() == book.at_marks(marks, marks > 0) == ()
    assert {(leg.kind, leg.px_e9 == leg.mark_e9) for leg in legs} == {("opening", True)}
    closing = marks + 10_000_001
    unit = dict.fromkeys(range(8), 100) | {8: 1}
    value = sum(leg.side * leg.lots * unit[leg.instrument] * (closing[leg.instrument] - leg.px_e9)
                for leg in legs)  # fmt: skip
    opened = [(1, -3, 700_000_000, 100), (4, 10, 1_230_000_001, 100), (8, 250, 390_120_000_000, 1)]
    assert Ledger(opened).net_e9(closing[:-1], closing[-1]) == value

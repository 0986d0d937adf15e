"""Damaged files: one clear error each, naming file, member, row and remedy."""

import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optmm.data import lean_zip
from optmm.errors import DataError

NAME = "option/usa/minute/goog/20151224_quote_american.zip"
ROW = "34200000,1,1,1,1,2,3,3,3,3,4\n"


def test_members_are_joined_in_order_and_blanks_told_from_nan(tmp_path, add):
    path = add(
        NAME, {"a": ROW + ROW, "b": "", "c": "1,,,,,0,NaN,3,3,3,4", "d": ROW.replace("\n", "\r\n")}
    )
    table = lean_zip.read(path, tmp_path, 11)
    assert (table.file, table.members, table.member.tolist()) == (NAME, tuple("abcd"), [0, 0, 2, 3])
    assert table.values[:, 0].tolist() == table.values[:, 3].tolist()
    assert np.isnan(table.values[[1, 6], 2]).all()
    assert table.blank[[1, 6], 2].tolist() == [True, False]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("34260000,1,1,1,1x,2,3,3,3,3,4", r"column 5 is '1x', which is not a number"),
        ('34260000,1,1,1,"1",2,3,3,3,3,4', r"column 5 is '\"1\"', which is not a number"),
        ("34260000,1,1,1,1,2,3,3,3,3", "has 10 fields, expected 11"),
        ("34260000,1,1,1,1,2,3,3,3,3,4,5", "has 12 fields, expected 11"),
        ("", "has 1 fields, expected 11"),
    ],
)
def test_a_row_that_is_not_numbers_is_named(tmp_path, add, line, words):
    path = add(NAME, {"first.csv": ROW, "second.csv": ROW + ROW + line + "\n" + ROW})
    with pytest.raises(DataError, match=words) as caught:
        lean_zip.read(path, tmp_path, 11)
    assert str(caught.value).startswith(f"{NAME}, member second.csv, row 3: ")
    assert str(caught.value).endswith(caught.value.remedy)
    assert caught.value.exit_code == 4


def test_a_short_row_is_not_balanced_by_a_long_one(tmp_path, add):
    path = add(NAME, {"a.csv": ROW[:-3] + "\n" + ROW[:-1] + ",5\n"})
    with pytest.raises(DataError, match=r"member a.csv, row 1: has 10 fields"):
        lean_zip.read(path, tmp_path, 11)


def test_a_truncated_zip_says_how_much_was_read(tmp_path, add):
    path = add(NAME, {"a.csv": ROW * 100})
    path.write_bytes(path.read_bytes()[:-40])
    size = path.stat().st_size
    with pytest.raises(DataError, match=rf"{NAME}: truncated or corrupt zip.*{size} bytes read"):
        lean_zip.read(path, tmp_path, 11)


def test_a_flipped_bit_in_a_member_is_found(tmp_path, add):
    path = add(NAME, {"a.csv": ROW * 100, "b.csv": ROW})
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 0x10
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"member a.csv at offset 0 does not unpack"):
        lean_zip.read(path, tmp_path, 11)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path, add):
    path = add(NAME, {"a.csv": "0" * 20_000_000})
    with pytest.raises(DataError, match=r"unpacks to 20.0 MB, \d+ times its size"):
        lean_zip.read(path, tmp_path, 11)


def test_a_member_cannot_unpack_to_more_than_it_declares(tmp_path, add):
    path = add(NAME, {"a.csv": ROW * 1000})
    size = len(ROW) * 1000
    packed = path.read_bytes().replace(size.to_bytes(4, "little"), (300).to_bytes(4, "little"))
    path.write_bytes(packed)
    with pytest.raises(DataError, match="does not unpack"):
        lean_zip.read(path, tmp_path, 11)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 700), value=st.integers(0, 255), cut=st.integers(0, 700))
def test_random_damage_gives_the_same_table_or_our_error(tmp_path, at, value, cut):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(zipfile.ZipInfo(name), ROW * 5, zipfile.ZIP_DEFLATED)
    packed = bytearray(path.read_bytes())
    packed[at % len(packed)] = value
    path.write_bytes(bytes(packed[: len(packed) - cut % len(packed)]) if cut % 3 == 0 else packed)
    try:
        table = lean_zip.read(path, tmp_path, 11)
    except DataError as error:
        assert str(error).startswith("x.zip")
    else:
        assert len(table) in (0, 5, 10)
        assert (table.values[0] == 34_200_000).all()


def test_two_members_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            archive.writestr("a.csv", ROW)
    with pytest.raises(DataError, match=r"x.zip: holds two members named a.csv"):
        lean_zip.read(path, tmp_path, 11)


def test_a_zip_without_rows_is_an_empty_table(tmp_path, add):
    table = lean_zip.read(add(NAME, {"a.csv": ""}), tmp_path, 11)
    assert (len(table), table.values.shape) == (0, (11, 0))

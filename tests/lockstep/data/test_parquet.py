import sys

import pandas as pd
import pytest

from lockstep.data import parquet
from lockstep.errors import DataError

TABLE = pd.DataFrame(
    {
        "x": [0.1, None, float("inf")],
        "n": [1, 2, 3],
        "yes": [True, False, True],
        "text": ["é", None, ""],
    }
)


def test_rows_come_back_as_they_were_and_as_the_same_bytes(tmp_path):
    one, other = tmp_path / "a" / "one.parquet", tmp_path / "b" / "other.parquet"
    parquet.write(TABLE, one)
    back = parquet.read(one)
    pd.testing.assert_frame_equal(back, TABLE)
    parquet.write(TABLE.copy(), other)
    assert one.read_bytes() == other.read_bytes()


def test_the_index_is_not_kept(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write(TABLE.iloc[::-1], path)
    assert parquet.read(path)["n"].tolist() == [3, 2, 1]
    assert parquet.read(path).index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("values", [[1, "a"], ["a", 1.5], [{"a": 1}, 2]], ids=str)
def test_a_column_of_several_types_is_refused(tmp_path, values):
    path = tmp_path / "rows.parquet"
    with pytest.raises(DataError, match="mixes types") as refused:
        parquet.write(pd.DataFrame({"fine": [1, 2], "odd": pd.Series(values, dtype=object)}), path)
    assert "odd" in refused.value.problem
    assert not list(tmp_path.iterdir())


def test_a_missing_table_says_which_command_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"rows\.parquet not found") as refused:
        parquet.read(tmp_path / "rows.parquet")
    assert "dvc repro" in refused.value.hint


def test_every_damaged_table_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write(TABLE, path)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], whole[:8] + b"\xff" * 60 + whole[68:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged"):
            parquet.read(path)


def test_where_pyarrow_is_installed_it_is_given():
    assert parquet.require().ParquetFile


@pytest.mark.parametrize("missing", ["pyarrow", "pyarrow.parquet"])
def test_where_it_is_not_the_cause_and_a_way_out_are_said(monkeypatch, missing):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(DataError, match="Parquet needs pyarrow") as raised:
        parquet.require()
    assert ".csv" in raised.value.hint

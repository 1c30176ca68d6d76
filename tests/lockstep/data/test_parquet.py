import sys

import pytest

from lockstep.data import parquet
from lockstep.errors import DataError


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

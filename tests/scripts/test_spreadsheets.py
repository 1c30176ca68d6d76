import datetime as dt

import pytest

from lockstep.autoconfig.inspect import InitOptions, survey
from lockstep.config import params_file
from lockstep.config.params import DataIngestion
from lockstep.data.sources import read
from scripts import spreadsheets

DAY = dt.datetime(2024, 1, 1)
ROWS = [
    [f"0{2139 + i}", i * 37 % 101 / 4, i % 2 == 0, DAY + dt.timedelta(days=i * 7 % 300), None, "ny"[i % 2]]
    for i in range(80)
]


@pytest.mark.parametrize("ending", [".xlsx", ".ods"])
def test_a_spreadsheet_is_read_with_its_types(tmp_path, ending):
    head = ["zip", "size", "new", "day", "empty", "y"]
    path = spreadsheets.write(tmp_path / f"rows{ending}", "Tabelle & 1", [head, *ROWS])
    options = InitOptions(target="y", sheet="Tabelle & 1", keep=("zip",))
    result = survey(DataIngestion(source=str(path)), options)
    params = params_file.parse(result.text)
    frame = read.read(params.data_ingestion).frame
    assert frame["zip"].tolist() == [row[0] for row in ROWS]
    assert frame["size"].tolist() == [row[1] for row in ROWS]
    assert frame["day"].tolist() == [row[3].date().isoformat() for row in ROWS]
    assert params.data_preprocessing.columns.date == ("day",)
    assert params.data_preprocessing.columns.ignore == ("new", "empty") or "new" in params.model_evaluation.trusted

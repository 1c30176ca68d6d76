from pathlib import Path

import pytest
import yaml

from lockstep import files, paths
from lockstep.config.params import DataIngestion
from lockstep.data.sources import change_detection
from lockstep.errors import DataError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths.EXTERNAL.mkdir(parents=True)
    (paths.EXTERNAL / "rows.csv").write_text("a,b\n1,2\n")
    Path("rows.csv").write_text("a,b\n1,2\n")


WATCHED = {
    "sklearn:iris": True,
    "data/external/rows.csv": True,
    "rows.csv": False,
    "../rows.csv": False,
    "data/external/../rows.csv": False,
    "https://example.org/rows.csv": False,
    "s3://bucket/rows.csv": False,
    "sqlite:///data/external/x.db": False,
}


@pytest.mark.parametrize(("source", "watched"), WATCHED.items(), ids=WATCHED.keys())
def test_what_dvc_watches_is_not_asked(source, watched):
    assert change_detection.unwatched(source) is not watched


def test_a_file_elsewhere_is_told_by_its_content():
    params = DataIngestion(source=["rows.csv", "data/external/*.csv"])
    before = change_detection.look(params)
    assert list(before) == ["rows.csv"]
    assert change_detection.look(params) == before
    Path("rows.csv").write_text("a,b\n1,3\n")
    assert change_detection.look(params) != before


def test_the_stage_that_asks_is_there_as_long_as_there_is_something_to_ask():
    change_detection.keep({"rows.csv": {"sha256": "0"}})
    assert files.read_json(paths.PROBE) == {"rows.csv": {"sha256": "0"}}
    (stage,) = yaml.safe_load(paths.PROBE_PIPELINE.read_text())["stages"].values()
    assert stage["always_changed"]
    assert list(stage["outs"][0]) == [str(paths.PROBE)]
    paths.PROBE_PIPELINE.with_suffix(".lock").write_text("")
    change_detection.keep({})
    assert not [path for path in Path("data").rglob("*") if "probe" in path.name and path.is_file()]


def test_nothing_is_written_where_dvc_watches():
    change_detection.keep(change_detection.look(DataIngestion(source="data/external/rows.csv")))
    assert not paths.PROBE.exists()
    assert not paths.PROBE_PIPELINE.exists()


def test_a_scheme_that_is_not_read_is_refused():
    with pytest.raises(DataError, match="ftp:// is not read"):
        change_detection.look(DataIngestion(source="ftp://example.org/rows.csv"))

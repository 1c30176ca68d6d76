"""The raw data between ingestion and preprocessing: a test source and the accepted contract travel in data/raw."""

import logging
from pathlib import Path

import pandas as pd
import pytest
import yaml

import data_ingestion
import data_preprocessing
from lockstep import paths
from lockstep.config import params_file
from lockstep.config.params import Rule
from lockstep.data import contract
from lockstep.data.raw import RawData
from lockstep.errors import ConfigError, DataError

SECTIONS = {
    "feature_engineering": {}, "model_evaluation": {}, "register_model": {"model_name": "m"},
    "model_building": {"candidates": [{"estimator": "ridge"}]},
}  # fmt: skip
TSV = "y\tmore\tx\n" + "\n".join(f"{'ab'[i % 2]}\t1\t{i + 100.5}" for i in range(20))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with rows, test rows in another spelling, and a way to write its params."""
    monkeypatch.chdir(tmp_path)
    Path("data/external").mkdir(parents=True)
    Path("data/external/rows.csv").write_text("x,y\n" + "\n".join(f"{i + 0.5},{'ab'[i % 2]}" for i in range(60)))
    Path("data/external/test.tsv").write_text(TSV)

    def write(ingestion=(), split=()):
        content = {
            "data_ingestion": {"source": "data/external/rows.csv", **dict(ingestion)},
            "data_preprocessing": {"target": "y", "split": dict(split)},
            **SECTIONS,
        }
        Path("params.yaml").write_text(yaml.safe_dump(content))
        return params_file.load()

    return write


NEW = ({"test_source": "data/external/test.tsv", "test_reader": {"separator": "\t"}}, {"method": "file"})
EARLIER = ({}, {"method": "file", "path": "data/external/test.tsv", "reader": {"separator": "\t"}})


@pytest.mark.parametrize(("ingestion", "split"), [NEW, EARLIER], ids=["test_source", "split.path"])
def test_test_rows_are_read_in_ingestion_alone(project, ingestion, split):
    params = project(ingestion, split)
    data_ingestion.main(params.data_ingestion)
    for file in Path("data/external").iterdir():
        file.unlink()
    data_preprocessing.main(params.data_preprocessing)
    test = pd.read_parquet(paths.TEST)
    assert (len(pd.read_parquet(paths.TRAIN)), len(test), test["x"].min()) == (60, 20, 100.5)
    origin = RawData.load(params.data_preprocessing.split).origin
    assert (origin["rows"], origin["test_source"]["rows"]) == (60, 20)


def test_without_a_test_source_the_table_is_empty(project):
    params = project()
    data_ingestion.main(params.data_ingestion)
    assert pd.read_parquet(paths.RAW_TEST).shape == (0, 0)
    data_preprocessing.main(params.data_preprocessing)
    assert len(pd.read_parquet(paths.TEST)) == 12


def test_a_split_by_another_file_than_was_read_is_refused(project):
    data_ingestion.main(project().data_ingestion)
    with pytest.raises(DataError, match=r"test.parquet is not 'data/external/test.tsv'"):
        data_preprocessing.main(project(*EARLIER).data_preprocessing)


def test_the_test_source_needs_the_columns_of_the_source(project):
    Path("data/external/test.tsv").write_text("y\tz\na\t1\nb\t2\n")
    with pytest.raises(DataError, match=r"test.tsv has no column 'x'"):
        data_ingestion.main(project(*NEW).data_ingestion)


def test_a_test_source_elsewhere_is_checked_for_changes(project, caplog):
    Path("test.tsv").write_text(TSV)
    with caplog.at_level(logging.WARNING):
        data_ingestion.main(project({**NEW[0], "test_source": "test.tsv"}, NEW[1]).data_ingestion)
    assert '"test.tsv"' in paths.PROBE.read_text()
    assert not caplog.records


@pytest.mark.parametrize(
    ("ingestion", "split", "problem"),
    [
        ({}, {"method": "file"}, "test_source is missing"),
        (NEW[0], EARLIER[1], "test_source and split.path both name"),
        (NEW[0], {}, "test_source has no meaning with data_preprocessing.split.method: auto"),
    ],
)
def test_a_split_by_file_has_one_file(project, ingestion, split, problem):
    with pytest.raises(ConfigError, match=problem):
        project(ingestion, split)


@pytest.mark.parametrize(
    ("ingestion", "split"),
    [
        ({**NEW[0], "test_reader": {"seperator": ";"}}, NEW[1]),
        ({}, {**EARLIER[1], "reader": {"seperator": ";"}}),
    ],
)
def test_a_reader_key_that_does_not_exist_is_refused(project, ingestion, split):
    with pytest.raises(ConfigError, match=r"reader.seperator"):
        project(ingestion, split).test_ingestion()


def test_accepted_rules_travel_with_the_rows(project):
    contract.write({"x": Rule(maximum=20)}, "data/external/rows.csv", paths.CONTRACT)
    params = project()
    data_ingestion.main(params.data_ingestion)
    paths.CONTRACT.unlink()
    with pytest.raises(DataError, match=r"break the data contract: x: above 20"):
        data_preprocessing.main(params.data_preprocessing)

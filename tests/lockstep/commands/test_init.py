import argparse
import json
from pathlib import Path

import pytest

from lockstep import paths
from lockstep.commands import init
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, DataError
from tests.root import EXAMPLE

TEXT = "size;colour;price\n" + "".join(
    f"{i * 37 % 101};{'red' if i % 3 else 'blue'};{i * 7 % 50 + i},5\n" for i in range(80)
)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "down loads" / "My Prices 2026.csv"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def run(*words):
    parser = argparse.ArgumentParser()
    init.add(parser)
    return init.run(parser.parse_args(words), Settings.read({}))


def test_a_file_from_elsewhere_is_copied_and_described(project, table, capsys):
    assert run(str(table), "--target", "price") == 0
    params = params_file.load()
    assert params.data_ingestion.source == "data/external/My Prices 2026.csv"
    assert Path(params.data_ingestion.source).read_text() == TEXT
    assert not Path(params.data_ingestion.source).is_symlink()
    assert params.data_ingestion.reader.separator == ";"
    assert params.data_ingestion.reader.columns["price"].decimal == ","
    assert params.data_preprocessing.task == "regression"
    assert params.register_model.model_name == "my-prices-2026"
    told = capsys.readouterr().out
    for word in ("semicolons", "after a comma", "regression", "is written for 80 rows", "no git repository", "next: "):
        assert word in told
    assert (project / "params.yaml.bak").read_bytes() == EXAMPLE.read_bytes()


def test_the_page_explains_itself(project, table):
    run(str(table), "--target", "price")
    lines = paths.PARAMS.read_text().splitlines()
    assert sum("#" in line for line in lines) >= 10
    assert max(map(len, lines)) <= 130
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_program_gets_json(project, table, capsys):
    assert run(str(table), "--target", "price", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["source"] == "data/external/My Prices 2026.csv"
    assert {"about": "separator", "decided": "semicolons"}.items() <= told["decisions"][1].items()


def test_edits_by_hand_are_kept_unless_forced(project, table):
    edited = paths.PARAMS.read_text() + "# mine\n"
    paths.PARAMS.write_text(edited)
    with pytest.raises(ConfigError, match="would be replaced") as refused:
        run(str(table), "--target", "price")
    assert "--force" in refused.value.hint
    assert paths.PARAMS.read_text() == edited
    assert run(str(table), "--target", "price", "--force") == 0
    assert Path("params.yaml.bak").read_text() == edited


def test_a_question_writes_nothing(project, table):
    before = paths.PARAMS.read_bytes()
    with pytest.raises(DataError, match="which column is to be predicted") as asked:
        run(str(table))
    assert "3 price" in asked.value.hint
    assert paths.PARAMS.read_bytes() == before
    assert not list(paths.EXTERNAL.iterdir())


def test_a_column_may_be_kept_left_out_or_named_anew(project, table):
    run(str(table), "--target", "c", "--names", "a,b,c", "--ignore", "a", "--model-name", "mine")
    params = params_file.load()
    assert params.data_ingestion.reader.names == ("a", "b", "c")
    assert params.data_preprocessing.columns.ignore == ("a",)
    assert params.register_model.model_name == "mine"


@pytest.mark.parametrize("words", [("--keep", "weight"), ("--ignore", "siz"), ("--names", "a,b")])
def test_what_does_not_fit_the_file_is_refused(project, table, words):
    with pytest.raises(DataError):
        run(str(table), "--target", "price", *words)


def test_a_bundled_set_and_a_pattern_need_no_link(project):
    assert run("sklearn:iris", "--target", "target") == 0
    assert params_file.load().data_ingestion.source == "sklearn:iris"
    for part in ("a", "b"):
        Path(f"data/external/{part}.csv").write_text(TEXT)
    assert run("data/external/*.csv", "--target", "price", "--force") == 0
    assert params_file.load().data_ingestion.source == "data/external/*.csv"


def test_outside_a_project_nothing_is_written(tmp_path, monkeypatch, table):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"no dvc\.yaml"):
        run(str(table), "--target", "price")
    assert not paths.PARAMS.exists()

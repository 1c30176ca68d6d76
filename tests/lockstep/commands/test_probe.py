import argparse
import json

import pytest

from lockstep import paths
from lockstep.commands import probe as command
from lockstep.config.settings import Settings
from lockstep.errors import DataError

PARAMS = """
data_ingestion: {source: "%s", allow_private: true, timeout_s: 2.0}
data_preprocessing: {target: y}
feature_engineering: {}
model_building: {candidates: [{estimator: ridge}]}
model_evaluation: {}
register_model: {model_name: probed}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths.EXTERNAL.mkdir(parents=True)
    return tmp_path


def run(source, *words):
    paths.PARAMS.write_text(PARAMS % source)
    parser = argparse.ArgumentParser()
    command.add(parser)
    return command.run(parser.parse_args(words), Settings.read({}))


def test_the_answer_is_written_and_printed(project, capsys):
    (project / "rows.csv").write_text("x,y\n1,2\n")
    assert run("rows.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(paths.PROBE.read_text())


def test_while_a_place_is_out_of_reach_its_last_answer_stands(capsys):
    paths.PROBE.write_text('{"http://127.0.0.1:9/rows.csv": {"etag": "1"}}')
    assert run("http://127.0.0.1:9/rows.csv") == 0
    assert "does not answer" in capsys.readouterr().err
    assert '"etag": "1"' in paths.PROBE.read_text()


def test_a_place_that_never_answered_is_a_fault():
    with pytest.raises(DataError, match="does not answer"):
        run("http://127.0.0.1:9/rows.csv")
    assert not paths.PROBE.exists()

import json
from pathlib import Path

import pandas as pd
import pytest

from lockstep import cli, files, paths
from lockstep.config.params import FeatureEngineering
from lockstep.data import frames
from lockstep.errors import ConfigError, DataError
from tests.root import ROOT


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which training has learned a schema."""
    monkeypatch.chdir(tmp_path)
    train = pd.DataFrame({"age": [20.0, 40.0], "town": ["Bonn", "Kiel"], "y": ["a", "b"]})
    kinds = {"age": "numeric", "town": "categorical"}
    schema = frames.learn(train, "y", "binary", kinds, FeatureEngineering())
    files.write_json(schema.to_json(), paths.SCHEMA)
    files.write_json({"source": "sklearn:breast_cancer"}, paths.SOURCE)
    Path("params.yaml").write_text((ROOT / "examples/breast-cancer.yaml").read_text())
    return tmp_path


def asked(capsys, *words):
    assert cli.main(["contract", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["columns"]


def test_what_is_accepted_is_in_force(project, capsys):
    assert asked(capsys) == {}
    accepted = asked(capsys, "--accept", "--margin", "0.1")
    assert accepted["age"] == {"kind": "numeric", "minimum": 18.0, "maximum": 42.0, "required": True}
    assert accepted["town"]["categories"] == ["Bonn", "Kiel"]
    assert asked(capsys) == accepted
    assert cli.main(["contract"]) == 0
    assert "town: kind categorical, categories Bonn, Kiel, required True" in capsys.readouterr().out


def test_without_a_schema_nothing_can_be_accepted(project):
    paths.SCHEMA.unlink()
    with pytest.raises(DataError, match=r"schema.json not found") as refused:
        cli.main(["contract", "--accept"])
    assert "dvc repro" in refused.value.hint
    assert not paths.CONTRACT.exists()


def test_a_range_cannot_shrink(project):
    with pytest.raises(ConfigError, match="below 0"):
        cli.main(["contract", "--accept", "--margin", "-1"])

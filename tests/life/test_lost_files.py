"""Files of a registered version that are gone from the tracking server."""

import json
import sys

import pytest

from lockstep import paths
from tests.pipeline.project import copy_of

pytestmark = pytest.mark.pipeline


@pytest.fixture
def project(finished, tmp_path):
    """A project with a version in Production whose model file is gone."""
    project = copy_of(finished, tmp_path / "project")
    project.lockstep("promote")
    uploaded(project).unlink()
    return project


def uploaded(project):
    (path,) = (project.root / ".lockstep" / "artifacts").glob("*/artifacts/model/model.skops")
    return path


def other_model(project):
    """Let models/ hold another model."""
    schema = project.root / paths.SCHEMA
    schema.write_text(schema.read_text().replace('"format": 1', '"format":  1'))


@pytest.mark.long("runs every command that needs the files of a version")
def test_whatever_needs_them_says_which_are_gone_and_what_to_do(project, tmp_path):
    other_model(project)
    for words in (["export", str(tmp_path / "export")], ["promote", "--version", "1"]):
        refusal = project.lockstep(*words, ok=False)
        assert refusal.returncode == 1
        assert "files of breast-cancer version 1 are gone from" in refusal.stderr, refusal.stderr
        assert "model.skops" in refusal.stderr
        assert "`lockstep promote --version 1` uploads them again" in refusal.stderr
    rows = {row["name"]: row for row in json.loads(project.lockstep("doctor", "--json", ok=False).stdout)}
    assert (rows["model files"]["status"], rows["git"]["status"]) == ("fail", "ok")
    assert "are gone from" in rows["model files"]["what"]


@pytest.mark.parametrize("way", ["register", "promote", "promote --version 1"])
def test_they_are_uploaded_again_from_where_they_were_made(project, way):
    lost = (project.root / paths.MODEL).read_bytes()
    command = ["src/register_model.py"] if way == "register" else ["-m", "lockstep", *way.split()]
    done = project.run(sys.executable, *command)  # in a process of its own: MLflow remembers where runs had their files
    assert "the files of version 1 were gone, and are uploaded again: model.skops" in done.stderr
    assert uploaded(project).read_bytes() == lost
    assert json.loads(project.lockstep("history", "--json").stdout)["production"] == "1"

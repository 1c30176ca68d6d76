import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tests.root import ROOT


@pytest.fixture
def repro(tmp_path, monkeypatch):
    """The script in a project with two models, after a run of both that was promoted."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    for name in ("outside", "repro"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(importlib.import_module("outside"), "entry", lambda main: None)
    loader = importlib.machinery.SourceFileLoader("repro", str(ROOT / "scripts/repro"))
    script = importlib.util.module_from_spec(importlib.util.spec_from_loader("repro", loader))
    loader.exec_module(script)
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "DAGSHUB_REPO", "LOCKSTEP_STATE"):
        monkeypatch.delenv(name, raising=False)
    for folder in (Path(), Path("usecases/churn")):
        for name in ("params.yaml", "dvc.yaml", "dvc.lock", "data/external/rows.csv", "models/model.skops"):
            write(folder / name)
    write("src/lockstep/files.py")
    write(".lockstep/mlflow.db")
    for folder in (Path(), Path("usecases/churn")):
        write(script.STAMPS / folder / "state", script.state_of(folder))
    return script


def write(path, text="x"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def unchanged(script):
    script.shared.cache_clear()
    return [script.is_unchanged(folder) for folder in (Path(), Path("usecases/churn"))]


def test_of_two_runs_at_once_the_second_names_the_first(repro):
    with repro.exclusive():
        refused = rf"runs already: process {os.getpid()} on \S+, since 20"
        with pytest.raises(repro.Problem, match=refused), repro.exclusive():
            pass
    with repro.exclusive():
        assert unchanged(repro) == [True, True]


def test_without_a_change_nothing_is_run(repro):
    write("src/lockstep/__pycache__/files.pyc")
    write("usecases/churn/notes.txt")
    assert unchanged(repro) == [True, True]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/lockstep/files.py", [False, False]),
        ("params.yaml", [False, True]),
        ("usecases/churn/params.yaml", [True, False]),
        ("usecases/churn/data/external/rows.csv", [True, False]),
        ("usecases/churn/data/external/more.csv", [True, False]),
        ("usecases/churn/data/probe/dvc.yaml", [True, False]),
    ],
)
def test_a_changed_file_runs_the_models_that_depend_on_it(repro, path, expected):
    write(path, "changed")
    assert unchanged(repro) == expected


def test_a_lost_output_or_registry_or_another_registry_runs_them_again(repro, monkeypatch):
    Path("usecases/churn/models/model.skops").unlink()
    assert unchanged(repro) == [True, False]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://other")
    assert unchanged(repro) == [False, False]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    Path(".lockstep/mlflow.db").unlink()
    assert unchanged(repro) == [False, False]


def test_the_target_of_a_link_counts(repro, tmp_path):
    write("elsewhere.csv")
    Path("data/external/link.csv").symlink_to(tmp_path / "elsewhere.csv")
    write(repro.STAMPS / "state", repro.state_of(Path()))
    assert unchanged(repro)[0]
    write("elsewhere.csv", "changed")
    assert not unchanged(repro)[0]

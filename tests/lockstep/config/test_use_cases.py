from pathlib import Path

import pytest
import yaml

from lockstep import paths
from lockstep.config import params_file, use_cases
from lockstep.config.settings import Settings, model_names
from lockstep.errors import ConfigError
from tests.root import EXAMPLE, ROOT

RENDERED = (Path("dvc.yaml"), Path(".gitignore"), Path("data/external/README.md"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose root is the example."""
    for name in ("dvc.yaml", ".gitignore"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "data/external").mkdir(parents=True)
    (tmp_path / "data/external/README.md").write_text("Put files here.\n")
    (tmp_path / "params.yaml").write_bytes(EXAMPLE.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(name):
    with use_cases.added(name):
        paths.PARAMS.write_text(EXAMPLE.read_text().replace("model_name: breast-cancer", f"model_name: {name}"))
        return Path.cwd()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_use_case_is_added_and_the_root_is_untouched(project):
    before = contents(project)
    folder = add("churn")
    assert folder == project / "usecases/churn" and Path.cwd() == project
    assert {path: content for path, content in contents(project).items() if path in before} == before
    assert contents(folder).keys() == {*RENDERED, Path("params.yaml"), Path("features.py")}
    assert use_cases.names(project) == ("breast-cancer", "churn")
    assert model_names(Settings.read({})) == ("breast-cancer", "churn")


def test_the_pipeline_of_a_use_case_is_that_of_the_root_with_its_paths_to_code(project):
    folder = add("churn")
    root, own = (yaml.safe_load((at / "dvc.yaml").read_text()) for at in (project, folder))
    for name, stage in root["stages"].items():
        other = own["stages"][name]
        assert other["cmd"] == f"python ../../src/{name}.py"
        assert other["deps"] == [f"../../{dep}" if dep.startswith("src/") else dep for dep in stage["deps"]]
        assert {**other, "cmd": "", "deps": []} == {**stage, "cmd": "", "deps": []}
    assert own["plots"] == root["plots"]


def test_a_failure_leaves_no_new_use_case_and_keeps_an_old_one(project):
    with pytest.raises(RuntimeError), use_cases.added("churn"):
        raise RuntimeError
    assert not (project / "usecases").exists()
    folder = add("churn")
    with pytest.raises(RuntimeError), use_cases.added("churn"):
        raise RuntimeError
    assert (folder / "params.yaml").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("../up", "cannot be a model's name"), ("a b", "cannot be"), ("breast-cancer", "is the model of the root's")],
)
def test_names_refused(project, name, problem):
    with pytest.raises(ConfigError, match=problem), use_cases.added(name):
        raise AssertionError
    assert not (project / "usecases").exists()


def test_a_model_is_found_by_its_name(project):
    folder = add("churn")
    assert use_cases.folder_of("churn", project) == folder
    assert use_cases.folder_of("breast-cancer", project) == project
    with pytest.raises(ConfigError, match="no model 'chrun'; did you mean 'churn'") as refused:
        use_cases.folder_of("chrun", project)
    assert "there are breast-cancer, churn" in refused.value.hint


def test_a_model_that_is_not_named_as_its_folder_is_refused(project):
    folder = add("churn")
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("model_name: churn", "model_name: other"))
    with pytest.raises(ConfigError, match="'other' is not the folder's name") as refused:
        params_file.load(folder / "params.yaml")
    assert "write model_name: churn" in refused.value.hint


def test_a_folder_of_the_same_name_elsewhere_is_no_use_case(tmp_path):
    (tmp_path / "usecases/churn").mkdir(parents=True)
    assert paths.root_of(tmp_path / "usecases/churn") == tmp_path / "usecases/churn"
    assert use_cases.name_of(tmp_path / "usecases/churn") == ""


def test_a_use_case_keeps_its_functions_and_gets_a_file_if_it_has_none(project):
    folder = add("churn")
    assert use_cases.missing(folder) == {}
    (folder / "features.py").write_text("def ratio(rows): ...\n")
    add("churn")
    assert (folder / "features.py").read_text() == "def ratio(rows): ...\n"
    (folder / "features.py").unlink()
    assert use_cases.missing(folder) == {Path("features.py"): use_cases.FUNCTIONS}

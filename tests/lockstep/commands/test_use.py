import argparse
from pathlib import Path

import pytest

from lockstep.commands import use
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, DataError
from tests.root import ROOT

ROWS = b"a,b\n1,2\n"


@pytest.fixture
def elsewhere(tmp_path):
    path = tmp_path / "down loads" / "my housing.csv"
    path.parent.mkdir()
    path.write_bytes(ROWS)
    return path


def run(*words):
    parser = argparse.ArgumentParser()
    use.add(parser)
    return use.run(parser.parse_args(words), Settings.read({}))


def source():
    return params_file.load().data_ingestion.source


def test_a_bundled_example_needs_no_file(project, capsys):
    assert run("breast-cancer") == 0
    assert (project / "params.yaml").read_bytes() == (ROOT / "examples/breast-cancer.yaml").read_bytes()
    assert capsys.readouterr().out.startswith(
        "params.yaml is that of breast-cancer, reading sklearn:breast_cancer\nnext: "
    )


def test_a_file_from_elsewhere_is_linked_and_named(project, elsewhere, capsys):
    assert run("housing", "--source", str(elsewhere)) == 0
    link = project / "data/external/my housing.csv"
    assert (source(), link.is_symlink(), link.read_bytes()) == ("data/external/my housing.csv", True, ROWS)
    assert params_file.load().register_model.model_name == "housing"
    assert "reading data/external/my housing.csv" in capsys.readouterr().out
    assert run("housing", "--source", str(elsewhere)) == 0


def test_a_file_in_place_is_used_as_it_is(project):
    (project / "data/external/iris.csv").write_bytes(ROWS)
    assert run("iris") == 0
    assert source() == "data/external/iris.csv"
    assert not (project / "data/external/iris.csv").is_symlink()


def test_where_links_are_not_possible_the_file_is_copied(project, elsewhere, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert run("housing", "--source", str(elsewhere)) == 0
    copied = project / "data/external/my housing.csv"
    assert (copied.is_symlink(), copied.read_bytes()) == (False, ROWS)


def test_a_relative_source_is_meant_from_where_the_command_was_called(project, elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere.parent)
    parser = argparse.ArgumentParser()
    use.add(parser)
    arguments = parser.parse_args(["housing", "--source", "my housing.csv"])
    monkeypatch.chdir(project)
    assert use.run(arguments, Settings.read({})) == 0
    assert (project / source()).samefile(elsewhere)


@pytest.mark.parametrize("name", ['odd".csv', "back\\slash.csv", "hash #.csv", "colon: x.csv"])
def test_odd_file_names_are_quoted(project, tmp_path, name):
    (tmp_path / name).write_bytes(ROWS)
    assert run("iris", "--source", str(tmp_path / name)) == 0
    assert source() == f"data/external/{name}"


def test_the_comments_of_an_example_are_kept(project, elsewhere):
    assert run("housing", "--source", str(elsewhere)) == 0
    own = (project / "params.yaml").read_text(encoding="utf-8").splitlines()
    example = (ROOT / "examples/housing.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in own if "source:" not in line] == [line for line in example if "source:" not in line]


def test_edits_by_hand_are_not_lost(project):
    params = project / "params.yaml"
    edited = params.read_text(encoding="utf-8").replace("folds: 5", "folds: 4")
    params.write_text(edited, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml was edited by hand") as refused:
        run("breast-cancer")
    assert "--force" in refused.value.hint
    assert params.read_text(encoding="utf-8") == edited
    assert run("breast-cancer", "--force") == 0
    assert params_file.load().model_building.folds == 5


def test_a_project_without_params_gets_them(project):
    (project / "params.yaml").unlink()
    assert run("breast-cancer") == 0
    assert source() == "sklearn:breast_cancer"


@pytest.mark.parametrize(
    ("words", "kind", "problem", "hint"),
    [
        (
            ["houssing"],
            ConfigError,
            "no example 'houssing'; did you mean 'housing'?",
            "there are breast-cancer, housing",
        ),
        (["housing"], DataError, "data/external/housing.csv not found", "add --source PATH"),
        (["housing", "--source", "/no/such.csv"], DataError, "/no/such.csv not found", "check the path"),
        (["housing", "--source", "/"], DataError, "/ not found", "check the path"),
    ],
)
def test_use_faults(project, words, kind, problem, hint):
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(kind) as refused:
        run(*words)
    assert problem in refused.value.problem
    assert hint in refused.value.hint
    assert (project / "params.yaml").read_bytes() == before


def test_another_file_of_the_same_name_is_kept(project, elsewhere):
    (project / "data/external/my housing.csv").write_bytes(b"precious")
    with pytest.raises(DataError, match="exists and is another file"):
        run("housing", "--source", str(elsewhere))
    assert (project / "data/external/my housing.csv").read_bytes() == b"precious"

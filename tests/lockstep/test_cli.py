import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep import cli
from lockstep.errors import ConfigError
from tests.root import EXAMPLE, ROOT


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LOCKSTEP_")]:
        monkeypatch.delenv(name)


def lockstep(*words, **environment):
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "lockstep", *words]
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=False)


def test_no_command_shows_them_all_and_fails(capsys):
    assert cli.main([]) == 2
    told = capsys.readouterr().out
    told = [line.split()[0] for line in told.splitlines() if line.startswith("    ") and line[4:5].strip()]
    assert told == list(cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert told.startswith(f"usage: lockstep {command} [-h]")
    assert f"Example: lockstep {command} " in told
    assert cli._docstring(command).partition("\n")[0] in " ".join(told.split())


def test_every_module_of_the_commands_is_listed():
    modules = {path.stem for path in (Path(cli.__file__).parent / "commands").glob("*.py")}
    assert modules - {"__init__"} == set(cli.COMMANDS)


@pytest.mark.parametrize("words", [["promot"], ["use"], ["use", "iris", "--sauce", "x"], ["--bad"]])
def test_a_wrong_call_ends_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: lockstep" in capsys.readouterr().err


def test_a_command_runs_in_the_root_of_the_project(tmp_path, monkeypatch, capsys):
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text("edited: by hand\n", encoding="utf-8")
    (tmp_path / "examples").mkdir()
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    with pytest.raises(ConfigError, match="no example 'iris'"):
        cli.main(["use", "iris"])
    assert Path.cwd() == tmp_path


def test_a_fault_is_one_line_and_a_hint():
    done = lockstep("use", "iris")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["lockstep: no example 'iris'", "  hint: there are"]
    done = lockstep("use", "iris", PORT="http")
    assert done.returncode == 1
    assert done.stderr.startswith("lockstep: PORT = 'http' is not a whole number\n  hint: ")


@pytest.fixture
def two_models(tmp_path):
    """A project with a use case beside the model of its root."""
    for folder, name in ((tmp_path, "first"), (tmp_path / "usecases/churn", "churn")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dvc.yaml").touch()
        text = EXAMPLE.read_text(encoding="utf-8")
        (folder / "params.yaml").write_text(text.replace("model_name: breast-cancer", f"model_name: {name}"))
    return tmp_path


@pytest.mark.parametrize(
    ("start", "words", "folder"),
    [
        (".", [], "."),
        (".", ["--model", "first"], "."),
        (".", ["--model", "churn"], "usecases/churn"),
        ("usecases/churn", [], "usecases/churn"),
        ("usecases/churn", ["--model", "first"], "."),
    ],
)
def test_a_command_goes_to_the_folder_of_its_model(two_models, monkeypatch, capsys, start, words, folder):
    monkeypatch.setenv("LOCKSTEP_MODEL_NAME", "" if words else "first")
    monkeypatch.chdir(two_models / start)
    assert cli.main(["drift", *words, "--json"]) == 0
    model = "first" if folder == "." else "churn"
    assert (json.loads(capsys.readouterr().out)["model"], Path.cwd()) == (model, (two_models / folder).resolve())


def test_all_models_are_taken_one_after_the_other_wherever_it_is_called(two_models, monkeypatch, capsys):
    monkeypatch.chdir(two_models / "usecases/churn")
    assert cli.main(["drift", "--all-models", "--json"]) == 0
    assert [json.loads(line)["model"] for line in capsys.readouterr().out.splitlines()] == ["first", "churn"]


def test_an_image_has_the_params_of_its_models_and_no_pipeline(two_models, capsys):
    for path in two_models.rglob("dvc.yaml"):
        path.unlink()
    assert cli.main(["drift", "--all-models", "--json"]) == 0
    assert [json.loads(line)["model"] for line in capsys.readouterr().out.splitlines()] == ["first", "churn"]
    assert Path.cwd() == two_models
    cli.main(["drift", "--model", "churn", "--json"])
    assert Path.cwd() == two_models / "usecases/churn"  # so that no command reads the params.yaml of another model


def test_a_failure_of_one_model_does_not_stop_the_next(two_models, capsys):
    assert cli.main(["report", "--all-models"]) == 1
    told = capsys.readouterr().err
    assert "first: " in told and "churn: " in told


def test_a_model_that_the_project_lacks_is_refused(two_models):
    with pytest.raises(ConfigError, match="no model 'chrun'; did you mean 'churn'"):
        cli.main(["drift", "--model", "chrun"])


def test_a_name_adds_a_use_case(two_models, capsys):
    (two_models / "examples").mkdir()
    (two_models / "examples/iris.yaml").write_bytes((ROOT / "examples/breast-cancer.yaml").read_bytes())
    before = (two_models / "params.yaml").read_bytes()
    assert cli.main(["use", "iris", "--name", "flowers"]) == 0
    assert "model_name: flowers" in (two_models / "usecases/flowers/params.yaml").read_text(encoding="utf-8")
    assert (two_models / "params.yaml").read_bytes() == before
    with pytest.raises(ConfigError, match="no example 'rose'"):
        cli.main(["use", "rose", "--name", "roses"])
    assert not (two_models / "usecases/roses").exists()

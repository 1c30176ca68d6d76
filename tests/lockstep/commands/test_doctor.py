import argparse
import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep import numeric_pins
from lockstep.commands import doctor
from tests.lockstep import dagshub_like as fake
from tests.root import ROOT

PARAMS = """
data_ingestion: {source: data.csv}
feature_engineering: {}
model_evaluation: {}
data_preprocessing: {target: y}
model_building: {candidates: [{estimator: logistic_regression}]}
register_model: {model_name: m}
"""
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@localhost")
REMOTE = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://bucket/path\n"


def arguments(*given):
    parser = argparse.ArgumentParser()
    doctor.add(parser)
    return parser.parse_args(given)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which doctor has nothing to say."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(REMOTE)
    monkeypatch.chdir(tmp_path)
    for command in (["init", "-q"], ["add", "."], [*AUTHOR, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


@pytest.fixture
def examine(capsys):
    """Run doctor and return its exit code and its rows by name."""

    def act(settings, *given):
        code = doctor.run(arguments("--json", *given), settings)
        printed = capsys.readouterr().out
        return code, {row["name"]: row for row in json.loads(printed)}, printed

    return act


@pytest.mark.parametrize(("version", "status"), [(None, "ok"), ("0.1", "warn")])
def test_numeric_libraries_of_another_version_are_named(project, examine, local_settings, version, status):
    installed = importlib.metadata.version("numpy")
    newer = "numpy==99 ; python_full_version >= '3.12' \\\n    --hash=sha256:b\n"
    pinned = f"numpy=={version or installed} ; python_full_version < '3.12' \\\n    --hash=sha256:a\n"
    (project / "requirements-serve.lock").write_text(pinned + newer)
    row = examine(local_settings)[1]["numeric libraries"]
    assert row["status"] == status
    assert version is None or row["what"] == f"numpy {installed}, and 0.1 in requirements-serve.lock"


def test_the_help_ends_with_an_example():
    assert doctor.__doc__.strip().splitlines()[-1] == "Example: lockstep doctor --json"


def test_a_healthy_project_passes(project, local_settings, examine, capsys):
    code, rows, _ = examine(local_settings)
    assert (code, {row["status"] for row in rows.values()}) == (0, {"ok"})
    assert "aliases and stages" in rows["tracking server"]["what"]
    assert doctor.run(arguments(), local_settings) == 0
    assert "tracking server" in capsys.readouterr().out


def test_a_store_that_is_not_there_yet_is_not_made(project, settings_for, examine):
    settings = settings_for()
    code, rows, _ = examine(settings)
    assert (code, rows["tracking server"]["status"]) == (0, "ok")
    assert "on first use" in rows["tracking server"]["what"]
    assert not Path(settings.state).exists()


@pytest.mark.parametrize(
    ("refused", "status", "said"),
    [
        ((), "ok", "aliases and stages"),
        (fake.STAGES, "ok", "with aliases"),
        (fake.ALIASES, "warn", "the stage Production"),
        (fake.ALIASES + fake.STAGES, "warn", "the tag lockstep.production"),
        (fake.REGISTRY, "warn", "nothing can be registered"),
    ],
)
def test_what_a_server_lacks_is_a_warning(project, settings_for, dagshub_like, examine, refused, status, said):
    address, _ = dagshub_like(*refused)
    code, rows, _ = examine(settings_for(MLFLOW_TRACKING_URI=address))
    row = rows["tracking server"]
    assert (code, row["status"]) == (0, status)
    assert said in row["what"] + row["todo"]


@pytest.mark.parametrize(
    ("environment", "check", "status", "said"),
    [
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "tracking server", "fail", "cannot reach"),
        ({"MLFLOW_TRACKING_URI": "./mlruns"}, "tracking server", "fail", "is a folder"),
        ({"DAGSHUB_REPO": "me/it"}, "tokens", "warn", "no token"),
        ({"CAPSTONE_TEST": "hunter2"}, "tokens", "warn", "no repository"),
        ({}, "tokens", "ok", "none needed"),
        ({"MLFLOW_TRACKING_URI": "https://dagshub.com/me/it.mlflow"}, "tokens", "fail", "needs a token"),
        ({"DAGSHUB_REPO": "me/it", "CAPSTONE_TEST": "hunter2"}, "tokens", "ok", "set"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    project, settings_for, examine, monkeypatch, environment, check, status, said
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    if check == "tokens":
        for name in ("tracking server", "model files"):
            monkeypatch.setitem(doctor.CHECKS, name, lambda _: doctor.Outcome("ok", "not asked"))
    code, rows, printed = examine(settings_for(**environment))
    assert (rows[check]["status"], code) == (status, int(status == "fail"))
    assert said in rows[check]["what"]
    assert "hunter2" not in printed
    if status != "ok":
        assert rows[check]["todo"]


@pytest.mark.parametrize(
    ("file", "content", "check", "status", "said"),
    [
        ("params.yaml", None, "project", "fail", "no params.yaml"),
        ("params.yaml", None, "params.yaml", "fail", "not found"),
        ("params.yaml", PARAMS + "typo: 1\n", "params.yaml", "fail", "typo"),
        (".dvc/config", "", "dvc remote", "warn", "none"),
        (".dvc/config", REMOTE.replace("remote = storage", "x = y"), "dvc remote", "warn", "no default"),
        (".dvc/config", REMOTE.replace("s3://", "https://me:hunter2@"), "dvc remote", "ok", "***@bucket"),
        (".dvc/config", "no section\n", "dvc remote", "fail", "config"),
    ],
)
def test_a_file_that_is_wrong_is_named(project, settings_for, examine, file, content, check, status, said):
    if content is None:
        (project / file).unlink()
    else:
        (project / file).write_text(content)
    code, rows, printed = examine(settings_for())
    assert (rows[check]["status"], code) == (status, int(status == "fail"))
    assert said in rows[check]["what"]
    assert "hunter2" not in printed


@pytest.mark.parametrize(
    ("lacking", "deviations", "status", "said"),
    [
        ("", [], "ok", "x86-64-v3"),
        ("aarch64 is not x86-64-v3", [], "warn", "aarch64"),
        ("", ["numpy uses X86_V4"], "warn", "numpy uses X86_V4"),
    ],
)
def test_a_processor_that_computes_otherwise_is_a_warning(
    project, settings_for, examine, monkeypatch, lacking, deviations, status, said
):
    monkeypatch.setattr(numeric_pins, "lacking", lambda: lacking)
    monkeypatch.setattr(numeric_pins, "deviations", lambda: deviations)
    code, rows, _ = examine(settings_for())
    assert (code, rows["processor"]["status"]) == (0, status)
    assert said in rows["processor"]["what"]
    assert bool(rows["processor"]["todo"]) == (status == "warn")


def test_the_pins_are_printed_for_env(settings_for, capsys):
    assert doctor.run(arguments("--pins"), settings_for()) == 0
    assert dict(word.split("=") for word in capsys.readouterr().out.split()) == numeric_pins.variables()


def test_a_folder_without_git_is_a_warning(project, settings_for, examine):
    shutil.rmtree(project / ".git")
    code, rows, _ = examine(settings_for(LOCKSTEP_STATE=str(project / "state")))
    assert (code, rows["git"]["status"]) == (0, "warn")
    assert "git init" in rows["git"]["todo"]


def test_a_state_folder_that_is_a_file_fails(project, settings_for, examine):
    (project / "taken").write_text("")
    code, rows, _ = examine(settings_for(LOCKSTEP_STATE=str(project / "taken" / "state")))
    assert (code, rows["state folder"]["status"]) == (1, "fail")


def test_an_old_python_fails(project, settings_for, examine, monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 0))
    code, rows, _ = examine(settings_for())
    assert (code, rows["python"]["status"]) == (1, "fail")


@pytest.mark.parametrize(
    ("code", "error", "status"),
    [(0, "", "ok"), (1, "", "warn"), (255, "ERROR: no such bucket, https://me:hunter2@host\n", "fail")],
)
def test_the_remote_is_asked_only_online(project, settings_for, examine, monkeypatch, code, error, status):
    asked = []

    def answer(command, **_):
        if "dvc" in command:
            asked.append(command)
        return subprocess.CompletedProcess(command, code, "", error)

    monkeypatch.setattr(subprocess, "run", answer)
    (project / ".dvc" / "config").write_text(REMOTE.replace("s3://bucket/path", "/mnt/storage"))
    assert "dvc remote online" not in examine(settings_for())[1]
    assert asked == []
    _, rows, printed = examine(settings_for(), "--online")
    assert rows["dvc remote online"]["status"] == status
    assert "hunter2" not in printed


@pytest.fixture
def told(settings_for):
    """Ask one check alone."""
    return lambda name, **given: doctor.CHECKS[name](settings_for(**given))


def test_extras_are_optional_and_those_lacking_are_named(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    row = told("extras")
    assert row.status == "ok"
    assert "not installed: explain" in row.what
    assert "setup-extras" in row.todo


@pytest.mark.parametrize(
    ("given", "status", "what"),
    [
        ({}, "ok", "off"),
        ({"WANDB_PROJECT": "p", "WANDB_MODE": "disabled"}, "ok", "off"),
        ({"WANDB_PROJECT": "p", "WANDB_MODE": "offline"}, "ok", "project p, offline"),
        ({"WANDB_PROJECT": "p", "WANDB_API_KEY": "a secret"}, "ok", "project p, online"),
        ({"WANDB_PROJECT": "p"}, "warn", "no key is set"),
        ({"WANDB_PROJECT": "p", "WANDB_MODE": "of"}, "warn", "WANDB_MODE = 'of'"),
    ],
)
def test_the_mirror_is_told_with_what_is_in_its_way(told, given, status, what):
    pytest.importorskip("wandb")
    row = told("Weights & Biases", **given)
    assert (row.status, what in row.what, "a secret" in row.what) == (status, True, False)


def test_a_mirror_without_its_package_is_told(told, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    row = told("Weights & Biases", WANDB_PROJECT="p", WANDB_MODE="offline")
    assert (row.status, "not installed" in row.what) == ("warn", True)


def test_the_extras_are_those_of_setup_py():
    """Each names an extra, and a package of it."""
    setup = (ROOT / "setup.py").read_text()
    for extra, packages in doctor.EXTRAS.items():
        assert f'"{extra}": {extra.upper()},' in setup
        assert all(f'"{package}' in setup for package in packages)


def test_a_use_case_has_the_remote_of_its_project(project, told, monkeypatch):
    (project / ".dvc/config").write_text(REMOTE)
    folder = project / "usecases/churn"
    folder.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (folder / name).touch()
    monkeypatch.chdir(folder)
    assert (told("dvc remote").status, "s3://" in told("dvc remote").what) == ("ok", True)

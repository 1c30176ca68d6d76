import json
import struct
import sys
from pathlib import Path

import pytest

from lockstep.config.settings import Settings
from lockstep.lifecycle import wandb

BLOCK, FULL, LAST = 32768, 1, 4
RUN_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def copy(tmp_path):
    report = tmp_path / "report.html"
    report.write_text("<p>a report</p>")
    return wandb.Copy(
        run_id=RUN_ID,
        page=f"http://127.0.0.1:5001/#/experiments/1/runs/{RUN_ID}",
        name="iris-tried",
        group="c0ffee",
        params={"model_building.folds": 5},
        metrics={"accuracy": 0.9},
        tags={"gate": "passed"},
        trials=[{"estimator": "ridge", "params": {"alpha": 1.0}, "scores": [0.5, 1.0]}],
        reports=[report, tmp_path / "not there"],
    )


@pytest.fixture
def settings_of(tmp_path, monkeypatch):
    """Settings of this test alone; what a sender asks is asked at an address where nobody answers."""
    pytest.importorskip("wandb")
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": ""}.items():
        monkeypatch.setenv(name, value)
    return lambda **given: Settings.read({"WANDB_PROJECT": "flowers", "LOCKSTEP_STATE": "a state"} | given)


def records(folder):
    """Read what an offline run holds: W&B's records in LevelDB's log format, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    content, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:  # the rest of a block that holds no header is filled up
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack("<HB", content[place + 4 : place + 7])
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield Record.FromString(whole)
            whole = b""


def values(updates):
    return {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in updates}


def test_a_run_is_kept_offline_with_all_that_was_logged(copy, settings_of, tmp_path):
    assert wandb.send(copy, settings_of(WANDB_MODE="offline"))

    found = list(records(tmp_path / "a state"))
    (run,) = [one.run for one in found if one.WhichOneof("record_type") == "run"]
    assert (run.run_id, run.project, run.display_name, run.run_group) == (RUN_ID, "flowers", "iris-tried", "c0ffee")
    assert run.notes == copy.page
    config = values(run.config.update)
    assert config["model_building.folds"] == 5
    assert config["tags.gate"] == "passed"
    assert config["mlflow.run_id"] == RUN_ID
    logged = values([item for one in found for item in one.history.item])
    assert logged["accuracy"] == 0.9
    assert logged["candidates/nrows"] == 1
    artifacts = {one.artifact.name: one.artifact for one in found if one.WhichOneof("record_type") == "artifact"}
    assert [entry.path for entry in artifacts[f"reports-{RUN_ID}"].manifest.contents] == ["report.html"]


@pytest.mark.parametrize("given", [{"WANDB_PROJECT": ""}, {"WANDB_MODE": "disabled"}])
def test_unless_it_is_asked_for_nothing_is_started(copy, settings_of, tmp_path, monkeypatch, caplog, given):
    monkeypatch.setattr(sys, "executable", "/not/there")
    assert not wandb.send(copy, settings_of(**given))
    assert not (tmp_path / "a state").exists()
    assert caplog.text == ""


def hidden(monkeypatch, tmp_path):
    """Let the sender find no package of that name."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide/wandb.py").write_text("raise ModuleNotFoundError(\"No module named 'wandb'\")\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hide'}:{Path(wandb.__file__).parents[1]}")


@pytest.mark.parametrize(
    ("given", "told", "hint"),
    [
        ({}, "No API key configured", "set WANDB_API_KEY"),
        ({"WANDB_MODE": "ofline"}, "WANDB_MODE = 'ofline'", "online, offline, disabled"),
        ({"WANDB_MODE": "offline", "package": "hidden"}, "wandb is needed to mirror runs", "lockstep-mlops[wandb]"),
    ],
)
def test_what_is_wrong_is_one_warning_and_no_fault(copy, settings_of, tmp_path, monkeypatch, caplog, given, told, hint):
    if given.pop("package", ""):
        hidden(monkeypatch, tmp_path)
    assert not wandb.send(copy, settings_of(**given))
    (warning,) = caplog.records
    assert warning.levelname == "WARNING"
    assert "\n" not in warning.getMessage()
    assert told in warning.getMessage()
    assert hint in warning.getMessage()


def test_a_sender_that_hangs_is_ended(copy, settings_of, tmp_path, monkeypatch, caplog):
    (tmp_path / "hang").mkdir()
    (tmp_path / "hang/wandb.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hang'}:{Path(wandb.__file__).parents[1]}")
    monkeypatch.setattr(wandb, "TIMEOUT_S", 1)
    assert not wandb.send(copy, settings_of())
    assert "no end after 1 s" in caplog.text


def test_the_key_reaches_the_sender_from_a_file_too(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (tmp_path / "key").write_text("a secret\n")
    settings = Settings.read({"WANDB_API_KEY_FILE": str(tmp_path / "key")})
    assert wandb._environment(settings)["WANDB_API_KEY"] == "a secret"
    assert "a secret" not in repr(settings)

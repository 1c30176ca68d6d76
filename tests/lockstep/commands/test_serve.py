import argparse
import os
import threading
from pathlib import Path

import pytest

from lockstep import processes
from lockstep.commands import serve
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from lockstep.server import instance


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What the server was started with, instead of a server, and the environment at that time."""
    calls = []
    monkeypatch.setattr(serve, "_serve", lambda *arguments: calls.append((*arguments, dict(os.environ))) or 0)
    monkeypatch.setattr(serve, "wait_for_port", lambda host, port, folders: None)
    monkeypatch.setattr(processes, "exit_on_signals", threading.Event)
    monkeypatch.setattr("lockstep.runtime.logger.start", lambda level: None)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(instance, "SHARED_MEMORY", tmp_path / "shared memory")
    monkeypatch.chdir(tmp_path)
    return calls


def run(*arguments, **environment):
    parser = argparse.ArgumentParser()
    serve.add(parser)
    return serve.run(parser.parse_args(arguments), Settings.read({"LOCKSTEP_MODEL_NAME": "demo", **environment}))


def test_settings_are_the_default_and_arguments_go_before(started, capsys):
    assert run(HOST="0.0.0.0", PORT="5001", LOCKSTEP_WORKERS="3") == 0
    assert run("--host", "::1", "--port", "8000", "--workers", "1") == 0
    assert [(o.host, o.port, o.workers) for o, *_ in started] == [("0.0.0.0", 5001, 3), ("::1", 8000, 1)]
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:5001 " in shown
    assert "http://[::1]:8000 " in shown


@pytest.mark.parametrize("memory", [False, True])
def test_workers_get_their_settings_by_the_environment(started, tmp_path, memory):
    if memory:
        (tmp_path / "shared memory").mkdir()
    run()
    environment = {name: value for name, value in started[0][2].items() if name != "PYTEST_CURRENT_TEST"}
    runtime = Path(environment["PROMETHEUS_MULTIPROC_DIR"])
    assert environment == {
        "LOCKSTEP_MODEL_NAME": "demo",
        "LOCKSTEP_STATE": ".lockstep",
        "LOCKSTEP_REGISTRY_SOCKET": str(runtime / "registry.sock"),
        "LOCKSTEP_RECORDER_SOCKET": str(runtime / "recorder.sock"),
        "PROMETHEUS_MULTIPROC_DIR": str(runtime),
    }
    parent = tmp_path / "shared memory" / f"lockstep-{os.getuid()}" if memory else tmp_path / ".lockstep/run"
    assert runtime.parent == parent
    assert not runtime.exists()


def test_a_folder_that_cannot_be_made_is_named(started, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot make the server's folder in .*file"):
        run(PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "file"))


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--port", "-1"), ("--workers", "-2")])
def test_out_of_range(started, arguments):
    with pytest.raises(ConfigError, match="out of range"):
        run(*arguments)
    assert started == []


def test_a_model_name_is_needed(started):
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        run(LOCKSTEP_MODEL_NAME="")

import argparse
import os

import pytest

from lockstep.commands import serve
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What the server was started with, instead of a server."""
    calls = []
    monkeypatch.setattr(serve, "_serve", lambda *given: calls.append(given) or 0)
    monkeypatch.setattr(serve, "wait_for_port", lambda host, port: None)
    monkeypatch.setattr("lockstep.runtime.logger.start", lambda level: None)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.chdir(tmp_path)
    return calls


def run(*arguments, **environment):
    parser = argparse.ArgumentParser()
    serve.add(parser)
    return serve.run(parser.parse_args(arguments), Settings.read({"LOCKSTEP_MODEL_NAME": "demo", **environment}))


def test_settings_are_the_default_and_arguments_go_before(started, capsys):
    assert run(HOST="0.0.0.0", PORT="5001", LOCKSTEP_WORKERS="3") == 0
    assert run("--host", "::1", "--port", "8000", "--workers", "1") == 0
    assert [given[:3] for given in started] == [("0.0.0.0", 5001, 3), ("::1", 8000, 1)]
    shown = capsys.readouterr().out
    assert "http://127.0.0.1:5001 " in shown
    assert "http://[::1]:8000 " in shown


def test_workers_are_told_by_the_environment(started, tmp_path):
    run()
    told = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    assert told == {
        "LOCKSTEP_MODEL_NAME": "demo",
        "LOCKSTEP_KEEPER": str(tmp_path / f".lockstep/keeper/{os.getpid()}.sock"),
        "LOCKSTEP_RECORDER": str(tmp_path / f".lockstep/recorder/{os.getpid()}.sock"),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / ".lockstep/metrics"),
    }


def test_old_counts_go_and_nothing_else(started, tmp_path):
    for name in ("counter_1.db", "precious.txt"):
        (tmp_path / name).write_text("x")
    run(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"precious.txt"}


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--port", "-1"), ("--workers", "-2")])
def test_out_of_range(started, arguments):
    with pytest.raises(ConfigError, match="out of range"):
        run(*arguments)
    assert started == []


def test_a_model_name_is_needed(started):
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        run(LOCKSTEP_MODEL_NAME="")

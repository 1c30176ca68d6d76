import json
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from lockstep import ipc
from lockstep.errors import ConfigError, RegistryError, TrackingError
from lockstep.registry import remote as client
from lockstep.registry import sidecar, tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Version
from lockstep.registry.remote import RemoteRegistry
from lockstep.registry.sidecar import Sidecar
from tests.serving.real import wait_for

VERSION = Version("demo", "3", "run", "mlflow-artifacts:/1", "a" * 64, {"gate": "passed"})


class Registry:
    """A registry that counts what it is asked, and fails or hangs as told."""

    def __init__(self):
        self.asked, self.connected = [], 0
        self.fault = None
        self.going = threading.Event()
        self.going.set()

    def connect(self, name):
        self.connected += 1
        return self

    def _answer(self, *asked):
        self.asked.append(asked)
        self.going.wait()
        if self.fault:
            raise self.fault

    def production(self):
        self._answer("production")
        return VERSION

    def challenger(self):
        self._answer("challenger")

    def history(self):
        self._answer("history")
        return [Event(version="3", at="2026-01-01")] * 200

    def get(self, version):
        self._answer("get", version)
        return VERSION

    def download(self, version, to):
        self._answer("download", version)
        return to

    def promote(self, version, event):
        self._answer("promote", version)
        return event

    def rollback(self, event):
        self._answer("rollback")
        return event


@pytest.fixture
def registry():
    made = Registry()
    yield made
    made.going.set()


@pytest.fixture
def made(registry):
    return Sidecar(registry.connect, 30)


@pytest.fixture
def remote(made, tmp_path):
    """The registry through a sidecar, at a socket whose path is longer than the kernel takes."""
    address = tmp_path / ("long" * 30) / "registry.sock"
    server = ipc.Server(ipc.listen(address), made.answer, lambda: None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield RemoteRegistry(address, "demo")
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_question_comes_through(remote, registry, tmp_path):
    event = Event(actor="ann", reason="better")
    assert remote.production() == VERSION
    assert remote.challenger() is None
    assert remote.history() == [Event(version="3", at="2026-01-01")] * client.HISTORY
    assert remote.get("3") == VERSION
    assert remote.download(VERSION, tmp_path / "x") == tmp_path / "x"
    assert (remote.promote("3", event), remote.rollback(event)) == (event, event)
    reads = [("production",), ("challenger",), ("history",), ("get", "3"), ("download", VERSION)]
    assert registry.asked == [*reads, ("promote", "3"), ("rollback",)]
    assert registry.connected == 1


def test_the_socket_is_for_this_user_alone(tmp_path):
    with ipc.listen(tmp_path / "made" / "x.sock"):
        assert stat.S_IMODE((tmp_path / "made" / "x.sock").stat().st_mode) == 0o600


def test_many_workers_are_one_question_to_the_registry(remote, registry):
    registry.going.clear()
    threads = [threading.Thread(target=remote.production) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    registry.going.set()
    for thread in threads:
        thread.join()
    remote.production()
    assert registry.asked == [("production",)]


def test_an_old_answer_is_asked_anew(registry):
    made = Sidecar(registry.connect, 0)
    for _ in range(2):
        made.answer(b'{"ask": "production", "name": "demo", "given": {}}')
    assert len(registry.asked) == 2


@pytest.mark.parametrize("move", [lambda r: r.promote("3", Event()), lambda r: r.rollback(Event())])
def test_after_a_move_production_is_asked_anew(remote, registry, move):
    remote.production()
    move(remote)
    remote.production()
    assert registry.asked.count(("production",)) == 2


FAULTS = [
    (TrackingError("it is down", "start it"), TrackingError, "it is down", "start it"),
    (RegistryError("no version 9", "look"), RegistryError, "no version 9", "look"),
    (ConfigError("what", "that"), ConfigError, "what", "that"),
    (ValueError("<html>"), TrackingError, "unexpected ValueError: <html>", "`lockstep doctor` looks"),
]


@pytest.mark.parametrize(("fault", "kind", "problem", "hint"), FAULTS)
def test_faults_come_through(remote, registry, fault, kind, problem, hint):
    registry.fault = fault
    with pytest.raises(kind) as raised:
        remote.production()
    assert (raised.value.problem, raised.value.hint) == (problem, hint)


def test_a_fault_of_this_machine_comes_through_without_its_path(remote, registry, tmp_path):
    registry.fault = OSError(28, "No space left on device", "/srv/x")
    with pytest.raises(OSError, match="No space left on device") as raised:
        remote.download(VERSION, tmp_path)
    assert (raised.value.errno, raised.value.filename) == (28, None)


def test_a_lost_server_is_connected_to_again(registry):
    made = Sidecar(registry.connect, 0)
    question = b'{"ask": "production", "name": "demo", "given": {}}'
    registry.fault = TrackingError("down")
    made.answer(question)
    registry.fault = None
    assert json.loads(made.answer(question))["answer"]["version"] == "3"
    assert registry.connected == 2


def test_a_missing_module_is_looked_for_once(remote, registry):
    """No module comes into a process that runs, and each try would create half a store and fill the log."""
    fault = TrackingError("cannot open the tracking store without the whole of MLflow", tracking.NEEDS_MLFLOW)
    registry.fault = fault
    for ask in (remote.production, remote.challenger, remote.production):
        with pytest.raises(TrackingError, match="the whole of MLflow") as raised:
            ask()
        assert raised.value.hint == tracking.NEEDS_MLFLOW
    assert registry.asked == [("production",)]


def test_c10_a_registry_that_hangs_holds_one_thread_and_is_told_in_time(remote, registry, made, monkeypatch):
    monkeypatch.setitem(client.LIMITS_S, "production", 0.2)
    registry.going.clear()
    began, before = time.monotonic(), threading.active_count()
    for _ in range(5):
        with pytest.raises(TrackingError, match="does not answer within"):
            remote.production()
    assert time.monotonic() - began < 10  # with the limit of 4 s it would be 20
    assert len(registry.asked) == 1
    wait_for(lambda: threading.active_count() <= before + 2)
    assert not made.stuck()
    monkeypatch.setattr(sidecar, "STUCK_S", 0.0)
    assert made.stuck()


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"ask": "drop", "name": "x", "given": {}}', b"\xff"])
def test_nonsense_is_answered(made, line):
    assert json.loads(made.answer(line))["error"][0] == "TrackingError"


@pytest.mark.parametrize("answer", [b"", b"{\n", None])
def test_a_sidecar_that_dies_or_babbles_is_a_tracking_error(tmp_path, answer, monkeypatch):
    monkeypatch.setitem(client.LIMITS_S, "production", 0.2 - client.START_S)
    with ipc.listen(tmp_path / "x.sock") as opened:

        def babble():
            link, _ = opened.accept()
            with link:
                if answer is None:
                    time.sleep(0.5)
                else:
                    link.sendall(answer)

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(TrackingError, match="registry sidecar"):
            RemoteRegistry(tmp_path / "x.sock", "demo").production()
        thread.join()


def test_without_a_sidecar_it_is_a_tracking_error(tmp_path):
    with pytest.raises(TrackingError, match="registry sidecar"):
        RemoteRegistry(tmp_path / "missing.sock", "demo").production()


def until_answered(call):
    """Return what a call gives once the registry is in time, which a busy machine is not while MLflow starts."""
    end = time.monotonic() + 60
    while True:
        try:
            return call()
        except TrackingError:
            assert time.monotonic() < end


def test_the_process_answers_at_an_open_socket_and_ends_with_its_parent(local_settings, tmp_path):
    """The parent is a process of its own, since it must die."""
    address = tmp_path / "x.sock"
    code = (
        "import os, subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'lockstep.processes', str(os.getpid())]\n"
        "command += ['lockstep.registry.sidecar', sys.argv[1]]\n"
        "process = subprocess.Popen(command, pass_fds=[int(sys.argv[1])])\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with ipc.listen(address) as opened:
        number = str(opened.fileno())
        environment = os.environ | {"LOCKSTEP_STATE": local_settings.state, "PYTHONWARNINGS": "ignore"}
        parent = subprocess.Popen(
            [sys.executable, "-c", code, number], pass_fds=[int(number)], stdout=subprocess.PIPE, env=environment
        )
        child = int(parent.stdout.readline())
        assert until_answered(RemoteRegistry(address, "demo").production) is None
        with pytest.raises(RegistryError, match="no version"):
            RemoteRegistry(address, "demo").get("7")
        parent.kill()
        parent.communicate()
        end = time.monotonic() + 3
        while os.path.exists(f"/proc/{child}") and time.monotonic() < end:  # noqa: PTH110
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{child}")  # noqa: PTH110


def test_sockets_close_when_connecting_fails(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError):
        ipc.connect(tmp_path / "no.sock", 1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_the_time_to_connect_is_not_that_of_the_first_question(remote, made, registry, monkeypatch):
    """As on a busy start, or where a store is made: it takes seconds, and the registry is not out of reach."""
    monkeypatch.setitem(client.LIMITS_S, "production", 0.2)
    monkeypatch.setattr(made, "_connect", lambda name: time.sleep(0.5) or registry)
    assert remote.production() == VERSION

"""What each death of a server leaves: nothing that runs, and nothing that keeps the next one from starting."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.life.conftest import START_S
from tests.root import ROOT
from tests.serving.real import wait_for

pytestmark = pytest.mark.server
GONE_S = 10.0


def until_gone(orphans):
    wait_for(lambda: not orphans(), GONE_S, 0.1)


@pytest.mark.long("starts servers as process number one")
def test_process_number_one_is_killed_and_starts_again(make, orphans):
    """As in a container: each life has the same process number and the same state folder."""
    container = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("NOT TESTED: process namespaces need root and util-linux")
    for _ in range(2):
        server = make(prefix=container)
        server.start(within_s=START_S)
        (master,) = psutil.Process(server.process.pid).children()
        master.kill()
        server.process.wait(GONE_S)
        until_gone(orphans)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0, 2.0])
def test_a_signal_while_it_starts_leaves_no_process(make, orphans, request, number, after_s):
    """The time counts from the start of the first helper process."""
    if after_s in (0.3, 2.0) and not request.config.getoption("long"):
        pytest.skip("with --long")
    server = make()
    server.start(ready=False)
    wait_for(server.tree, START_S)
    time.sleep(after_s)
    server.process.send_signal(number)
    assert server.process.wait(GONE_S) == (-9 if number == signal.SIGKILL else 0), server.log.read_text()
    until_gone(orphans)
    assert "Traceback" not in server.log.read_text()


HANGS = """
import ctypes, os, signal, sys, time
from lockstep import processes
processes.end_with_parent(os.getppid())
signal.signal(signal.SIGTERM, lambda *_: ctypes.PyDLL(None).pause())
print(os.getpid(), flush=True)
time.sleep(600)
"""
"""A handler that waits and keeps the GIL, as Granian's does after some kills of the master on a busy machine."""


def test_a_child_whose_handler_stops_all_threads_ends_with_its_parent():
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen([sys.executable, "-c", parent, HANGS], stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        process.kill()
        try:
            child.wait(GONE_S)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def test_a_helper_whose_parent_is_gone_already_never_starts():
    command = [sys.executable, "-m", "lockstep.processes", str(os.getppid()), "lockstep.server.recorder", "0"]
    assert subprocess.run(command, timeout=START_S).returncode == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_make_alone_stops_the_server(make, orphans, tmp_path, request, number):
    """The recipe is that of the Makefile, without what sets up the environment."""
    if number in (signal.SIGINT, signal.SIGTERM) and not request.config.getoption("long"):
        pytest.skip("with --long")
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.endswith("lockstep serve"))
    (tmp_path / "Makefile").write_text(f"serve:\n{recipe} --port $(PORT) --workers 1\n")
    server = make()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "lockstep").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lockstep "$@"\n')
    (tmp_path / "bin" / "lockstep").chmod(0o755)
    environment = server.environment | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with server.log.open("ab") as log:
        server.process = subprocess.Popen(
            ["make", "-C", str(tmp_path), "serve", f"PORT={server.port}"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server.until(200, within_s=START_S)
    server.process.send_signal(number)
    server.process.wait(GONE_S)
    until_gone(orphans)

"""Real servers for the cases: `lockstep serve` on a promoted model, with the settings that a case asks for."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.pipeline.project import Project
from tests.serving import wire
from tests.serving.model import Model
from tests.serving.replay import Target

SETTINGS = {
    "plain": {},
    "admin": {"LOCKSTEP_ADMIN_TOKEN": "admin-token-of-the-test"},
    "keys": {
        "LOCKSTEP_API_KEYS": "first-key-of-the-test,second-key-of-the-test",
        "LOCKSTEP_ADMIN_TOKEN": "admin-token-of-the-test",
    },
    "limited": {"LOCKSTEP_RATE_LIMIT": "10/m"},
    "empty": {"LOCKSTEP_MODEL_NAME": "unheard-of"},
}
LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
READY = LIVE.replace(b"livez", b"readyz")


class Servers:
    """Servers that start when a case first needs them, and stop together."""

    def __init__(self, project: Project, bundles: dict[str, Path]) -> None:
        self.project, self.bundles = project, bundles
        self._running = contextlib.ExitStack()
        self._targets: dict[tuple[str, str], Target] = {}

    def target(self, model: str, server: str) -> Target:
        """Return a running server with one of the models: `default`, or one of the bundles."""
        if (model, server) not in self._targets:
            self._targets[model, server] = self._start(model, server)
        return self._targets[model, server]

    def _start(self, model: str, server: str) -> Target:
        settings = {
            "PROMETHEUS_MULTIPROC_DIR": str(self.project.root / f"metrics {model} {server}"),
            "LOCKSTEP_DRAIN_S": "0",
            **SETTINGS[server],
        }
        if model != "default":
            settings |= {"LOCKSTEP_MODEL_NAME": model}
        port = self._running.enter_context(running(self.project, settings, READY if server != "empty" else LIVE))
        folder = self.bundles.get(model, self.project.root / "models")
        name = "breast-cancer" if model == "default" else model
        return Target("127.0.0.1", port, Model.read(folder), name, server=server)

    def stop(self) -> None:
        """Stop all."""
        self._running.close()


@contextlib.contextmanager
def running(project: Project, settings: dict[str, str], question: bytes):
    """Run the production server with two workers until the block ends; yield its port once it answers the question."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ("python", "-m", "lockstep", "serve", "--port", str(port), "--workers", "2")
    log = project.root / f"serve {port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment | settings,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_for(port, question, process, log)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(port: int, question: bytes, process: subprocess.Popen, log: Path, timeout_s: float = 90) -> None:
    """Wait until a question is answered with 200."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-2000:]
        with contextlib.suppress(OSError, wire.NotHTTP):
            if [reply.status for reply in wire.exchange(("127.0.0.1", port), [question], "GET", timeout_s=2)] == [200]:
                return
        time.sleep(0.1)
    raise AssertionError(f"not ready within {timeout_s} s: {log.read_text()[-2000:]}")

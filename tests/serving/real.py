"""A real `lockstep serve` in processes of its own, and a model registry in a folder for it to follow."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lockstep.config.settings import Settings
from lockstep.inference.predictor import Predictor, digest
from lockstep.registry import tracking
from lockstep.registry.bundle import contents
from lockstep.registry.history import Event
from lockstep.registry.model_registry import FILES_TAG, Registry
from tests.serving.load import ask

ROOT = Path(__file__).parents[2]
FORGET = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_", "PROMETHEUS_", "REDIS_", "COV_")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, within_s=10.0, pause_s=0.02):
    """Return what a condition says as soon as it is true, and how long that took."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if found := condition():
                return found, time.monotonic() - began
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(pause_s)


@dataclass
class Store:
    """Versions of one model on a tracking server, made from bundles."""

    settings: Settings
    name: str
    bundles: dict = field(default_factory=dict)

    def __post_init__(self):
        self.registry = Registry(tracking.connect(self.settings), self.name)

    def register(self, bundle, sha256=None):
        """Register a bundle, under its own digest unless another is given, and return the version's number."""
        run = tracking.Run(f"{self.name}", model=bundle)
        run_id, uri = tracking.log_run(self.registry.client, "serving tests", run)
        tags = {"sha256": sha256 or digest(bundle), "gate": "passed", FILES_TAG: " ".join(contents(bundle))}
        version = self.registry.create(run_id, uri, tags)
        self.bundles[version.version] = bundle
        return version.version

    def promote(self, version):
        self.registry.promote(version, Event(actor="test"))

    def rollback(self):
        return self.registry.rollback(Event(actor="test")).version

    def answers(self, rows):
        """Return what each version answers to rows."""
        return {number: Predictor.load(folder).answers(rows) for number, folder in self.bundles.items()}


class Server:
    """One `lockstep serve`; its environment has nothing of this machine's settings."""

    def __init__(self, folder, name="demo", workers=2, port=None, prefix=(), **settings):
        self.folder, self.port, self.prefix = folder, port or free_port(), list(prefix)
        self.workers_wanted = workers
        kept = {key: value for key, value in os.environ.items() if not key.startswith(FORGET)}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        self.environment = kept | {
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
            "LOCKSTEP_STATE": str(folder / "state"),
            "LOCKSTEP_MODEL_NAME": name,
            "PYTHONWARNINGS": "ignore",
            **settings,
        }
        self.log = folder / f"serve-{self.port}.log"
        self.process = None

    def holds(self, *bundles):
        """Put compiled bundles where the server keeps those it has served, which spares it seconds to open each."""
        for bundle in bundles:
            shutil.copytree(bundle, self.folder / "state" / "models" / digest(bundle))
        return self

    def start(self, ready=True, within_s=30):
        command = [*self.prefix, sys.executable, "-m", "lockstep", "serve"]
        command += ["--port", str(self.port), "--workers", str(self.workers_wanted)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, cwd=self.folder, start_new_session=True
            )
        try:
            if ready:
                self.until(200, within_s=within_s)
        except AssertionError:
            self.kill()  # a fixture that fails here never gets to its end
            raise
        return self

    def until(self, status, path="/readyz", within_s=30):
        """Wait until an address answers with a status, and return how long it took."""

        def answered():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return self.get(path)[0] == status

        try:
            return wait_for(answered, within_s)[1]
        except AssertionError:
            raise AssertionError(
                f"{path} is not {status} within {within_s} s: {self.log.read_text()[-3000:]}"
            ) from None

    def get(self, path, **options):
        return ask(self.port, "GET", path, **options)

    def predict(self, rows, **options):
        return ask(self.port, "POST", "/predict", {"rows": rows}, **options)

    def tree(self):
        """Return the processes below the master, as the system sees them."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def sidecar(self):
        return next((process for process in self.tree() if "lockstep.registry.sidecar" in words(process)), None)

    def workers(self):
        """Return the living forks of the master, which carry its command line."""
        own = psutil.Process(self.process.pid).cmdline()
        return [process for process in psutil.Process(self.process.pid).children() if words(process) == own]

    def stop(self, number=signal.SIGINT, within_s=30):
        """Stop, and return the exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                return self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode if self.process else None

    def kill(self):
        """Leave nothing running."""
        processes = [psutil.Process(self.process.pid), *self.tree()] if self.process.poll() is None else []
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


def words(process):
    """Return a process's command line, which one that just died has not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def copy_store(template, folder):
    """Put an empty, migrated database where a server with its state in this folder looks."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, folder / "state" / "mlflow.db")
    return f"sqlite:///{folder / 'state' / 'mlflow.db'}"

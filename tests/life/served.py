"""A served project in which anything may fail: the faults by name, the traffic meanwhile, and what holds at the end."""

import contextlib
import http.client
import itertools
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from sqlalchemy import text

from lockstep.config.settings import Settings
from lockstep.errors import RegistryError
from lockstep.prediction_log.database import Store as PredictionLog
from lockstep.prediction_log.url import FILE
from tests.life.disks import full
from tests.serving.load import Clients
from tests.serving.real import Server, Store, wait_for, words

ANSWER_S, STORED_S, GONE_S = 90.0, 120.0, 15.0
"""How long answers, the storing of all predictions, and the end of all processes may take on a machine that is busy."""

ROWS, PAUSE_S = 2, 0.02
MODEL = "breast-cancer"


class Traffic(Clients):
    """Clients that ask without pause, and note each prediction that was answered and each request that was not."""

    ending_s = 60.0

    def __init__(self, server, rows):
        self.server, self.rows = server, rows
        self.answered, self.failed, self.sent = [], Counter(), 0
        self.moments = []

    def _run(self):
        while not self._stop.is_set():
            self.ask()
            time.sleep(PAUSE_S)

    def longest_gap_s(self, since):
        """Return the longest time between two answers from a moment on."""
        moments = sorted(moment for moment in [*self.moments, time.monotonic()] if moment >= since)
        return max((later - moment for moment, later in itertools.pairwise([since, *moments])), default=0.0)

    def ask(self):
        """Send a request, and return whether it was answered."""
        self.sent += 1
        try:
            status, _, content = self.server.predict(self.rows)
        except (OSError, http.client.HTTPException) as error:
            self.failed[type(error).__name__] += 1
            return False
        if status == 200:
            self.answered.extend(prediction["id"] for prediction in content["predictions"])
            self.moments.append(time.monotonic())
        else:
            assert status == 503 and content["detail"], (status, content)
            self.failed[content["detail"]] += 1
        return status == 200


class Served:
    """A project with three versions, served with two workers; `disk` is a small one, `postgres` a server or None."""

    def __init__(self, project, log, disk=None, postgres=None):
        self.disk, self.postgres = disk, postgres
        self.folders = itertools.count(1)
        self.ending = {}
        self.at_risk = self.before_full = 0
        project.lockstep("promote")
        options = {"LOCKSTEP_DRAIN_S": "0", "LOCKSTEP_MONITOR_S": "1"}
        if postgres:
            options["DATABASE_URL"] = postgres.url(postgres.database())
        self.server = Server(project.root, name=MODEL, **options)
        self.server.log = log
        self.look_in(project.root)
        for number in (2, 3):
            self.store.register(variant(project.root / "models", log.parent / f"variant {number}", number))
        smoke = json.loads((project.root / "models" / "smoke.json").read_text())
        self.traffic = Traffic(self.server, smoke["rows"][:ROWS])
        self.server.start(within_s=ANSWER_S)

    def look_in(self, folder):
        """Use a folder from now on."""
        self.server.folder = folder
        self.server.environment["LOCKSTEP_STATE"] = str(folder / ".lockstep")
        self.store = Store(Settings.read({"LOCKSTEP_STATE": str(folder / ".lockstep")}), MODEL)

    def answers(self):
        """Wait until a prediction is answered."""
        wait_for(self.traffic.ask, ANSWER_S, 0.2)

    # What happens, and is over at once.

    def worker_killed(self):
        self._kill(living(lambda: next(iter(self.server.workers()), None)))

    def registry_sidecar_killed(self):
        self._kill(living(self.server.sidecar))

    def recorder_killed(self):
        tree = self.server.tree
        self._kill(living(lambda: next((one for one in tree() if "lockstep.server.recorder" in words(one)), None)))

    def server_killed(self):
        processes = self.server.tree()
        self._kill(psutil.Process(self.server.process.pid))
        self.server.process.wait()
        psutil.wait_procs(processes, GONE_S)
        self.server.start(within_s=ANSWER_S)

    def server_restarted(self):
        assert self.server.stop(signal.SIGTERM, 60) == 0
        self.server.start(within_s=ANSWER_S)

    def folder_moved(self):
        assert self.server.stop(signal.SIGTERM, 60) == 0
        folder = self.server.folder.with_name(f"moved {next(self.folders)}")
        self.server.folder.rename(folder)
        self.look_in(folder)
        self.server.start(within_s=ANSWER_S)

    def version_promoted(self):
        serving = int(self.store.registry.production().version)
        self.store.promote(str(serving % 3 + 1))

    def version_rolled_back(self):
        """Go one step back; where none is left, the error says so."""
        try:
            self.store.rollback()
        except RegistryError as error:
            assert "has no earlier Production to go back to" in str(error)

    def model_retrained(self):
        """Run a retraining; one that cannot run says why."""
        path = f"{Path(sys.executable).parent}:{self.server.environment['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "lockstep", "retrain"],
            cwd=self.server.folder,
            env={**self.server.environment, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or "hint: " in done.stderr or "failed: " in done.stderr, done.stderr
        assert "Traceback" not in done.stderr

    # What lasts until it is ended.

    @contextlib.contextmanager
    def disk_full(self):
        self.before_full = len(self.traffic.answered)
        with full(self.disk):
            yield

    @contextlib.contextmanager
    def database_stopped(self):
        self.postgres.stop()
        yield
        self.postgres.start()

    @contextlib.contextmanager
    def database_locked(self):
        with locked(self.server.folder / ".lockstep" / FILE):
            yield

    @contextlib.contextmanager
    def registry_locked(self):
        with locked(self.server.folder / ".lockstep" / "mlflow.db"):
            yield

    def begin(self, name):
        """Do what a fault is; one that lasts stays until `end`."""
        happening = getattr(self, name)()
        if happening is not None:
            happening.__enter__()
            self.ending[name] = happening

    def end(self, name):
        """End a fault that lasts."""
        self.ending.pop(name).__exit__(None, None, None)

    def _kill(self, process):
        """Kill a process; with a full disk its predictions wait in memory, and die with it."""
        if "disk_full" in self.ending:
            self.at_risk += len(self.traffic.answered) - self.before_full
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()

    # What holds at the end.

    def settle(self):
        """End all faults, and check that predictions are stored once or counted, and that the history is true."""
        for name in list(self.ending):
            self.end(name)
        self.answers()
        self.traffic.__exit__()
        log = PredictionLog.from_settings(Settings.read(self.server.environment))
        try:
            wait_for(lambda: self.missing(log) <= log.lost() + self.at_risk, STORED_S, 0.5)
        finally:
            log.close()
        serving = self.store.registry.production().version
        moves = [event.version for event in self.store.registry.history() if event.action != "refused"]
        assert moves[0] == serving
        wait_for(lambda: self.server.get("/readyz")[2]["model"]["version"] == serving, 30, 0.2)

    def missing(self, log):
        """Return how many answered predictions are not in the log."""
        with log.reading() as link:
            ids = link.execute(text("SELECT id FROM predictions")).scalars().all()
        assert len(ids) == len(set(ids))
        return len(set(self.traffic.answered) - set(ids))


MOMENTS = {
    "worker_killed": "a worker is killed",
    "registry_sidecar_killed": "the registry sidecar is killed",
    "recorder_killed": "the recorder is killed",
    "server_killed": "the server is killed, and started again",
    "server_restarted": "the server gets SIGTERM, and is started again",
    "folder_moved": "the server is stopped, the project moved, and the server started there",
    "version_promoted": "another version is promoted",
    "version_rolled_back": "Production is rolled back",
    "model_retrained": "the model is retrained",
}
LASTING = {
    "disk_full": "the disk is full, and has room again",
    "database_stopped": "PostgreSQL is killed, and started again",
    "database_locked": "the SQLite file of the prediction log is locked, and free again",
    "registry_locked": "the tracking store is locked, and free again",
}
NEED_THE_REGISTRY = ("folder_moved", "version_promoted", "version_rolled_back", "model_retrained")


def possible(served, long):
    """Return the faults that can begin now, and those that can end."""
    begin = [name for name in (*MOMENTS, *LASTING) if name not in served.ending]
    lacking = {
        "disk_full": served.disk is None,
        "database_stopped": served.postgres is None,
        "database_locked": served.postgres is not None,
        "model_retrained": not long,
    }
    if served.ending.keys() & {"registry_locked", "database_locked", "disk_full"}:
        lacking |= dict.fromkeys(NEED_THE_REGISTRY, True)
    return [name for name in begin if not lacking.get(name)], [*served.ending]


def living(find):
    """Return a process, which may be about to be replaced."""
    return wait_for(find, ANSWER_S, 0.1)[0]


@contextlib.contextmanager
def locked(database):
    """Hold a SQLite file, so that others neither read nor write it."""
    with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as link:
        link.execute("BEGIN EXCLUSIVE")
        yield
        link.execute("ROLLBACK")


def variant(bundle, to, number):
    """Copy a version with another description, so that it is another version."""
    shutil.copytree(bundle, to)
    card = json.loads((to / "card.json").read_text())
    (to / "card.json").write_text(json.dumps(card | {"variant": number}))
    return to

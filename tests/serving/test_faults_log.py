"""Faults of the prediction log, against the real server and real databases; each name carries the id of its fault."""

import contextlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import time

import psutil
import pytest
from sqlalchemy import func, select

from lockstep.config.settings import Settings
from lockstep.errors import StoreError
from lockstep.prediction_log import url
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.tables import LATENCIES, PREDICTIONS, TRAFFIC
from tests.flask_app.standins import make_bundle
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.serving.gate import SlowGate
from tests.serving.load import Load
from tests.serving.real import Server, copy_store, wait_for, words
from tests.serving.real import Store as Versions

pytestmark = pytest.mark.server
STORED_S = 15.0
"""Within this everything that waits is in the database after it returned: the recorder tries again each second."""


class Noting(Load):
    """A load that keeps the ids of what it was answered."""

    def _judge(self, began, status, content, retry_after):
        if status == 200:
            self.ids += [one["id"] for one in content["predictions"]]
        return super()._judge(began, status, content, retry_after)

    def __post_init__(self):
        super().__post_init__()
        self.ids = []


@pytest.fixture(scope="module")
def local(tmp_path_factory, template_store):
    """The address of a registry with one version, rows for it, what it answers, and its bundle."""
    folder = tmp_path_factory.mktemp("local registry")
    bundle = make_bundle("binary", folder / "bundle")
    uri = copy_store(template_store, folder)
    versions = Versions(Settings.read({"MLFLOW_TRACKING_URI": uri, "LOCKSTEP_STATE": str(folder)}), "demo")
    versions.promote(versions.register(bundle))
    rows = json.loads((bundle / "smoke.json").read_text())["rows"][:2]
    return uri, rows, versions.answers(rows), bundle


CLOCK = """
import os, time
real, real_ns = time.time, time.time_ns
def jump():
    try:
        return int(open(os.environ["PYTHON_TEST_CLOCK"]).read() or 0)
    except (KeyError, OSError, ValueError):
        return 0
time.time = lambda: real() + jump()
time.time_ns = lambda: real_ns() + jump() * 10**9
"""


@pytest.fixture(scope="module")
def standing(tmp_path_factory, local):
    """A server on SQLite for several faults; a file moves its clock, by a module that Python loads at its start."""
    folder = tmp_path_factory.mktemp("standing")
    (folder / "sitecustomize.py").write_text(CLOCK)
    server = Server(folder, MLFLOW_TRACKING_URI=local[0], PYTHON_TEST_CLOCK=str(folder / "clock"), LOCKSTEP_DRAIN_S="0")
    server.environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
    yield server.holds(local[3]).start()
    server.kill()


@pytest.fixture(scope="module")
def gated(tmp_path_factory, local, postgres):  # noqa: F811 - the fixture
    """A server of four workers that was started while its PostgreSQL, behind a gate, was down."""
    database = postgres.database()
    gate = SlowGate(postgres.port)
    postgres.stop()
    options = {"MLFLOW_TRACKING_URI": local[0], "DATABASE_URL": postgres.url(database, gate.port)}
    server = Server(tmp_path_factory.mktemp("gated"), workers=4, LOCKSTEP_DRAIN_S="0", **options)
    yield server.holds(local[3]).start(), gate, postgres
    server.kill()
    gate.close()
    if postgres.process.poll() is not None:
        postgres.start()


@pytest.fixture
def make(tmp_path, local):
    """Return a function that gives servers, which are all gone at the end."""
    made = []

    def act(**options):
        folder = options.pop("folder", tmp_path / "server")
        folder.mkdir(exist_ok=True)
        made.append(Server(folder, **{"MLFLOW_TRACKING_URI": local[0], "LOCKSTEP_DRAIN_S": "0"} | options))
        return made[-1]

    yield act
    for server in made:
        if server.process:
            server.kill()


@pytest.fixture
def load(local):
    return lambda server, **options: Noting(server.port, local[1], local[2], **options)


@contextlib.contextmanager
def log_of(server):
    """Open a server's database beside it."""
    store = Store.from_settings(Settings.read(server.environment))
    yield store
    store.close()


def stored(store):
    """Return the ids in the log; what the rollups count must be the same rows."""
    with store.reading() as link:
        total = select(func.sum(TRAFFIC.c.count)).scalar_subquery()
        found = link.execute(select(PREDICTIONS.c.id, total)).all()  # at once, as the recorder goes on
    assert {int(count) for _, count in found} <= {len(found)}
    return [one for one, _ in found]


def until_stored(server, answered, within_s=STORED_S):
    """Wait until every answered prediction is in the log once; return the ids in the log."""
    wanted = set(answered)
    assert len(wanted) == len(answered)

    def all_there():
        with contextlib.suppress(StoreError), log_of(server) as store:
            return wanted <= set(stored(store))

    with contextlib.suppress(AssertionError):
        wait_for(all_there, within_s, 0.2)
    with log_of(server) as store:
        found = stored(store)
    assert (len(wanted - set(found)), len(found)) == (0, len(set(found))), server.log.read_text()[-2000:]
    return found


def spooled(server):
    return sorted((server.folder / "state" / "spool").glob("*.jsonl"))


def listening(server):
    """Count the workers that take connections."""
    return sum(
        any(link.status == psutil.CONN_LISTEN for link in one.net_connections("tcp")) for one in server.workers()
    )


def recorder(server):
    return next((one for one in server.tree() if "lockstep.server.recorder" in words(one)), None)


@pytest.mark.long("starts servers without a database")
def test_c18_c19_a_database_that_is_away_at_start_and_at_run_time_loses_nothing(gated, load):
    server, _, cluster = gated
    with load(server) as running:
        time.sleep(1)
        first = len(running.ids)
        assert first > 50
        cluster.start()
        until_stored(server, running.ids[:first])
        cluster.stop()
        time.sleep(1)
        assert len(spooled(server)) > 0
        cluster.start()
        time.sleep(1)
    assert running.failed() == []
    assert len(until_stored(server, running.ids)) == len(running.ids)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long("kills it as well"))])
def test_c01_c02_c03_whoever_is_killed_every_answer_is_in_the_log_once(make, load, local, kind, request):
    options = {}
    if kind == "postgresql":
        cluster = request.getfixturevalue("postgres")
        options["DATABASE_URL"] = cluster.url(cluster.database())
    server = make(workers=4, **options).holds(local[3]).start()
    choose = random.Random(7)
    with load(server, clients=8) as running:
        for _ in range(15 if request.config.getoption("long") else 3):
            time.sleep(choose.uniform(0.2, 0.7))
            for victim in [*choose.sample(server.workers(), choose.randint(0, 2)), recorder(server)]:
                if victim:
                    victim.kill()
            if kind == "postgresql" and choose.random() < 0.5:
                cluster.stop()
                cluster.start()
            wait_for(lambda: recorder(server) and server.workers(), 10)
        server.kill()  # all at once, in the middle of it
    again = make(workers=4, folder=server.folder, **options).start()
    found = until_stored(again, running.ids, 60)
    assert len(running.ids) > 200
    assert len(found) - len(running.ids) <= len(running.failed()) * 2  # written, but the answer never left
    wait_for(lambda: listening(again) == 4)
    assert again.stop() == 0
    assert spooled(again) == []


def p99(seen):
    return statistics.quantiles([one.seconds for one in seen], n=100)[98]


@pytest.mark.long("waits for a slow database")
def test_c20_a_database_that_takes_5_s_a_query_slows_no_answer(gated, load, request):
    """Quiet and slow spells take turns, so that what else this machine does meets both alike."""
    server, gate, cluster = gated
    if cluster.process.poll() is not None:
        cluster.start()
    with load(server) as running:
        time.sleep(0.3)
    until_stored(server, running.ids)
    long = request.config.getoption("long")
    seen, ids = {0.0: [], 5.0: []}, []
    for delay_s in [0.0, 5.0] * (10 if long else 2):
        gate.delay_s = delay_s
        time.sleep(0.3)
        with load(server, clients=2, pause_s=0.002) as running:
            time.sleep(6 if long else 1.2)
        seen[delay_s] += running.seen
        ids += running.ids
        assert running.failed() == []
    fast, slow = p99(seen[0.0]), p99(seen[5.0])
    print(f"p99 {fast * 1e3:.2f} ms, with 5 s a query {slow * 1e3:.2f} ms, of {[len(one) for one in seen.values()]}")
    assert slow < fast * (1.2 if long else 1.5) + (0 if long else 0.005)
    gate.delay_s = 0.0
    until_stored(server, ids, 40)


@pytest.mark.long("waits for a lock")
def test_c21_a_database_that_is_locked_for_long(standing, load, request):
    server = standing
    with load(server, clients=2) as running:
        wait_for(lambda: running.ids, 5)
        until_stored(server, running.ids[:2])
        locking = sqlite3.connect(server.folder / "state" / url.FILE, timeout=10)
        locking.execute("BEGIN EXCLUSIVE")
        time.sleep(60 if request.config.getoption("long") else 7)
        assert len(spooled(server)) > 0
        locking.rollback()
        locking.close()
    assert running.failed() == []
    until_stored(server, running.ids)
    assert "locked" in server.log.read_text()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MiB, which takes a user who may mount one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long("fills one more disk")
def test_c22_a_full_disk_under_the_spool_and_the_database(make, load, small_disk):
    server = make(workers=2, folder=small_disk, PROMETHEUS_MULTIPROC_DIR=str(small_disk.parent / "metrics")).start()
    filling = small_disk / "filling"
    with load(server, clients=2) as running:
        wait_for(lambda: len(running.ids) > 50, 5)
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(4)
        seen = len(running.ids)
        filling.unlink()
        time.sleep(1)
    assert running.failed() == []
    assert seen > 100
    until_stored(server, running.ids)
    assert "prediction_log_lost_total 0.0" in server.get("/metrics")[2]
    shutil.copy(server.log, small_disk.parent)


@pytest.mark.long("fills the spool")
def test_c22_a_disk_full_for_long_is_bounded_and_the_loss_counted(make, small_disk, local):
    server = make(workers=1, folder=small_disk, PROMETHEUS_MULTIPROC_DIR=str(small_disk.parent / "metrics")).start()
    server.predict(local[1])
    filling = small_disk / "filling"
    with contextlib.suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    answered = 0
    while "prediction_log_lost_total 0.0" in server.get("/metrics")[2]:
        status, _, content = server.predict(local[1] * 1500)
        assert status == 200
        answered += len(content["predictions"])
        assert answered < 300_000
    lost = float(server.get("/metrics")[2].split("\nprediction_log_lost_total ")[1].split("\n")[0])
    filling.write_bytes(b"")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)

    def whole():
        with log_of(server) as store:
            return len(stored(store)) + store.lost() == answered + len(local[1])

    wait_for(whole, STORED_S, 0.2)
    with log_of(server) as store:
        assert store.lost() == lost


def test_c27_the_clock_jumps_by_a_day(standing, load):
    server, clock = standing, standing.folder / "clock"
    ids = []
    for jump in (0, 86_400, -86_400, 0):
        clock.write_text(str(jump))
        with load(server, clients=2) as running:
            time.sleep(0.7)
        assert running.failed() == []
        ids += running.ids
    clock.unlink()
    until_stored(server, ids)
    with log_of(server) as store, store.reading() as link:
        days = {
            round((at - time.time() * 1e6) / 86_400e6) for at in link.execute(select(PREDICTIONS.c.at_us)).scalars()
        }
        assert days == {-1, 0, 1}
        assert link.execute(select(func.min(PREDICTIONS.c.latency_us))).scalar_one() > 0
        assert link.execute(select(func.max(PREDICTIONS.c.latency_us))).scalar_one() < 60e6
        assert link.execute(select(func.min(LATENCIES.c.count))).scalar_one() > 0
    waiting = server.folder / "state" / "monitoring.json"
    assert not waiting.exists() or json.loads(waiting.read_text())["log"]["lag_s"] >= 0


def test_1000_predictions_a_second_are_stored(standing, local, request):
    server = standing
    seconds = 60 if request.config.getoption("long") else 5
    ids, lag = [], []
    began = time.monotonic()
    for number in itertools.count():
        due = began + number * 0.05
        if due > began + seconds:
            break
        time.sleep(max(0.0, due - time.monotonic()))
        status, _, content = server.predict(local[1] * 25)
        assert status == 200
        ids += [one["id"] for one in content["predictions"]]
    took = time.monotonic() - began
    lag.append(time.monotonic())
    assert len(ids) / took > 950
    until_stored(server, ids, 5)
    print(f"{len(ids)} in {took:.1f} s, all stored {time.monotonic() - lag[0]:.2f} s after")


def memory(processes):
    return sum(process.memory_info().rss for process in processes) / 2**20


@pytest.mark.long("asks for a long time")
def test_c29_a_soak_grows_nothing(standing, load, request):
    """Memory after the first part beside memory at the end; --long asks a million times."""
    server = standing
    requests = 1_000_000 if request.config.getoption("long") else 8_000
    with load(server, clients=4, pause_s=0) as running:
        wait_for(lambda: len(running.seen) > requests * 3 / 4, 3600, 0.1)
        until_stored(server, running.ids[: requests // 2])  # by then the recorder has imported all that it needs
        watched = [*server.workers(), recorder(server)]
        before, files = memory(watched), [one.num_fds() for one in watched]
        wait_for(lambda: len(running.seen) > requests, 7200, 0.1)
        after = memory(watched)
        assert all(one.is_running() for one in watched)
        assert all(now <= then + 8 for now, then in zip([one.num_fds() for one in watched], files, strict=True))
    assert running.failed() == []
    print(f"{before:.1f} MiB after {requests * 3 // 4} requests, {after:.1f} MiB after {len(running.seen)}")
    assert after < before * 1.05 + (0 if request.config.getoption("long") else 10)  # what a start allocates
    until_stored(server, running.ids)
    assert len(spooled(server)) <= 4

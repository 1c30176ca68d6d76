"""The disk under a running server is full, read-only or gone, and comes back."""

import contextlib
import shutil
import subprocess

import pytest
from sqlalchemy import text

from lockstep.config.settings import Settings
from lockstep.prediction_log.database import Store
from tests.life.conftest import START_S, rows_of
from tests.life.disks import full
from tests.serving.real import wait_for

pytestmark = pytest.mark.server
STORED_S = 60.0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MiB, which takes a user who may mount one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("NOT TESTED: a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder):
    """Let nobody open a file for writing in a folder; files that are open stay so."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    yield
    subprocess.run(["umount", "-l", str(folder)], check=True)


def predict(server, rows, count):
    """Ask so often, and return how many rows were answered; every answer must be 200."""
    for _ in range(count):
        status, _, content = server.predict(rows)
        assert (status, len(content["predictions"])) == (200, len(rows))
    return count * len(rows)


def accounted(server):
    """Return how many predictions are in the database, and how many are counted there as lost."""
    store = Store.from_settings(Settings.read(server.environment))
    try:
        with store.reading() as link:
            return link.execute(text("SELECT count(*) FROM predictions")).scalar_one(), store.lost()
    finally:
        store.close()


def counted(server):
    lines = server.get("/metrics")[2].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("model_prediction_count_total"))


def new_worker(server):
    """Kill the worker, and return when another answers."""
    (old,) = server.workers()
    old.kill()
    wait_for(lambda: any(worker.pid != old.pid for worker in server.workers()), 30)
    server.until(200, within_s=START_S)


@pytest.mark.parametrize("metrics", ["in shared memory", "on the disk"])
def test_a_full_disk_ends_no_worker_and_loses_no_prediction(make, bundle, small_disk, tmp_path, metrics):
    options = {"PROMETHEUS_MULTIPROC_DIR": str(small_disk / "metrics")} if metrics == "on the disk" else {}
    server = make(folder=small_disk, log=tmp_path / "serve.log", **options).start(within_s=START_S)
    rows = rows_of(bundle)
    answered = predict(server, rows, 20)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)  # what waits in memory dies with the worker
    with full(small_disk):
        new_worker(server)
        answered += predict(server, rows, 200)
        workers = server.workers()
    assert server.workers() == workers
    answered += predict(server, rows, 20)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)
    wait_for(lambda: counted(server) == answered, 10, 0.5)  # metric files are looked after once a second
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long("starts one more server")
def test_a_full_disk_at_a_stop_loses_what_is_counted_and_logged(make, bundle, small_disk, tmp_path):
    server = make(folder=small_disk, log=tmp_path / "serve.log").start(within_s=START_S)
    with full(small_disk):
        new_worker(server)
        predict(server, rows_of(bundle), 10)
        assert server.stop() == 0
    assert "20 predictions are lost" in server.log.read_text()


def test_a_start_on_a_full_disk_answers(make, bundle, small_disk, tmp_path):
    server = make(folder=small_disk, log=tmp_path / "serve.log").start(within_s=START_S)
    server.stop()
    with full(small_disk):
        server.start(within_s=START_S)
        answered = predict(server, rows_of(bundle), 5)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)


def test_folders_that_are_read_only_or_vanish_lose_no_prediction(make, bundle, small_disk, tmp_path):
    """The small disk stands for the right to mount."""
    metrics = tmp_path / "metrics"
    server = make(PROMETHEUS_MULTIPROC_DIR=str(metrics)).start(within_s=START_S)
    rows, spool = rows_of(bundle), server.folder / "state" / "spool"
    answered = predict(server, rows, 20)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)
    with read_only(spool), read_only(metrics):
        new_worker(server)
        answered += predict(server, rows, 20)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)
    shutil.rmtree(spool)
    shutil.rmtree(metrics)
    answered += predict(server, rows, 20)
    wait_for(lambda: accounted(server) == (answered, 0), STORED_S, 0.5)
    wait_for(lambda: counted(server) >= 40 * len(rows), 10, 0.5)
    assert "Traceback" not in server.log.read_text()

"""Folders that a server shares with others: it removes what it made, and nothing else."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.life.conftest import START_S

pytestmark = pytest.mark.server


def metrics_folder(server):
    worker = next(process for process in server.workers())
    return next(Path(entry.path).parent for entry in worker.memory_maps() if entry.path.endswith(".db"))


def test_no_file_of_others_is_removed(make, tmp_path):
    shared = tmp_path / "server" / "state"
    shared.mkdir(parents=True)
    for name in ("counter_1.db", "predictions.db-shm", "other.db"):
        (shared / name).write_text("precious")
    (shared / "lockstep-of-somebody").mkdir()
    server = make(PROMETHEUS_MULTIPROC_DIR=str(shared)).start(within_s=START_S)
    assert {"counter_1.db", "other.db", "mlflow.db"} <= {path.name for path in shared.iterdir()}
    assert server.stop() == 0
    assert (shared / "other.db").read_text() == "precious"
    assert [path.name for path in shared.glob("lockstep-*")] == ["lockstep-of-somebody"]


def requests(server):
    """Return how many requests a server has counted, this one not."""
    lines = server.get("/metrics")[2].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("app_request_count_total"))


LONG = pytest.mark.long("is what the test of a dead server does between two living ones")


@pytest.mark.long("starts two servers in one folder")
@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=LONG)])
def test_a_second_server_leaves_the_metrics_of_the_first(make, tmp_path, shared):
    options = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")} if shared else {}
    first, second = make(**options).start(within_s=START_S), make(**options)
    for _ in range(50):
        first.get("/livez")
    second.start(within_s=START_S)
    assert requests(first) > 50
    assert metrics_folder(first) != metrics_folder(second)


@pytest.mark.long("starts two servers")
def test_the_folder_of_a_dead_server_goes_and_that_of_a_living_one_stays(make, tmp_path):
    options = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    dead, living = make(**options).start(within_s=START_S), make(**options).start(within_s=START_S)
    left, folder = dead.tree(), metrics_folder(dead)
    dead.process.kill()
    dead.process.wait()
    psutil.wait_procs(left, 10)
    make(**options).start(within_s=START_S)
    assert not folder.exists()
    assert requests(living) > 0
    assert living.stop(signal.SIGTERM) == 0
    assert len(list((tmp_path / "metrics").glob("lockstep-*"))) == 1

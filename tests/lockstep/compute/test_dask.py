import os
import signal
import socket
import threading
import time

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

import model_building
from lockstep import files, paths
from lockstep.compute import dask
from lockstep.config.params import Compute, ModelBuilding
from lockstep.errors import ComputeError, ConfigError
from lockstep.modeling import serialization
from tests import dask_cluster

CANDIDATES = (
    {"estimator": "logistic_regression", "grid": {"C": (0.01, 1.0)}},
    {"estimator": "hist_gradient_boosting", "grid": {"max_iter": (15, 20)}},
    {"estimator": "random_forest", "params": {"n_estimators": 10}, "grid": {"max_depth": (3, 4)}},
)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Wait longer than a person would, since a machine that tests may be slow."""
    monkeypatch.setattr(dask, "CONNECT_S", 60)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with dask_cluster.started(tmp_path_factory.mktemp("dask")) as made:
        yield made


class Sent:
    """An object that notes in a file which process received it."""

    def __init__(self, notes):
        self.notes, self.content = notes, b"x" * 200_000

    def __setstate__(self, state):
        self.__dict__ = state
        with self.notes.open("a") as notes:
            notes.write(f"{os.getpid()}\n")


def weigh(shared, own, number):
    return len(shared.content) + len(own.content) + number


def test_what_tasks_share_is_sent_once_to_each_worker_however_often_it_is_used(two_workers, tmp_path):
    shared, own = Sent(tmp_path / "shared"), Sent(tmp_path / "own")
    pids = [str(pid) for pid in two_workers.pids().values()]
    with dask.connected(two_workers.address) as pool:
        for _ in range(2):
            found = dict(pool.run(weigh, (shared,), [(own, number) for number in range(30)]))
            assert found == {number: 400_000 + number for number in range(30)}
    for each in (shared, own):
        assert sorted(each.notes.read_text().split()) == sorted(pids)


def arrived(shared, own, number):
    return [(array.flags.aligned, array.flags.writeable, array.sum()) for array in (*shared.values(), own)]


def test_arrays_arrive_where_a_processor_reads_them_well(two_workers):
    shared = {name: np.arange(20_000.0) for name in ("a", "bcd")}
    with dask.connected(two_workers.address) as pool:
        found = dict(pool.run(arrived, (shared,), [(shared["a"], number) for number in range(4)]))
    assert found == dict.fromkeys(range(4), [(True, False, 199_990_000.0)] * 3)


def fail(shared, error):
    raise error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("a fault of its own"), OSError("a fault of its own"), ConfigError("a fault of its own", "so")],
)
def test_the_fault_of_a_task_is_that_of_the_run(two_workers, error):
    """Among them those that the network has too, and those with a hint."""
    with dask.connected(two_workers.address) as pool, pytest.raises(type(error), match="a fault of its own") as told:
        list(pool.run(fail, (1,), [(error,)]))
    assert getattr(told.value, "hint", "") == getattr(error, "hint", "")


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def doze(number):
    time.sleep(0.2)
    return number


def test_what_is_not_wanted_any_more_is_taken_back(two_workers):
    """As with Ctrl-C, or when the time budget of a search is used up."""

    def left():
        names = two_workers.observer.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
        return [name for name in names if name.startswith("_run")]

    with dask.connected(two_workers.address) as pool:
        work = pool.run(doze, (), [(number,) for number in range(50)])
        next(work)
        assert left()
        work.close()
        wait_for(lambda: not left())


def end_worker(name):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def time_at_hand(request):
    """Go on only with --long."""
    if not request.config.getoption("long"):
        pytest.skip("starts more workers; pytest --long")


@pytest.mark.usefixtures("time_at_hand")
def test_the_last_worker_with_the_data_may_go_if_another_comes(tmp_path):
    shared = Sent(tmp_path / "notes")
    with dask_cluster.started(tmp_path, workers=1) as alone, dask.connected(alone.address) as pool:
        work = pool.run(weigh, (shared,), [(shared, number) for number in range(200)])
        found = [next(work)]
        (pid,) = alone.pids().values()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alone.threads())
        alone.add_worker()
        found += list(work)
        assert dict(found) == {number: 400_000 + number for number in range(200)}
        pids = [pid, *alone.pids().values()]
        assert [int(note) for note in shared.notes.read_text().split()] == pids


@pytest.mark.usefixtures("time_at_hand")
def test_a_scheduler_that_goes_is_named(tmp_path):
    with dask_cluster.started(tmp_path, workers=1) as gone, dask.connected(gone.address) as pool:
        work = pool.run(doze, (), [(number,) for number in range(50)])
        next(work)
        gone.scheduler.kill()
        with pytest.raises(ComputeError, match=f"the Dask scheduler at {gone.address} was lost"):
            list(work)


@pytest.mark.usefixtures("time_at_hand")
def test_workers_that_stay_away_are_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "ALONE_S", 1)
    with dask_cluster.started(tmp_path, workers=1) as gone, dask.connected(gone.address) as pool:
        work = pool.run(doze, (), [(number,) for number in range(50)])
        next(work)
        gone.processes[1].kill()
        with pytest.raises(ComputeError, match=f"no worker is left at {gone.address}"):
            list(work)


@pytest.mark.usefixtures("time_at_hand")
def test_a_task_that_kills_every_worker_is_named(tmp_path):
    with (
        dask_cluster.started(tmp_path, workers=3) as dying,
        dask.connected(dying.address) as pool,
        pytest.raises(ComputeError) as told,
    ):
        list(pool.run(end_worker, (), [("a greedy one",)]))
    assert told.value.problem == "each time that a greedy one ran, its worker died"
    assert "memory" in told.value.hint


def test_a_scheduler_out_of_reach_is_named(monkeypatch):
    monkeypatch.setattr(dask, "CONNECT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ComputeError, match=f"no Dask scheduler answers at {address}"), dask.connected(address):
            pass


@pytest.mark.usefixtures("time_at_hand")
def test_a_scheduler_without_workers_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "CONNECT_S", 1)
    with dask_cluster.started(tmp_path, workers=0) as empty:
        wanted = f"the Dask scheduler at {empty.address} has no workers"
        with pytest.raises(ComputeError, match=wanted), dask.connected(empty.address):
            pass


@pytest.mark.parametrize(
    ("there", "problem"),
    [
        pytest.param({}, None, id="same"),
        pytest.param({"numpy": "1.0"}, "worker w differs from this machine: numpy 1.0 for ", id="package"),
        pytest.param({"lockstep": "0"}, "lockstep 0 for ", id="code"),
        pytest.param({"lightgbm": None}, "lightgbm missing for ", id="missing"),
        pytest.param({"pyarrow": "9", "python": "2.7"}, "pyarrow 9 for ", id="first-of-two"),
    ],
)
def test_workers_with_other_code_or_packages_are_refused(there, problem):
    here = dask.versions()
    assert {"python", "lockstep", "numpy", "scikit-learn", "distributed"} <= here.keys()
    own = {name: said for name, said in (here | there).items() if said}
    if problem is None:
        dask._compare("worker w", own)
        return
    with pytest.raises(ComputeError) as told:
        dask._compare("worker w", own)
    assert problem in told.value.problem
    assert all(name in told.value.problem for name in there)


def test_workers_with_other_instruction_sets_are_refused():
    dask._compare_instructions("w", dask.instructions())
    with pytest.raises(ComputeError, match=r"worker w computes with other .*: numpy uses X86_V4") as refused:
        dask._compare_instructions("w", "numpy uses X86_V4")
    assert "lockstep doctor --pins" in refused.value.hint


def test_a_process_without_lockstep_is_refused():
    with pytest.raises(ComputeError, match="worker w cannot run Lockstep: No module named 'lockstep'"):
        dask._compare("worker w", ModuleNotFoundError("No module named 'lockstep'"))


def test_a_worker_that_joins_later_with_other_code_does_nothing():
    task = (dask.Shared(abs), dask.Shared(-1))
    assert dask._run(dask.fingerprint(), *task) == 1
    with pytest.raises(ComputeError, match="other code, packages or instruction sets"):
        dask._run("another", *task)


@pytest.fixture
def search_in(tmp_path, monkeypatch):
    """Run the stage on 400 rows in a folder of its own, and return the bytes of what it writes."""
    random = np.random.default_rng(3)
    matrix = random.normal(size=(400, 6))
    target = np.where(matrix[:, 0] + matrix[:, 1] ** 2 + random.normal(size=400) > 1, "yes", "no")

    def act(name, **compute):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        serialization.save_matrix(matrix, target, paths.TRAIN_MATRIX)
        serialization.save(StandardScaler().fit(matrix), paths.FEATURES)
        files.write_json({"task": "binary"}, paths.SCHEMA)
        model_building.main(ModelBuilding(candidates=CANDIDATES, folds=3, compute=Compute(**compute)))
        return paths.SEARCH.read_bytes(), paths.MODEL.read_bytes()

    return act


def kill_when_at_work(observer, worker, pid, killed):
    while not observer.processing().get(worker):
        pass
    os.kill(pid, signal.SIGKILL)
    killed.set()


@pytest.mark.long("kills a worker of a cluster")
def test_a_search_that_loses_a_worker_ends_with_the_bytes_of_a_local_one(two_workers, search_in):
    """The last test here: it leaves one worker."""
    local = search_in("local")
    (worker, pid), *_ = two_workers.pids().items()
    killed = threading.Event()
    killer = threading.Thread(target=kill_when_at_work, args=(two_workers.observer, worker, pid, killed))
    killer.start()
    try:
        assert search_in("cluster", engine="dask", address=two_workers.address) == local
        assert killed.is_set()
        assert worker not in two_workers.threads()
    finally:
        killer.join(10)

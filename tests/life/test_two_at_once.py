"""Two processes that do the same at once: one result, or a loser that names the winner."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from lockstep.config.settings import Settings
from tests.life.conftest import START_S
from tests.pipeline.project import copy_of
from tests.serving.real import Store, wait_for

CODE = """
import json, sys
from lockstep.config.settings import Settings
from lockstep.errors import RegistryError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry

while line := sys.stdin.readline():
    state, uri, name, action, argument, champion = json.loads(line)
    settings = Settings.read({"LOCKSTEP_STATE": state, "MLFLOW_TRACKING_URI": uri})
    registry = Registry(tracking.connect(settings), name)
    registry.capabilities()
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        if action == "register":
            result = 0, registry.create(argument, "runs:/" + argument, {"sha256": "a" * 64}).version
        else:
            result = 0, registry.promote(argument, Event(actor="actor-" + argument), champion).version
    except RegistryError as error:
        result = 1, str(error)
    print(json.dumps(result), flush=True)
"""
ROUNDS = 4
LONG = pytest.mark.long("is the lock that tests/lockstep/runtime/test_file_lock.py tests")
SERVER = pytest.mark.long("promotes against a tracking server, too")
DVC_LOCK = "Unable to acquire lock"
"""What DVC says where another one has just begun or is about to end, and has no files to name yet."""


@pytest.fixture(params=["a local store", pytest.param("a server", marks=SERVER)])
def versions(request, tmp_path, bundle, template_store):
    """A model with three versions of which the first serves."""
    if request.param == "a server":
        settings = {"MLFLOW_TRACKING_URI": request.getfixturevalue("mlflow_server")}
    else:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "mlflow.db").write_bytes(template_store.read_bytes())
        settings = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'state' / 'mlflow.db'}"}
    settings = Settings.read(settings | {"LOCKSTEP_STATE": str(tmp_path / "state")})
    store = Store(settings, f"twice-{time.monotonic_ns()}")
    for digest in ("1" * 64, "2" * 64, "3" * 64):
        store.register(bundle, digest)
    store.promote("1")
    return store


@pytest.fixture(scope="module")
def clients():
    """Processes that use a registry; they stay for all tests, since each takes seconds to import MLflow."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen([sys.executable, "-c", CODE], text=True, **pipes) for _ in range(3)]
    yield processes
    for process in processes:
        process.communicate(timeout=60)


def at_once(clients, store, *calls):
    """Let processes each do a call at the same moment; return the code of each and what it says."""
    settings, clients = store.settings, clients[: len(calls)]
    for client, call in zip(clients, calls, strict=True):
        client.stdin.write(json.dumps([settings.state, settings.tracking_uri, store.name, *call]) + "\n")
        client.stdin.flush()
    assert [client.stdout.readline() for client in clients] == ["ready\n"] * len(calls)
    for client in clients:
        client.stdin.write("\n")
        client.stdin.flush()
    return zip(*[json.loads(client.stdout.readline()) for client in clients], strict=True)


@pytest.mark.long("registers from many processes")
def test_the_same_model_is_one_version(clients, versions):
    run = versions.registry.get("1").run_id
    codes, numbers = at_once(clients, versions, *[("register", run, "")] * 3)
    assert codes == (0, 0, 0)
    assert len(set(numbers)) == 1
    assert [version.sha256 for version in versions.registry.versions()].count("a" * 64) == 1


def test_of_two_promotions_one_serves_and_the_history_says_so(clients, versions, request):
    registry = versions.registry
    for _ in range(ROUNDS if request.config.getoption("long") else 2):
        champion = registry.production().version
        codes, said = at_once(clients, versions, ("promote", "2", champion), ("promote", "3", champion))
        serving = registry.production().version
        moves = [event for event in registry.history() if event.action == "promote"]
        assert moves[0].version == serving
        winner = ("2", "3").index(serving)
        assert codes[winner] == 0
        assert codes[1 - winner] == 1
        assert f"actor-{serving} moved it to version {serving}" in said[1 - winner]
        versions.promote("1")
    codes, numbers = at_once(clients, versions, *[("promote", "2", "1")] * 2)
    assert (codes, numbers) == ((0, 0), ("2", "2"))  # both wanted what is there now


@pytest.mark.server
def test_of_two_servers_at_one_address_one_serves_and_the_other_names_it(make, tmp_path):
    first = make(folder=tmp_path / "first")
    second = make(folder=tmp_path / "second", port=first.port)
    servers = [first.start(ready=False), second.start(ready=False)]
    wait_for(lambda: any(server.process.poll() is not None for server in servers), START_S)
    loser, winner = sorted(servers, key=lambda server: server.process.poll() is None)
    winner.until(200, within_s=START_S)
    assert loser.process.returncode == 1
    said = loser.log.read_text()
    assert re.search(rf"process {winner.process.pid} on \S+, since 20", said), said
    assert "Traceback" not in said


def started_twice(projects, *command):
    """Start a command in each project at the same moment; return the processes."""
    return [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=project.root,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        for project in projects
    ]


@pytest.mark.pipeline
@pytest.mark.parametrize("shared", [pytest.param("a folder", marks=LONG), "PostgreSQL"])
def test_of_two_retrainings_one_runs_and_the_other_names_it(finished, tmp_path, request, shared):
    projects = [copy_of(finished, tmp_path / "first")]
    if shared == "a folder":
        projects *= 2
    else:
        postgres = request.getfixturevalue("postgres")
        projects.append(copy_of(finished, tmp_path / "second"))
        url = postgres.url(postgres.database())
        for project in projects:
            project.settings["DATABASE_URL"] = url
    processes = started_twice(projects, "lockstep", "retrain")
    try:
        wait_for(lambda: any(process.poll() is not None for process in processes), 60)
        loser, winner = sorted(processes, key=lambda process: process.poll() is None)
        said = loser.communicate()[0]
        assert loser.returncode == 1, said
        assert re.search(rf"already.*process {winner.pid} on \S+, since 20", said), said
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in winner.communicate(timeout=60)[0]


@pytest.mark.long("runs the pipeline")
@pytest.mark.pipeline
def test_of_two_runs_of_the_pipeline_the_loser_names_the_winner_and_the_result_is_whole(finished, tmp_path):
    project = copy_of(finished, tmp_path / "project")
    project.edit("params.yaml", "seed: 42\nmodel_evaluation", "seed: 43\nmodel_evaluation")
    processes = started_twice([project] * 2, "dvc", "repro")
    said = [process.communicate(timeout=180)[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes, said
    for code, text, other in zip(codes, said, reversed(processes), strict=True):
        assert code == 0 or f"PID {other.pid}" in text or DVC_LOCK in text, said
    assert project.run("dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert json.loads(project.read("reports/experiment_info.json"))["version"] == "2"

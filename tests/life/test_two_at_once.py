"""Two processes that do the same at once: one result, or a loser that names the winner."""

import subprocess
import sys
import time

import pytest

from lockstep.config.settings import Settings
from tests.serving.real import Store

CODE = """
import sys, time
from lockstep.config.settings import Settings
from lockstep.errors import RegistryError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry

state, uri, name, action, argument, champion = sys.argv[1:7]
registry = Registry(tracking.connect(Settings.read({"LOCKSTEP_STATE": state, "MLFLOW_TRACKING_URI": uri})), name)
registry.capabilities()
print("ready", flush=True)
sys.stdin.readline()
try:
    if action == "register":
        print(registry.create(argument, "runs:/" + argument, {"sha256": "a" * 64}).version)
    else:
        print(registry.promote(argument, Event(actor="actor-" + argument), champion).version)
except RegistryError as error:
    print(error)
    sys.exit(1)
"""
ROUNDS = 4


@pytest.fixture(params=["a local store", "a server"])
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


def at_once(store, *calls):
    """Start processes that each do a call at the same moment; return their exit codes and what they say."""
    settings = store.settings
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, settings.state, settings.tracking_uri, store.name, *call],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for call in calls
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(calls)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    return [process.returncode for process in processes], said


def test_the_same_model_is_one_version(versions):
    run = versions.registry.get("1").run_id
    codes, numbers = at_once(versions, *[("register", run, "")] * 3)
    assert codes == [0, 0, 0]
    assert len(set(numbers)) == 1
    assert [version.sha256 for version in versions.registry.versions()].count("a" * 64) == 1


def test_of_two_promotions_one_serves_and_the_history_says_so(versions, request):
    registry = versions.registry
    for _ in range(ROUNDS if request.config.getoption("long") else 2):
        champion = registry.production().version
        codes, said = at_once(versions, ("promote", "2", champion), ("promote", "3", champion))
        serving = registry.production().version
        moves = [event for event in registry.history() if event.action == "promote"]
        assert moves[0].version == serving
        winner = ("2", "3").index(serving)
        assert codes[winner] == 0
        assert codes[1 - winner] == 1
        assert f"actor-{serving} moved it to version {serving}" in said[1 - winner]
        versions.promote("1")

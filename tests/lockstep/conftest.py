import os
import re
import shutil
from pathlib import Path

import pytest

from lockstep import config, tracking
from lockstep.registry import Registry
from tests.lockstep import dagshub_like as fake

SERVERS = ("local", "mlflow", "dagshub without aliases", "dagshub without aliases and stages")
OWN = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_TEST", "DASK_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Start and end every test without what MLflow reads from the environment."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(OWN)]:
        monkeypatch.delenv(name)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    yield
    for name in set(os.environ) - set(kept):
        del os.environ[name]


@pytest.fixture
def settings_for(tmp_path, monkeypatch):
    """Make settings from nothing but the variables given, with a state folder of their own."""
    monkeypatch.chdir(tmp_path)
    return lambda **environment: config.Settings.read({"LOCKSTEP_STATE": str(tmp_path / "a state")} | environment)


@pytest.fixture
def local_settings(settings_for, template_store):
    settings = settings_for()
    database = Path(settings.state) / "mlflow.db"
    database.parent.mkdir()
    shutil.copyfile(template_store, database)
    return settings


@pytest.fixture(params=SERVERS)
def settings(request, settings_for):
    """Settings for each kind of server in turn."""
    kind = request.param
    if kind == "local":
        return request.getfixturevalue("local_settings")
    if kind == "mlflow":
        return settings_for(MLFLOW_TRACKING_URI=request.getfixturevalue("mlflow_server"))
    refused = fake.ALIASES + (fake.STAGES if kind.endswith("stages") else ())
    address, _ = request.getfixturevalue("dagshub_like")(*refused)
    return settings_for(MLFLOW_TRACKING_URI=address)


@pytest.fixture
def client(settings):
    return tracking.connect(settings)


@pytest.fixture
def model_name(request):
    """A name of its own for each test, since the server is shared."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", request.node.name)[:100]


@pytest.fixture
def registry(client, model_name):
    return Registry(client, model_name)


@pytest.fixture
def bundle(tmp_path):
    """Three files where their content does not matter."""
    folder = tmp_path / "a bundle"
    folder.mkdir()
    for name in ("model.skops", "schema.json", "smoke.json"):
        (folder / name).write_bytes(f"{name} of the test".encode())
    return folder


@pytest.fixture
def register(registry, bundle):
    """Log a run with the bundle and register it under a digest."""

    def act(sha256):
        run = tracking.Run("run", model=bundle)
        run_id, artifact_uri = tracking.log_run(registry.client, registry.name, run)
        return registry.create(run_id, artifact_uri, {"sha256": sha256})

    return act

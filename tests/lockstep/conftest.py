import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from lockstep.config.settings import Settings
from lockstep.data.sources import s3 as buckets
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry
from tests.lockstep import dagshub_like as fake
from tests.lockstep.logged_answers import postgres, store, url  # noqa: F401 - fixtures
from tests.lockstep.small_models import binary, made, model_bundle  # noqa: F401 - fixtures
from tests.lockstep.small_profiles import profile, source  # noqa: F401 - fixtures
from tests.root import ROOT

QUICK_SERVERS = ("local", "dagshub without aliases and stages")
LONG = pytest.mark.long("asks one more kind of server")
SERVERS = (*QUICK_SERVERS, *(pytest.param(kind, marks=LONG) for kind in ("mlflow", "dagshub without aliases")))
MOTO = ROOT / ".venv-ops" / "bin" / "moto_server"
OWN = ("MLFLOW_", "DAGSHUB_", "LOCKSTEP_", "CAPSTONE_TEST", "DASK_")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Start and end every test without what MLflow reads from the environment, and with no client of S3 from before."""
    kept = dict(os.environ)
    buckets._client.cache_clear()
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
    return lambda **environment: Settings.read({"LOCKSTEP_STATE": str(tmp_path / "a state")} | environment)


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


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """The address of moto's server."""
    if not MOTO.exists():
        pytest.skip(f"{MOTO} is not here: `make setup-ops` installs it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    at, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(f"{at}/moto-api/", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < end, "moto does not answer"
            time.sleep(0.1)
    yield at
    process.kill()
    process.wait()


@pytest.fixture
def account(tmp_path, monkeypatch):
    """A folder and an environment without anybody's credentials, where clouds are not asked either."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    given = {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3(moto, account, monkeypatch, request):
    """A bucket of the test's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    client, bucket = boto3.client("s3"), f"bucket-{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.bucket = bucket
    return client

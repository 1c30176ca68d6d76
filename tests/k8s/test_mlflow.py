"""The component `mlflow`: its container's own arguments and variables on a real MLflow, PostgreSQL and S3 of moto."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import pytest

from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry
from tests import ops
from tests.flask_app.standins import make_bundle
from tests.k8s.objects import of_kind, template
from tests.serving.real import wait_for

SECRETS = {
    "MLFLOW_DATABASE_PASSWORD": "database-password",
    "MLFLOW_TRACKING_PASSWORD": "first-password-of-the-admin",
    "MLFLOW_SERVER_KEY": "key-of-the-sessions",
}
BUCKET = "lockstep-artifacts"
pytestmark = pytest.mark.server


def container(read):
    """Return the container of MLflow, and the ConfigMaps by the beginning of their name."""
    objects = read("mlflow")
    (deployment,) = [each for each in of_kind(objects, "Deployment") if each["metadata"]["name"] == "mlflow"]
    maps = {each["metadata"]["name"].rpartition("-")[0]: each["data"] for each in of_kind(objects, "ConfigMap")}
    return template(deployment)["spec"]["containers"][0], maps


def driver(folder):
    """Return a folder with the driver that the image has, and nothing else of the tools' environment."""
    packages = [*(ops.BIN.parent / "lib").glob("python*/site-packages/psycopg2*")]
    if not packages:
        pytest.skip("psycopg2 is not here: `make setup-ops`; with psycopg MLflow cannot move a version")
    folder.mkdir()
    for package in packages:
        (folder / package.name).symlink_to(package)
    return str(folder)


def environment(read, folder, postgres, address):
    """Return the variables of the container, with the addresses of this machine."""
    own, maps = container(read)
    (folder / "auth.ini").write_text(maps["mlflow-auth"]["auth.ini"])
    given = maps["mlflow-config"] | {
        each["name"]: SECRETS[each["valueFrom"]["secretKeyRef"]["key"]] for each in own["env"]
    }
    assert given["MLFLOW_AUTH_CONFIG_PATH"] == own["volumeMounts"][1]["mountPath"] + "/auth.ini"
    given |= {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGSSLMODE": "disable"}
    given |= {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_S3_ENDPOINT_URL": address}
    given["MLFLOW_ARTIFACTS_DESTINATION"] = given["MLFLOW_ARTIFACTS_DESTINATION"].replace("MLFLOW-BUCKET", BUCKET)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": ops.REGION}
    return (
        given
        | keys
        | {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": driver(folder / "driver"),
            "NO_PROXY": "127.0.0.1",
        }
    )


@pytest.fixture(scope="module")
def server(read, postgres, aws_address, tmp_path_factory, request):
    """The address of an MLflow with the arguments of the manifest."""
    if not request.config.getoption("long"):
        pytest.skip("--long starts MLflow with accounts on PostgreSQL, half a minute")
    folder = tmp_path_factory.mktemp("mlflow")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": ops.REGION}
    boto3.client("s3", endpoint_url=aws_address, **keys).create_bucket(Bucket=BUCKET)
    postgres.sql("CREATE ROLE mlflow LOGIN")
    for name in ("mlflow", "mlflow_auth"):
        postgres.sql(f"CREATE DATABASE {name} OWNER mlflow")
    given = environment(read, folder, postgres, aws_address)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    changed = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
    words = [changed.get(word, word) for word in container(read)[0]["args"]]
    words = [word.replace("$(MLFLOW_ARTIFACTS_DESTINATION)", given["MLFLOW_ARTIFACTS_DESTINATION"]) for word in words]
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "mlflow", *words]
        process = subprocess.Popen(command, env=given, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        wait_for(lambda: healthy(process, port, folder / "log"), 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def healthy(process, port, log):
    assert process.poll() is None, log.read_text()[-3000:]
    try:
        return status(f"http://127.0.0.1:{port}/health", host="10.20.3.4:5000") == 200
    except OSError:
        return False


def status(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def settings(server, password):
    own = {"MLFLOW_TRACKING_URI": server, "MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
    return Settings.read(own)


def test_nobody_comes_in_without_the_password_but_the_probes(server):
    assert status(f"{server}/health", host="10.20.3.4:5000") == 200, "kubelet asks a pod by its address"
    assert status(f"{server}/api/2.0/mlflow/experiments/search?max_results=1") == 401
    assert status(f"{server}/api/2.0/mlflow/experiments/search?max_results=1", host="evil.example.com") == 403
    with pytest.raises(TrackingError, match="refuses these credentials"):
        tracking.connect(settings(server, "wrong"))


def test_a_version_is_registered_promoted_and_fetched(server, tmp_path, aws_address, postgres):
    client = tracking.connect(settings(server, SECRETS["MLFLOW_TRACKING_PASSWORD"]))
    bundle = make_bundle("binary", tmp_path / "model")
    run_id, _ = tracking.log_run(client, "own", tracking.Run("first", params={"a": 1}, model=bundle))
    client.create_registered_model("demo")
    client.create_model_version("demo", f"runs:/{run_id}/model", run_id)
    registry = Registry(client, "demo")
    registry.promote("1", Event(version="1"))
    production = registry.production()
    assert production.version == "1"
    fetched = registry.download(production, tmp_path / "fetched")
    assert (fetched / "model.skops").read_bytes() == (bundle / "model.skops").read_bytes()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": ops.REGION}
    listed = boto3.client("s3", endpoint_url=aws_address, **keys).list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")
    assert [each["Key"] for each in listed["Contents"] if each["Key"].endswith("model/model.skops")]
    assert postgres.sql("SELECT count(*) FROM model_versions", "mlflow").strip() == "1"
    assert postgres.sql("SELECT username FROM users", "mlflow_auth").strip() == "admin"

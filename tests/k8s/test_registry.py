"""Whether pods reach the model registry, asked from inside: real kubectl, a real `lockstep` with a pod's variables."""

import base64
import os
import subprocess
import sys

import pytest

from tests import ops
from tests.k8s.conftest import OTHER, bare, image
from tests.k8s.objects import ROOT

pytestmark = pytest.mark.server
TOKEN = "a-token-that-nobody-may-see"


def variables(api):
    """Return the environment that a pod of the Deployment gets from its ConfigMap and the Secret."""
    deployment = api.cluster.get(("apps/v1", "deployments"), "lockstep", "flask-app")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    name = container["envFrom"][0]["configMapRef"]["name"]
    made = dict(api.cluster.get(("v1", "configmaps"), "lockstep", name)["data"])
    secret = (api.cluster.get(("v1", "secrets"), "lockstep", "capstone-secret") or {}).get("data", {})
    wanted = {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]}
    return made | {key: base64.b64decode(value).decode() for key, value in secret.items() if key in wanted}


@pytest.fixture
def pod(api, app, cluster_with_good, tmp_path):
    """A cluster with the app, in whose pods the commands of this machine run with a pod's variables."""
    api.kubeconfig(tmp_path / "kubeconfig")
    api.cluster.restore(cluster_with_good)
    api.app_port = app.server.server_port

    inside_folder = tmp_path / "app"
    inside_folder.mkdir()
    (inside_folder / "params.yaml").write_text((ROOT / "examples/breast-cancer.yaml").read_text())

    def execute(command, given):
        inside = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"} | variables(api)
        inside["MLFLOW_TRACKING_URI"] = inside.get("MLFLOW_TRACKING_URI", "").replace("http://mlflow:5000", api.mlflow)
        inside |= {"LOCKSTEP_STATE": str(tmp_path / "state"), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        place = {"lockstep": [sys.executable, "-m", "lockstep"], "python": [sys.executable]}[command[0]]
        done = subprocess.run([*place, *command[1:]], input=given, env=inside, capture_output=True, cwd=inside_folder)
        return done.returncode, done.stdout, done.stderr

    api.pod, api.mlflow = execute, "http://127.0.0.1:9"
    return api


def doctor(folder):
    """Run `lockstep doctor --cluster` on this machine."""
    env = bare(folder) | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "300"}
    return ops.run(sys.executable, "-m", "lockstep", "doctor", "--cluster", env=env, cwd=folder)


def test_pods_without_a_registry_are_told_so(pod, script, tmp_path):
    done = script("smoke", "--registry")
    assert done.returncode == 1
    assert "pods have no model registry" in done.stderr and "docs/aws.md" in done.stderr
    seen = doctor(tmp_path)
    assert seen.returncode == 1
    assert "none: pods keep the model of the image" in seen.stdout
    assert "params.yaml" not in seen.stdout, "what pods do not need"


@pytest.mark.long("deploys to a cluster with a registry")
def test_the_deploy_step_gives_settings_and_tokens_to_pods_which_reach_the_registry(
    pod, script, mlflow_server, tmp_path
):
    given = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_TRACKING_USERNAME": "own", "MLFLOW_TRACKING_PASSWORD": TOKEN}
    done = script("deploy", "--overlay", "local", "--image", OTHER, **given)
    assert done.returncode == 0, done.stderr
    assert f"registry: mlflow at {mlflow_server}" in done.stdout
    assert TOKEN not in done.stdout + done.stderr, "a secret on a command line"
    assert variables(pod)["MLFLOW_TRACKING_PASSWORD"] == TOKEN
    assert variables(pod)["MLFLOW_TRACKING_URI"] == mlflow_server
    seen = doctor(tmp_path)
    assert seen.returncode == 0, seen.stdout
    assert f"mlflow at {mlflow_server}" in seen.stdout
    done = script("deploy", "--overlay", "local", "--image", OTHER, **given | {"MLFLOW_TRACKING_PASSWORD": "new"})
    assert done.returncode == 0, done.stderr
    assert "rollout restart" in done.stderr, "pods read a Secret when they start"
    assert variables(pod)["MLFLOW_TRACKING_PASSWORD"] == "new"


@pytest.mark.long("deploys MLflow to a cluster")
def test_an_mlflow_of_the_cluster_becomes_the_registry(pod, script, mlflow_server):
    pod.mlflow = mlflow_server
    given = {"MLFLOW_IMAGE": image("e"), "MLFLOW_DATABASE_HOST": "db.internal", "MLFLOW_TRACKING_URI": "http://laptop"}
    done = script("deploy", "--overlay", "local", "--image", OTHER, **given)
    assert done.returncode == 1
    assert "not both MLFLOW_DATABASE_HOST and MLFLOW_BUCKET" in done.stderr and "scripts/database" in done.stderr
    done = script("deploy", "--overlay", "local", "--image", OTHER, MLFLOW_BUCKET="own-artifacts", **given)
    assert done.returncode == 0, done.stderr
    assert "rollout status deployment/mlflow" in done.stderr
    assert f"registry: mlflow at {mlflow_server}" in done.stdout
    deployment = pod.cluster.get(("apps/v1", "deployments"), "lockstep", "mlflow")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    own = pod.cluster.get(("v1", "configmaps"), "lockstep", container["envFrom"][0]["configMapRef"]["name"])["data"]
    assert container["image"] == image("e")
    assert (own["PGHOST"], own["MLFLOW_ARTIFACTS_DESTINATION"]) == ("db.internal", "s3://own-artifacts/mlflow")
    keys = {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]} - {"MLFLOW_DATABASE_PASSWORD"}
    assert keys <= {*pod.cluster.get(("v1", "secrets"), "lockstep", "capstone-secret")["data"]}
    assert variables(pod)["MLFLOW_TRACKING_URI"] == "http://mlflow:5000", "not the address of this machine"


@pytest.mark.long("deploys once more")
def test_a_registry_that_pods_do_not_reach_is_undone(pod, script):
    done = script("deploy", "--overlay", "local", "--image", OTHER, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "in a pod: cannot reach the tracking server http://127.0.0.1:9" in done.stderr
    assert "reach no model registry; undone" in done.stderr


@pytest.mark.parametrize("words", [["--generate"], []])
def test_secrets_are_added_to_what_is_there_and_never_taken_away(api, script, tmp_path, words):
    api.kubeconfig(tmp_path / "kubeconfig")
    (tmp_path / "own.env").write_text("# own\nDATABASE_URL=postgresql://app:a=b@db/log\n")
    for expected in ("made", "same"):
        done = script("secret", "--file", str(tmp_path / "own.env"), *words)
        assert (done.returncode, done.stdout) == (0, expected + "\n"), done.stderr
    script("secret", REDIS_URL="redis://cache")
    data = api.cluster.get(("v1", "secrets"), "lockstep", "capstone-secret")["data"]
    own = {"DATABASE_URL", "REDIS_URL"}
    assert {*data} == own | ({"LOCKSTEP_API_KEYS", "LOCKSTEP_ADMIN_TOKEN", "LOCKSTEP_SECRET_KEY"} if words else set())
    assert base64.b64decode(data["DATABASE_URL"]) == b"postgresql://app:a=b@db/log"
    (tmp_path / "own.env").write_text("PASSWORD=1\n")
    done = script("secret", "--file", str(tmp_path / "own.env"))
    assert done.returncode == 1
    assert "line 1: 'PASSWORD' is no secret of the app" in done.stderr

import copy
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
import yaml
from werkzeug.serving import make_server

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests import ops
from tests.flask_app.standins import FolderRegistry, make_bundle
from tests.k8s.api_server import serving
from tests.k8s.cluster import DEPLOYMENTS, Cluster
from tests.k8s.objects import ROOT
from tests.postgres import postgres  # noqa: F401

COMPONENTS = sorted(folder.name for folder in (ROOT / "k8s/components").iterdir())
OVERLAYS = sorted(folder.name for folder in (ROOT / "k8s/overlays").iterdir())
ALTERNATIVES = ("network-load-balancer", "rollout", "statefulset", "volume")
"""Components that change what kind of pods serve, or what leads to them, so that one overlay takes one of them."""

VPC = "192.168.0.0/16"
"""What scripts/eks would read from the cluster's VPC."""

RENDERED = ["k8s", *OVERLAYS, *COMPONENTS, "all"]
FORGET = (
    "KUBE",
    "EKS_",
    "AWS_",
    "IMAGE",
    "LOCKSTEP_",
    "MLFLOW_",
    "DAGSHUB_",
    "APP_HOST",
    "OVERLAY",
    "CERTIFICATE_",
    "DATABASE_URL",
)


def image(letter):
    """Return an image by a digest of one letter."""
    return f"registry.test/flask-app@sha256:{letter * 64}"


GOOD, OTHER, BAD, MUTE = (image(letter) for letter in "abcd")
"""Two that serve, one that no node can pull, and one that starts and answers nothing right."""


@pytest.fixture
def time_at_hand(request):
    """Go on only with --long."""
    if not request.config.getoption("long"):
        pytest.skip("one more way for a deployment to go; pytest --long")


@pytest.fixture(scope="session")
def kubectl():
    """Where the real kubectl is."""
    return ops.program("kubectl", "https://kubernetes.io/docs/tasks/tools")


class App:
    """The real app behind a port, whose answers a test may replace."""

    def __init__(self, folder):
        registry = FolderRegistry()
        registry.add("1", make_bundle("binary", folder / "bundle"))
        environment = {"LOCKSTEP_MODEL_NAME": "demo", "LOCKSTEP_STATE": str(folder / "state")}
        self.app = create_app(Settings.read(environment), registry.connect)
        model_service.default(self.app).look()
        self.instead, self.silent, self.asked, self.keys = {}, lambda: False, [], []
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.asked.append(path)
        self.keys.append(environ.get("HTTP_AUTHORIZATION"))
        if path == "/predict" and self.silent():
            start_response("500 Internal Server Error", [("Content-Type", "application/json")])
            return [b"{}"]
        if path in self.instead:
            status, text = self.instead[path]
            start_response(f"{status} Said", [("Content-Type", "application/json")])
            return [text.encode()]
        return self.app(environ, start_response)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The real app, once for all tests."""
    app = App(tmp_path_factory.mktemp("app"))
    thread = threading.Thread(target=app.server.serve_forever)
    thread.start()
    yield app
    app.server.shutdown()
    thread.join()
    app.server.server_close()


@pytest.fixture
def app(served):
    """The real app, which answers as it does."""
    served.instead, served.silent = {}, lambda: False
    served.asked.clear()
    served.keys.clear()
    return served


@pytest.fixture
def api(kubectl):
    """A stand-in cluster, empty, behind its API."""
    with serving(Cluster(bad={BAD})) as server:
        yield server


def bare(folder):
    """Return an environment with nothing of this machine's clusters and accounts in it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FORGET)}
    return kept | {"HOME": str(folder), "KUBECONFIG": str(folder / "kubeconfig")}


def run_script(name, words, environment):
    """Run one of our scripts, and return what came of it."""
    command = [ROOT / "scripts" / name, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture
def script(tmp_path):
    """Return a function that runs one of our scripts in an environment of its own."""
    return lambda name, *words, **variables: run_script(name, words, bare(tmp_path) | variables)


@pytest.fixture
def deploy(api, app, script, tmp_path):
    """Return a function that deploys to the stand-in cluster, and asks the real app whether it went well."""
    api.kubeconfig(tmp_path / "kubeconfig")
    app.silent = lambda: running(api) == MUTE

    def run(wanted, *words, name="deploy"):
        api.writes.clear()
        image = ["--image", wanted] if wanted else []
        chosen = ["--overlay", "local", *image] if name == "deploy" else []
        return script(name, *chosen, "--url", app.url, "--timeout", "60s", *words)

    return run


def running(api):
    """Return the image of the Deployment, if there is one."""
    found = api.cluster.get(DEPLOYMENTS, "lockstep", "flask-app")
    return found and found["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.fixture(scope="session")
def cluster_with_good(kubectl, tmp_path_factory):
    """A cluster after its first deployment."""
    folder = tmp_path_factory.mktemp("first")
    with serving(Cluster()) as server:
        server.kubeconfig(folder / "kubeconfig")
        done = run_script("deploy", ["--overlay", "local", "--image", GOOD, "--no-smoke"], bare(folder))
        assert done.returncode == 0, done.stderr
        server.cluster.control()
        return server.cluster


@pytest.fixture
def redeploy(deploy, api, cluster_with_good):
    """Return a function that deploys to a cluster in which GOOD serves already, as revision 1."""
    api.cluster.restore(cluster_with_good)
    return deploy


def render(kubectl, name, folder):
    """Return the text that kubectl would apply: of k8s/, an overlay, or components on top of the overlay for EKS."""
    if name == "k8s" or name in OVERLAYS:
        source = ROOT / "k8s" if name == "k8s" else ROOT / "k8s/overlays" / name
    else:
        source = folder / f"with-{name}"
        source.mkdir()
        k8s = os.path.relpath(ROOT / "k8s", source)
        chosen = [each for each in COMPONENTS if each not in ALTERNATIVES] if name == "all" else [name]
        chosen = [each for each in chosen if each != "ingress"]  # the overlay has it
        content = {"resources": [f"{k8s}/overlays/eks"], "components": [f"{k8s}/components/{each}" for each in chosen]}
        (source / "kustomization.yaml").write_text(json.dumps(content))
    done = subprocess.run([kubectl, "kustomize", source], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.replace("VPC-RANGE", VPC)


@pytest.fixture(scope="session")
def manifests(kubectl, tmp_path_factory):
    """A folder with every rendering as a file, and the files that are applied as they are."""
    sources, folder = tmp_path_factory.mktemp("sources").resolve(), tmp_path_factory.mktemp("manifests")
    for name in RENDERED:
        (folder / f"{name}.yaml").write_text(render(kubectl, name, sources))
    for own in (
        "argocd/application.yaml",
        "argocd/permissions.yaml",
        "eksctl/deployers.yaml",
        "dask/search.yaml",
        "dask/operator/cluster.yaml",
    ):
        (folder / Path(own).name).write_text((ROOT / "k8s" / own).read_text())
    done = ops.run(kubectl, "kustomize", ROOT / "k8s/dask")
    assert done.returncode == 0, done.stderr
    (folder / "dask.yaml").write_text(done.stdout)
    return folder


@pytest.fixture(scope="session")
def read(manifests):
    """Return a function that gives the objects of a rendering, to do with as one likes."""
    objects = {name: list(yaml.safe_load_all((manifests / f"{name}.yaml").read_text())) for name in RENDERED}
    return lambda name: copy.deepcopy(objects[name])

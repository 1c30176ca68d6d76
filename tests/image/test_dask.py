"""The image of the Dask cluster on a real engine: pods as the manifests say, and the bytes that a search here finds."""

import shutil
import uuid

import pytest
import yaml

from tests.image.engine import docker
from tests.pipeline.project import copy_of, copy_project

pytestmark = pytest.mark.image
IMAGE = "lockstep-test/dask:build"
RUN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:size=2g,mode=1777")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A project as a fresh clone: its dvc.lock says what comes out, and nothing of that is there."""
    return copy_project(tmp_path_factory.mktemp("dask") / "a project")


@pytest.fixture(scope="module")
def built(clone, python_image, tmp_path_factory):
    """The image that the manifests of the cluster name."""
    context = copy_of(clone, tmp_path_factory.mktemp("context") / "a project").root
    # what BuildKit reads for this Dockerfile, and the builder without it does not
    shutil.copy(context / "k8s/dask/Dockerfile.dockerignore", context / ".dockerignore")
    docker(
        *("build", "--network", "host", "--build-arg", f"PYTHON_IMAGE={python_image}", "--tag", IMAGE),
        *("--file", str(context / "k8s/dask/Dockerfile"), str(context)),
    )
    return IMAGE


def container_of(project, file, kind):
    """Return what the manifest of a kind says of its one container."""
    for content in yaml.safe_load_all(project.read(f"k8s/dask/{file}")):
        if content["kind"] == kind:
            (found,) = content["spec"]["template"]["spec"]["containers"]
            return found
    raise AssertionError(f"{file} has no {kind}")


class Pods:
    """Containers of a network of their own, run by the commands and settings of the manifests."""

    def __init__(self, project, image):
        self.project, self.image, self.network = project, image, f"lockstep-{uuid.uuid4().hex[:8]}"
        self.names = []
        docker("network", "create", self.network)

    def start(self, file, kind, *options, alias, **settings):
        said = container_of(self.project, file, kind)
        given = {one["name"]: one["value"] for one in said.get("env", ()) if "value" in one} | settings
        words = [word for key, value in given.items() for word in ("--env", f"{key}={value}")]
        program, *rest = [*said["command"], *said.get("args", ())]
        name = f"{self.network}-{len(self.names)}"
        docker(
            *("run", "--detach", "--name", name, "--network", self.network, "--network-alias", alias, *RUN, *options),
            *(*words, "--entrypoint", program, self.image, *rest),
        )
        self.names.append(name)
        return name

    def remove(self):
        for name in self.names:
            docker("rm", "--force", "--volumes", name, ok=False)
        docker("network", "rm", self.network, ok=False)


@pytest.fixture
def pods(clone, built):
    made = Pods(clone, built)
    yield made
    made.remove()


def test_the_job_searches_on_the_workers_and_ends_with_the_dvc_lock_of_a_search_here(clone, pods, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(0o777)
    pods.start("scheduler.yaml", "Deployment", alias="dask-scheduler")
    for number in range(2):
        pods.start("workers.yaml", "Deployment", alias=f"worker-{number}")
    options = ("--volume", f"{work}:/work", "--workdir", "/work")
    job = pods.start("search.yaml", "Job", *options, alias="search", MLFLOW_TRACKING_URI="sqlite:////tmp/mlflow.db")
    code, told = docker("wait", job, timeout=900).strip(), docker("logs", job, ok=False)
    assert code == "0", told.stdout[-3000:] + told.stderr[-3000:]
    assert "workers at tcp://dask-scheduler:8786" in told.stderr
    assert told.stdout.endswith(clone.read("dvc.lock"))

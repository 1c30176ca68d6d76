"""A served container that Docker kills, with and without an init process, starts again on the state it left."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import uuid

import pytest

from tests.image import engine
from tests.life.conftest import START_S
from tests.root import ROOT
from tests.serving.real import copy_store, wait_for

pytestmark = [pytest.mark.server, pytest.mark.long("starts a Docker engine and containers")]
ALONE = ("--storage-driver=vfs", "--iptables=false", "--bridge=none")
"""An engine for containers on the host's network: it changes nothing outside of its own folder."""

SYSTEM = ("/bin", "/lib", "/lib64", "/usr", "/etc", sys.base_prefix, sys.prefix, str(ROOT))
"""What the app needs of this machine; so no image has to be pulled or built."""

KILLED = 137
"""128 and the number of SIGKILL."""


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """A Docker engine: this machine's, or one of the test's own."""
    if shutil.which("docker") and engine.docker("info", ok=False).returncode == 0:
        yield engine.docker
        return
    if not shutil.which("dockerd") or not shutil.which("docker") or os.getuid():
        pytest.skip("NOT TESTED: no Docker engine answers, and only root can start one: apt-get install docker.io")
    folder, before = tmp_path_factory.mktemp("docker"), os.environ.get("DOCKER_HOST")
    options = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    address = f"unix://{folder}/socket"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["dockerd", *ALONE, *options, f"--host={address}"], stdout=log, stderr=log)
    os.environ["DOCKER_HOST"] = address
    try:
        wait_for(lambda: engine.docker("info", ok=False).returncode == 0, START_S, 0.2)
        yield engine.docker
    finally:
        os.environ.pop("DOCKER_HOST") if before is None else os.environ.update(DOCKER_HOST=before)
        process.terminate()
        process.wait(60)
        subprocess.run(["umount", "--quiet", folder / "exec/netns/default"], check=False)


@pytest.fixture(scope="module")
def image(docker, tmp_path_factory):
    """An image without a file, which runs the server of this checkout."""
    name, empty = f"lockstep-test/life:{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("image") / "empty.tar"
    with tarfile.open(empty, "w") as archive:
        archive.addfile(tarfile.TarInfo("empty"), io.BytesIO())
    command = f'CMD ["{sys.executable}", "-m", "lockstep", "serve", "--workers", "1"]'
    docker("import", "--change", command, str(empty), name)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture
def start(docker, image, bundle, template_store, tmp_path, tmp_path_factory):
    """Return a function that starts containers with one state folder, all gone at the end."""
    containers = []
    copy_store(template_store, tmp_path)
    base = str(tmp_path_factory.getbasetemp())
    places = [word for place in SYSTEM for word in ("--volume", f"{place}:{place}:ro")]
    places += ["--volume", f"{base}:{base}", "--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(tmp_path)]

    def act(*options):
        containers.append(
            engine.Container(
                image,
                *places,
                *options,
                PYTHONPATH=f"{ROOT / 'src'}{os.pathsep}{ROOT}",
                LOCKSTEP_STATE=str(tmp_path / "state"),
                LOCKSTEP_BAKED_MODEL=str(bundle),
                LOCKSTEP_MODEL_NAME="demo",
                LOCKSTEP_DRAIN_S="0",
            )
        )
        return containers[-1]

    yield act
    for container in containers:
        docker("rm", "--force", container.name)


def state(container):
    return engine.inspect(container.name)["State"]


def until_ready(container):
    def is_ready():
        assert state(container)["Running"], container.log()[-3000:]
        return container.get("/readyz")[0] == 200

    wait_for(is_ready, START_S, 0.2)


@pytest.mark.parametrize("init", [(), ("--init",)], ids=["process 1", "an init process"])
def test_a_killed_container_and_the_next_one_start_on_the_same_state(docker, start, orphans, init):
    container = start(*init)
    for again in (["start", container.name], None):
        until_ready(container)
        docker("kill", container.name)
        wait_for(lambda: state(container)["ExitCode"] == KILLED, START_S)
        wait_for(lambda: not orphans(), START_S, 0.1)
        if again:
            docker(*again)
    successor = start(*init)
    until_ready(successor)
    docker("stop", "--time", "30", successor.name)
    assert state(successor)["ExitCode"] == 0
    assert not orphans()
    assert "Traceback" not in container.log() + successor.log()

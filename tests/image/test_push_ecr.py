"""scripts/push by a real engine to a real registry that has the name of ECR: an engine of its own, behind a proxy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests import container_registry, ops
from tests.serving.real import wait_for

pytestmark = pytest.mark.image
HOST = f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com"
LABEL = "lockstep.content.sha256"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with container_registry.ecr(tmp_path_factory.mktemp("registry"), ops.REGION) as registry:
        yield registry


@pytest.fixture(scope="module")
def engine(registry, image, tmp_path_factory):
    """Return the environment of an engine that reaches the registry under its name, and has the image."""
    if not shutil.which("dockerd") or os.getuid():
        pytest.skip("an engine of its own needs dockerd and root: apt-get install docker.io")
    folder = tmp_path_factory.mktemp("engine")
    host = f"unix://{folder}/docker.sock"
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host={host}"]
    command = ["dockerd", *places, "--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (folder / "log").open("wb") as log:
        environment = os.environ | registry.environment
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        own = os.environ | {"DOCKER_HOST": host}
        wait_for(lambda: subprocess.run(["docker", "info"], env=own, capture_output=True).returncode == 0, 60)
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "load"], env=own, stdin=saved.stdout, check=True, capture_output=True)
        yield own
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder / "data", ignore_errors=True)


def labels_of(image, engine):
    form = '{{index .Config.Labels "%s"}}'
    command = ["docker", "image", "inspect", "--format", f"{form % LABEL} {form % 'org.opencontainers.image.revision'}"]
    return subprocess.run([*command, image], env=engine, capture_output=True, text=True, check=True).stdout.split()


def test_a_second_build_is_the_image_that_is_there_and_another_content_is_refused(image, engine, registry, aws_address):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    ecr = boto3.client("ecr", endpoint_url=aws_address, region_name=ops.REGION, **keys)
    ecr.create_repository(repositoryName="real", imageTagMutability="IMMUTABLE")
    _, commit = labels_of(image, engine)
    env = ops.environment(aws_address) | registry.environment | {"DOCKER_HOST": engine["DOCKER_HOST"]}
    env |= {"ECR_REPOSITORY": f"{HOST}/real", "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}

    def push(name):
        return ops.run(ops.ROOT / "scripts/push", "--image", name, "--tag", commit, env=env)

    def build(name, lines):
        command = ["docker", "build", "--tag", name, "-"]
        subprocess.run(command, env=engine, input=f"FROM {image}\n{lines}", text=True, check=True, capture_output=True)

    first = push(image)
    assert first.returncode == 0, first.stderr
    build("again:1", "USER 0\nRUN touch /app/*\nUSER 10001:10001\n")  # as later: other ids, the same content
    again = push("again:1")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert len(registry.state()) == 1

    build("other:1", f'LABEL {LABEL}="{"0" * 64}"\n')
    other = push("other:1")
    assert (other.returncode, other.stdout) == (1, "")
    assert f"holds another image, {first.stdout.strip().rpartition('@')[2]}: {LABEL} " in other.stderr

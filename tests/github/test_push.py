"""scripts/push against an AWS on this machine; only the engine is a stand-in, as no registry has ECR's name here."""

import os

import boto3
import pytest

from tests import ops

HOST = f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com"
TAG = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def ecr(aws_address):
    ops.tool("aws")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("ecr", endpoint_url=aws_address, region_name=ops.REGION, **keys)


class Pusher:
    """scripts/push with its surroundings: a repository of ECR, and images in a folder."""

    def __init__(self, folder, environment, name, ecr):
        self.folder, self.environment, self.repository, self.ecr = folder, environment, f"{HOST}/{name}", ecr
        self.image("flask-app:local", "sha256:" + "a" * 64)

    def image(self, name, digest):
        (self.folder / name.replace(":", "_")).write_text(digest)

    def __call__(self, *words, tag=TAG, **changes):
        env = self.environment | {"ECR_REPOSITORY": self.repository} | changes
        return ops.run(ops.ROOT / "scripts/push", "--tag", tag, *words, env={k: v for k, v in env.items() if v})

    def calls(self):
        path = self.folder / "calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def push(aws_address, ecr, tmp_path, request):
    """A repository whose tags stay, as Terraform makes it."""
    path = f"{ops.ROOT / 'tests/github'}{os.pathsep}{ops.BIN}{os.pathsep}{os.environ['PATH']}"
    env = ops.environment(aws_address, DOCKER_STANDIN=str(tmp_path), PATH=path, HOME=str(tmp_path))
    name = f"app-{abs(hash(request.node.name)) % 10**8}"
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    return Pusher(tmp_path, env, name, ecr)


def test_an_image_is_pushed_once_and_its_tag_never_holds_another(push):
    first, second = push(), push()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith(f"{push.repository}@sha256:")
    assert second.stdout == first.stdout
    assert push.calls() == ["image", "image", "login", "tag", "push", "logout", "image", "image"]
    (image,) = push.ecr.describe_images(repositoryName=push.repository.partition("/")[2])["imageDetails"]
    assert (image["imageTags"], image["imageDigest"]) == ([TAG], first.stdout.strip().rpartition("@")[2])

    other = "sha256:" + "b" * 64
    push.image("flask-app:local", other)
    refused = push()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{TAG} holds another image, sha256:" in refused.stderr
    assert "hint: a tag stays what it is" in refused.stderr
    assert push.calls().count("push") == 1

    name = f"{push.repository}:{TAG}"
    push.image(name.replace("/", "_"), other)
    done = ops.run("docker", "push", name, env=push.environment)
    assert done.returncode != 0
    assert "AlreadyExistsException" in done.stderr


@pytest.fixture
def long(request):
    if not request.config.getoption("long"):
        pytest.skip("--long pushes in more ways: `make check-ops ARGS=--long`")


def test_a_dry_run_changes_nothing(long, push):
    done = push("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "+ docker push" in done.stderr
    assert push.calls() == ["image", "image"]


def test_a_repository_that_is_not_there_is_named(long, push):
    done = push(ECR_REPOSITORY=f"{HOST}/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "RepositoryNotFoundException" in done.stderr


def test_an_image_for_other_processors_than_the_hosts_is_not_pushed(push):
    (push.folder / "arm64").touch()
    refused = push()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "flask-app:local is for linux/arm64, and not for linux/amd64" in refused.stderr
    assert "push" not in push.calls()
    assert push("--platform", "linux/arm64").returncode == 0


def test_a_push_that_fails_is_told_and_logs_out(long, push):
    (push.folder / "broken").touch()
    done = push()
    assert (done.returncode, done.stdout) == (1, "")
    assert push.calls()[-1] == "logout"


@pytest.mark.parametrize(
    ("words", "changes", "problem"),
    [
        ((), {"ECR_REPOSITORY": ""}, "ECR_REPOSITORY is not set"),
        ((), {"ECR_REPOSITORY": "docker.io/own/er"}, "is no repository of ECR"),
        (("--image", "gone:1"), {}, "there is no local image gone:1"),
        ((), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS does not know who you are"),
        ((), {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "x"}, "is not installed"),
    ],
)
def test_what_is_missing_is_named(push, words, changes, problem, tmp_path):
    if "PATH" in changes:
        (tmp_path / "python3").symlink_to("/usr/bin/env")
        changes = {"PATH": str(only_python(tmp_path / "bin"))}
    done = push(*words, **changes)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr
    assert "hint: " in done.stderr


def only_python(folder):
    """Return a folder of programs that has Python and no other tool."""
    folder.mkdir()
    (folder / "python3").symlink_to(ops.ROOT / ".venv/bin/python3")
    return folder


@pytest.mark.parametrize("tag", ["latest", "with space", "-x"])
def test_a_tag_that_could_not_stay_is_refused(push, tag):
    done = ops.run(
        ops.ROOT / "scripts/push", f"--tag={tag}", env=push.environment | {"ECR_REPOSITORY": push.repository}
    )
    assert done.returncode == 1
    assert "is no tag that could stay" in done.stderr

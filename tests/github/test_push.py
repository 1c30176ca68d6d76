"""scripts/push against an AWS and a registry with the name of ECR on this machine; only the engine is a stand-in."""

import json
import os

import boto3
import pytest

from tests import container_registry, ops

HOST = f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com"
TAG = "0123456789abcdef0123456789abcdef01234567"
CONTENT, REVISION = "lockstep.content.sha256", "org.opencontainers.image.revision"
LABELS = {CONTENT: "c" * 64, REVISION: TAG}


@pytest.fixture(scope="module")
def ecr(aws_address):
    ops.tool("aws")
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("ecr", endpoint_url=aws_address, region_name=ops.REGION, **keys)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with container_registry.ecr(tmp_path_factory.mktemp("registry"), ops.REGION) as registry:
        yield registry


class Pusher:
    """scripts/push with its surroundings: a repository of ECR, and images in a folder."""

    def __init__(self, folder, environment, name, registry):
        self.folder, self.environment, self.name, self.registry = folder, environment, name, registry
        self.repository = f"{HOST}/{name}"
        self.image("flask-app:local", "a", LABELS)

    def image(self, name, letter, labels, architecture="amd64"):
        """Make an image, as another build gives another id."""
        image = {
            "Id": "sha256:" + letter * 64,
            "Os": "linux",
            "Architecture": architecture,
            "Config": {"Labels": labels},
        }
        (self.folder / (name.replace("/", "_").replace(":", "_") + ".json")).write_text(json.dumps(image))

    def __call__(self, *words, tag=TAG, **changes):
        env = self.environment | {"ECR_REPOSITORY": self.repository} | changes
        return ops.run(ops.ROOT / "scripts/push", "--tag", tag, *words, env={k: v for k, v in env.items() if v})

    def calls(self):
        path = self.folder / "calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def tags(self):
        """Return what the tags of the repository name."""
        return {name.rpartition("/")[2]: digest for name, digest in self.registry.state().items() if self.name in name}


@pytest.fixture
def push(aws_address, ecr, registry, tmp_path, request):
    """A repository whose tags stay, as Terraform makes it."""
    path = f"{ops.ROOT / 'tests/github'}{os.pathsep}{ops.BIN}{os.pathsep}{os.environ['PATH']}"
    env = ops.environment(aws_address, DOCKER_STANDIN=str(tmp_path), PATH=path, HOME=str(tmp_path))
    name = f"app-{abs(hash(request.node.name)) % 10**8}"
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    return Pusher(tmp_path, env | registry.environment, name, registry)


@pytest.fixture
def long(request):
    if not request.config.getoption("long"):
        pytest.skip("--long pushes in more ways: `make check-ops ARGS=--long`")


PUSHED = ["login", "tag", "push", "logout"]


def test_an_image_is_pushed_once_and_its_tag_never_holds_another(push):
    first, second = push(), push()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith(f"{push.repository}@sha256:")
    assert second.stdout == first.stdout
    assert push.calls() == ["image", *PUSHED, "image"]
    assert push.tags() == {TAG: first.stdout.strip().rpartition("@")[2]}

    push.image("flask-app:local", "b", LABELS | {CONTENT: "d" * 64, "lockstep.model.version": "demo-2"})
    refused = push()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{TAG} holds another image, sha256:" in refused.stderr
    assert (
        f"{CONTENT} {'c' * 64} there, {'d' * 64} here; lockstep.model.version none there, demo-2 here" in refused.stderr
    )
    assert "hint: a tag stays what it is" in refused.stderr
    assert push.calls().count("push") == 1


@pytest.mark.long("pushes an image twice")
def test_a_second_build_with_the_same_content_is_the_image_that_is_there(push):
    first = push()
    push.image("flask-app:local", "b", LABELS)
    second = push()
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert push.calls().count("push") == 1


def test_the_same_content_of_another_commit_is_another_image(long, push):
    assert push(tag="v1").returncode == 0
    push.image("flask-app:local", "b", LABELS | {REVISION: "9" * 40})
    refused = push(tag="v1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{REVISION} {TAG} there, {'9' * 40} here" in refused.stderr


def test_an_image_of_another_commit_than_its_tag_is_not_pushed(push):
    push.image("flask-app:local", "b", LABELS | {REVISION: "9" * 40})
    refused = push()
    assert (refused.returncode, push.tags()) == (1, {})
    assert f"was built from the commit {'9' * 40}, and not from {TAG}" in refused.stderr


def test_a_tag_that_another_run_takes_meanwhile_counts_if_it_has_the_same_content(long, push):
    """The stand-in's push meets the tag, as a push does that another run has overtaken."""
    push.folder.joinpath("overtaken").write_text(json.dumps(LABELS))
    done = push()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().rpartition("@")[2] == push.tags()[TAG]
    assert "already exists" in done.stderr


REGISTRY_FAULTS = {
    "expired token": ({}, "other", f"{HOST} answers 401 Unauthorized"),
    "another registry than the role's": ({"https_proxy": "http://127.0.0.1:9"}, None, "does not answer: "),
    "certificate of another": ({"SSL_CERT_FILE": container_registry.AUTHORITIES}, None, "CERTIFICATE_VERIFY_FAILED"),
}


@pytest.mark.parametrize(("changes", "password", "problem"), REGISTRY_FAULTS.values(), ids=REGISTRY_FAULTS.keys())
def test_a_registry_that_refuses_or_is_out_of_reach_is_one_line(long, push, tmp_path, changes, password, problem):
    if password:
        (tmp_path / "bin").mkdir()
        aws = tmp_path / "bin/aws"
        aws.write_text(f'#!/bin/sh\n[ "$2" = get-login-password ] && echo {password} || exec {ops.BIN}/aws "$@"\n')
        aws.chmod(0o755)
        changes = changes | {"PATH": f"{tmp_path}/bin:{push.environment['PATH']}"}
    done = push(**changes)
    assert (done.returncode, done.stdout, push.tags()) == (1, "", {})
    assert problem in done.stderr
    assert done.stderr.splitlines()[-1].startswith("  hint: ")
    assert "push" not in push.calls()


def test_a_dry_run_changes_nothing(long, push):
    done = push("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "+ docker push" in done.stderr
    assert (push.calls(), push.tags()) == (["image"], {})


def test_a_repository_that_is_not_there_is_named(long, push):
    done = push(ECR_REPOSITORY=f"{HOST}/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "RepositoryNotFoundException" in done.stderr


def test_an_image_for_other_processors_than_the_hosts_is_not_pushed(push):
    push.image("flask-app:local", "a", LABELS, "arm64")
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
    assert "docker push" in done.stderr and "ended with code 1: connection reset" in done.stderr


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

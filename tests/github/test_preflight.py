"""scripts/preflight where what is missing shows without an account; test_deploy_faults.py has the other faults."""

import os

import pytest

from tests import ops

ECR = f"{ops.ACCOUNT}.dkr.ecr.{ops.REGION}.amazonaws.com/flask-app"
SET = {"DVC_REMOTE_URL": "s3://own/er", "ECR_REPOSITORY": ECR, "AWS_EC2_METADATA_DISABLED": "true"}
FAULTS = {
    "no DVC remote": ({"DVC_REMOTE_URL": ""}, "no DVC remote is set, so data and models of this run would be lost"),
    "no registry": ({"ECR_REPOSITORY": ""}, "ECR_REPOSITORY is not set"),
    "another registry": ({"ECR_REPOSITORY": "docker.io/own/er"}, "'docker.io/own/er' is no repository of ECR"),
    "a tag": ({"ECR_REPOSITORY": f"{ECR}:1"}, "is no repository of ECR"),
    "no tool": ({"PATH": "TOOLS"}, "docker is not installed"),
}


@pytest.mark.parametrize(("changes", "problem"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_missing_is_one_line_with_a_hint(tmp_path, changes, problem):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "grep", "dirname", "env"):
        (tools / name).symlink_to(ops.program(name, "part of every system"))
    (tools / "python3").symlink_to(ops.ROOT / ".venv/bin/python3")
    env = {"HOME": str(tmp_path), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"} | SET | changes
    env["PATH"] = str(tools) if env["PATH"] == "TOOLS" else env["PATH"]
    done = ops.run(ops.ROOT / "scripts/preflight", env=env)
    first, second = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert first.startswith("error: ") and problem in first
    assert second.startswith("  hint: ")

"""scripts/infra against an AWS on this machine; Terraform itself only writes down how it was called."""

import os

import boto3
import pytest

from tests import ops

BUCKET = f"lockstep-state-{ops.ACCOUNT}-eu-central-1"


@pytest.fixture
def infra(aws, aws_address, tmp_path, request):
    if not request.config.getoption("long"):
        pytest.skip("--long makes the bucket of Terraform's state: `make check-infra ARGS=--long`")
    (tmp_path / "terraform").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    (tmp_path / "terraform").chmod(0o755)
    env = aws | {"AWS_REGION": "eu-central-1", "PATH": f"{tmp_path}{os.pathsep}{aws['PATH']}"}
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", endpoint_url=aws_address, region_name="eu-central-1", **keys)
    return lambda *words: ops.run(ops.ROOT / "scripts/infra", *words, env=env), s3, tmp_path / "calls"


def test_the_state_has_a_bucket_that_is_closed_and_keeps_versions(infra):
    run, s3, calls = infra
    dry = run("plan", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert f"+ aws s3api create-bucket --bucket {BUCKET}" in dry.stderr
    assert BUCKET not in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert not calls.exists()

    for words in (["plan", "-var-file=own.tfvars"], ["apply", "--yes"]):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    first, plan, _, apply = [line.partition("/infra/terraform ")[2] for line in calls.read_text().splitlines()]
    assert f"-backend-config=bucket={BUCKET}" in first
    assert (plan, apply) == ("plan -var-file=own.tfvars", "apply -auto-approve")

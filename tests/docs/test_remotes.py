"""The commands of docs/remotes.md, run as they stand there with real DVC against an S3 on this machine."""

import json
import re
import shutil
import sys

import boto3
import pytest

from tests import ops

PAGE = (ops.ROOT / "docs/remotes.md").read_text(encoding="utf-8")
S3, DAGSHUB = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
DAGSHUB_URL = "https://dagshub.com/api/v1/repo-buckets/s3/OWNER"


def test_each_way_has_three_lines():
    assert [len(block.splitlines()) for block in (S3, DAGSHUB)] == [3, 3]


@pytest.mark.long("runs the pipeline in two clones")
@pytest.mark.parametrize("block", [S3, DAGSHUB], ids=["s3", "dagshub"])
def test_push_here_and_pull_in_another_clone(tmp_path, aws_address, block, request):
    if block is DAGSHUB and not request.config.getoption("long"):
        pytest.skip("--long does the same with DagsHub's lines, which differ in the address and the key")
    bucket = f"bucket-{request.node.callspec.id}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=aws_address, region_name=ops.REGION, **keys).create_bucket(Bucket=bucket)
    env = ops.environment(aws_address if block is S3 else "", HOME=str(tmp_path))
    env["PATH"] = f"{ops.ROOT / '.venv/bin'}:/usr/bin:/bin"
    words = {"BUCKET": bucket, "REPOSITORY": bucket, "PATH": "path", DAGSHUB_URL: aws_address, "TOKEN": "token"}
    own = re.sub("|".join(sorted(words, key=len, reverse=True)), lambda found: words[found[0]], block)
    here, there = tmp_path / "here", tmp_path / "there"

    sh("git init -q . && git config user.name a && git config user.email a@b.c && dvc init -q", made(here), env)
    (here / "rows.csv").write_text("a,b\n1,2\n")
    sh(f"dvc add -q rows.csv && git add -A && git commit -qm first\n{own}", here, env)
    (here / "params.yaml").write_text("")
    (here / "dvc.yaml").write_text("stages: {}\n")
    found = doctor(here, env)
    assert {found[name]["status"] for name in found if name.startswith("remote ")} == {"ok"}
    assert len([name for name in found if name.startswith("remote ")]) == 4
    assert found["dvc remote online"]["status"] == "ok"

    sh(f"git clone -q {here} {there}", tmp_path, env)
    shutil.copy(here / ".dvc/config", there / ".dvc/config")
    if block is DAGSHUB:
        shutil.copy(here / ".dvc/config.local", there / ".dvc/config.local")
    sh("dvc pull -q", there, env)
    assert (there / "rows.csv").read_text() == "a,b\n1,2\n"


def made(folder):
    folder.mkdir()
    return folder


def sh(commands, folder, env):
    done = ops.run("sh", "-ec", commands, cwd=folder, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def doctor(folder, env):
    done = ops.run(sys.executable, "-m", "lockstep", "doctor", "--online", "--json", cwd=folder, env=env)
    assert done.stdout, done.stderr
    return {row["name"]: row for row in json.loads(done.stdout)}

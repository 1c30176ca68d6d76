"""scripts/database: in a pod of the stand-in cluster, on a real PostgreSQL whose owner is no superuser, as on RDS."""

import json
import os
import subprocess
import sys

import psycopg
import pytest

from tests import ops
from tests.k8s.conftest import bare
from tests.k8s.test_registry import pod, variables  # noqa: F401 - a fixture

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("time_at_hand")]


@pytest.fixture
def rds(postgres):
    """A database with an owner who may make users and databases, and no more."""
    postgres.sql("CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD 'of-the-master'")
    postgres.sql("CREATE DATABASE lockstep OWNER master")
    yield postgres
    for name in ("lockstep", "mlflow", "mlflow_auth"):
        postgres.sql(f"DROP DATABASE IF EXISTS {name}")
    for name in ("app", "mlflow", "master"):
        postgres.sql(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def database(rds, pod, tmp_path):  # noqa: F811
    """Return a function that runs the script, with Terraform's outputs and AWS's secret as given."""
    place = {"address": "127.0.0.1", "port": rds.port, "secret_arn": "arn:own"}
    outputs = {"database": {"value": place}, "artifacts_bucket": {"value": "lockstep-artifacts-1"}}
    tools = tmp_path / "tools"
    tools.mkdir()
    secret = json.dumps({"username": "master", "password": "of-the-master"})
    told = {"aws": "case $1 in sts) echo x ;; s3api) : ;; *) cat <<'E'\n" + secret + "\nE\n;; esac"}
    told["terraform"] = "case $* in *output*) cat <<'E'\n" + json.dumps(outputs) + "\nE\n;; esac"
    for name, text in told.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    env = bare(tmp_path) | {"PATH": path, "AWS_REGION": "eu-central-1", "PGSSLMODE": "disable"}
    return lambda *words: ops.run(ops.ROOT / "scripts/database", *words, env=env)


def test_pods_get_users_of_their_own_and_keep_them(database, pod, rds):  # noqa: F811
    for round_ in ("made", "password set"):
        done = database()
        assert done.returncode == 0, done.stderr
        assert f"user app: {round_}" in done.stderr
        url = variables(pod)["DATABASE_URL"]
        assert "of-the-master" not in done.stderr + done.stdout and url not in done.stderr + done.stdout
    with psycopg.connect(url.replace("sslmode=require", "sslmode=disable")) as own:
        own.execute("CREATE TABLE log (at int)")
    for name in ("mlflow", "mlflow_auth"):
        with psycopg.connect(f"host=127.0.0.1 port={rds.port} user=mlflow dbname={name}") as own:
            own.execute("CREATE TABLE versions (number int)")
    exported = subprocess.run(["sh", "-c", database("--export").stdout + "env"], capture_output=True, text=True).stdout
    assert "MLFLOW_DATABASE_HOST=127.0.0.1\n" in exported and "MLFLOW_BUCKET=lockstep-artifacts-1\n" in exported


def test_a_database_out_of_reach_is_named(database, rds):
    rds.stop()
    done = database()
    rds.start()
    assert done.returncode == 1
    assert "error: in a pod:" in done.stderr and "security group" in done.stderr
    assert sys.executable not in done.stderr

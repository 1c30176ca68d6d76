"""scripts/backup for the compose stack: real PostgreSQL and tar, behind a stand-in for Docker that runs them here.

With DATABASE_URL: tests/serving/test_replicas.py.
"""

import os
import shutil

import pytest

from tests import ops
from tests.postgres import postgres  # noqa: F401 - a fixture

DOCKER = """#!/bin/bash
# docker compose exec -T SERVICE COMMAND..., or docker compose run ... --entrypoint tar SERVICE ARGUMENT...
[ "$2" != version ] || exit 0
echo "$*" >> "$CALLS"
case $2 in
    exec) shift 4 ;;
    run) shift 7; set -- tar "${@:2}" ;;
esac
exec "${@//\\/var\\/lib\\/mlflow/$ARTIFACTS}"
"""


@pytest.fixture
def stack(tmp_path, postgres):  # noqa: F811
    """Return a function that runs the script in a copy of the project, and the folder of the artifacts."""
    for name in ("mlflow", "predictions"):
        postgres.sql(f"DROP DATABASE IF EXISTS {name}")
        postgres.sql(f"CREATE DATABASE {name}")
        postgres.sql(f"CREATE TABLE of_{name} AS SELECT n, 'row ' || n AS text FROM generate_series(1, 500) n", name)
    (tmp_path / "project/scripts").mkdir(parents=True)
    for name in ("backup", "outside.py", "compose"):
        shutil.copy(ops.ROOT / "scripts" / name, tmp_path / "project/scripts")
    (tmp_path / "project/.env").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(DOCKER)
    (tmp_path / "bin/docker").chmod(0o755)
    artifacts = tmp_path / "artifacts"
    (artifacts / "1/model").mkdir(parents=True)
    (artifacts / "1/model/model.skops").write_bytes(bytes(range(256)))
    env = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    env |= {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "ARTIFACTS": str(artifacts)}
    env |= {"PATH": f"{tmp_path / 'bin'}:{env['PATH']}", "CALLS": str(tmp_path / "calls")}
    return lambda *words: ops.run(tmp_path / "project/scripts/backup", *words, env=env, cwd=tmp_path), artifacts


def test_databases_and_artifacts_come_back(stack, postgres, tmp_path):  # noqa: F811
    run, artifacts = stack
    done = run("saved/today")
    assert done.returncode == 0, done.stderr
    files = {path.name for path in (tmp_path / "saved/today").iterdir()}
    assert files == {"mlflow.dump", "predictions.dump", "mlflow-artifacts.tar"}
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["today"]
    calls = (tmp_path / "calls").read_text()
    assert calls.index("dbname=mlflow") < calls.index(" tar "), "a version's files are older than the version"

    postgres.sql("DELETE FROM of_mlflow", "mlflow")
    postgres.sql("DROP TABLE of_predictions", "predictions")
    shutil.rmtree(artifacts / "1")
    done = run("saved/today", "--restore", "--replace")
    assert done.returncode == 0, done.stderr
    for name in ("mlflow", "predictions"):
        assert postgres.sql(f"SELECT count(*), max(n) FROM of_{name}", name).strip() == "500|500"
    assert (artifacts / "1/model/model.skops").read_bytes() == bytes(range(256))


def test_a_database_with_tables_is_replaced_only_if_asked(stack, postgres, tmp_path):  # noqa: F811
    run, _ = stack
    assert run("saved").returncode == 0
    postgres.sql("DROP TABLE of_mlflow", "mlflow")
    done = run("saved", "--restore")
    assert done.returncode == 1
    assert "error: the database predictions has 1 tables already" in done.stderr
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "mlflow").strip() == "0", (
        "nothing is restored where one of them cannot be"
    )


def test_a_backup_that_fails_leaves_no_folder(stack, postgres, tmp_path):  # noqa: F811
    run, artifacts = stack
    shutil.rmtree(artifacts)
    done = run("saved")
    assert done.returncode == 1
    assert "error: scripts/compose exec -T mlflow tar: " in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("saved")]


@pytest.mark.parametrize("url", ["sqlite:///log.db", "postgresql://user@host"])
def test_an_address_of_no_postgresql_is_named(tmp_path, url):
    done = ops.run(ops.ROOT / "scripts/backup", tmp_path / "saved", env=os.environ | {"DATABASE_URL": url})
    assert done.returncode == 1
    assert "DATABASE_URL names no database of PostgreSQL" in done.stderr

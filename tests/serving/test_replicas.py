"""Several servers on one PostgreSQL, as replicas in a cluster are, and a backup of it by scripts/backup."""

import json
import os
import subprocess
import sys

import pytest
from sqlalchemy import MetaData, create_engine, select

from lockstep.config.settings import Settings
from tests import ops
from tests.flask_app.standins import make_bundle
from tests.postgres import postgres  # noqa: F401 - a fixture
from tests.serving.load import ask
from tests.serving.real import Server, copy_store, wait_for
from tests.serving.real import Store as Versions

pytestmark = [pytest.mark.server, pytest.mark.long("starts two servers on PostgreSQL, and backs it up")]
REPLICAS, REQUESTS = 2, 20
ALL = REPLICAS * REQUESTS


def settled(postgres, database):  # noqa: F811 - the fixture
    """Return the number of predictions and of labels."""
    counts = (postgres.sql(f"SELECT count(*) FROM {table}", database) for table in ("predictions", "labels"))
    return tuple(int(count) for count in counts)


def contents(url):
    """Return every row of every table, in an order of their own."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
        }
    engine.dispose()
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory, template_store, postgres):  # noqa: F811
    """Servers that answered, in a database that was migrated before them, after all of them have stopped."""
    folder, database = tmp_path_factory.mktemp("replicas"), postgres.database()
    url, uri = postgres.url(database), copy_store(template_store, folder)
    migrate(url, folder)
    before = postgres.sql("SELECT xmin FROM alembic_version", database)
    versions = Versions(Settings.read({"MLFLOW_TRACKING_URI": uri, "LOCKSTEP_STATE": str(folder / "state")}), "demo")
    bundle = make_bundle("binary", folder / "bundle")
    versions.promote(versions.register(bundle))
    options = {"MLFLOW_TRACKING_URI": uri, "DATABASE_URL": url, "LOCKSTEP_DRAIN_S": "0", "workers": 1}
    servers = []
    try:
        for number in range(REPLICAS):
            (folder / str(number)).mkdir()
            servers.append(Server(folder / str(number), **options).holds(bundle).start())
        rows = json.loads((bundle / "smoke.json").read_text())["rows"][:1]
        predictions = [one for server in servers for one in predicted(server, rows)]
        wait_for(lambda: settled(postgres, database) == (ALL, 0), 30)
        label(servers, predictions)
        wait_for(lambda: settled(postgres, database) == (ALL, ALL), 30)
        assert postgres.sql("SELECT xmin FROM alembic_version", database) == before, "a replica migrated it again"
        assert [server.stop() for server in servers] == [0] * REPLICAS
    finally:
        for server in servers:
            server.kill()
    return postgres, database


def migrate(url, folder):
    """Run `lockstep log migrate` in several processes at once, as a Job and servers that start beside it do."""
    command = [sys.executable, "-m", "lockstep", "log", "migrate"]
    env = os.environ | {"DATABASE_URL": url, "LOCKSTEP_STATE": str(folder / "state"), "LOCKSTEP_MODEL_NAME": "demo"}
    running = [subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]


def predicted(server, rows):
    """Return what a server answers to each of several requests."""
    answers = [server.predict(rows) for _ in range(REQUESTS)]
    assert {status for status, _, _ in answers} == {200}
    return [one for _, _, content in answers for one in content["predictions"]]


def label(servers, predictions):
    """Bring the label of each prediction to the server that has not answered it."""
    for number, prediction in enumerate(predictions):
        other = servers[1 - number // REQUESTS]
        answer = {"id": prediction["id"], "label": prediction["prediction"]}
        assert ask(other.port, "POST", "/feedback", answer)[0] in (200, 202)


def test_every_prediction_and_label_of_every_replica_is_there_once(served):
    postgres, database = served  # noqa: F811
    assert settled(postgres, database) == (ALL, ALL)
    labelled = "SELECT count(*) FROM predictions JOIN labels ON labels.prediction_id = predictions.id"
    assert int(postgres.sql(labelled, database)) == ALL
    assert int(postgres.sql("SELECT sum(count) FROM traffic", database)) == ALL


def backup(url, *words):
    return ops.run(ops.ROOT / "scripts/backup", *words, env=os.environ | {"DATABASE_URL": url})


def test_a_backup_that_is_restored_elsewhere_has_the_same_rows(served, tmp_path):
    postgres, database = served  # noqa: F811
    before = contents(postgres.url(database))
    assert len(before["predictions"]) == ALL
    done = backup(postgres.url(database), tmp_path / "saved")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "saved").iterdir()] == [f"{database}.dump"]

    again = postgres.database()
    (tmp_path / f"saved/{database}.dump").rename(tmp_path / f"saved/{again}.dump")
    done = backup(postgres.url(again), tmp_path / "saved", "--restore")
    assert done.returncode == 0, done.stderr
    assert contents(postgres.url(again)) == before
    migrate(postgres.url(again), tmp_path)
    assert contents(postgres.url(again)) == before, "a restored log needs no migration"

    postgres.sql("DELETE FROM labels; INSERT INTO traffic SELECT * FROM traffic LIMIT 0", again)
    done = backup(postgres.url(again), tmp_path / "saved", "--restore")
    assert (done.returncode, "tables already" in done.stderr, "--replace" in done.stderr) == (1, True, True)
    done = backup(postgres.url(again), tmp_path / "saved", "--restore", "--replace")
    assert done.returncode == 0, done.stderr
    assert contents(postgres.url(again)) == before


def test_a_backup_or_restore_that_fails_leaves_nothing_half_done(served, tmp_path):
    postgres, database = served  # noqa: F811
    done = backup(postgres.url("nothing"), tmp_path / "saved")
    assert (done.returncode, [*tmp_path.iterdir()]) == (1, [])
    assert 'database "nothing" does not exist' in done.stderr
    assert backup(postgres.url(database), tmp_path / "saved").returncode == 0
    assert "is there already" in backup(postgres.url(database), tmp_path / "saved").stderr

    again, before = postgres.database(), contents(postgres.url(database))
    dump = tmp_path / f"saved/{database}.dump"
    (tmp_path / "broken").mkdir()
    (tmp_path / f"broken/{again}.dump").write_bytes(dump.read_bytes()[:-2000])
    done = backup(postgres.url(again), tmp_path / "broken", "--restore")
    assert (done.returncode, contents(postgres.url(again))) == (1, {})
    (tmp_path / f"broken/{database}.dump").write_bytes(dump.read_bytes()[:-2000])
    done = backup(postgres.url(database), tmp_path / "broken", "--restore", "--replace")
    assert (done.returncode, contents(postgres.url(database))) == (1, before)
    done = backup(postgres.url(again), tmp_path / "saved", "--restore")
    assert f"has no {again}.dump" in done.stderr

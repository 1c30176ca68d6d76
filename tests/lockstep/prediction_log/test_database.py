import subprocess
import sys
import threading

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, select, text

from lockstep.errors import StoreError
from lockstep.prediction_log import engine
from lockstep.prediction_log.database import Added, PredictionFilter, Store
from lockstep.prediction_log.records import Lost
from lockstep.prediction_log.tables import LATENCIES, METADATA, TRAFFIC, bucket_of, latency_us_of
from tests.lockstep.logged_answers import answer, find, label, labels


def counts(store, table=TRAFFIC):
    with store.reading() as link:
        return [tuple(row) for row in link.execute(select(table).order_by(*table.primary_key))]


def test_what_is_added_is_found_as_it_was(store):
    assert store.add([answer("a", "b", key="someone")]) == Added(2, 0)
    found = find(store, "b")
    assert (found.id, found.model, found.version, found.variant, found.key) == (
        "b",
        "demo",
        "1",
        "production",
        "someone",
    )
    assert (found.at_us, found.latency_us, found.row) == (60_000_000, 1000, [1.5, "a", None])
    assert (found.value, found.score, found.shares) == ("yes", 0.75, [0.25, 0.75])
    assert (found.label, found.labelled, found.labelled_us) == (None, False, None)
    assert find(store, "c") is None


@pytest.mark.parametrize(
    ("given", "score"),
    [
        ({"share": 0.2}, 0.2),
        ({"share": None, "value": 12.5}, 12.5),
        ({"share": None, "value": 3}, 3.0),
        ({"share": 0.5, "value": True}, 0.5),
    ],
)
def test_the_score_is_the_share_of_the_last_label_or_the_value(store, given, score):
    store.add([answer("a", **given)])
    assert find(store, "a").score == score
    assert find(store, "a").value == given.get("value", "yes")


def test_of_several_labels_the_score_is_the_largest_share(store):
    record = answer("a")
    record.shares = [[0.2, 0.5, 0.3]]
    store.add([record])
    assert find(store, "a").score == 0.5


def test_twice_is_once_and_counts_once(store):
    records = [answer("a", "b"), answer("c", value="no"), label("a", event="e")]
    assert store.add(records) == Added(3, 1)
    assert store.add(records) == Added(0, 0)
    assert store.add([answer("c", "d", value="no")]) == Added(1, 0)
    assert counts(store) == [("demo", "1", "production", 1, "no", 2), ("demo", "1", "production", 1, "yes", 2)]
    assert counts(store, LATENCIES) == [("demo", "1", "production", 1, bucket_of(1000), 3)]


def test_an_id_that_is_twice_in_a_batch_counts_once(store):
    assert store.add([answer("a", "a"), answer("a", version="2")]) == Added(1, 0)
    assert [row[-1] for row in counts(store)] == [1]
    assert find(store, "a").version == "1"


def test_a_regression_counts_as_value(store):
    store.add([answer("a", "b", share=None, value=2.5)])
    assert counts(store) == [("demo", "1", "production", 1, "value", 2)]


def test_the_latest_label_counts_and_all_are_kept(store):
    store.add([label("a", "no", at_us=20), label("a", "yes", at_us=30), label("a", "old", at_us=10), answer("a", "b")])
    assert (find(store, "a").label, find(store, "a").labelled_us) == ("yes", 30)
    assert labels(store, "a") == ["yes", "no", "old"]
    store.add([label("a", "no", at_us=30)])
    assert find(store, "a").label == "no"
    assert [one.id for one in store.predictions(PredictionFilter(labelled=True))] == ["a"]
    assert labels(store, "b") == []


@pytest.mark.parametrize("truth", ["text", 3, 2.5, True, False, "é\u2028\x00"])
def test_a_label_keeps_its_type(store, truth):
    store.add([answer("a", value=truth, share=None if isinstance(truth, float) else 0.5), label("a", truth)])
    found = find(store, "a")
    assert (found.label, found.value) == (truth, truth)
    assert type(found.label) is type(truth)


def test_predictions_are_asked_by_version_time_and_marks(store):
    store.add(
        [
            answer(f"p{at}", at_us=at, version=str(at % 2), variant="shadow" if at > 7 else "production")
            for at in range(10)
        ]
    )

    def ids(**asked):
        return [one.id for one in store.predictions(PredictionFilter(**asked))]

    assert ids(limit=3) == ["p9", "p8", "p7"]
    assert ids(version="1", limit=2) == ["p9", "p7"]
    assert ids(variant="shadow") == ["p9", "p8"]
    assert ids(since_us=3, until_us=5) == ["p4", "p3"]
    mark = find(store, "p4").seq
    assert ids(before=mark, limit=2) == ["p3", "p2"]
    assert ids(after=mark, limit=2) == ["p5", "p6"]
    assert ids(model="other") == []


def test_losses_are_counted_once(store):
    lost = [Lost(1, "one", 5), Lost(2, "two", 7)]
    store.add(lost)
    store.add(lost)
    assert store.lost() == 12


def test_nothing_is_added_by_half(store):
    broken = answer("b")
    broken.latency_us = 2**70
    with pytest.raises((StoreError, OverflowError)):
        store.add([answer("a"), broken])
    assert find(store, "a") is None
    assert counts(store) == []


def test_many_add_the_same_at_once(url):
    stores = [Store.open(url) for _ in range(4)]
    records = [answer(f"p{at}", f"q{at}") for at in range(200)]
    added, faults = [], []

    def act(own):
        try:
            for start in range(0, 200, 20):
                added.append(own.add(records[start : start + 20]).predictions)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=act, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sum(added) == 400
    assert sum(row[-1] for row in counts(stores[0])) == 400
    seqs = [one.seq for one in stores[0].predictions(PredictionFilter(limit=1000))]
    assert len(set(seqs)) == 400
    for own in stores:
        own.close()


def test_the_migrations_make_the_tables_of_the_code(store):
    with store.reading() as link:
        assert compare_metadata(MigrationContext.configure(link), METADATA) == []
        assert link.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [engine.REVISION]


def test_the_code_knows_its_newest_revision():
    config = Config()
    config.set_main_option("script_location", str(engine.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [engine.REVISION]


def migrated_to(url, revision):
    connections = engine.connect(url)
    config = Config()
    config.set_main_option("script_location", str(engine.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.writing(connections) as link:
        config.attributes["connection"] = link
        command.upgrade(config, revision)
    return connections


def test_a_database_of_the_first_revision_is_upgraded_with_its_rows(url):
    first = migrated_to(url, "0001")
    Store(first).add([answer("a"), answer("b")])
    with engine.writing(first) as link:
        columns = "event, prediction_id, label, at_us, source"
        link.execute(text(f"INSERT INTO labels ({columns}) VALUES ('e', 'a', '\"yes\"', 1, 'api')"))
    first.dispose()
    store = Store.open(url)
    store.add([msgspec.structs.replace(label("b"), value=2.5, author="key-1")])
    assert [(find(store, name).label, find(store, name).label_value) for name in "ab"] == [("yes", None), ("yes", 2.5)]
    with store.reading() as link:
        assert link.execute(text("SELECT count(*) FROM jobs")).scalar() == 0
        assert link.execute(text("SELECT author FROM labels ORDER BY prediction_id")).scalars().all() == [None, "key-1"]
    store.close()


def newer(store, *changes):
    """Let a version of the future have migrated the database."""
    with store.writing() as link:
        for change in (*changes, "UPDATE alembic_version SET version_num = '9999'"):
            link.execute(text(change))


def test_a_newer_version_that_only_added_leaves_a_database_that_takes_what_this_one_writes(url, store):
    store.add([answer("a"), label("a")])
    newer(
        store,
        "CREATE TABLE shards (id INTEGER NOT NULL)",
        "ALTER TABLE predictions ADD COLUMN region TEXT",
        "ALTER TABLE labels ADD COLUMN weight INTEGER NOT NULL DEFAULT 1",
    )
    older = Store.open(url)
    older.add([answer("b"), label("b"), label("a", "no", at_us=2)])
    assert [find(older, name).label for name in "ab"] == ["no", "yes"]
    with older.reading() as link:
        assert link.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["9999"]
    older.close()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("ALTER TABLE predictions RENAME COLUMN latency_us TO latency_ns",), "no column predictions.latency_us"),
        (("ALTER TABLE jobs RENAME TO tasks",), "no table jobs"),
        (
            ("DROP TABLE losses", "CREATE TABLE losses (event TEXT, at_us BIGINT, count BIGINT, why TEXT NOT NULL)"),
            "losses.why must not be null",
        ),
    ],
)
def test_a_newer_version_that_changed_what_this_one_writes_is_refused(url, store, changes, told):
    newer(store, *changes)
    with pytest.raises(StoreError, match=f"revision 9999, which this version does not know .* {told}") as caught:
        Store.open(url)
    assert "newer version of Lockstep" in caught.value.hint


def test_each_revision_only_adds_to_the_one_before(url):
    """So that the version before it writes on: see `engine._check_newer`."""
    config = Config()
    config.set_main_option("script_location", str(engine.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    before = MetaData()
    for revision in reversed([each.revision for each in script.walk_revisions()]):
        connections = migrated_to(url, revision)
        with engine.reading(connections) as link:
            inspector = inspect(link)
            assert [change for table in before.sorted_tables for change in engine.changes(inspector, table)] == []
            before = MetaData()
            before.reflect(link)
        connections.dispose()


def test_several_processes_may_open_a_new_database_at_once(url):
    code = f"from lockstep.prediction_log.database import Store; Store.open({url!r}).close()"
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in running] == [b""] * 3


def test_a_database_out_of_reach_is_told_in_a_line(tmp_path):
    with pytest.raises(StoreError, match="refused"):
        Store.open("postgresql+psycopg://lockstep@127.0.0.1:1/own")
    (tmp_path / "log.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{tmp_path / 'log.db'}")


@pytest.mark.parametrize("latency_us", [0, 1, 7, 450, 1000, 1_000_000, 90_000_000])
def test_a_bucket_is_near_its_latencies(latency_us):
    assert latency_us_of(bucket_of(latency_us)) == pytest.approx(max(1, latency_us), rel=0.05)

import sqlite3

import pytest

from lockstep.config.params import DataIngestion
from lockstep.data.sources import change_detection, sql
from lockstep.data.sources import read as sources
from lockstep.errors import ConfigError, DataError
from tests.postgres import postgres  # noqa: F401 - a fixture

QUERY = "select age, town, day, bought from customers order by age"


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table customers (age integer, town text, day text, bought integer)")
        rows = [(20 + i, ["Bonn", "Łódź"][i % 2], f"2026-01-{1 + i % 28:02d}", i % 2) for i in range(40)]
        connection.executemany("insert into customers values (?, ?, ?, ?)", rows)
    connection.close()
    return tmp_path / "shop.db"


def run(path, statement):
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def read(source="sqlite:///shop.db", query=QUERY, password="", **more):
    return sources.read(DataIngestion(source=source, query=query, **more), password)


def test_the_rows_of_a_query_are_read(database, monkeypatch):
    rows = read()
    assert rows.frame.shape == (40, 4)
    assert rows.frame["town"].tolist()[:2] == ["Bonn", "Łódź"]
    assert rows.origin == {"query": QUERY}
    monkeypatch.setattr(sql, "CHUNK", 7)
    assert read().frame.equals(rows.frame)
    run(database, "update customers set town = 'Köln' where age = 20")
    assert read().digest != rows.digest


def test_a_probe_counts_rows_and_asks_for_the_newest(database):
    params = DataIngestion(source="sqlite:///shop.db", query=QUERY, newest="day")
    assert change_detection.look(params) == {"sqlite:///shop.db": {"rows": 40, "newest": "2026-01-28"}}
    run(database, "insert into customers values (70, 'Bonn', '2026-02-01', 1)")
    assert change_detection.look(params) == {"sqlite:///shop.db": {"rows": 41, "newest": "2026-02-01"}}


@pytest.mark.parametrize("query", ["delete from customers", "drop table customers", "update customers set age = 1"])
def test_a_query_cannot_write(database, query):
    before = database.read_bytes()
    with pytest.raises(DataError, match="readonly database"):
        read(query=query)
    assert database.read_bytes() == before


FAULTS = {
    "no-query": ("sqlite:///shop.db", "", ConfigError, "needs a query", "data_ingestion.query"),
    "B01-no-such-file": ("sqlite:///other.db", QUERY, DataError, "no such file", "absolute"),
    "no-such-table": ("sqlite:///shop.db", "select * from clients", DataError, "no such table: clients", "query"),
    "nested": ("sqlite:///shop.db", "select age, x'00ff' as picture from customers", DataError, "'picture'", "leave"),
    "B04-no-rows": ("sqlite:///shop.db", f"select * from ({QUERY}) where age < 0", DataError, "no rows", "check"),
    "password-in-params": (
        "postgresql://me:hunter2@127.0.0.1/shop", QUERY, ConfigError, "holds a password", "LOCKSTEP_SOURCE_PASSWORD",
    ),
    "nobody-listens": ("postgresql://me@127.0.0.1:9/shop", QUERY, DataError, "refused", "LOCKSTEP_SOURCE_PASSWORD"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "query", "kind", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_database_faults(database, source, query, kind, problem, hint):
    with pytest.raises(kind) as refused:
        read(source, query, password="hunter2" if "hunter2" not in source else "")
    assert problem in refused.value.problem
    assert hint in refused.value.hint
    assert "hunter2" not in refused.value.problem + refused.value.hint


@pytest.fixture
def guarded(postgres):  # noqa: F811
    """A database with a table, and the address of a user who needs a password."""
    name = postgres.database()
    rules = postgres.folder / "data" / "pg_hba.conf"
    rules.write_text("host all reader 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    postgres.sql("create user reader password 'hunter2'; select pg_reload_conf()", name)
    postgres.sql(
        "create table customers (age integer, town text, day date, seen timestamptz, price numeric(8, 2), bought bool);"
        "insert into customers select 20 + i, 'Łódź', date '2026-01-01' + i, '2026-03-29 01:30+00', 1.5 * i, i % 2 = 0"
        " from generate_series(0, 39) as i; create sequence numbers; grant all on customers, numbers to reader",
        name,
    )
    yield postgres.url(name).replace("lockstep@", "reader@")
    postgres.sql("drop table customers; drop sequence numbers; drop user reader", name)


def test_postgresql_is_read_with_a_password_that_stands_nowhere(guarded):
    query = "select * from customers order by age;"
    rows = read(guarded, query, "hunter2")
    first = rows.frame.iloc[0].to_dict()
    assert (first["age"], first["town"], first["day"], first["price"]) == (20, "Łódź", "2026-01-01", 0.0)
    assert str(first["seen"]).startswith("2026-03-29")
    assert "hunter2" not in str(rows.origin)
    params = DataIngestion(source=guarded, query=query, newest="day")
    assert change_detection.look(params, "hunter2") == {guarded: {"rows": 40, "newest": "2026-02-09"}}
    for query, password, problem in (
        ("select * from customers", "wrong", "password authentication failed"),
        ("delete from customers returning age, town", "hunter2", "^postgresql://reader@[^ ]*: syntax error"),
        ("select nextval('numbers')", "hunter2", "read-only transaction"),
        ("select 1 from nowhere", "hunter2", "nowhere"),
    ):
        with pytest.raises(DataError, match=problem) as refused:
            read(guarded, query, password)
        assert "hunter2" not in refused.value.problem

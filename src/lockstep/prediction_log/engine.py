"""Connections to the database of the prediction log, SQLite or PostgreSQL, with the tables of this version in it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Inspector, Table, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from lockstep import files
from lockstep.errors import StoreError
from lockstep.prediction_log.tables import METADATA

log = logging.getLogger("prediction log")

REVISION = "0004"  # The newest of `migrations/versions`.
WRITES = "lockstep_writes"
BUSY_S = 5.0
MIGRATION_LOCK = 7_302_117
MIGRATIONS = Path(__file__).parent / "migrations"

CONNECT: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": BUSY_S},
    "postgresql": {
        "connect_timeout": int(BUSY_S),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "prepare_threshold": None,  # poolers such as PgBouncer do not keep prepared statements
    },
}


def connect(address: str) -> Engine:
    """Return connections to a database, none of them open yet."""
    kind = "sqlite" if address.startswith("sqlite") else "postgresql"
    url: str | URL = address
    if kind == "sqlite":
        file = Path(address.partition(":///")[2])
        files.private_folder(file.parent)
        with suppress(OSError):  # what it cannot open, it tells when it connects
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        url = URL.create("sqlite", database=str(file))  # a path may hold a question mark
    engine = create_engine(url, connect_args=CONNECT[kind], pool_size=4, max_overflow=4, pool_timeout=BUSY_S)
    if kind == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Let readers and a writer work at once; what a crash of the machine loses is at most the last moments."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    """Ask for the right to write at the start: later, SQLite would refuse at once instead of waiting."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a writing transaction, and commit it. Raises StoreError: the database is away, locked or full."""
    with translated_errors(), engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that reads. Raises StoreError: the database is out of reach."""
    with translated_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def translated_errors() -> Iterator[None]:
    """Tell what is wrong with the database in one line."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        first = cause.splitlines()[0][:300]
        raise StoreError(f"the prediction log's database: {first}", "check DATABASE_URL and the database") from error


def migrate(engine: Engine) -> None:
    """Bring the tables to this version's state; of several processes that do so at once, one works and others wait.

    A newer version may have been here and gone, as when an image is rolled back. Where it only added to the tables,
    this version writes on, and leaves what it does not know as it is.

    Raises StoreError: the database is out of reach, or a newer version has changed what this one writes.
    """
    with reading(engine) as connection:
        if _revision(connection) == REVISION:
            return
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        revision = _revision(connection)
        if revision != REVISION:
            _upgrade(connection, revision)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, revision: str | None) -> None:
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each part that it loads

    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    revisions = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision and revision not in revisions:
        _check_newer(connection, revision)
        return
    command.upgrade(config, "head")


def _check_newer(connection: Connection, revision: str) -> None:
    """Check that this version can write into the tables of a newer one. Raises StoreError: it cannot."""
    inspector = inspect(connection)
    if unfit := [change for table in METADATA.sorted_tables for change in changes(inspector, table)]:
        raise StoreError(
            f"the prediction log's database is at revision {revision}, which this version does not know (it knows "
            f"{REVISION}) and cannot write to: {', '.join(unfit)}",
            "a newer version of Lockstep wrote it: upgrade, or choose another DATABASE_URL",
        )
    log.warning("the database is at revision %s of a newer version, which takes what %s writes", revision, REVISION)


def changes(inspector: Inspector, table: Table) -> Iterator[str]:
    """Yield what a database lacks of a table, and what it needs that this version does not write."""
    if not inspector.has_table(table.name):
        yield f"no table {table.name}"
        return
    columns = {column["name"]: column for column in inspector.get_columns(table.name)}
    yield from (f"no column {table.name}.{name}" for name in set(table.columns.keys()) - columns.keys())
    for name in columns.keys() - set(table.columns.keys()):
        if not columns[name]["nullable"] and columns[name].get("default") is None:
            yield f"{table.name}.{name} must not be null"

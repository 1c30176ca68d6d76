"""Rows that a query of a database returns; the connection may read and not write."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lockstep.config.params import DataIngestion
from lockstep.data.sources.formats import of_objects, plain
from lockstep.errors import ConfigError, DataError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite"}
CHUNK = 50_000
HINT = "check data_ingestion.source, data_ingestion.query, and LOCKSTEP_SOURCE_PASSWORD"


def read(source: str, params: DataIngestion, password: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of the query, and the sha256 of them as CSV.

    Raises ConfigError: there is no query, or the password stands in params.yaml.
    Raises DataError: the database is out of reach, or refuses the query.
    """
    if not params.query:
        raise ConfigError(f"{source} needs a query", 'set data_ingestion.query, for instance "select * from customers"')
    from sqlalchemy import text

    digest = hashlib.sha256()
    with _connected(source, params, password) as connection:
        chunks = []
        for chunk in pd.read_sql_query(text(params.query), connection, chunksize=CHUNK):
            chunks.append(plain(chunk.rename(columns=str)))
            digest.update(chunks[-1].to_csv(index=False, lineterminator="\n").encode())
    frame = pd.concat(chunks, ignore_index=True) if len(chunks) > 1 else chunks[0]
    for column in of_objects(frame):
        if any(isinstance(value, bytes | memoryview | list | dict) for value in frame[column]):
            raise DataError(f"{source}: column {column!r} holds bytes or nested values", "leave it out of the query")
    return frame, digest.hexdigest()


def probe(source: str, params: DataIngestion, password: str) -> dict[str, Any]:
    """Return the number of rows and the largest value of the column that `newest` names."""
    from sqlalchemy import text

    if not params.query:
        return {}
    inner = params.query.strip().rstrip(";")
    newest = '"' + params.newest.replace('"', '""') + '"'
    columns = f"count(*), max({newest})" if params.newest else "count(*)"
    with _connected(source, params, password) as connection:
        row = connection.execute(text(f"select {columns} from ({inner}) as source")).one()  # noqa: S608 - read-only
    return {"rows": row[0]} | ({"newest": str(row[1])} if params.newest else {})


@contextmanager
def _connected(source: str, params: DataIngestion, password: str) -> Iterator["Connection"]:
    """Yield a connection in a transaction that only reads, its faults turned into ours."""
    import sqlalchemy as sql
    from sqlalchemy.exc import SQLAlchemyError

    url = _address(source, password)
    engine = sql.create_engine(url, connect_args=_arguments(url, params), poolclass=sql.NullPool, hide_parameters=True)
    try:
        with engine.connect() as connection:
            if url.get_backend_name() == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True, stream_results=True)
            yield connection
    except (SQLAlchemyError, pd.errors.DatabaseError) as error:
        inner = error.__cause__ if isinstance(error, pd.errors.DatabaseError) and error.__cause__ else error
        cause = str(getattr(inner, "orig", None) or inner).strip().splitlines()[0]
        if password:
            cause = cause.replace(password, "***")
        raise DataError(f"{source}: {cause}", HINT) from None
    finally:
        engine.dispose()


def _address(source: str, password: str) -> "URL":
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = source.partition("://")
    try:
        url = make_url(f"{DRIVERS[scheme]}://{rest}")
    except (ArgumentError, ValueError):
        raise ConfigError("data_ingestion.source is no address of a database", "postgresql://USER@HOST/NAME") from None
    if url.password is not None:
        raise ConfigError(
            "data_ingestion.source holds a password, which git would keep",
            "take it out of params.yaml and set LOCKSTEP_SOURCE_PASSWORD",
        )
    if scheme == "sqlite":
        if not url.database or not Path(url.database).is_file():
            raise DataError(
                f"{source}: no such file", "write sqlite:///path/in/the/project or sqlite:////absolute/path"
            )
        return url.set(database=f"file:{Path(url.database).absolute()}", query={"mode": "ro", "uri": "true"})
    return url.set(password=password) if password else url


def _arguments(url: "URL", params: DataIngestion) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": params.timeout_s}
    return {"connect_timeout": max(2, round(params.timeout_s))}

"""Users and databases on a PostgreSQL server; runs inside a pod, from which alone the server is reached."""

from collections.abc import Iterable, Mapping
from typing import Any


def setup(content: Mapping[str, Any]) -> None:
    """Make each user with its password, and each database for its owner; `server` says where and as whom."""
    import psycopg

    address = dict(content["server"])
    with psycopg.connect(**address, autocommit=True, connect_timeout=10) as server:
        for name, password in content["users"].items():
            make_user(server, name, password)
        allow(server, address["dbname"], "app")
    for user, databases in content["databases"].items():
        make_databases(address, user, databases)


def make_user(server: Any, name: str, password: str) -> None:
    """Make a user, or give one that is there its password."""
    from psycopg import sql

    exists = server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    verb = sql.SQL("ALTER" if exists else "CREATE")
    server.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(name), sql.Literal(password)))
    print(f"user {name}: {'password set' if exists else 'made'}")


def make_databases(address: Mapping[str, Any], user: str, databases: Iterable[str]) -> None:
    """Make databases in which a user may make tables."""
    import psycopg
    from psycopg import sql

    for name in databases:
        with psycopg.connect(**address, autocommit=True, connect_timeout=10) as server:
            if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                print(f"database {name}: made")
        with psycopg.connect(**{**address, "dbname": name}, autocommit=True, connect_timeout=10) as server:
            allow(server, name, user)


def allow(server: Any, database: str, user: str) -> None:
    """Let a user connect to the database of a connection, and make tables in it."""
    from psycopg import sql

    names = sql.Identifier(database), sql.Identifier(user)
    server.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(*names))
    server.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(names[1]))

"""Artifact paths of a local tracking store whose folder was moved or copied.

MLflow writes them as absolute paths. The artifacts of a store of ours stand beside its file, so where the file is in
another folder than the paths say, the paths are what is out of date: a copy would read and write those of the original.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

ARTIFACTS = "artifacts"
COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


def relocate(database: Path) -> list[str]:
    """Let the paths in a store name the folder beside it, and return the folders that they named before."""
    here = database.parent / ARTIFACTS
    if not here.is_dir():
        return []
    # Suppressed: the file is read-only, or has no table of experiments yet.
    with closing(sqlite3.connect(database, timeout=30)) as connection, suppress(sqlite3.OperationalError):
        rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        others = sorted(location for (location,) in rows if _is_another(location, here))
        with connection:
            for other in others:
                for column in COLUMNS:
                    _replace(connection, column, other, str(here))
        return others
    return []


def _is_another(location: str | None, here: Path) -> bool:
    """Return whether a location is the artifact folder beside a store in another folder."""
    path = Path(location or "")
    return path.is_absolute() and path.name == ARTIFACTS and path != here and path.resolve() != here.resolve()


def _replace(connection: sqlite3.Connection, path_column: tuple[str, str], old: str, new: str) -> None:
    """Replace a folder at the beginning of the paths of a column; an older store lacks some columns."""
    table, column = path_column
    statement = (
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names of the table above
        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?"
    )
    with suppress(sqlite3.OperationalError):
        connection.execute(statement, (new, len(old) + 1, old, len(old) + 1, f"{old}/"))

"""Atomic file writes, with the same bytes for the same content."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name of `path` only if the block succeeds.

    The partial file has one fixed name, so what a killed process left behind is overwritten by the next run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are not there, for this user alone; one that is there stays as it is."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    """Write bytes atomically."""
    with atomic(path) as partial:
        partial.write_bytes(content)


def write_json(content: Any, path: Path) -> None:
    """Write sorted, indented JSON with a newline at the end, refusing NaN and infinity."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_bytes(f"{text}\n".encode(), path)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(table: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV with line feeds, floats in the shortest form that reads back the same."""
    write_bytes(table.to_csv(index=False, lineterminator="\n").encode(), path)


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits, reading it in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_bytes(content: bytes) -> str:
    """Return the sha256 of bytes as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()

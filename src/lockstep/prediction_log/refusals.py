"""Sample of the values that were refused with 422: lines of a file in the state folder, written by the workers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

FILE = "refusals.jsonl"

# The reasons, which label series, and how each is said of a column.
REASONS = {
    "missing_column": "is missing",
    "unknown_column": "is no column of the model",
    "null": "is null",
    "unknown_category": "has an unknown category",
    "out_of_range": "is out of range",
    "wrong_type": "has the wrong type",
    "repeated": "is repeated",
    "other": "is refused",
}


class Group(msgspec.Struct, omit_defaults=True):
    """Refused values of one column for one reason; `sample` is one of them, as far as the log may hold it."""

    column: str
    reason: str
    count: int
    sample: str = ""


class Refusal(msgspec.Struct, omit_defaults=True):
    """A line of the sample: when, of which model, sent under which key, and how many rows were refused."""

    at: float
    model: str
    groups: list[Group]
    key: str = ""
    rows: int = 0


def older(path: Path) -> Path:
    """Return where the lines are that the file of a sample had before it was full."""
    return path.with_suffix(".1")


def read(path: Path) -> Iterator[Refusal]:
    """Yield the lines of a sample, oldest first."""
    for file in (older(path), path):
        try:
            content = file.read_bytes()
        except OSError:
            continue
        for line in content.splitlines():
            try:
                yield msgspec.json.decode(line, type=Refusal)
            except msgspec.DecodeError:
                continue  # cut off by a full disk

"""Bring what another log exported into this one: labelled rows reach a machine that may not ask its database."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from lockstep import storage
from lockstep.config.params import DataIngestion
from lockstep.data import parquet
from lockstep.errors import ConfigError
from lockstep.prediction_log.database import Added, Store
from lockstep.prediction_log.export import COLUMNS, PAGE
from lockstep.prediction_log.records import Answer, Label, Record, Scalar

Line = dict[str, Any]


class MissingSource(ConfigError):
    """There is no such file."""


def import_file(store: Store, source: str, on_rows: Callable[[int], None] = lambda count: None) -> Added:
    """Add the predictions and labels of an exported file, from a path or S3; what is there already stays.

    Raises ConfigError: the file is missing, or is none that `lockstep log export` wrote.
    Raises StoreError, DataError: the database or the bucket is out of reach.
    """
    read = FORMATS.get(Path(source).suffix.lower())
    if read is None:
        raise ConfigError(f"{source}: the name must end with one of {', '.join(FORMATS)}", "name an exported file")
    added = Added()
    with _local(source) as path:
        try:
            for page in _pages(read(path), source):
                new = store.add(page)
                added = Added(added.predictions + new.predictions, added.labels + new.labels)
                on_rows(added.predictions)
        except FileNotFoundError:
            raise MissingSource(f"{source} is not there", "name a file that exists") from None
        except OSError as error:
            raise ConfigError(f"{source}: {error.strerror or error}", "make it readable") from None
    return added


@contextmanager
def _local(source: str) -> Iterator[Path]:
    """Yield the file, fetched from its bucket if it stands in one."""
    if not source.startswith(storage.S3):
        yield Path(source)
        return
    folder, _, name = source.rpartition("/")
    at = storage.location(folder, DataIngestion(source=source))
    if at.identity(name) is None:
        raise MissingSource(f"{source} is not there", "export it: `lockstep log export`")
    with at.fetched(name) as path:
        yield path


def _pages(lines: Iterable[Line], source: str) -> Iterator[list[Record]]:
    numbered = enumerate(lines, 1)
    while page := list(islice(numbered, PAGE)):
        yield [record for number, line in page for record in _records(line, f"{source} row {number}")]


def _records(line: Line, where: str) -> list[Record]:
    """Return one line as the answer that it was, and its label."""
    missing = [name for name in COLUMNS if name not in {"label_value", *line}]  # which earlier exports lack
    if missing:
        raise ConfigError(f"{where}: no column {missing[0]!r}", "import what `lockstep log export` wrote")
    try:
        answer = msgspec.convert(_answer(line), Answer)
        if not line["labelled_at"]:
            return [answer]
        at_us, worth = _us(line["labelled_at"]), line.get("label_value")
        value = None if worth in (None, "") else float(worth)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{where}: {error}", "import what `lockstep log export` wrote") from None
    event = f"import {answer.ids[0]} {at_us}"
    return [answer, Label(at_us, event, answer.ids[0], _scalar(line["label"]), "import", value)]


def _answer(line: Line) -> dict[str, Any]:
    rows, shares = line["row"], line["shares"]
    return {
        "type": "answer",
        "at_us": _us(line["at"]),
        **{name: line[name] for name in ("model", "version", "variant", "key")},
        "latency_us": int(line["latency_us"]),
        "ids": [line["id"]],
        "rows": [msgspec.json.decode(rows)] if rows else None,
        "values": [_scalar(line["prediction"])],
        "shares": [msgspec.json.decode(shares)] if shares else None,
    }


def _us(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1e6)


def _scalar(text: str) -> Scalar:
    """Return a number or truth value as such; all else is a text, as labels are."""
    try:
        value: Scalar = msgspec.json.decode(text, type=bool | int | float)
    except msgspec.MsgspecError:
        return text
    return value


def _csv(path: Path) -> Iterator[Line]:
    csv.field_size_limit(2**30)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _parquet(path: Path) -> Iterator[Line]:
    pq = parquet.require()
    import pyarrow as pa

    try:
        with pq.ParquetFile(path) as file:
            for page in file.iter_batches(PAGE):
                yield from page.to_pylist()
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{path.name}: no Parquet file: {error}", "import what `lockstep log export` wrote") from None


FORMATS: dict[str, Callable[[Path], Iterator[Line]]] = {".csv": _csv, ".parquet": _parquet}

"""Write the prediction log out as CSV or Parquet, to a file or to S3."""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lockstep import storage
from lockstep.data import parquet
from lockstep.errors import ConfigError
from lockstep.prediction_log.database import PredictionFilter, Store, Stored
from lockstep.prediction_log.records import Scalar

PAGE = 2000
# What a line holds: times by ISO 8601, `row` and `shares` as JSON lists, in the schema's order.
COLUMNS = {
    "id": "string",
    "at": "string",
    "model": "string",
    "version": "string",
    "variant": "string",
    "key": "string",
    "latency_us": "int64",
    "row": "string",
    "prediction": "string",
    "score": "float64",
    "shares": "string",
    "label": "string",
    "labelled_at": "string",
    "label_value": "float64",
}
Lines = Iterator[Sequence[tuple[Any, ...]]]


def export(
    store: Store, row_filter: PredictionFilter, to: str, on_rows: Callable[[int], None] = lambda count: None
) -> int:
    """Write predictions, the oldest first, to a file or an s3:// address whose ending says how; return how many.

    Raises ConfigError: the ending is none that is known.
    Raises StoreError, DataError: the database or the bucket is out of reach; no file is left behind.
    """
    write = FORMATS.get(Path(to).suffix.lower())
    if write is None:
        raise ConfigError(f"{to}: the name must end with one of {', '.join(FORMATS)}", "name a file or s3://BUCKET/KEY")
    count = 0

    def pages() -> Lines:
        nonlocal count
        mark = 0
        while rows := store.predictions(msgspec.structs.replace(row_filter, after=mark, limit=PAGE)):
            mark, count = rows[-1].seq, count + len(rows)
            yield [_line(row) for row in rows]
            on_rows(count)

    with storage.atomic_output(to) as path:
        write(pages(), path)
    return count


def _line(row: Stored) -> tuple[Any, ...]:
    return (
        *(row.id, _moment(row.at_us), row.model, row.version, row.variant, row.key, row.latency_us),
        None if row.row is None else _json(row.row),
        _text(row.value),
        row.score,
        None if row.shares is None else _json(row.shares),
        _text(row.label) if row.labelled else None,
        None if row.labelled_us is None else _moment(row.labelled_us),
        row.label_value,
    )


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="microseconds")


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(content: Any) -> str:
    return msgspec.json.encode(content).decode()


def _csv(pages: Lines, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for lines in pages:
            writer.writerows(lines)


def _parquet(pages: Lines, path: Path) -> None:
    pq = parquet.require()
    import pyarrow as pa

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for lines in pages:
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*lines, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


FORMATS: dict[str, Callable[[Lines, Path], None]] = {".csv": _csv, ".parquet": _parquet}

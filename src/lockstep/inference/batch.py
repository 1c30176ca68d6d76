"""Batch scoring of a file: rows and their predictions, chunk by chunk in bounded memory."""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from lockstep.config.params import CellFormat, Reader
from lockstep.data import parquet
from lockstep.data.schema import Schema
from lockstep.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from lockstep.data.sources.content import Content
    from lockstep.inference.predictor import Predictor

CHUNK_ROWS = 20_000


def score_file(
    predictor: "Predictor", source: Path, to: Path, reader: Reader, on_rows: Callable[[int], None] = lambda rows: None
) -> int:
    """Write the rows of a file with their predictions, and return how many; `seen` is told of each piece's rows.

    Raises DataError: the file is no table, is damaged, or lacks a column; there is no row to make Parquet of.
    Raises RowsRefused: a row does not fit the schema.
    """
    scored = _reporting(_scored(predictor, pieces(source, predictor.schema, reader)), on_rows)
    return WRITERS[to.suffix](scored, to, source)


def columns(path: Path, reader: Reader) -> frozenset[str]:
    """Return the names of the columns of a file."""
    if is_columnar(path):
        with _open_parquet(path) as file:
            return frozenset(file.schema_arrow.empty_table().to_pandas().columns)
    from lockstep.data.sources import csv_reader, formats

    with formats.as_text(_content(path), _kind(_content(path)), reader) as text:
        names = csv_reader.column_names(text, reader)
    return frozenset(name.strip() if reader.trim else name for name in names)


def pieces(path: Path, schema: Schema, reader: Reader) -> Iterator["pd.DataFrame"]:
    """Yield the file as tables of at most `CHUNK_ROWS` rows, at least one, read as the pipeline reads its source."""
    described = described_by(reader, schema)
    yield from _columnar(path, described) if is_columnar(path) else _lines(path, schema, described)


def described_by(reader: Reader, schema: Schema) -> Reader:
    """Return a reader whose columns are read as those of the training file were."""
    if schema.reader is None:
        return reader
    columns = {**reader.columns, **schema.reader.columns}
    return reader.model_copy(update={"columns": columns, "dates": {}})


def is_columnar(path: Path) -> bool:
    """Tell whether a file is Parquet."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    opened = parquet.require()
    import pyarrow as pa

    try:
        with opened.ParquetFile(path) as file:
            yield file
    except pa.ArrowException as error:
        raise DataError(f"{path.name} is damaged: {error}", "write it anew") from None


def _columnar(path: Path, reader: Reader) -> Iterator["pd.DataFrame"]:
    import pyarrow as pa

    from lockstep.data.sources import column_values, nested

    with _open_parquet(path) as file:
        if not file.metadata.num_rows:
            yield nested.flat_table(file.schema_arrow.empty_table()).to_pandas()
        for batch in file.iter_batches(CHUNK_ROWS):
            piece = nested.flat_table(pa.Table.from_batches([batch])).to_pandas()
            texts = [name for name in piece.columns if reader.columns.get(name) and _holds_texts(piece[name])]
            described = reader.model_copy(update={"columns": {name: reader.columns[name] for name in texts}})
            yield column_values.converted(piece, described, path.name).frame


def _holds_texts(values: "pd.Series") -> bool:
    import pandas as pd

    return pd.api.types.is_string_dtype(values.dtype)


def _lines(path: Path, schema: Schema, reader: Reader) -> Iterator["pd.DataFrame"]:
    from lockstep.data.sources import csv_reader, formats

    if schema.reader is None:
        reader = reader.model_copy(update={"columns": _texts(schema, reader) | reader.columns})
    content = _content(path)
    kind = _kind(content)
    if kind in ("json", "jsonl"):
        here = set(schema.kinds)
        described = {name: described for name, described in reader.columns.items() if name in here}
        yield formats.READERS[kind](content, reader.model_copy(update={"columns": described, "dates": {}})).frame
        return
    with formats.as_text(content, kind, reader) as text:
        for table in csv_reader.pieces(text, reader, CHUNK_ROWS):
            yield table.frame


def _kind(content: "Content") -> str:
    """Return the format that the file's ending names; CSV where it names none."""
    from lockstep.data.sources.content import KINDS

    return (
        content.format() if PurePosixPath(content.inner).suffix.lower() in KINDS.keys() - {".parquet", ".pq"} else "csv"
    )


def _texts(schema: Schema, reader: Reader) -> dict[str, CellFormat]:
    """Return the columns that models of before the reader was recorded took as text, whatever stands in them."""
    words = (column for column in schema.columns if column.kind != "numeric" and column.name not in reader.dates)
    return {column.name: CellFormat() for column in words if not set(column.categories) & {"true", "false"}}


def _content(path: Path) -> "Content":
    from lockstep.data.sources.content import Content

    return Content(path, path.name, sys.maxsize)


def _scored(predictor: "Predictor", tables: Iterator["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
    from lockstep.data import cleaning, columnwise  # here, since a worker of the server loads this module and no pandas
    from lockstep.data.frames import check_frame

    done, kinds = 0, predictor.schema.kinds
    for piece in tables:
        missing = [name for name in kinds if name not in piece.columns]
        if missing:
            raise DataError(f"column {missing[0]!r} is missing", f"the model takes {', '.join(kinds)}"[:500])
        rows = cleaning.canonical(piece, kinds)
        check_frame(rows, predictor.schema, done)
        done += len(piece)
        answers = _answers(predictor, rows)
        named = {unused(name, piece.columns): values for name, values in answers.items()}
        yield columnwise.with_columns(piece, named)


def unused(name: str, taken: Collection[str]) -> str:
    """Return a name for an added column that no column of the rows has: an underscore is put behind it."""

    while name in taken:
        name += "_"
    return name


def _answers(predictor: "Predictor", rows: "pd.DataFrame") -> dict[str, Any]:
    """Return the columns that a model adds; their types do not depend on whether there are rows."""
    labels = predictor.schema.labels
    if rows.empty:
        none = {"prediction": np.asarray(labels or [0.0])[:0]}
        return none | {f"probability_{name}": np.zeros(0) for name in predictor.label_names if labels}
    predictions = predictor.predict_frame(rows)
    answers = {"prediction": predictions.values}
    if predictions.probabilities is not None:
        named = zip(predictor.label_names, predictions.probabilities.T, strict=True)
        answers |= {f"probability_{name}": column for name, column in named}
    return answers


def _reporting(tables: Iterator["pd.DataFrame"], on_rows: Callable[[int], None]) -> Iterator["pd.DataFrame"]:
    for piece in tables:
        on_rows(len(piece))
        yield piece


def _write_csv(tables: Iterator["pd.DataFrame"], to: Path, source: Path) -> int:
    rows, first = 0, True
    with to.open("w", encoding="utf-8", newline="") as stream:
        for piece in tables:
            piece.to_csv(stream, index=False, header=first, lineterminator="\n")
            rows, first = rows + len(piece), False
    return rows


def _write_parquet(tables: Iterator["pd.DataFrame"], to: Path, source: Path) -> int:
    """Write Parquet; columns that come from Parquet keep their types, also where a piece holds none of their values."""
    opened = parquet.require()
    import pyarrow as pa

    source_schema = opened.read_schema(source) if is_columnar(source) else pa.schema([])
    writer, rows = None, 0
    try:
        for piece in tables:
            if writer is None:
                schema = pa.Schema.from_pandas(piece, preserve_index=False)
                fields = [
                    source_schema.field(each.name) if each.name in source_schema.names else each for each in schema
                ]
                writer = opened.ParquetWriter(to, pa.schema(fields))
            writer.write_table(pa.Table.from_pandas(piece, schema=writer.schema, preserve_index=False))
            rows += len(piece)
    finally:
        if writer:
            writer.close()
    return rows


WRITERS: dict[str, Callable[[Iterator["pd.DataFrame"], Path, Path], int]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}

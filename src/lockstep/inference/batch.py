"""Rows of a file, their predictions beside them, piece by piece in bounded memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lockstep.config.params import Reader
from lockstep.data import parquet
from lockstep.data.schema import Schema
from lockstep.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from lockstep.inference.predictor import Predictor

CHUNK_ROWS = 20_000


def score_file(
    predictor: "Predictor", source: Path, to: Path, reader: Reader, seen: Callable[[int], None] = lambda rows: None
) -> int:
    """Write the rows of a file with their predictions, and return how many; `seen` is told of each piece's rows.

    Raises
    ------
    DataError
        The file is no table, is damaged, or lacks a column; there is no row to make Parquet of.
    RowsRefused
        A row does not fit the schema.
    """
    scored = _told(_scored(predictor, pieces(source, predictor.schema, reader)), seen)
    return WRITERS[to.suffix](scored, to, source)


def columns(path: Path, reader: Reader) -> frozenset[str]:
    """Return the names of the columns of a file."""
    if is_columnar(path):
        with _opened(path) as file:
            return frozenset(file.schema_arrow.empty_table().to_pandas().columns)
    import pandas as pd

    from lockstep.data.sources import formats

    with _as_data_error(path):
        return frozenset(pd.read_csv(path, nrows=0, **formats.spelling(reader)).columns)


def pieces(path: Path, schema: Schema, reader: Reader) -> Iterator["pd.DataFrame"]:
    """Yield the file as tables of at most `CHUNK_ROWS` rows, at least one, read as the pipeline reads its source."""
    yield from _columnar(path) if is_columnar(path) else _lines(path, schema, reader)


def is_columnar(path: Path) -> bool:
    """Tell whether a file is Parquet."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    opened = parquet.require()
    import pyarrow as pa

    try:
        with opened.ParquetFile(path) as file:
            yield file
    except pa.ArrowException as error:
        raise DataError(f"{path.name} is damaged: {error}", "write it anew") from None


@contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    import pandas as pd

    try:
        yield
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} is no table: {error}", "data_ingestion.reader says how it is read") from None


def _columnar(path: Path) -> Iterator["pd.DataFrame"]:
    with _opened(path) as file:
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table().to_pandas()
        for batch in file.iter_batches(CHUNK_ROWS):
            yield batch.to_pandas()


def _lines(path: Path, schema: Schema, reader: Reader) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    from lockstep.data.sources import formats

    words = {
        column.name: str
        for column in schema.columns
        if column.kind != "numeric" and not set(column.categories) & {"true", "false"}
    }
    options = formats.spelling(reader)
    with _as_data_error(path), pd.read_csv(path, dtype=words, chunksize=CHUNK_ROWS, **options) as tables:
        for piece in tables:
            here = {name: spelled for name, spelled in reader.dates.items() if name in piece.columns}
            yield formats.settled(piece, reader.model_copy(update={"dates": here}), path.name)


def _scored(predictor: "Predictor", tables: Iterator["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
    from lockstep.data import cleaning
    from lockstep.data.frames import check_frame

    done, kinds = 0, predictor.schema.kinds
    for piece in tables:
        missing = [name for name in kinds if name not in piece.columns]
        if missing:
            raise DataError(f"column {missing[0]!r} is missing", f"the model takes {', '.join(kinds)}"[:500])
        rows = cleaning.canonical(piece, kinds)
        check_frame(rows, predictor.schema, done)
        done += len(piece)
        yield piece.assign(**_answers(predictor, rows))


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
        answers |= {f"probability_{name}": own for name, own in named}
    return answers


def _told(tables: Iterator["pd.DataFrame"], seen: Callable[[int], None]) -> Iterator["pd.DataFrame"]:
    for piece in tables:
        seen(len(piece))
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

    known = opened.read_schema(source) if is_columnar(source) else pa.schema([])
    writer, rows = None, 0
    try:
        for piece in tables:
            if writer is None:
                own = pa.Schema.from_pandas(piece, preserve_index=False)
                fields = [known.field(each.name) if each.name in known.names else each for each in own]
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

"""Score a CSV or Parquet file with the Production model, piece by piece, in bounded memory.

OUT holds every column of IN, then the prediction and, for classes, each label's probability.

Example: lockstep predict customers.csv scored.parquet
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lockstep import config, files, paths
from lockstep.config import Settings
from lockstep.data import parquet
from lockstep.errors import DataError, RegistryError
from lockstep.sections import Reader

CHUNK_ROWS = 20_000


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("input", metavar="IN", type=lambda text: Path(text).absolute(), help="a CSV or Parquet file")
    parser.add_argument("output", metavar="OUT", type=lambda text: Path(text).absolute(), help=".csv or .parquet")
    parser.add_argument("--version", metavar="N", help="a registered version (default: Production)")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Score the file and say how many rows that were."""
    if arguments.output.suffix not in WRITERS:
        raise DataError(f"{arguments.output.name}: unknown ending", f"end OUT in {' or '.join(WRITERS)}")
    if not arguments.input.is_file():
        raise DataError(f"{arguments.input} not found", "name a CSV or Parquet file")
    version, predictor = _model(arguments.version, settings)
    with files.atomic(arguments.output) as partial:
        scored = _with_progress(_score(predictor, _pieces(arguments.input, predictor), 0), arguments.input)
        rows = WRITERS[arguments.output.suffix](scored, partial)
    if arguments.json:
        print(json.dumps({"rows": rows, "model": {"name": version.name, "version": version.version}}))
    else:
        print(f"{rows} rows scored by {version.name} version {version.version} -> {arguments.output}")
    return 0


def _model(number: str | None, settings: Settings) -> tuple[Any, Any]:
    from lockstep import tracking
    from lockstep.modeling.predictor import Predictor
    from lockstep.registry import Registry

    name = config.model_name(settings)
    registry = Registry(tracking.connect(settings), name)
    version = registry.get(number) if number else registry.production()
    if version is None:
        raise RegistryError(f"{name} has nothing in Production", "`lockstep promote` first, or say --version N")
    with tempfile.TemporaryDirectory() as folder:
        return version, Predictor.load(registry.download(version, Path(folder, "model")), version.sha256)


def _pieces(path: Path, predictor: Any) -> Iterator[Any]:
    """Yield the file as tables of at most `CHUNK_ROWS` rows, read as the pipeline reads its source."""
    import pandas as pd

    with path.open("rb") as stream:
        columnar = stream.read(4) == b"PAR1"
    if columnar:
        for batch in parquet.require().ParquetFile(path).iter_batches(CHUNK_ROWS):
            yield batch.to_pandas()
        return
    from lockstep.data import formats

    reader = config.load().data_ingestion.reader if paths.PARAMS.exists() else Reader()
    words = {
        column.name: str
        for column in predictor.schema.columns
        if column.kind != "numeric" and not set(column.categories) & {"true", "false"}
    }
    try:
        for piece in pd.read_csv(path, dtype=words, chunksize=CHUNK_ROWS, **formats.spelling(reader)):
            here = {name: spelled for name, spelled in reader.dates.items() if name in piece.columns}
            yield formats.settled(piece, reader.model_copy(update={"dates": here}), path.name)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} is no table: {error}", "data_ingestion.reader says how it is read") from None


def _score(predictor: Any, pieces: Iterator[Any], done: int) -> Iterator[Any]:
    from lockstep.data import cleaning
    from lockstep.data.frames import check_frame

    for piece in pieces:
        missing = [name for name in predictor.schema.kinds if name not in piece.columns]
        if missing:
            raise DataError(
                f"column {missing[0]!r} is missing", f"the model takes {', '.join(predictor.schema.kinds)}"[:500]
            )
        rows = cleaning.canonical(piece, predictor.schema.kinds)
        check_frame(rows, predictor.schema, done)
        predictions = predictor.predict_frame(rows)
        answers = {"prediction": predictions.values}
        if predictions.probabilities is not None:
            answers |= {
                f"probability_{name}": own
                for name, own in zip(predictor.label_names, predictions.probabilities.T, strict=True)
            }
        done += len(piece)
        yield piece.assign(**answers)


def _with_progress(pieces: Iterator[Any], path: Path) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows of {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(path.name, total=None)
        for piece in pieces:
            progress.advance(bar, len(piece))
            yield piece


def _write_csv(pieces: Iterator[Any], to: Path) -> int:
    rows = 0
    with to.open("w", encoding="utf-8", newline="") as stream:
        for piece in pieces:
            piece.to_csv(stream, index=False, header=rows == 0, lineterminator="\n")
            rows += len(piece)
    return rows


def _write_parquet(pieces: Iterator[Any], to: Path) -> int:
    pq = parquet.require()
    import pyarrow as pa

    writer, rows = None, 0
    try:
        for piece in pieces:
            table = pa.Table.from_pandas(piece, schema=writer.schema if writer else None, preserve_index=False)
            writer = writer or pq.ParquetWriter(to, table.schema)
            writer.write_table(table)
            rows += len(piece)
    finally:
        if writer:
            writer.close()
    if not rows:
        raise DataError("the input holds no rows", "nothing was written")
    return rows


WRITERS: dict[str, Callable[[Iterator[Any], Path], int]] = {".csv": _write_csv, ".parquet": _write_parquet}

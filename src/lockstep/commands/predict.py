"""Score a CSV or Parquet file, or a folder of them, with the Production model, in bounded memory.

OUT holds every column of IN, then the prediction and, for classes, each label's probability. Of a folder, a prefix such
as s3://BUCKET/parts/, or a pattern such as 'parts/*.parquet', OUT is a folder or prefix with parts of the same names; a
rerun goes on with the parts that are missing.

Example: lockstep predict customers.csv scored.parquet
         lockstep predict parts/ scored/ --jobs 4
         lockstep predict s3://bucket/parts/ s3://bucket/scored/ --dask tcp://SCHEDULER:8786
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath

from lockstep import paths, storage
from lockstep.compute import pool as compute
from lockstep.config import params_file
from lockstep.config.params import DataIngestion, Reader
from lockstep.config.settings import Settings, model_name
from lockstep.data.sources import read
from lockstep.errors import ConfigError, DataError, RegistryError
from lockstep.inference import batch, batch_job
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry
from lockstep.runtime.progress import Progress

MOST_NAMES = 5


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "input", metavar="IN", type=_placed, help="a CSV or Parquet file; a folder, prefix or pattern; also s3://"
    )
    parser.add_argument(
        "output", metavar="OUT", type=_placed, help=".csv or .parquet; a folder or prefix for several; also s3://"
    )
    parser.add_argument("--version", metavar="N", help="a registered version (default: Production)")
    parser.add_argument("--jobs", metavar="N", type=int, help="processes of this machine for the parts of a folder")
    parser.add_argument(
        "--dask", metavar="ADDRESS", default="", help="scheduler of a Dask cluster for the parts (tcp://HOST:PORT)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Score what is named and say how many rows that were."""
    if arguments.jobs is not None and (arguments.jobs < 1 or arguments.dask):
        raise ConfigError("--jobs is 1 or more, and not beside --dask", "the one is this machine, the other a cluster")
    if storage.is_partitioned(arguments.input):
        return _folder(arguments, settings)
    if PurePosixPath(arguments.output).suffix not in batch.WRITERS:
        name = PurePosixPath(arguments.output).name
        raise DataError(f"{name}: unknown ending", f"end OUT in {' or '.join(batch.WRITERS)}")
    return _file(arguments, settings)


def _placed(text: str) -> str:
    """Return a path from the root on, since commands run in the project's root; an address as it is."""
    return text if "://" in text else str(Path(text).expanduser().absolute())


def _file(arguments: argparse.Namespace, settings: Settings) -> int:
    with _here(arguments.input) as path:
        model = _model(arguments.version, settings)
        with storage.atomic_output(arguments.output) as partial, Progress("count", f"rows of {path.name}") as progress:
            rows = batch.score_file(model.load(), path, partial, _reader(), progress.advance)
    if arguments.json:
        print(json.dumps({"rows": rows, "model": {"name": model.name, "version": model.version}}))
    else:
        print(f"{rows} rows scored by {model.name} version {model.version} -> {arguments.output}")
    return 0


def _folder(arguments: argparse.Namespace, settings: Settings) -> int:
    base, pattern = storage.split(arguments.input)
    source, out = (storage.location(location, _ingestion(location)) for location in (base, arguments.output))
    parts, others = batch_job.find(arguments.input, source, pattern, out)
    model = _model(arguments.version, settings)
    plan = batch_job.plan(parts, source, out, _reader(), model.load())
    with _pool(arguments, settings) as pool, Progress("items", "parts", len(parts)) as progress:
        outcomes = batch_job.score_all(pool, model, plan, parts, lambda name, outcome: progress.advance())
    failed = {name: result for name, result in outcomes.items() if result.state == "failed"}
    for name, result in failed.items():
        print(f"{name}: {result.problem}\n  hint: {result.hint}", file=sys.stderr)
    if arguments.json:
        content = {name: result.to_json() for name, result in outcomes.items()}
        print(json.dumps({"model": {"name": model.name, "version": model.version}, "parts": content}))
    else:
        print(_summary(outcomes, model, arguments.output))
        print(f"left out, no part: {_some(others)}" if others else "", end="\n" if others else "")
    return 1 if failed else 0


def _summary(outcomes: dict[str, batch_job.PartitionResult], model: batch_job.ModelFiles, out: str) -> str:
    rows = sum(outcome.rows for outcome in outcomes.values())
    lines = [f"{rows} rows in {len(outcomes)} parts by {model.name} version {model.version} -> {out}"]
    for state, said in (
        ("kept", "kept, of this version and input"),
        ("redone", "redone, of another version or input"),
        ("failed", "failed"),
    ):
        names = [name for name, outcome in outcomes.items() if outcome.state == state]
        lines += [f"{said}: {_some(names)}"] if names else []
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _pool(arguments: argparse.Namespace, settings: Settings) -> AbstractContextManager[compute.Pool]:
    address = arguments.dask or ("" if arguments.jobs else settings.dask_address)
    if not address:
        return nullcontext(compute.LocalPool(arguments.jobs or 1))
    from lockstep.compute import dask

    return dask.connected(compute.check_address(address))


def _reader() -> Reader:
    return params_file.load().data_ingestion.reader if paths.PARAMS.exists() else Reader()


@contextmanager
def _here(location: str) -> Iterator[Path]:
    """Yield a file of this machine, or one that is fetched and goes afterwards."""
    if "://" not in location:
        if not Path(location).is_file():
            raise DataError(f"{location} not found", "name a CSV or Parquet file, or a folder or pattern of them")
        yield Path(location)
        return
    with read.fetched(location, _ingestion(location)) as (content, _):
        yield content.path


def _ingestion(location: str) -> DataIngestion:
    """Return how the project reads its source, said of another one."""
    section = params_file.load().data_ingestion.model_dump() if paths.PARAMS.exists() else {}
    return DataIngestion(**section | {"source": location})


def _model(number: str | None, settings: Settings) -> batch_job.ModelFiles:
    name = model_name(settings)
    registry = Registry(tracking.connect(settings), name)
    version = registry.get(number) if number else registry.production()
    if version is None:
        raise RegistryError(f"{name} has nothing in Production", "`lockstep promote` first, or say --version N")
    with tempfile.TemporaryDirectory() as folder:
        bundle = registry.download(version, Path(folder, "model"))
        return batch_job.ModelFiles.from_folder(version.name, version.version, version.sha256, bundle)

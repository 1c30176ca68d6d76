"""Batch job: a folder of files scored partition by partition by many processes; a rerun resumes where it ended."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lockstep import files, storage
from lockstep.config.params import Reader
from lockstep.errors import ComputeError, DataError, LockstepError
from lockstep.inference import batch
from lockstep.storage import FolderLocation, Location

if TYPE_CHECKING:
    from lockstep.compute.pool import Pool
    from lockstep.inference.predictor import Predictor

_LOADED: dict[str, "Predictor"] = {}


@dataclass(frozen=True)
class ModelFiles:
    """A version with its files as arrays of bytes, which travel to other processes once."""

    name: str
    version: str
    sha256: str
    content: Mapping[str, NDArray[np.uint8]]

    @classmethod
    def from_folder(cls, name: str, version: str, sha256: str, folder: Path) -> "ModelFiles":
        """Take up the files of a version."""
        content = {path.name: np.fromfile(path, np.uint8) for path in sorted(folder.iterdir()) if path.is_file()}
        return cls(name, version, sha256, content)

    def load(self) -> "Predictor":
        """Return the predictor of the version, loaded once in each process."""
        if self.sha256 not in _LOADED:
            from lockstep.inference.predictor import Predictor

            with tempfile.TemporaryDirectory() as folder:
                for name, content in self.content.items():
                    content.tofile(Path(folder, name))
                _LOADED.clear()
                _LOADED[self.sha256] = Predictor.load(Path(folder), self.sha256)
        return _LOADED[self.sha256]


@dataclass(frozen=True)
class BatchPlan:
    """What holds for all parts: where they lie and go, how they are read, and the columns, which `first` has."""

    source: Location
    out: Location
    reader: Reader
    columns: frozenset[str]
    first: str


@dataclass(frozen=True)
class PartitionResult:
    """What became of a part: `scored`, `kept` from an earlier run, `redone` since it was of others, or `failed`."""

    state: str
    rows: int = 0
    problem: str = field(default="", compare=False)
    hint: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {name: value for name, value in asdict(self).items() if value != ""}


def find(path: str, source: Location, pattern: str, out: Location) -> tuple[list[str], list[str]]:
    """Return the names of the parts and of other files. Raises DataError: no part, or one would be written over."""
    if _root(out) == _root(source) or (isinstance(out, FolderLocation) and out.path.is_file()):
        raise DataError(f"{out / ''} cannot take the parts", "name a folder of its own for OUT")
    hidden = (".", "_")
    listed = [name for name in source.names(pattern) if not PurePosixPath(name).name.startswith(hidden)]
    names_listed = [name for name in listed if not (source / name).startswith(f"{_root(out)}/")]
    parts = [name for name in names_listed if PurePosixPath(name).suffix in batch.WRITERS]
    if not parts:
        raise DataError(f"{path} holds no part", f"its parts end in {' or '.join(batch.WRITERS)}")
    return parts, [PurePosixPath(name).name for name in names_listed if name not in set(parts)]


def _root(location: Location) -> str:
    return str(location.path.resolve()) if isinstance(location, FolderLocation) else (location / "").rstrip("/")


def plan(parts: Sequence[str], source: Location, out: Location, reader: Reader, predictor: "Predictor") -> BatchPlan:
    """Make OUT ready; the columns of all parts are those of the first that has what the model takes."""
    schema = predictor.schema
    headers = ((name, _readable_header(source, name, reader)) for name in parts)
    fitting = ((name, header) for name, header in headers if header >= schema.kinds.keys())
    first, columns = next(fitting, ("the model", frozenset(schema.kinds)))
    out.prepare()
    return BatchPlan(source, out, reader, columns, first)


def score_all(
    pool: "Pool",
    model: ModelFiles,
    plan: BatchPlan,
    parts: Sequence[str],
    on_result: Callable[[str, PartitionResult], None],
) -> dict[str, PartitionResult]:
    """Score all parts and return what became of each; the failure of one leaves the others alone.

    Raises ComputeError: the place where the work runs was lost.
    """
    results: dict[str, PartitionResult] = {}
    remaining = list(parts)
    while remaining:
        try:
            for index, result in pool.run(score, (model, plan), [(part,) for part in remaining]):
                results[remaining[index]] = result
                on_result(remaining[index], result)
        except ComputeError as error:
            if error.task_index is None:
                raise
            results[remaining[error.task_index]] = PartitionResult("failed", 0, error.problem, error.hint)
        remaining = [name for name in remaining if name not in results]
    return {name: results[name] for name in parts}


def score(model: ModelFiles, plan: BatchPlan, name: str) -> PartitionResult:
    """Score one part, unless that was done already, and say what became of it."""
    try:
        return _score(model, plan, name)
    except LockstepError as error:
        return PartitionResult("failed", 0, error.problem, error.hint)
    except OSError as error:
        return PartitionResult(
            "failed", 0, f"{error.strerror or error}: {error.filename}", "check the disk and your rights"
        )


def _score(model: ModelFiles, plan: BatchPlan, name: str) -> PartitionResult:
    plan.source.check()
    plan.out.check(storage.RECORDS)  # a folder of the same name, on a disk of the worker's own, has none
    origin = {
        "input": plan.source.identity(name),
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "reader": files.sha256_bytes(plan.reader.model_dump_json().encode())[:16],
    }
    if origin["input"] is None:
        raise DataError(f"{plan.source / name} is gone", "put it back, or run it again without it")
    there = plan.out.identity(name)
    before = storage.read_record(plan.out, name) if there else {}
    if before and before["origin"] == origin and before["output"] == there:
        return PartitionResult("kept", before["rows"])
    with plan.source.fetched(name) as path:
        rows = _write(model.load(), plan, name, path)
    storage.write_record(plan.out, name, {"origin": origin, "rows": rows, "output": plan.out.identity(name)})
    return PartitionResult("redone" if before else "scored", rows)


def _write(predictor: "Predictor", plan: BatchPlan, name: str, source: Path) -> int:
    """Write a part whole or not at all."""
    header = batch.columns(source, plan.reader)
    for names, what in ((plan.columns - header, "missing"), (header - plan.columns, "too many")):
        if names:
            raise DataError(
                f"column {min(names)!r} is {what}",
                f"parts need the same columns: {plan.first} has {', '.join(sorted(plan.columns))}"[:500],
            )
    with plan.out.receiving(name) as partial:
        return batch.score_file(predictor, source, partial, plan.reader)


def _readable_header(source: Location, name: str, reader: Reader) -> frozenset[str]:
    """Return the columns of a part, none of one that cannot be read, which is told when it is scored."""
    try:
        with source.fetched(name) as path:
            return batch.columns(path, reader)
    except (DataError, OSError):
        return frozenset()

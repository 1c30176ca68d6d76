"""A folder of files scored part by part, on many processes; a rerun goes on with the parts that are missing."""

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
from lockstep.storage import Folder, Place

if TYPE_CHECKING:
    from lockstep.compute.pool import Pool
    from lockstep.inference.predictor import Predictor

_LOADED: dict[str, "Predictor"] = {}


@dataclass(frozen=True)
class Model:
    """A version with its files as arrays of bytes, which travel to other processes once."""

    name: str
    version: str
    sha256: str
    content: Mapping[str, NDArray[np.uint8]]

    @classmethod
    def of(cls, name: str, version: str, sha256: str, folder: Path) -> "Model":
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
class Plan:
    """What holds for all parts: where they lie and go, how they are read, and the columns, which `first` has."""

    source: Place
    out: Place
    reader: Reader
    columns: frozenset[str]
    first: str


@dataclass(frozen=True)
class Outcome:
    """What became of a part: `scored`, `kept` from an earlier run, `redone` since it was of others, or `failed`."""

    state: str
    rows: int = 0
    problem: str = field(default="", compare=False)
    hint: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {name: value for name, value in asdict(self).items() if value != ""}


def find(given: str, source: Place, pattern: str, out: Place) -> tuple[list[str], list[str]]:
    """Return the names of the parts, and of the files that are none.

    Raises
    ------
    DataError
        There is no part, or they would be written over.
    """
    if _root(out) == _root(source) or (isinstance(out, Folder) and out.path.is_file()):
        raise DataError(f"{out / ''} cannot take the parts", "name a folder of its own for OUT")
    hidden = (".", "_")
    listed = [name for name in source.names(pattern) if not PurePosixPath(name).name.startswith(hidden)]
    seen = [name for name in listed if not (source / name).startswith(f"{_root(out)}/")]
    parts = [name for name in seen if PurePosixPath(name).suffix in batch.WRITERS]
    if not parts:
        raise DataError(f"{given} holds no part", f"its parts end in {' or '.join(batch.WRITERS)}")
    return parts, [PurePosixPath(name).name for name in seen if name not in set(parts)]


def _root(place: Place) -> str:
    return str(place.path.resolve()) if isinstance(place, Folder) else (place / "").rstrip("/")


def plan(parts: Sequence[str], source: Place, out: Place, reader: Reader, predictor: "Predictor") -> Plan:
    """Make OUT ready; the columns of all parts are those of the first that has what the model takes."""
    schema = predictor.schema
    headers = ((name, _readable_header(source, name, reader)) for name in parts)
    fitting = ((name, own) for name, own in headers if own >= schema.kinds.keys())
    first, columns = next(fitting, ("the model", frozenset(schema.kinds)))
    out.prepare()
    return Plan(source, out, reader, columns, first)


def score_all(
    pool: "Pool", model: Model, made: Plan, parts: Sequence[str], seen: Callable[[str, Outcome], None]
) -> dict[str, Outcome]:
    """Score all parts and return what became of each; the failure of one leaves the others alone.

    Raises
    ------
    ComputeError
        The place where the work runs was lost.
    """
    outcomes: dict[str, Outcome] = {}
    left = list(parts)
    while left:
        try:
            for place, outcome in pool.run(score, (model, made), [(part,) for part in left]):
                outcomes[left[place]] = outcome
                seen(left[place], outcome)
        except ComputeError as error:
            if error.place is None:
                raise
            outcomes[left[error.place]] = Outcome("failed", 0, error.problem, error.hint)
        left = [name for name in left if name not in outcomes]
    return {name: outcomes[name] for name in parts}


def score(model: Model, made: Plan, name: str) -> Outcome:
    """Score one part, unless that was done already, and say what became of it."""
    try:
        return _score(model, made, name)
    except LockstepError as error:
        return Outcome("failed", 0, error.problem, error.hint)
    except OSError as error:
        return Outcome("failed", 0, f"{error.strerror or error}: {error.filename}", "check the disk and your rights")


def _score(model: Model, made: Plan, name: str) -> Outcome:
    made.source.check()
    made.out.check(storage.RECORDS)  # a folder of the same name, on a disk of the worker's own, has none
    origin = {
        "input": made.source.identity(name),
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "reader": files.sha256_bytes(made.reader.model_dump_json().encode())[:16],
    }
    if origin["input"] is None:
        raise DataError(f"{made.source / name} is gone", "put it back, or run it again without it")
    there = made.out.identity(name)
    before = storage.record(made.out, name) if there else {}
    if before and before["origin"] == origin and before["output"] == there:
        return Outcome("kept", before["rows"])
    with made.source.fetched(name) as path:
        rows = _write(model.load(), made, name, path)
    storage.keep(made.out, name, {"origin": origin, "rows": rows, "output": made.out.identity(name)})
    return Outcome("redone" if before else "scored", rows)


def _write(predictor: "Predictor", made: Plan, name: str, source: Path) -> int:
    """Write a part whole or not at all."""
    own = batch.columns(source, made.reader)
    for names, what in ((made.columns - own, "missing"), (own - made.columns, "too many")):
        if names:
            raise DataError(
                f"column {min(names)!r} is {what}",
                f"parts need the same columns: {made.first} has {', '.join(sorted(made.columns))}"[:500],
            )
    with made.out.receiving(name) as partial:
        return batch.score_file(predictor, source, partial, made.reader)


def _readable_header(source: Place, name: str, reader: Reader) -> frozenset[str]:
    """Return the columns of a part, none of one that cannot be read, which is told when it is scored."""
    try:
        with source.fetched(name) as path:
            return batch.columns(path, reader)
    except (DataError, OSError):
        return frozenset()

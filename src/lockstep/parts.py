"""A folder of files scored part by part, on many processes; a rerun goes on with the parts that are missing."""

import socket
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lockstep import batch, files
from lockstep.errors import ComputeError, DataError, LockstepError
from lockstep.sections import Reader

if TYPE_CHECKING:
    from lockstep.compute import Pool
    from lockstep.modeling.predictor import Predictor

RECORDS = ".lockstep"
"""The folder in OUT that says what each part was made from; readers of tables pass over names with a dot."""
PATTERN = frozenset("*?[")
_LOADED: dict[str, "Predictor"] = {}


@dataclass(frozen=True)
class Part:
    """One file, and where its rows go with their predictions."""

    name: str
    source: Path
    output: Path

    def __str__(self) -> str:
        return self.name


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
            from lockstep.modeling.predictor import Predictor

            with tempfile.TemporaryDirectory() as folder:
                for name, content in self.content.items():
                    content.tofile(Path(folder, name))
                _LOADED.clear()
                _LOADED[self.sha256] = Predictor.load(Path(folder), self.sha256)
        return _LOADED[self.sha256]


@dataclass(frozen=True)
class Plan:
    """What holds for all parts: where they go, how they are read, which columns they have, and whose those are."""

    out: Path
    reader: Reader
    columns: frozenset[str]
    first: str

    @property
    def records(self) -> Path:
        """Return the folder of the records."""
        return self.out / RECORDS


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


def is_many(given: str) -> bool:
    """Tell whether a path means several files: a folder, or a pattern that is no file's name."""
    path = Path(given)
    return path.is_dir() or (bool(PATTERN & set(given)) and "://" not in given and not path.exists())


def find(given: str, out: Path) -> tuple[list[Part], list[str]]:
    """Return the parts that a folder or a pattern names, and the files that are none.

    Raises
    ------
    DataError
        There is no part, or they would be written over.
    """
    path = Path(given).expanduser().absolute()
    steps = [] if path.is_dir() else list(path.parts)
    fixed = next((place for place, step in enumerate(steps) if PATTERN & set(step)), 0)
    base, pattern = (Path(*steps[:fixed]), str(Path(*steps[fixed:]))) if steps else (path, "*")
    found = sorted(each for each in base.glob(pattern) if each.is_file())
    seen = [each for each in found if not each.name.startswith((".", "_")) and out not in each.parents]
    parts = [each for each in seen if each.suffix in batch.WRITERS]
    if out.resolve() == base.resolve() or out.is_file():
        raise DataError(f"{out} cannot take the parts", "name a folder of its own for OUT")
    if not parts:
        raise DataError(f"{given} holds no part", f"its parts end in {' or '.join(batch.WRITERS)}")
    named = [(each.relative_to(base), each) for each in parts]
    return (
        [Part(own.as_posix(), each, out / own) for own, each in named],
        [each.name for each in seen if each.suffix not in batch.WRITERS],
    )


def plan(parts: Sequence[Part], out: Path, reader: Reader, predictor: "Predictor") -> Plan:
    """Make OUT ready; the columns of all parts are those of the first that has what the model takes."""
    schema = predictor.schema
    headers = ((part.name, _readable_header(part, reader)) for part in parts)
    fitting = ((name, own) for name, own in headers if own >= schema.kinds.keys())
    first, columns = next(fitting, ("the model", frozenset(schema.kinds)))
    made = Plan(out, reader, columns, first)
    made.records.mkdir(parents=True, exist_ok=True)
    for leftover in made.records.glob("*.partial.*"):
        leftover.unlink()
    return made


def score_all(
    pool: "Pool", model: Model, made: Plan, parts: Sequence[Part], seen: Callable[[Part, Outcome], None]
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
                outcomes[left[place].name] = outcome
                seen(left[place], outcome)
        except ComputeError as error:
            if error.place is None:
                raise
            outcomes[left[error.place].name] = Outcome("failed", 0, error.problem, error.hint)
        left = [part for part in left if part.name not in outcomes]
    return {part.name: outcomes[part.name] for part in parts}


def score(model: Model, made: Plan, part: Part) -> Outcome:
    """Score one part, unless that was done already, and say what became of it."""
    try:
        return _score(model, made, part)
    except LockstepError as error:
        return Outcome("failed", 0, error.problem, error.hint)
    except OSError as error:
        return Outcome("failed", 0, f"{error.strerror or error}: {error.filename}", "check the disk and your rights")


def _score(model: Model, made: Plan, part: Part) -> Outcome:
    for path in (made.records, part.source):
        if not path.exists():
            raise DataError(
                f"{socket.gethostname()} does not see {path}", "IN and OUT must lie where every worker sees them"
            )
    origin = {
        "input": files.sha256(part.source),
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "reader": files.sha256_bytes(made.reader.model_dump_json().encode())[:16],
    }
    record = made.records / f"{part.name}.json"
    before = files.read_json(record) if record.exists() and part.output.exists() else {}
    if before and before["origin"] == origin and before["output"] == files.sha256(part.output):
        return Outcome("kept", before["rows"])
    rows = _write(model.load(), made, part)
    files.write_json({"origin": origin, "rows": rows, "output": files.sha256(part.output)}, record)
    return Outcome("redone" if before else "scored", rows)


def _write(predictor: "Predictor", made: Plan, part: Part) -> int:
    """Write a part whole or not at all; its name until then is its own, should two workers take the same part."""
    own = batch.columns(part.source, made.reader)
    for names, what in ((made.columns - own, "missing"), (own - made.columns, "too many")):
        if names:
            raise DataError(
                f"column {min(names)!r} is {what}",
                f"parts need the same columns: {made.first} has {', '.join(sorted(made.columns))}"[:500],
            )
    part.output.parent.mkdir(parents=True, exist_ok=True)
    partial = made.records / f"{uuid.uuid4().hex}.partial{part.output.suffix}"
    try:
        rows = batch.score_file(predictor, part.source, partial, made.reader)
        partial.replace(part.output)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _readable_header(part: Part, reader: Reader) -> frozenset[str]:
    """Return the columns of a part, none of one that cannot be read, which is told when it is scored."""
    try:
        return batch.columns(part.source, reader)
    except (DataError, OSError):
        return frozenset()

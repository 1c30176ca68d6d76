"""Where the parts of a batch lie, and what is made of them: a folder that every worker sees, or a bucket of S3."""

import json
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from lockstep import files
from lockstep.config.params import DataIngestion
from lockstep.errors import DataError

RECORDS = ".lockstep"
"""The folder in OUT that says what each part was made from; readers of tables pass over names with a dot."""
PATTERN = frozenset("*?[")
S3 = "s3://"


class Place(Protocol):
    """Files by names with slashes, below one folder or prefix."""

    def names(self, pattern: str) -> list[str]:
        """Return the files whose names fit, in order, step by step of the pattern."""

    def identity(self, name: str) -> Any:
        """Return what changes with the content of a file, None if there is none."""

    def fetched(self, name: str) -> Any:
        """Yield a file as a path of this machine."""

    def receiving(self, name: str) -> Any:
        """Yield a path of this machine to write to; it takes the name whole, if the block succeeds, or not at all."""

    def prepare(self) -> None:
        """Make ready to receive, and clear what killed runs left."""

    def check(self, name: str = "") -> None:
        """See that this machine reaches it, or a folder below it."""

    def __truediv__(self, name: str) -> str:
        """Return the whole name of a file, for people."""


@dataclass(frozen=True)
class Folder:
    """A folder that this machine, and every worker, sees at the same path."""

    path: Path

    def names(self, pattern: str) -> list[str]:
        """Return the files whose names fit the pattern."""
        return sorted(each.relative_to(self.path).as_posix() for each in self.path.glob(pattern) if each.is_file())

    def identity(self, name: str) -> str | None:
        """Return the sha256 of a file."""
        path = self.path / name
        return files.sha256(path) if path.exists() else None

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Yield the file itself."""
        yield self.path / name

    @contextmanager
    def receiving(self, name: str) -> Iterator[Path]:
        """Yield a path of a name that no other writer has, should two workers take the same part."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path / RECORDS / f"{uuid.uuid4().hex}.partial{target.suffix}"
        try:
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folder of the records, without partial files."""
        records = self.path / RECORDS
        records.mkdir(parents=True, exist_ok=True)
        for leftover in records.glob("*.partial.*"):
            leftover.unlink()

    def check(self, name: str = "") -> None:
        """Refuse a machine that does not see the folder."""
        path = self.path / name
        if not path.is_dir():
            raise DataError(
                f"{socket.gethostname()} does not see {path}", "IN and OUT must lie where every worker sees them"
            )

    def __truediv__(self, name: str) -> str:
        return str(self.path / name)


@dataclass(frozen=True)
class Bucket:
    """The objects of a bucket below a prefix, which is empty or ends with a slash."""

    bucket: str
    prefix: str
    params: DataIngestion

    def names(self, pattern: str) -> list[str]:
        """Return the objects whose names fit the pattern."""
        from lockstep.data.sources import s3

        keys = s3.below(self.bucket, self.prefix, self.params)
        return sorted(name for key in keys if fits(name := key.removeprefix(self.prefix), pattern))

    def identity(self, name: str) -> Any:
        """Return entity tag, size and version of an object."""
        from lockstep.data.sources import s3

        found = s3.find_if_there(self / name, self.params)
        return found.identity if found else None

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Yield a copy that goes afterwards."""
        from lockstep.data.sources import s3

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(name).name)
            s3.download(s3.find(self / name, self.params), self.params, path, hidden=True)
            yield path

    @contextmanager
    def receiving(self, name: str) -> Iterator[Path]:
        """Yield a path of this machine; an object appears whole."""
        from lockstep.data.sources import s3

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(name).name)
            yield path
            s3.upload(path, self / name, self.params)

    def prepare(self) -> None:
        """Do nothing: objects need no folder."""

    def check(self, name: str = "") -> None:
        """Do nothing: each call says what refuses it."""

    def __truediv__(self, name: str) -> str:
        return f"{S3}{self.bucket}/{self.prefix}{name}"


def place(given: str, params: DataIngestion) -> Place:
    """Return the folder or the prefix that an address names."""
    if not given.startswith(S3):
        return Folder(Path(given).expanduser().absolute())
    bucket, _, prefix = given.removeprefix(S3).rstrip("/").partition("/")
    if not bucket:
        raise DataError(f"{given} names no bucket", "write s3://BUCKET/PREFIX/")
    return Bucket(bucket, f"{prefix}/" if prefix else "", params)


@contextmanager
def written(to: str) -> Iterator[Path]:
    """Yield a file to write to, which takes its name, or goes to its bucket, only when it is whole.

    Raises
    ------
    DataError
        The address is none that can be written, or the store refuses.
    """
    if "://" not in to:
        with files.atomic(Path(to)) as partial:
            yield partial
        return
    if not to.startswith(S3):
        raise DataError(f"{to} cannot be written", "name a path, or s3://BUCKET/KEY")
    folder, _, name = to.rpartition("/")
    with place(folder, DataIngestion(source=to)).receiving(name) as path:
        yield path


def is_many(given: str) -> bool:
    """Tell whether a path means several files: a folder, a prefix, or a pattern that is no file's name."""
    if "://" in given:
        return given.startswith(S3) and (given.endswith("/") or bool(PATTERN & set(given)))
    return Path(given).is_dir() or (bool(PATTERN & set(given)) and not Path(given).exists())


def split(given: str) -> tuple[str, str]:
    """Return the folder or prefix of a path of several files, and the pattern of names below it."""
    if not PATTERN & set(given) or Path(given).is_dir():
        return given, "*"
    steps = given.split("/")
    fixed = next(number for number, step in enumerate(steps) if PATTERN & set(step))
    return "/".join(steps[:fixed]) or "/", "/".join(steps[fixed:])


def fits(name: str, pattern: str) -> bool:
    """Tell whether a name fits a pattern step by step, as the files of a folder do."""
    steps, wanted = name.split("/"), pattern.split("/")
    return len(steps) == len(wanted) and all(map(fnmatchcase, steps, wanted))


def record(at: Place, name: str) -> Any:
    """Return what was recorded of a part, an empty mapping if nothing was."""
    own = f"{RECORDS}/{name}.json"
    if at.identity(own) is None:
        return {}
    with at.fetched(own) as path:
        return files.read_json(path)


def keep(at: Place, name: str, content: Any) -> None:
    """Record what a part was made from."""
    with at.receiving(f"{RECORDS}/{name}.json") as path:
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")

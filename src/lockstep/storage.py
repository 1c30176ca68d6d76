"""Storage of batch partitions: a folder that every worker sees, or a bucket of S3."""

import json
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from lockstep import files
from lockstep.config.params import DataIngestion
from lockstep.data.sources import s3
from lockstep.errors import DataError

# The folder in OUT that says what each part was made from; readers of tables pass over names with a dot.
RECORDS = ".lockstep"
PATTERN = frozenset("*?[")
S3 = "s3://"


@dataclass(frozen=True)
class FolderLocation:
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
        """Yield a path to write to, which takes the name whole, if the block succeeds, or not at all.

        No other writer has it, should two workers take the same part.
        """
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
class BucketLocation:
    """The objects of a bucket below a prefix, which is empty or ends with a slash."""

    bucket: str
    prefix: str
    params: DataIngestion

    def names(self, pattern: str) -> list[str]:
        """Return the objects whose names fit the pattern."""
        keys = s3.below(self.bucket, self.prefix, self.params)
        return sorted(name for key in keys if matches(name := key.removeprefix(self.prefix), pattern))

    def identity(self, name: str) -> Any:
        """Return entity tag, size and version of an object."""
        version = s3.find_if_there(self / name, self.params)
        return version.identity if version else None

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """Yield a copy that goes afterwards."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(name).name)
            s3.download(s3.find(self / name, self.params), self.params, path, hidden=True)
            yield path

    @contextmanager
    def receiving(self, name: str) -> Iterator[Path]:
        """Yield a path of this machine; an object appears whole."""
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


Location = FolderLocation | BucketLocation  # Files by names with slashes, below one folder or prefix.


def location(path: str, params: DataIngestion) -> Location:
    """Return the folder or the prefix that an address names."""
    if not path.startswith(S3):
        return FolderLocation(Path(path).expanduser().absolute())
    bucket, _, prefix = path.removeprefix(S3).rstrip("/").partition("/")
    if not bucket:
        raise DataError(f"{path} names no bucket", "write s3://BUCKET/PREFIX/")
    return BucketLocation(bucket, f"{prefix}/" if prefix else "", params)


@contextmanager
def atomic_output(to: str) -> Iterator[Path]:
    """Yield a file to write to, which takes its name, or goes to its bucket, only when it is whole.

    Raises DataError: the address is none that can be written, or the store refuses.
    """
    if "://" not in to:
        with files.atomic(Path(to)) as partial:
            yield partial
        return
    if not to.startswith(S3):
        raise DataError(f"{to} cannot be written", "name a path, or s3://BUCKET/KEY")
    folder, _, name = to.rpartition("/")
    with location(folder, DataIngestion(source=to)).receiving(name) as path:
        yield path


def is_partitioned(path: str) -> bool:
    """Tell whether a path means several files: a folder, a prefix, or a pattern that is no file's name."""
    if "://" in path:
        return path.startswith(S3) and (path.endswith("/") or bool(PATTERN & set(path)))
    return Path(path).is_dir() or (bool(PATTERN & set(path)) and not Path(path).exists())


def split(path: str) -> tuple[str, str]:
    """Return the folder or prefix of a path of several files, and the pattern of names below it."""
    if not PATTERN & set(path) or Path(path).is_dir():
        return path, "*"
    steps = path.split("/")
    fixed = next(number for number, step in enumerate(steps) if PATTERN & set(step))
    return "/".join(steps[:fixed]) or "/", "/".join(steps[fixed:])


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name fits a pattern step by step, as the files of a folder do."""
    steps, wanted = name.split("/"), pattern.split("/")
    return len(steps) == len(wanted) and all(map(fnmatchcase, steps, wanted))


def read_record(location: Location, name: str) -> Any:
    """Return the record of a partition, an empty mapping if there is none."""
    name_of_record = f"{RECORDS}/{name}.json"
    if location.identity(name_of_record) is None:
        return {}
    with location.fetched(name_of_record) as path:
        return files.read_json(path)


def write_record(location: Location, name: str, content: Any) -> None:
    """Write the record of a partition: what it was made from."""
    with location.receiving(f"{RECORDS}/{name}.json") as path:
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")

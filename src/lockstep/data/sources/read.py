"""Where rows come from: one function a kind of place, found by the scheme of the source in `SOURCES`."""

import glob
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from lockstep import files, paths
from lockstep.config.params import CellFormat, DataIngestion
from lockstep.data.record import OddCells
from lockstep.data.sources import http, s3, sql
from lockstep.data.sources.content import MIB, Content
from lockstep.data.sources.csv_reader import check_names
from lockstep.data.sources.formats import READERS
from lockstep.errors import DataError, nearest

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class Rows:
    """A table as it was read, the sha256 of what it was read from, what else tells where that came from, and how.

    `columns` holds the format by which the cells of each column were read, `odd` the cells that became missing.
    """

    frame: pd.DataFrame
    digest: str
    origin: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, CellFormat] = field(default_factory=dict)
    odd: dict[str, OddCells] = field(default_factory=dict)


def read(params: DataIngestion, password: str = "") -> Rows:
    """Read the source that the parameters describe, or one after the other if it is a list or a pattern.

    Raises DataError: the source does not exist, cannot be read as said, or holds no rows.
    """
    named = [each for source in params.sources for each in expand(source)]
    parts = [SOURCES[scheme(source)](source, params, password) for source in named]
    rows = parts[0] if len(parts) == 1 else _together(named, parts)
    _check_table(rows.frame, params.named)
    if params.sha256 and rows.digest != params.sha256:
        raise DataError(
            f"{params.named} has the sha256 {rows.digest}, not the one in params.yaml",
            "it changed or is damaged: look at it, then mend data_ingestion.sha256",
        )
    return rows


def scheme(source: str) -> str:
    """Return the scheme of a source that is known, else an empty text for a path.

    Raises DataError: it has the form of an address, but of no kind that is read.
    """
    before, colon, _ = source.partition(":")
    if colon and before in SOURCES:
        return before
    if "://" in source:
        raise DataError(
            f"{before}:// is not read", f"accepted: a path, {', '.join(f'{name}:' for name in SOURCES if name)}"
        )
    return ""


def expand(source: str) -> list[str]:
    """Return the files that a pattern names, by name; anything else as it is."""
    if scheme(source) or not PATTERN & set(source) or Path(source).exists():
        return [source]
    names = sorted(name for name in glob.glob(str(Path(source).expanduser())) if Path(name).is_file())  # noqa: PTH207
    if not names:
        raise DataError(f"no file fits {source!r}", "check the pattern in data_ingestion.source")
    return names


def read_sklearn(source: str, params: DataIngestion, password: str) -> Rows:
    """Read a data set that scikit-learn carries; its target column is `target`, with names for classes."""
    name = source.partition(":")[2]
    if name not in BUNDLED:
        raise DataError(
            f"sklearn:{name} is not a bundled data set{nearest(name, BUNDLED)}", f"bundled are {', '.join(BUNDLED)}"
        )
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    frame = bunch.frame.copy()
    if name != "diabetes":
        labels = [str(label) for label in bunch.target_names]
        frame["target"] = [labels[code] for code in bunch.target]
    content = frame.to_csv(index=False, lineterminator="\n").encode()
    return Rows(frame, hashlib.sha256(content).hexdigest())


def read_file(source: str, params: DataIngestion, password: str) -> Rows:
    """Read a file that lies here, in the web or in a bucket."""
    with fetched(source, params) as (content, origin):
        kind = content.format() if params.format == "auto" else params.format
        table = READERS[kind](content, params.reader)
        return Rows(table.frame, files.sha256(content.path), origin, table.columns, table.odd)


def read_database(source: str, params: DataIngestion, password: str) -> Rows:
    """Read what a query returns."""
    return Rows(*sql.read(source, params, password), {"query": params.query})


@contextmanager
def fetched(source: str, params: DataIngestion) -> Iterator[tuple[Content, dict[str, Any]]]:
    """Yield the file that a source names, and what identifies it there; a fetched file goes afterwards."""
    kind = scheme(source)
    if not kind:
        yield _content(_checked(source), source, params), {}
        return
    name = PurePosixPath(urlsplit(source).path).name
    folder = paths.STATE / "downloads" / files.sha256_bytes(source.encode())[:16]
    if kind == "s3":
        item = s3.find(source, params)
        to = folder / PurePosixPath(item.key).name
        s3.download(item, params, to)
        origin = item.identity
    else:
        to = folder / (name or "download")
        origin = http.download(http.Page(source, params), to)
    try:
        yield _content(to, source, params), origin
    finally:
        to.unlink()


def _content(path: Path, source: str, params: DataIngestion) -> Content:
    if path.stat().st_size == 0:
        raise DataError(f"source {source!r} is empty (0 bytes)", "check how the file came here")
    return Content(path, source, params.max_mb * MIB)


def _checked(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        if (paths.home(Path.cwd()) / path).exists():
            raise DataError(
                f"source {source!r} is neither in git nor in DVC, so the copy for this experiment lacks it",
                f"`dvc add {source}` and commit, or `dvc exp run --copy-paths {source}`",
            )
        raise DataError(
            f"source {source!r} not found", f"{_neighbour(path)}set data_ingestion.source to an existing file"
        )
    if path.is_dir():
        raise DataError(
            f"source {source!r} is a folder", "name one CSV or Parquet file, or a pattern like folder/*.csv"
        )
    return path


SOURCES: dict[str, Callable[[str, DataIngestion, str], Rows]] = {
    "": read_file,
    "https": read_file,
    "http": read_file,
    "s3": read_file,
    "postgresql": read_database,
    "postgres": read_database,
    "sqlite": read_database,
    "sklearn": read_sklearn,
}


def _together(named: list[str], parts: list[Rows]) -> Rows:
    """Put tables of the same columns one below the other."""
    first = parts[0].frame.columns
    for name, part in zip(named, parts, strict=True):
        if set(part.frame.columns) != set(first):
            odd = sorted(set(part.frame.columns) ^ set(first))
            raise DataError(
                f"{name} and {named[0]} do not have the same columns: {odd[0]!r} is in one of them alone",
                "files of one source need the same header",
            )
    frame = pd.concat([part.frame[first] for part in parts], ignore_index=True)
    digest = files.sha256_bytes("\n".join(part.digest for part in parts).encode())
    digests = {name: part.digest for name, part in zip(named, parts, strict=True)}
    return Rows(frame, digest, {"files": digests}, parts[0].columns, _odd_of_all(parts))


def _odd_of_all(parts: list[Rows]) -> dict[str, OddCells]:
    """Return the odd cells of several files: how many in all, and examples of the first that has some."""
    names = dict.fromkeys(name for part in parts for name in part.odd)
    columns = {name: [part.odd[name] for part in parts if name in part.odd] for name in names}
    return {
        name: OddCells(sum(odd.count for odd in per_file), per_file[0].examples) for name, per_file in columns.items()
    }


def _check_table(frame: pd.DataFrame, source: str) -> None:
    names = [str(name) for name in frame.columns]
    check_names(names, source)
    if frame.empty:
        raise DataError(f"{source} holds a header and no rows", "check the file and data_ingestion.reader")
    if len(names) == 1:
        raise DataError(
            f"{source} has one column, {names[0][:80]!r}", "set data_ingestion.reader.separator to the one of the file"
        )


def _neighbour(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}; "
    return nearest(path.name, [entry.name for entry in folder.iterdir()]).removeprefix("; ").replace("?", "? Or ")

"""Where rows come from: one function a kind of source, found by name in `SOURCES`."""

import gzip
import hashlib
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lockstep import files, paths
from lockstep.config import DataIngestion, Reader
from lockstep.errors import DataError, nearest

HEADER_HINT = "mend the header, or give every column its name under data_ingestion.reader.names"
BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")


@dataclass(frozen=True)
class Rows:
    """A table as it was read, and the sha256 of what it was read from."""

    frame: pd.DataFrame
    digest: str


def read(params: DataIngestion) -> Rows:
    """Read the source that the parameters describe.

    Raises
    ------
    DataError
        The source does not exist, cannot be read as said, or holds no rows.
    """
    scheme, colon, rest = params.source.partition(":")
    rows = SOURCES[scheme](rest, params) if colon and scheme in SOURCES else read_path(params.source, params)
    _check_table(rows.frame, params.source)
    return rows


def unwatched(source: str) -> bool:
    """Tell whether a source is a file that `dvc repro` does not look at."""
    scheme, colon, _ = source.partition(":")
    inside = Path(source).expanduser().absolute().is_relative_to(paths.EXTERNAL.absolute())
    return not (colon and scheme in SOURCES) and not inside


def read_sklearn(name: str, params: DataIngestion) -> Rows:
    """Read a data set that scikit-learn carries; its target column is `target`, with names for classes."""
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


def read_path(source: str, params: DataIngestion) -> Rows:
    """Read a CSV or Parquet file, plain or gzip."""
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(
            f"source {source!r} not found", f"{_neighbour(path)}set data_ingestion.source to an existing file"
        )
    if path.is_dir():
        raise DataError(f"source {source!r} is a folder", "name one CSV or Parquet file")
    if path.stat().st_size == 0:
        raise DataError(f"source {source!r} is empty (0 bytes)", "check how the file came here")
    kind = _format(path) if params.format == "auto" else params.format
    return Rows(FORMATS[kind](path, params.reader).rename(columns=str), files.sha256(path))


def read_csv(path: Path, reader: Reader) -> pd.DataFrame:
    """Read a CSV file; only the markers named in the reader count as missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.filterwarnings("ignore", "Falling back to the 'python' engine")
            if reader.header and not reader.names:
                _check_header(path, reader)
            return pd.read_csv(
                path,
                sep=reader.separator,
                header=0 if reader.header else None,
                names=list(reader.names) or None,
                index_col=False,
                encoding=reader.encoding,
                keep_default_na=False,
                na_values=list(reader.missing),
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not {reader.encoding}",
            "set data_ingestion.reader.encoding, for instance to latin-1 or utf-16",
        ) from None
    except LookupError:
        raise DataError(f"unknown encoding {reader.encoding!r}", "use a name such as utf-8 or latin-1") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(
            f"{path} is not a table with separator {reader.separator!r}: {error}",
            "check data_ingestion.reader: separator, header, names, encoding",
        ) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file: {error}", "it is cut off or damaged: fetch it again") from None
    except pd.errors.ParserWarning:  # pandas would drop the surplus
        raise DataError(f"{path}: rows hold more values than there are column names", HEADER_HINT) from None


def read_parquet(path: Path, reader: Reader) -> pd.DataFrame:
    """Read a Parquet file."""
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} is not a readable Parquet file: {error}",
            "fetch it again, or set data_ingestion.format if it is a CSV",
        ) from None


SOURCES: dict[str, Callable[[str, DataIngestion], Rows]] = {"sklearn": read_sklearn}
FORMATS: dict[str, Callable[[Path, Reader], pd.DataFrame]] = {"csv": read_csv, "parquet": read_parquet}
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".data": "csv", ".parquet": "parquet", ".pq": "parquet"}


def _format(path: Path) -> str:
    with path.open("rb") as stream:
        if stream.read(4) == b"PAR1":
            return "parquet"
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{path}: {suffix or 'no ending'} tells no format", "set data_ingestion.format to csv or parquet"
        )
    return SUFFIXES[suffix.lower()]


def _check_header(path: Path, reader: Reader) -> None:
    """Refuse column names that pandas would silently make up, but for row numbers in the first column."""
    header = pd.read_csv(
        path, sep=reader.separator, header=None, nrows=1, dtype=str, encoding=reader.encoding, keep_default_na=False
    )
    names = header.iloc[0].tolist()
    if "" in names[1:]:
        raise DataError(f"{path}: column {names.index('', 1) + 1} has no name", HEADER_HINT)
    _check_names(names, str(path))


def _check_names(names: list[str], source: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{source}: the column name {twice[0]!r} stands twice", HEADER_HINT)


def _check_table(frame: pd.DataFrame, source: str) -> None:
    names = [str(name) for name in frame.columns]
    _check_names(names, source)
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

"""From the bytes of a file to a table: one function a format, found by name in `FORMATS`."""

import csv
import datetime as dt
import decimal
import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from lockstep.config.params import Reader
from lockstep.data.sources.content import Content, Counted
from lockstep.errors import DataError, nearest

HEADER_HINT = "mend the header, or give every column its name under data_ingestion.reader.names"
READER_HINT = "check data_ingestion.reader: separator, header, names, encoding, quote"
BUFFER = 1 << 20
ODD_NUMBER = re.compile(r"[+-]?\d{1,3}(?:[., ']?\d{3})*(?:[.,]\d+)?")


def read_csv(content: Content, reader: Reader) -> pd.DataFrame:
    """Read a CSV file; only the markers named in the reader count as missing."""
    if reader.header and not reader.names:
        _check_header(content, reader)
    with content.opened(_one_byte(reader)) as counted:
        frame = _parse(counted, reader)
    frame = frame.rename(columns=str)
    _check_widths(content, reader, frame)
    return settled(frame, reader, content.name)


def settled(frame: pd.DataFrame, reader: Reader, name: str) -> pd.DataFrame:
    """Return what pandas read with its blanks cut off and its dates in ISO 8601, as the reader says."""
    return _dated(_trimmed(frame, reader) if reader.trim else frame, reader, name)


def _parse(counted: Counted, reader: Reader, **more: Any) -> pd.DataFrame:
    """Run pandas over a stream, its faults turned into ours."""
    name, given = counted.name, _options(reader) | more
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.filterwarnings("ignore", "Falling back to the 'python' engine")
            return pd.read_csv(io.BufferedReader(counted, BUFFER), **given)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: byte 0x{error.object[error.start]:02x} near line {counted.lines} is not {reader.encoding}",
            "set data_ingestion.reader.encoding, for instance to latin-1 or utf-16",
        ) from None
    except LookupError:
        raise DataError(f"unknown encoding {reader.encoding!r}", "use a name such as utf-8 or latin-1") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{name} is not a table with separator {reader.separator!r}: {error}", READER_HINT) from None
    except pd.errors.ParserWarning:  # pandas would drop the surplus
        raise DataError(f"{name}: rows hold more values than there are column names", HEADER_HINT) from None


def _options(reader: Reader) -> dict[str, Any]:
    return spelling(reader) | {
        "header": 0 if reader.header else None,
        "names": list(reader.names) or None,
        "index_col": False,
        "dtype": dict.fromkeys(reader.dates, str) or None,
        "low_memory": False,
    }


def spelling(reader: Reader) -> dict[str, Any]:
    """Return how values are spelled, in the words of pandas."""
    return {
        "sep": reader.separator,
        "encoding": reader.encoding,
        "keep_default_na": False,
        "na_values": list(reader.missing),
        "quotechar": reader.quote or '"',
        "quoting": csv.QUOTE_MINIMAL if reader.quote else csv.QUOTE_NONE,
        "decimal": reader.decimal,
        "thousands": reader.thousands or None,
        "skipinitialspace": reader.trim,
    }


def _one_byte(reader: Reader) -> bool:
    """Tell whether a NUL byte can be no part of a character."""
    return "16" not in reader.encoding and "32" not in reader.encoding


def _check_header(content: Content, reader: Reader) -> None:
    """Refuse column names that pandas would silently make up, but for row numbers in the first column."""
    with content.opened(_one_byte(reader)) as counted:
        header = _parse(counted, reader, header=None, nrows=1, dtype=str, na_values=None)
    names = header.iloc[0].tolist()
    if "" in names[1:]:
        raise DataError(f"{content.name}: column {names.index('', 1) + 1} has no name", HEADER_HINT)
    check_names(names, content.name)


def check_names(names: list[str], source: str) -> None:
    """Refuse a column name that stands twice."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{source}: the column name {twice[0]!r} stands twice", HEADER_HINT)


def _check_widths(content: Content, reader: Reader, frame: pd.DataFrame) -> None:
    """Refuse a row with too few values, whose end pandas would fill up; only then is the last value missing."""
    width = len(frame.columns)
    if width == 1 or not frame.iloc[:, -1].isna().any():
        return
    for line, row in _rows(content, reader):
        if 0 < len(row) < width:
            other = next((mark for mark in ";\t|," if mark != reader.separator and mark in "".join(row)), "")
            why = f", perhaps because {other!r} separates its values" if other else ""
            raise DataError(
                f"{content.name}: line {line} holds {len(row)} values, not {width}{why}",
                "mend the line: each row needs as many values as there are columns, be they empty",
            )


def _rows(content: Content, reader: Reader) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that ends a row, and the values of the row."""
    csv.field_size_limit(sys.maxsize)
    with content.opened() as counted:
        lines = io.TextIOWrapper(io.BufferedReader(counted, BUFFER), reader.encoding, newline="")
        if len(reader.separator) > 1:
            for number, line in enumerate(lines, 1):
                yield number, re.split(reader.separator, line.strip()) if line.strip() else []
            return
        rows = csv.reader(
            lines,
            delimiter=reader.separator,
            quotechar=reader.quote or '"',
            quoting=csv.QUOTE_MINIMAL if reader.quote else csv.QUOTE_NONE,
        )
        for row in rows:
            yield rows.line_num, row


def _trimmed(frame: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """Strip blanks around the names and the values of text columns, then look for missing markers again."""
    frame = frame.rename(columns=str.strip)
    for name in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        values = frame[name].str.strip()
        frame[name] = values.where(~values.isin(list(reader.missing)))
    return frame


def _dated(frame: pd.DataFrame, reader: Reader, name: str) -> pd.DataFrame:
    """Write the columns named under reader.dates as ISO 8601, from the format given there (of strptime)."""
    for column, spelled in reader.dates.items():
        if column not in frame.columns:
            raise DataError(
                f"{name}: reader.dates names {column!r}, which is no column{nearest(column, frame.columns)}",
                "mend data_ingestion.reader.dates",
            )
        frame[column] = [iso_date(value, spelled, column, name) for value in frame[column].tolist()]
    return frame


def iso_date(value: Any, spelled: str, column: str, name: str) -> str | None:
    """Return a date in ISO 8601, with its time if the format has one; None where missing."""
    if value is None or value != value:
        return None
    try:
        moment = dt.datetime.strptime(str(value).strip(), spelled)
    except ValueError:
        raise DataError(
            f"{name}: column {column!r} holds {str(value)[:40]!r}, which is no date spelled {spelled}",
            "mend the value, add it to data_ingestion.reader.missing, or mend data_ingestion.reader.dates",
        ) from None
    return moment.isoformat() if re.search("%[HIMSTXczfp]", spelled) else moment.date().isoformat()


def doubts(frame: pd.DataFrame) -> Iterator[str]:
    """Say which columns of text hold numbers in a spelling that the reader was not told of."""
    for column in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        values = frame[column].head(10_000).dropna().unique()[:200]
        if len(values) > 1 and all(isinstance(value, str) and ODD_NUMBER.fullmatch(value.strip()) for value in values):
            yield (
                f"column {column!r} is text, but holds numbers such as {values[0]!r}: "
                "set data_ingestion.reader.decimal or thousands"
            )


def read_jsonl(content: Content, reader: Reader) -> pd.DataFrame:
    """Read JSON lines: an object of column names and plain values on each line."""
    rows = []
    with content.opened(text=True) as counted:
        lines = io.TextIOWrapper(io.BufferedReader(counted, BUFFER), "utf-8-sig")
        try:
            rows = [_object(line, number, content.name) for number, line in enumerate(lines, 1) if line.strip()]
        except UnicodeDecodeError:
            raise DataError(
                f"{content.name} near line {counted.lines} is not utf-8", "JSON is UTF-8: convert the file"
            ) from None
    frame = pd.DataFrame.from_records(rows).rename(columns=str)
    missing = set(reader.missing)
    for column in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        frame[column] = frame[column].where(~frame[column].isin(missing))
    return _dated(_same_types(frame, content.name), reader, content.name)


def _object(line: str, number: int, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{name}: line {number} is not JSON: {error}", "write one object on each line") from None
    if not isinstance(row, dict):
        raise DataError(f"{name}: line {number} is no object of columns and values", "write one object on each line")
    nested = next((column for column, value in row.items() if isinstance(value, dict | list)), None)
    if nested is not None:
        raise DataError(
            f"{name}: line {number}, column {nested!r} holds a list or an object", "give each value a column of its own"
        )
    return row


def _same_types(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Refuse a column in which texts stand beside numbers."""
    for column in of_objects(frame):
        kinds = {type(value) for value in frame[column] if value is not None and value == value}
        if str in kinds and len(kinds) > 1:
            raise DataError(
                f"{name}: column {column!r} mixes texts and numbers", "write all of its values as one type of JSON"
            )
    return frame


def read_parquet(content: Content, reader: Reader) -> pd.DataFrame:
    """Read a Parquet file of plain columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source: Any = content.path
        if content.packed:
            with content.opened() as counted:
                source = io.BytesIO(counted.read())
        for field in pq.read_schema(source):
            if pa.types.is_nested(field.type):
                raise DataError(
                    f"{content.name}: column {field.name!r} holds nested values ({field.type})",
                    "give each value a column of its own before you write the file",
                )
        return plain(pd.read_parquet(source).rename(columns=str))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{content.name} is not a readable Parquet file: {error}",
            "fetch it again, or set data_ingestion.format if it is a CSV",
        ) from None


def of_objects(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold any Python objects."""
    return [str(name) for name, kind in frame.dtypes.items() if kind == np.dtype(object)]


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn decimals into floats, and dates and times into ISO 8601 text, in columns of Python objects."""
    for column in of_objects(frame):
        present = frame[column].dropna()
        first = present.iloc[0] if len(present) else None
        if isinstance(first, decimal.Decimal):
            frame[column] = frame[column].astype("float64")
        elif isinstance(first, dt.date | dt.time):
            frame[column] = [None if pd.isna(value) else value.isoformat() for value in frame[column]]
    return frame


FORMATS: dict[str, Callable[[Content, Reader], pd.DataFrame]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}

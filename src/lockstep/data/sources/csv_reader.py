"""Read CSV files, whole or in pieces, as `data_ingestion.reader` says."""

import csv
import io
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from lockstep.config.params import Reader
from lockstep.data import cells
from lockstep.data.sources.column_values import Table, converted
from lockstep.data.sources.content import Content, Counted
from lockstep.errors import DataError, nearest

HEADER_HINT = "mend the header, or give every column its name under data_ingestion.reader.names"
READER_HINT = "check data_ingestion.reader: separator, header, names, encoding, quote, skip"
LINE_HINT = "mend the line: each row needs as many values as there are columns, and one with a separator in it quotes"
# What pandas says of a line with too many values.
TOO_MANY = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
BUFFER = 1 << 20


def read_csv(content: Content, reader: Reader) -> Table:
    """Read a CSV file; only the markers named in the reader count as missing."""
    header = column_names(content, reader)
    if reader.header and not reader.names:
        _check_header(header, content.name)
    with content.opened(_one_byte(reader)) as counted:
        frame = _parse(counted, reader, dtype=_as_text(header, reader))
    frame = frame.rename(columns=str)
    _check_widths(content, reader, frame)
    return settled(frame, reader, content.name)


def pieces(content: Content, reader: Reader, rows: int) -> Iterator[Table]:
    """Yield a CSV file as tables of at most so many rows, at least one, in bounded memory.

    Columns that the reader describes and the file lacks are passed over: a file to score has no target.
    """
    texts = _as_text(column_names(content, reader), reader)
    dates = {name: spelled for name, spelled in reader.dates.items() if name in {key.strip() for key in texts}}
    reader = reader.model_copy(update={"dates": dates})
    with (
        content.opened(_one_byte(reader)) as counted,
        _parse(counted, reader, dtype=texts, chunksize=rows) as tables,
        _faults(counted, reader),
    ):
        for frame in tables:
            yield settled(frame.rename(columns=str), reader, content.name, strict=False)


def settled(frame: pd.DataFrame, reader: Reader, name: str, strict: bool = True) -> Table:
    """Return what pandas read with its blanks cut off and its columns in the values that the reader describes."""
    frame = dated(_trimmed(frame, reader) if reader.trim else frame, reader, name)
    return converted(frame, reader, name, strict)


def column_names(content: Content, reader: Reader) -> list[str]:
    """Return the names of the columns as they stand in the file, or in the reader."""
    if reader.names:
        return list(reader.names)
    with content.opened(_one_byte(reader)) as counted:
        first = _parse(counted, reader, header=None, nrows=1, dtype=str, na_values=None)
    return [str(name) for name in (first.iloc[0] if reader.header else range(len(first.columns)))]


def _as_text(header: list[str], reader: Reader) -> dict[str, type]:
    """Return the columns that pandas must leave as text, since a format or a date says how their cells are read."""
    described = reader.columns.keys() | reader.dates.keys()
    names = {name: name.strip() if reader.trim else name for name in header}
    return dict.fromkeys((name for name, plain in names.items() if plain in described), str)


def _parse(counted: Counted, reader: Reader, **more: Any) -> Any:
    """Run pandas over a stream, its faults turned into ours."""
    options = spelling(reader) | {
        "header": 0 if reader.header else None,
        "names": list(reader.names) or None,
        "index_col": False,
        "low_memory": False,
        "skiprows": reader.skip,
    }
    with _faults(counted, reader), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.filterwarnings("ignore", "Falling back to the 'python' engine")
        return pd.read_csv(_stream(counted, reader), **options | more)


@contextmanager
def _faults(counted: Counted, reader: Reader) -> Iterator[None]:
    name = counted.name
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: byte 0x{error.object[error.start]:02x} near line {counted.lines} is not {reader.encoding}",
            "set data_ingestion.reader.encoding, for instance to latin-1 or utf-16",
        ) from None
    except LookupError:
        raise DataError(f"unknown encoding {reader.encoding!r}", "use a name such as utf-8 or latin-1") from None
    except pd.errors.ParserWarning:  # pandas would drop the surplus
        raise DataError(f"{name}: rows hold more values than there are column names", HEADER_HINT) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        if match := TOO_MANY.search(str(error)):
            raise DataError(f"{name}: line {match[2]} holds {match[3]} values, not {match[1]}", LINE_HINT) from None
        raise DataError(f"{name} is not a table with separator {reader.separator!r}: {error}", READER_HINT) from None


def _stream(counted: Counted, reader: Reader) -> Any:
    """Return the bytes of a file, or its text without comments and without the lines at its end that are no rows."""
    raw = io.BufferedReader(counted, BUFFER)
    if not reader.comment and not reader.footer:
        return raw
    return io.StringIO("".join(table_lines(io.TextIOWrapper(raw, _encoding(reader), newline=""), reader)))


def _encoding(reader: Reader) -> str:
    """Return the encoding by which a byte order mark is no part of the first line."""
    return "utf-8-sig" if reader.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else reader.encoding


def table_lines(lines: Any, reader: Reader) -> list[str]:
    """Return the lines of a text that are no comments, but for the last filled ones that are a footer."""
    left = [line for line in lines if not (reader.comment and line.startswith(reader.comment))]
    filled = [index for index, line in enumerate(left) if line.strip()]
    return left[: filled[-reader.footer]] if 0 < reader.footer <= len(filled) else left


def spelling(reader: Reader) -> dict[str, Any]:
    """Return how values are spelled, in the words of pandas."""
    return {
        "sep": reader.separator,
        "encoding": reader.encoding,
        "keep_default_na": False,
        "na_values": list(reader.missing),
        "decimal": reader.decimal,
        "thousands": reader.thousands or None,
        "skipinitialspace": reader.trim,
        **reader.marks,
    }


def _one_byte(reader: Reader) -> bool:
    """Tell whether a NUL byte can be no part of a character."""
    return "16" not in reader.encoding and "32" not in reader.encoding


def _check_header(names: list[str], source: str) -> None:
    """Refuse column names that pandas would silently make up, but for row numbers in the first column."""
    if "" in names[1:]:
        raise DataError(f"{source}: column {names.index('', 1) + 1} has no name", HEADER_HINT)
    check_names(names, source)


def check_names(names: list[str], source: str) -> None:
    """Refuse a column name that stands twice."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{source}: the column name {twice[0]!r} stands twice", HEADER_HINT)


def _check_widths(content: Content, reader: Reader, frame: pd.DataFrame) -> None:
    """Refuse a row with too few values, whose end pandas would fill up; only then is the last value missing."""
    width = len(frame.columns)
    if width == 1 or not frame.iloc[:, -1].isna().any():
        return
    rows = _rows(content, reader)
    if reader.header and reader.names:
        next(rows, None)  # the names count, not those of the file
    for line, row in rows:
        if 0 < len(row) < width:
            other = next((mark for mark in ";\t|," if mark != reader.separator and mark in "".join(row)), "")
            why = f", perhaps because {other!r} separates its values" if other else ""
            raise DataError(f"{content.name}: line {line} holds {len(row)} values, not {width}{why}", LINE_HINT)


def _rows(content: Content, reader: Reader) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that ends a row, and the values of the row."""
    csv.field_size_limit(sys.maxsize)
    with content.opened() as counted:
        lines: Any = io.TextIOWrapper(io.BufferedReader(counted, BUFFER), _encoding(reader), newline="")
        if reader.comment or reader.footer:
            lines = iter(table_lines(lines, reader))
        for _ in range(reader.skip):
            next(lines, None)
        if len(reader.separator) > 1:
            for number, line in enumerate(lines, reader.skip + 1):
                yield number, re.split(reader.separator, line.strip()) if line.strip() else []
            return
        rows = csv.reader(lines, delimiter=reader.separator, **reader.marks)
        for row in rows:
            yield rows.line_num + reader.skip, row


def _trimmed(frame: pd.DataFrame, reader: Reader) -> pd.DataFrame:
    """Strip blanks around the names and the values of text columns, then look for missing markers again."""
    frame = frame.rename(columns=str.strip)
    for name in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        values = frame[name].str.strip()
        frame[name] = values.where(~values.isin(list(reader.missing)))
    return frame


def dated(frame: pd.DataFrame, reader: Reader, name: str) -> pd.DataFrame:
    """Write the columns named under reader.dates as ISO 8601, from the format stated there (of strptime)."""
    for column, spelled in reader.dates.items():
        if column not in frame.columns:
            raise DataError(
                f"{name}: reader.dates names {column!r}, which is no column{nearest(column, frame.columns)}",
                "mend data_ingestion.reader.dates",
            )
        frame[column] = [_iso_date(value, spelled, column, name) for value in frame[column].tolist()]
    return frame


def _iso_date(value: Any, spelled: str, column: str, name: str) -> str | None:
    """Return a date in ISO 8601, with its time if the format has one; None where missing."""
    if value is None or value != value:
        return None
    moment = cells.date(str(value).strip(), spelled)
    if moment is None:
        raise DataError(
            f"{name}: column {column!r} holds {str(value)[:40]!r}, which is no date spelled {spelled}",
            "mend the value, add it to data_ingestion.reader.missing, or mend data_ingestion.reader.dates",
        )
    return moment

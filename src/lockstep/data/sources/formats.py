"""From the bytes of a file to a table: one function a format, found by name in `FORMATS`."""

import datetime as dt
import decimal
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from lockstep.config.params import Reader
from lockstep.data.sources import nested, sheets
from lockstep.data.sources.column_values import Table, converted
from lockstep.data.sources.content import Content
from lockstep.data.sources.csv_reader import BUFFER, dated, read_csv
from lockstep.errors import DataError, MixedTypesError

ODD_NUMBER = re.compile(r"[+-]?\d{1,3}(?:[., ']?\d{3})*(?:[.,]\d+)?")


def read_sheet(content: Content, reader: Reader) -> Table:
    """Read one sheet of a spreadsheet."""
    with sheets.as_csv(content, reader.sheet) as text:
        return read_csv(text, reader)


@contextmanager
def as_text(content: Content, kind: str, reader: Reader) -> Iterator[Content]:
    """Yield the text of a table in CSV: of a spreadsheet that of a sheet."""
    if kind != "sheet":
        yield content
        return
    with sheets.as_csv(content, reader.sheet) as text:
        yield text


def doubts(frame: pd.DataFrame) -> Iterator[str]:
    """Say which columns of text hold numbers in a spelling that the reader was not told of."""
    for column in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        values = frame[column].head(10_000).dropna().unique()[:200]
        if len(values) > 1 and all(isinstance(value, str) and ODD_NUMBER.fullmatch(value.strip()) for value in values):
            yield (
                f"column {column!r} is text, but holds numbers such as {values[0]!r}: "
                "set data_ingestion.reader.decimal or thousands"
            )


def read_jsonl(content: Content, reader: Reader) -> Table:
    """Read JSON lines: an object of column names and values on each line."""
    with content.opened(text=True) as counted:
        lines = io.TextIOWrapper(io.BufferedReader(counted, BUFFER), "utf-8-sig")
        try:
            rows = [_object(line, number, content.name) for number, line in enumerate(lines, 1) if line.strip()]
        except UnicodeDecodeError:
            raise DataError(
                f"{content.name} near line {counted.lines} is not utf-8", "JSON is UTF-8: convert the file"
            ) from None
    return _of_objects(rows, reader, content.name)


def read_json(content: Content, reader: Reader) -> Table:
    """Read a JSON file: a list of objects, an object of which one value is such a list, or a table of pandas."""
    with content.opened(text=True) as counted:
        try:
            page = json.loads(io.BufferedReader(counted, BUFFER).read().decode("utf-8-sig"))
        except ValueError as error:
            raise DataError(
                f"{content.name} is not JSON in UTF-8: {error}",
                "of one object on each line, set data_ingestion.format: jsonl",
            ) from None
    rows = _records(page)
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(
            f"{content.name} holds no list of objects", "write one object of columns and values for each row"
        )
    return _of_objects([nested.flat(row) for row in rows], reader, content.name)


def _records(page: Any) -> list[Any]:
    """Return the rows of a JSON page: a list, the only list in an object, or one of the layouts that pandas writes."""
    if not isinstance(page, dict):
        return page if isinstance(page, list) else []
    values = list(page.values())
    if isinstance(page.get("columns"), list) and isinstance(page.get("data"), list):
        return [dict(zip(page["columns"], row, strict=False)) for row in page["data"]]
    if values and all(isinstance(value, dict) for value in values):
        by_column = all(key.isdigit() for key in values[0]) and not all(key.isdigit() for key in page)
        return [{name: page[name].get(key) for name in page} for key in values[0]] if by_column else values
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) == len(page) > 1 and len({len(value) for value in lists}) == 1:
        return [dict(zip(page, row, strict=True)) for row in zip(*lists, strict=True)]
    return lists[0] if len(lists) == 1 else []


def _of_objects(rows: list[dict[str, Any]], reader: Reader, name: str) -> Table:
    frame = pd.DataFrame.from_records(rows).rename(columns=str)
    missing = set(reader.missing)
    for column in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        frame[column] = frame[column].where(~frame[column].isin(missing))
    return converted(_same_types(dated(frame, reader, name), name, reader), reader, name)


def _object(line: str, number: int, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{name}: line {number} is not JSON: {error}", "write one object on each line") from None
    if not isinstance(row, dict):
        raise DataError(f"{name}: line {number} is no object of columns and values", "write one object on each line")
    return nested.flat(row)


def _same_types(frame: pd.DataFrame, name: str, reader: Reader) -> pd.DataFrame:
    """Refuse columns in which texts stand beside numbers, unless the reader describes them."""
    mixed = []
    for column in (column for column in of_objects(frame) if column not in reader.columns):
        kinds = {type(value) for value in frame[column] if value is not None and value == value}
        if str in kinds and len(kinds) > 1:
            mixed.append(column)
    if mixed:
        error = MixedTypesError(
            f"{name}: column {mixed[0]!r} mixes texts and numbers",
            f"describe it under data_ingestion.reader.columns, as {{{mixed[0]}: {{kind: number, odd: missing}}}}, as "
            "`lockstep init` does; or write all of its values as one type",
        )
        error.columns = tuple(mixed)
        raise error
    return frame


def read_parquet(content: Content, reader: Reader) -> Table:
    """Read a Parquet file; what is nested in it becomes plain columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source: Any = content.path
        if content.packed:
            with content.opened() as counted:
                source = io.BytesIO(counted.read())
        if not any(pa.types.is_nested(field.type) for field in pq.read_schema(source)):
            frame = pd.read_parquet(source)
        else:
            frame = nested.flat_table(pq.read_table(source)).to_pandas()
        return converted(plain(frame.rename(columns=str)), reader, content.name)
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


READERS: dict[str, Callable[[Content, Reader], Table]] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "json": read_json,
    "parquet": read_parquet,
    "sheet": read_sheet,
}

"""Many rows in a CSV file, and back as the same file with the answers beside them."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnprocessableEntity

from flask_app.forms.controls import cell, fields
from lockstep.config.params import CellFormat, Reader
from lockstep.data import cells as cell_values
from lockstep.data.schema import (
    ROW_NUMBERS,
    Column,
    FieldError,
    Row,
    RowsRefused,
    Schema,
    as_category,
    label_name,
    unnamed_column,
)
from lockstep.errors import nearest
from lockstep.inference.batch import unused
from lockstep.inference.predictor import Predictions

BOM = "\ufeff"
SEPARATORS = ",;\t"
MAX_CELL = 2**31 - 1
MAX_UNKNOWN = 100
MAX_GUESSES = 20

# What a spreadsheet may take for the begin of a formula; the wide signs count in Japanese and Chinese ones.
# Apostrophes before it count too, so that taking one away always gives the text back.
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
OTHER_SPELLING = re.compile(r"(true|false|-?\d+)(?:\.0+)?", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class InMemoryRequest(Request):
    """A request that keeps its files in memory, as the size of a body is limited and the disk may be read-only."""

    def _get_file_stream(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO()


@dataclass(frozen=True)
class UploadedTable:
    """The cells of a file as text, each row with its number in a spreadsheet (its header is row 1), and its marks."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    separator: str
    marked: bool


def read(content: bytes, schema: Schema, most: int) -> UploadedTable:
    """Read a CSV file whose header names every column of the schema once, in any order.

    Raises BadRequest: it is no CSV in UTF-8.
    Raises RequestEntityTooLarge: it has more than `most` rows.
    Raises RowsRefused: a column is missing, unknown or there twice, or a row is longer or shorter than the header.
    """
    text = _decoded(content, schema)
    body = text.removeprefix(BOM)
    separator = _separator(body, schema)
    records = _records(body, separator, schema.reader or Reader())
    _, names = next(records, (1, []))
    header = [_column_name(name, schema) or _unnamed(number, schema) for number, name in enumerate(names, 1)]
    _check_header(header, schema)
    rows = []
    for number, cells in records:
        rows.append((number, cells))
        if len(rows) > most:
            raise RequestEntityTooLarge(f"At most {most} rows a file.")
    if not rows:
        raise UnprocessableEntity("The file holds a header, but no rows.")
    return UploadedTable(header, rows, separator, marked=text != body)


def check(table: UploadedTable, schema: Schema) -> list[Row]:
    """Return the rows of a table as the model takes them. Raises RowsRefused: naming each cell that is wrong."""
    by_name = {column.name: column for column in schema.columns}
    columns = [by_name.get(name) for name in table.header]
    ragged = [
        FieldError(number, "", f"{len(cells)} cells, but the header has {len(columns)}")
        for number, cells in table.rows
        if len(cells) != len(columns)
    ]
    if ragged:
        raise RowsRefused(ragged)
    readers = [_reader(column, schema) for column in columns if column]
    indices = [index for index, column in enumerate(columns) if column]
    names = [column.name for column in columns if column]
    rows = [
        {name: read(cells[index]) for name, read, index in zip(names, readers, indices, strict=True)}
        for _, cells in table.rows
    ]
    try:
        return schema.check(rows)
    except RowsRefused as refused:
        raise RowsRefused([_numbered(fault, table, rows) for fault in refused.faults]) from None


def meant(text: str, column: Column) -> Any:
    """Return the value of a cell; a category may also be spelled as spreadsheets do, as in TRUE and 3.0."""
    value = cell(text, column)
    if column.kind != "categorical" or value is None or value in column.categories:
        return value
    if unescaped(value) in column.categories:
        return unescaped(value)
    other = OTHER_SPELLING.fullmatch(text.strip().lower())
    return other[1] if other and other[1] in column.categories else value


def _reader(column: Column, schema: Schema) -> Callable[[str], Any]:
    """Return what reads the cells of a column: as the training file was read, if its format was recorded."""
    described = schema.cell_format(column.name)
    if described is None or schema.reader is None:
        return lambda text: meant(text, column)
    parse = cell_values.parser(described, schema.reader.missing, schema.reader.trim)
    return lambda text: _value(parse(text), text, column, described)


def _value(value: Any, text: str, column: Column, described: CellFormat) -> Any:
    """Return the value that the model takes; an odd cell stays as it is, and the schema refuses it."""
    if value is cell_values.ODD:
        return None if described.odd == "missing" else text
    if column.kind == "numeric":
        return value
    if value is None:
        return "" if column.kind == "text" and not column.nullable else None
    category = as_category(value)
    escaped = category and category not in column.categories and unescaped(category) in column.categories
    return unescaped(str(category)) if escaped else category


def write(table: UploadedTable, predictions: Predictions, labels: Sequence[str]) -> str:
    """Return the table with the prediction and each label's probability beside every row."""
    answers = ["prediction", *(f"probability_{label}" for label in labels)]
    lines = [[*table.header, *(unused(name, table.header) for name in answers)]]
    shares = predictions.probabilities.tolist() if predictions.probabilities is not None else [[]] * len(table.rows)
    for (_, cells), value, probabilities in zip(table.rows, predictions.values, shares, strict=True):
        lines.append([*cells, label_name(value) if labels else repr(value), *map(repr, probabilities)])
    return (BOM if table.marked else "") + spelled(lines, table.separator)


def template(schema: Schema) -> str:
    """Return a file with the header that is expected and the example as its one row."""
    examples = [
        _example(field.example, column, schema) for field, column in zip(fields(schema), schema.columns, strict=True)
    ]
    text = spelled([list(schema.kinds), examples])
    return text if text.isascii() else BOM + text  # without it, spreadsheets read and save another encoding


def _example(text: str, column: Column, schema: Schema) -> str:
    """Return an example as its column's cells are read: without what looks like a formula, or with a decimal comma."""
    if column.kind == "text":
        return FORMULA.sub("", text, count=1)
    read = _reader(column, schema)
    return next((spelling for spelling in (text, text.replace(".", ",")) if read(spelling) == column.example), text)


def spelled(lines: Iterable[Sequence[str]], separator: str = ",") -> str:
    """Write CSV in which no spreadsheet finds a formula."""
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator).writerows([list(map(harmless, cells)) for cells in lines])
    return stream.getvalue()


def harmless(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would run; numbers stay numbers."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text.strip()) else text


def unescaped(text: str) -> str:
    """Return the text that `harmless` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def _column_name(name: str, schema: Schema) -> str:
    """Return the column that a cell of the header names: as it stands, else without blanks, else without our escape."""
    spellings = (name, name.strip(), unescaped(name), unescaped(name.strip()))
    return next((spelling for spelling in spellings if spelling in schema.kinds), name.strip())


def _unnamed(number: int, schema: Schema) -> str:
    """Return the name that `lockstep init` gives a column without one, if the training file has it."""
    trained = schema.reader.columns if schema.reader else {}
    generated = [unnamed_column(number), *([ROW_NUMBERS] if number == 1 else [])]
    return next((name for name in generated if name in trained), "")


def _decoded(content: bytes, schema: Schema) -> str:
    """Return the text of a file in UTF-8, or else in the encoding of the training file."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = _as_in_training(content, schema)
    if "\0" in text:
        raise BadRequest("The file holds NUL characters, so it is no CSV.")
    return text


def _as_in_training(content: bytes, schema: Schema) -> str:
    try:
        return content.decode(schema.reader.encoding if schema.reader else "utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The file is not text in UTF-8: save it as CSV UTF-8.") from None


def _separator(text: str, schema: Schema) -> str:
    """Return the separator that finds the most columns in the header."""

    def columns(separator: str) -> int:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        return len({_column_name(name, schema) for name in next(reader, [])} & schema.kinds.keys())

    csv.field_size_limit(MAX_CELL)
    trained = schema.reader.separator if schema.reader else ""
    return max(SEPARATORS + (trained if len(trained) == 1 and trained not in SEPARATORS else ""), key=columns)


def _records(text: str, separator: str, described: Reader) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that hold anything, numbered from 1."""
    csv.field_size_limit(MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, **described.marks, strict=True)
    try:
        for number, cells in enumerate(reader, 1):
            if cells:
                yield number, cells
    except csv.Error:
        raise BadRequest(f"Line {reader.line_num} of the file is no CSV: its quotes do not match.") from None


def _check_header(header: list[str], schema: Schema) -> None:
    counts = Counter(header)
    trained = schema.reader.columns.keys() if schema.reader else set()
    unknown = list(islice((name for name in counts if name not in schema.kinds and name not in trained), MAX_UNKNOWN))
    guess = len(unknown) <= MAX_GUESSES
    faults = [FieldError(1, name, "missing column") for name in schema.kinds if name not in counts]
    faults += [FieldError(1, name, _unknown(name, schema, guess)) for name in unknown]
    faults += [FieldError(1, name, "there twice") for name in schema.kinds if counts[name] > 1]
    if faults:
        raise RowsRefused(faults)


def _unknown(name: str, schema: Schema, guess: bool) -> str:
    if name == schema.target:
        return "unknown column: this is what the model predicts, so leave it out"
    return f"unknown column{nearest(name, schema.kinds) if guess else ''}"


def _numbered(fault: FieldError, table: UploadedTable, rows: list[dict[str, Any]]) -> FieldError:
    """Return a fault with the number its row has in the file."""
    empty = rows[fault.row].get(fault.column) is None
    problem = "empty, but this column had no missing value in training" if empty else fault.problem
    return FieldError(table.rows[fault.row][0], fault.column, problem)

"""Schema of a model's rows: its columns, and the validation of every row that a prediction is requested for."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from lockstep.config.params import CellFormat, Kind, Reader, Task
from lockstep.errors import ArtifactError, LockstepError, nearest

FORMAT = 1
# What pandas calls a first column without a name: most often the row numbers of an exported table, so an id.
ROW_NUMBERS = "Unnamed: 0"
# The spellings of ISO 8601 that pandas reads too; Python alone also takes weeks, decimal commas and odd separators.
DATE = re.compile(r"\d{4}-?\d\d-?\d\d([T ]\d\d(:?\d\d(:?\d\d(\.\d{1,6})?)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
# A number may be as large as the one, or as so many times the largest in the train rows: squares of it, and 32-bit
# floats, still hold it, so that every model can answer.
LARGEST, FAR = 1e30, 1e6
Label = str | int | bool
# The values of a row in the order of the schema's columns: numbers as float, the rest as text, None where missing.
Row = tuple[float | str | None, ...]


@dataclass(frozen=True)
class Column:
    """One feature column: kind, whether it may be missing, and what it held in the train rows.

    `minimum`, `maximum` and `step` are for numeric columns, in the column's own unit; `categories` for categorical
    ones, of which `unknown` says what becomes of others. `missing` is the share of train rows without a value.
    `example` is a value of the train rows that a form can show, `separator` what stands between several values in one
    cell, which JSON may also send as a list.
    """

    name: str
    kind: Kind
    nullable: bool
    example: float | str | None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    categories: tuple[str, ...] = ()
    unknown: str = "ignore"
    missing: float | None = None
    separator: str | None = None

    @property
    def largest(self) -> float:
        """The size that no number of this column may exceed, far beyond those of the train rows."""
        return min(1e300, max(LARGEST, *(FAR * abs(bound or 0.0) for bound in (self.minimum, self.maximum))))


@dataclass(frozen=True)
class FieldError:
    """A validation error: what is wrong with one column of one row."""

    row: int
    column: str
    problem: str
    value: Any = field(default=None, compare=False, repr=False)


class RowsRefused(LockstepError):
    """Rows that do not fit the schema, with every wrong column of every row."""

    def __init__(self, faults: Sequence[FieldError]) -> None:
        first = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(
            f"row {first.row}, column {first.column!r}: {first.problem}{more}", "see the schema for what fits"
        )
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Schema:
    """The columns a model takes, in order, what it answers, and how files that hold such rows are read.

    `reader` describes every column of the file that the model was trained on; None in models of before it was recorded.
    """

    task: Task
    target: str
    labels: tuple[Label, ...]
    columns: tuple[Column, ...]
    reader: Reader | None = None
    positive: Label | None = None

    @property
    def positive_code(self) -> int:
        """Return the place of the positive label of two: the last one in models of before it was recorded."""
        return self.labels.index(self.positive) if self.positive in self.labels else 1

    def cell_format(self, column: str) -> CellFormat | None:
        """Return how a file spells the cells of a column; None if that was not recorded."""
        return self.reader.columns.get(column) if self.reader else None

    @property
    def kinds(self) -> dict[str, Kind]:
        """Map each column to its kind."""
        return {column.name: column.kind for column in self.columns}

    @cached_property
    def _checks(self) -> dict[str, Callable[[Any], str | None]]:
        return {column.name: _check(column) for column in self.columns}

    @cached_property
    def open_categories(self) -> tuple[tuple[int, str, frozenset[str | None]], ...]:
        """The columns that take categories unseen in training: index, name, and what is no surprise."""
        return tuple(
            (index, column.name, frozenset((*column.categories, None)))
            for index, column in enumerate(self.columns)
            if column.kind == "categorical" and column.unknown == "ignore" and column.categories
        )

    @cached_property
    def booleans(self) -> frozenset[str]:
        """The columns of true and false, which JSON may also send as `true` and `false`."""
        return frozenset(column.name for column in self.columns if is_boolean(column))

    @cached_property
    def sets(self) -> dict[str, str]:
        """The columns of several values in one cell, with their separators."""
        return {column.name: column.separator for column in self.columns if column.separator}

    def faults(self, row: Any, number: int = 0) -> list[FieldError]:
        """Return everything that is wrong with one row; nothing is coerced.

        A number is an int or a finite float, a category or text a string, a date an ISO 8601 string.
        """
        if not isinstance(row, dict):
            return [FieldError(number, "", "a row is an object of column names and values")]
        faults = [FieldError(number, name, "missing column") for name in self._checks if name not in row]
        for name, value in row.items():
            check = self._checks.get(name)
            problem = check(value) if check else f"unknown column{nearest(name, self._checks)}"
            if problem:
                faults.append(FieldError(number, name, problem, value))
        return faults

    def problem(self, column: str, value: Any) -> str | None:
        """Return what is wrong with one value of a column, or None."""
        return self._checks[column](value)

    def check(self, rows: Sequence[Any]) -> list[Row]:
        """Return objects of column names and values as tuples in column order, numbers as float, None where missing.

        Raises RowsRefused: at least one row does not fit.
        """
        faults = [fault for number, row in enumerate(rows) for fault in self.faults(row, number)]
        if faults:
            raise RowsRefused(faults)
        numeric = [(column.name, column.kind == "numeric") for column in self.columns]
        if self.booleans:
            rows = [row | {name: as_category(row[name]) for name in self.booleans} for row in rows]
        if self.sets:
            rows = [row | {name: _joined(row[name], mark) for name, mark in self.sets.items()} for row in rows]
        return [
            tuple(float(row[name]) if number and row[name] is not None else row[name] for name, number in numeric)
            for row in rows
        ]

    def objects(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Return rows as the objects that `check` takes."""
        names = list(self.kinds)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        columns = [
            {key: value for key, value in asdict(column).items() if value not in (None, ())} for column in self.columns
        ]
        return {
            "format": FORMAT,
            "task": self.task,
            "target": self.target,
            "labels": list(self.labels),
            "columns": columns,
            **({} if self.positive is None else {"positive": self.positive}),
            **({"reader": self.reader.model_dump(mode="json", exclude_defaults=True)} if self.reader else {}),
        }

    @classmethod
    def from_json(cls, content: Any) -> "Schema":
        """Read a schema back. Raises ArtifactError: the content is of another format."""
        try:
            if content["format"] != FORMAT:
                raise ArtifactError(
                    f"schema format {content['format']!r} is not {FORMAT}", "rebuild it with `dvc repro`"
                )
            columns = tuple(
                Column(**{"example": None} | column | {"categories": tuple(column.get("categories", ()))})
                for column in content["columns"]
            )
            reader = Reader.model_validate(content["reader"]) if "reader" in content else None
            return cls(
                content["task"], content["target"], tuple(content["labels"]), columns, reader, content.get("positive")
            )
        except (KeyError, TypeError, ValidationError) as error:
            raise ArtifactError(f"schema.json is damaged: {error!r}", "rebuild it with `dvc repro`") from None


def _check(column: Column) -> Callable[[Any], str | None]:
    """Compile the check of one column: it returns what is wrong with a value, or None."""
    check = CHECKS[column.kind]
    largest = column.largest if column.kind == "numeric" else None
    boolean = is_boolean(column)
    categories = frozenset(column.categories) if column.unknown == "refuse" and column.kind == "categorical" else None

    def checked(value: Any) -> str | None:
        if value is None:
            return None if column.nullable else "null, but this column had no missing value in training"
        if boolean and isinstance(value, bool):
            value = as_category(value)
        if column.separator and isinstance(value, list):
            return None if all(isinstance(item, str) for item in value) else "expected a list of texts"
        problem = check(value)
        if problem is None and largest is not None and not -largest <= value <= largest:
            return f"expected a number of at most {largest:g} in size"
        if problem is None and categories is not None and value not in categories:
            return f"unknown category; accepted: {', '.join(column.categories[:10])}"[:300]
        return problem

    return checked


def _joined(value: Any, separator: str) -> Any:
    """Return a list of values as the text of a cell."""
    return separator.join(value) if isinstance(value, list) else value


def is_boolean(column: Column) -> bool:
    """Return whether a column is categorical with no other categories than `true` and `false`."""
    return column.kind == "categorical" and bool(column.categories) and set(column.categories) <= {"true", "false"}


def _check_number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "expected a number"
    try:
        return None if math.isfinite(value) else "expected a finite number"
    except OverflowError:
        return "expected a number that a 64-bit float can hold"


def _check_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "expected a text"


def _check_date(value: Any) -> str | None:
    try:
        moment = datetime.fromisoformat(value)
        wrong = not DATE.fullmatch(value)
        if moment.tzinfo:
            moment.astimezone(UTC)  # raises where this leaves the years 1 to 9999
    except (TypeError, ValueError, OverflowError):
        wrong = True
    if wrong:
        return "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"
    return None


CHECKS: dict[Kind, Callable[[Any], str | None]] = {
    "numeric": _check_number,
    "categorical": _check_text,
    "text": _check_text,
    "date": _check_date,
}


def unnamed_column(number: int) -> str:
    """Return the name of a column whose header is empty, or that has none; columns are numbered from 1 on."""
    return f"column_{number}"


def as_category(value: Any) -> str | None:
    """Return the one spelling of a categorical value; missing values are None."""
    if value is None or value != value:  # NaN is the value that differs from itself
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def label_name(label: Label) -> str:
    """Return a label as text: the key of its probability."""
    return str(as_category(label))

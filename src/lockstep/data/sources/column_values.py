"""Columns of cells to columns of values: every cell goes through the parser of its column's format, once a spelling."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.config.params import CellFormat, Reader
from lockstep.data import cells, columnwise
from lockstep.data.record import OddCells
from lockstep.errors import DataError, nearest

MOST_EXAMPLES = 5
NUMBERS = ("number", "time", "duration")


@dataclass(frozen=True)
class Table:
    """A file's rows, the format by which each column was read, and the odd cells that became missing."""

    frame: pd.DataFrame
    columns: dict[str, CellFormat] = field(default_factory=dict)
    odd: dict[str, OddCells] = field(default_factory=dict)


def converted(frame: pd.DataFrame, reader: Reader, name: str, strict: bool = True) -> Table:
    """Return the values of the columns that the reader describes, and the formats of all columns.

    Raises DataError: a described column does not exist (if `strict`), or a cell is odd and its column's format refuses
    it.
    """
    for column in reader.columns if strict else ():
        if column not in frame.columns:
            raise DataError(
                f"{name}: reader.columns describes {column!r}, which is no column{nearest(column, frame.columns)}",
                "mend data_ingestion.reader.columns",
            )
    columns, odd, values = {}, {}, {}
    for column in frame.columns:
        described = reader.columns.get(column)
        columns[column] = described or inferred(frame[column], reader)
        if described:
            values[column], faults = column_values(frame[column], described, reader)
            if faults.count:
                odd[column] = _allowed(faults, described, column, name)
    return Table(columnwise.with_columns(frame, values), columns, odd)


def _allowed(faults: OddCells, described: CellFormat, column: str, name: str) -> OddCells:
    if described.odd == "missing":
        return faults
    more = f" and {faults.count - 1} more" if faults.count > 1 else ""
    raise DataError(
        f"{name}: column {column!r} holds {faults.examples[0][:40]!r}{more}, which is no {described.kind} as described",
        f"mend the cell, or set data_ingestion.reader.columns: {{{column}: {{odd: missing}}}} beside its other keys",
    )


def column_values(texts: pd.Series, described: CellFormat, reader: Reader) -> tuple[pd.Series, OddCells]:
    """Return the values of a column of texts (NaN where missing), and its odd cells, which are missing."""
    parse = cells.parser(described, reader.missing, reader.trim)
    codes, distinct = pd.factorize(texts.astype(object), use_na_sentinel=True)
    parsed = [parse(_spelled(text)) for text in distinct]
    odd = np.array([value is cells.ODD for value in parsed], dtype=bool)
    faults = OddCells(0, ())
    if odd.any():
        counts = np.bincount(codes[codes >= 0], minlength=len(distinct)) * odd
        order = np.argsort(-counts, kind="stable")[: min(MOST_EXAMPLES, int(odd.sum()))]
        faults = OddCells(int(counts.sum()), tuple(str(distinct[index])[:80] for index in order))
        parsed = [None if value is cells.ODD else value for value in parsed]
    return pd.Series(_typed(parsed, codes, described.kind), index=texts.index, name=texts.name), faults


def _spelled(cell: Any) -> str:
    """Return a cell as text; JSON and Parquet may hold numbers and true or false among texts."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell)).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _typed(parsed: list[Any], codes: NDArray[np.int64], kind: str) -> Any:
    """Return the values of all rows in the type that they would have if nothing had been odd about them."""
    filled = codes >= 0
    whole = bool(filled.all()) and None not in parsed
    if kind in NUMBERS:
        if whole and parsed and all(value % 1 == 0 and abs(value) < 2**63 for value in parsed):
            return np.array([int(value) for value in parsed], dtype=np.int64)[codes]
        floats = np.array([*(np.nan if value is None else float(value) for value in parsed), np.nan])
        return floats[codes]
    if kind == "boolean" and whole:
        return np.array(parsed, dtype=bool)[codes]
    values = np.array([*parsed, None], dtype=object)[codes]
    return values if kind == "boolean" else pd.array(values, dtype="str")


def inferred(values: pd.Series, reader: Reader) -> CellFormat:
    """Return the format of a column that the reader does not describe, from the type that it was read as."""
    if values.name in reader.dates:
        return CellFormat(kind="date", dates=(reader.dates[str(values.name)],))
    if types.is_bool_dtype(values):
        return CellFormat(kind="boolean", true=("true",), false=("false",))
    if types.is_numeric_dtype(values):
        return CellFormat(kind="number", decimal=reader.decimal, thousands=reader.thousands)
    return CellFormat()


def reader_json(reader: Reader, columns: Mapping[str, CellFormat]) -> dict[str, Any]:
    """Return a reader that describes all columns as plain values, without the keys that have their defaults."""
    complete = reader.model_copy(update={"columns": dict(columns), "dates": {}})
    return complete.model_dump(mode="json", exclude_defaults=True)

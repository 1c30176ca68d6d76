"""Spreadsheets (.xlsx, .xls, .ods) as CSV text, which is then read as any other."""

import csv
import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lockstep.data.sources.content import Content
from lockstep.errors import DataError, nearest


@contextmanager
def as_csv(content: Content, sheet: str | int) -> Iterator[Content]:
    """Yield one sheet of a spreadsheet as CSV in UTF-8. Raises DataError: it cannot be read, or has no such sheet."""
    rows = _rows(content, sheet)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([list(map(spelled, row)) for row in rows])
        yield replace(content, path=path)


def _rows(content: Content, sheet: str | int) -> list[list[Any]]:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(content.path)
        names = book.sheet_names
        if isinstance(sheet, str) and sheet not in names:
            raise DataError(
                f"{content.name} has no sheet {sheet!r}{nearest(sheet, names)}",
                f"its sheets are {', '.join(names)}: say --sheet NAME to init, or set data_ingestion.reader.sheet",
            )
        if isinstance(sheet, int) and sheet >= len(names):
            raise DataError(f"{content.name} has {len(names)} sheets, not {sheet + 1}", "sheets count from 0 on")
        table = book.get_sheet_by_index(sheet) if isinstance(sheet, int) else book.get_sheet_by_name(sheet)
        return [row for row in table.to_python(skip_empty_area=True) if any(cell != "" for cell in row)]
    except python_calamine.CalamineError as error:
        raise DataError(f"{content.name} is no readable spreadsheet: {error}", "save it anew, or as CSV") from None


def spelled(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, dates and times in ISO 8601."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, dt.datetime):
        return (cell.date() if cell.time() == dt.time() else cell).isoformat()
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    return str(cell)

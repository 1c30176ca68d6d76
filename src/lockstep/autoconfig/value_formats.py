"""How values are spelled: missing markers, blanks, numbers, dates."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from lockstep.autoconfig.choice import Decision
from lockstep.autoconfig.csv_dialect import Cells
from lockstep.config.params import Reader

ALWAYS = {"?", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "#N/A", "#NA", "<NA>", "\\N", "None", ""}
"""Texts that mean a missing value in any column, once trimmed; `None` and `na` only among numbers."""
WORDS = {"None", "na"}
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GROUPED = {
    ",": re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"),
    ".": re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?"),
    "'": re.compile(r"[+-]?\d{1,3}('\d{3})+(\.\d+)?"),
    " ": re.compile(r"[+-]?\d{1,3}( \d{3})+([.,]\d+)?"),
}
COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d",
        "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y", "%m/%d/%y", "%d/%m/%y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %H:%M:%S%z", "T%H:%M:%S", "T%H:%M:%S%z")
FORMATS = tuple(day + time for day, time in product(DAYS, TIMES))
SAMPLE = 2000


@dataclass(frozen=True)
class Spelling:
    """What a reader needs to know about values, and the reasons."""

    missing: tuple[str, ...]
    trim: bool
    decimal: str
    thousands: str
    dates: Mapping[str, str]
    decisions: tuple[Decision, ...]


def inspect(names: Sequence[str], rows: Cells) -> Spelling:
    """Tell how the values of the named columns are spelled."""
    width = len(names)
    columns = {name: [row[place] for row in rows if len(row) == width] for place, name in enumerate(names)}
    trim = _padded(columns)
    decisions = [Decision("blanks", "cut off", "most values begin or end with one")] if trim else []
    if trim:
        columns = {name.strip(): [cell.strip() for cell in cells] for name, cells in columns.items()}
    missing, told = _missing(columns)
    present = {
        name: [cell for cell in cells if cell not in missing and cell.strip()] for name, cells in columns.items()
    }
    decimal, thousands, said = _numbers(present)
    dates, dated = _dates(present)
    return Spelling(missing, trim, decimal, thousands, dates, (*decisions, *told, *said, *dated))


def _padded(columns: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether most values carry blanks, as where a separator is a comma and a blank."""
    padded = [sum(cell != cell.strip() and bool(cell.strip()) for cell in cells) for cells in columns.values()]
    rows = max(1, max(map(len, columns.values()), default=1))
    return sum(count > 0.9 * rows for count in padded) >= max(1, len(padded) // 2)


def _missing(columns: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], list[Decision]]:
    """Return the markers of missing values, and where the unusual ones stand."""
    markers = dict.fromkeys(Reader().missing)
    seen: dict[str, list[str]] = {}
    for name, cells in columns.items():
        for cell in _markers(Counter(cells)):
            seen.setdefault(cell, []).append(name)
    decisions = []
    for cell in sorted(seen):
        markers[cell] = None
        where = f"in {len(seen[cell])} columns, such as" if len(seen[cell]) > 1 else "in"
        look = "" if not cell.strip() or cell.strip() == "?" else (
            f"{cell!r} counts as missing everywhere: if it is a value of its own, take it out of reader.missing"
        )  # fmt: skip
        decisions.append(Decision("missing", repr(cell), f"{where} {seen[cell][0]}", look))
    return tuple(markers), decisions


def _markers(counts: Counter[str]) -> list[str]:
    """Return the values of one column that stand for a missing one."""
    numbers = sum(count for cell, count in counts.items() if _any_number(cell.strip()))
    words = {cell: count for cell, count in counts.items() if not _any_number(cell.strip())}
    filled = numbers + sum(count for cell, count in words.items() if cell.strip() and cell.strip() not in ALWAYS)
    numeric = numbers > 0 and numbers >= 0.8 * filled and len(words) <= 5
    if numeric:
        return [cell for cell in words if cell != ""]
    return [
        cell for cell in words if cell != "" and cell.strip() in ALWAYS - WORDS and (cell.strip() or cell.isspace())
    ]


def _any_number(cell: str) -> bool:
    return bool(PLAIN.fullmatch(cell) or COMMA.fullmatch(cell) or any(one.fullmatch(cell) for one in GROUPED.values()))


def _numbers(columns: Mapping[str, Sequence[str]]) -> tuple[str, str, list[Decision]]:
    """Return what stands before fractions and between groups of digits."""
    commas, grouped, points = [], {}, []
    for name, cells in columns.items():
        odd = [cell.strip() for cell in cells if not PLAIN.fullmatch(cell.strip())]
        if not cells or not all(map(_any_number, odd)):
            continue
        if not odd:
            points += [name] if any("." in cell for cell in cells) else []
        elif any(COMMA.fullmatch(cell) and not GROUPED[","].fullmatch(cell) for cell in odd):
            commas.append(name)
        else:
            mark = next((mark for mark, one in GROUPED.items() if all(map(one.fullmatch, odd))), None)
            grouped.update({mark: name} if mark else {})
            commas += [name] if mark in (".", " ") and any("," in cell for cell in odd) else []
    decisions = []
    if commas:
        look = f"{points[0]!r} has points, {commas[0]!r} commas: the one or the other is read as text" if points else ""
        decisions.append(Decision("decimals", "after a comma", f"as in {commas[0]}", look))
    thousands = next((mark for mark in grouped if mark != ("," if commas else "")), "")
    if commas and not thousands and any("." in cell and "," in cell for cell in columns[commas[0]]):
        thousands = "."
    if thousands:
        where = grouped.get(thousands, commas[0] if commas else "")
        look = "" if commas else f"{where}: is {thousands!r} between digits a mark of thousands, or of decimals?"
        decisions.append(Decision("thousands", f"grouped by {thousands!r}", f"as in {where}", look))
    return "," if commas else ".", thousands, decisions


def _dates(columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], list[Decision]]:
    """Return the format of each column of dates that are not ISO 8601."""
    found, decisions = {}, []
    for name, cells in columns.items():
        distinct = list(dict.fromkeys(cell.strip() for cell in cells))[:SAMPLE]
        if not distinct or any(len(cell) > 40 for cell in distinct[:50]) or ISO.fullmatch(distinct[0]):
            continue
        fits = [spelled for spelled in FORMATS if _spells(spelled, distinct)] if re.search(r"\d", distinct[0]) else []
        if fits:
            found[name] = fits[0]
            look = f"{name}: is {distinct[0]!r} spelled {' or '.join(fits)}? No value tells" if len(fits) > 1 else ""
            decisions.append(Decision("dates", f"{name} is spelled {fits[0]}", f"such as {distinct[0]!r}", look))
    return found, decisions


def _spells(spelled: str, cells: Sequence[str]) -> bool:
    try:
        for cell in cells:
            dt.datetime.strptime(cell, spelled)
    except ValueError:
        return False
    return True

"""How the cells of each column are spelled: a column is what nearly all of its cells are."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lockstep.autoconfig import date_formats, number_formats
from lockstep.autoconfig.cell_counts import MARKERS, Cells
from lockstep.autoconfig.choice import Choice
from lockstep.config.params import CellFormat, Reader
from lockstep.data import cells as cell_values

Columns = Mapping[str, Sequence[str]]
# A column is a number, date or truth value if so large a share of its filled cells is; the others are missing.
NEARLY_ALL = 0.9
# Beside so few different words a smaller share is enough: they are markers of missing values.
FEW_WORDS, SHARE_BESIDE_WORDS = 5, 0.8
# So many cells of a column, evenly spread, are looked at; of a column with more distinct ones, fewer.
MOST_CELLS, MOST_DISTINCT = 50_000, 2_000
# Those of them that are missing in columns of text too.
EVERYWHERE = frozenset(("?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "#NA", "<NA>", "\\N"))
TRUE = frozenset(["true", "t", "yes", "y", "on", "ja", "oui", "si", "sí", "sim", "да", "是", "1", "1.0"])
FALSE = frozenset(["false", "f", "no", "n", "off", "nein", "non", "não", "nao", "нет", "否", "0", "0.0"])
PAIRS = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"on", "off"}, {"1", "0"}, {"ja", "nein"})
CODE = re.compile(r"0\d+", re.ASCII)
DIGITS = re.compile(r"\d+", re.ASCII)
CODES = 0.01  # Share of whole numbers with a leading zero from which on they are codes, even if they differ in length.
# So many categories, of so many characters, may be spelled in several ways; more or longer ones are texts.
MOST_SPELLINGS, LONGEST_LABEL = 100, 40


@dataclass(frozen=True)
class ValueFormats:
    """What a reader needs to know about the values of a file, and the reasons."""

    missing: tuple[str, ...]
    trim: bool
    columns: Mapping[str, CellFormat]
    decisions: tuple[Choice, ...]
    plain: frozenset[str] = frozenset()  # Columns whose cells every reader of a CSV takes for what they are.


def inspect(columns: Columns, target: str | None = None, stated: Sequence[str] = ()) -> ValueFormats:
    """Return how the cells of named columns are spelled; the spellings of the target's labels are joined too."""
    trim = _padded(columns)
    decisions = [Choice("blanks", "cut off", "most values begin or end with one")] if trim else []
    counted = [_counted(name.strip() if trim else name, cells) for name, cells in columns.items()]
    missing = dict.fromkeys((*Reader().missing, *stated))
    missing |= dict.fromkeys(sorted({cell for column in counted for cell in column.counts if cell in EVERYWHERE}))
    for column in counted:
        column.counts = Counter({cell: count for cell, count in column.counts.items() if cell not in stated})
    unusual = [marker for marker in missing if marker not in (*Reader().missing, *stated)]
    for marker in unusual:
        where = next(column.name for column in counted if marker in column.counts)
        decisions.append(Choice("missing", repr(marker), f"as in {where}"))
    formats = {column.name: _format(column) for column in counted}
    formats = date_formats.settled(number_formats.settled(formats, counted), counted)
    for column in counted:
        formats[column.name] = _with_markers(formats[column.name], column, missing)
    for column in counted:
        if formats[column.name] is None:
            formats[column.name] = _text(column, trim, column.name == target)
    decisions += [decision for column in counted for decision in _said(column, formats[column.name])]
    plain = frozenset(column.name for column in counted if _is_plain(column, formats[column.name]))
    return ValueFormats(tuple(missing), trim, {k: v for k, v in formats.items() if v}, tuple(decisions), plain)


def _is_plain(column: Cells, described: CellFormat | None) -> bool:
    """Tell whether all cells are numbers without marks, or dates in ISO 8601, with no markers of their own."""
    if described == CellFormat(kind="date", dates=(cell_values.ISO,), odd="missing"):
        return all(cell_values.date(cell, cell_values.ISO) for cell in column.present)
    return described == CellFormat(kind="number", odd="missing") and all(
        map(cell_values.PLAIN.fullmatch, column.present)
    )


def _padded(columns: Columns) -> bool:
    """Tell whether most values carry blanks, as where a separator is a comma and a blank, or names do."""
    samples = [cells[:: max(1, len(cells) // MOST_DISTINCT)] for cells in columns.values()]
    padded = [sum(cell != cell.strip() and bool(cell.strip()) for cell in cells) for cells in samples]
    rows = max(1, max(map(len, samples), default=1))
    names = any(name != name.strip() for name in columns)
    return names or sum(count > 0.9 * rows for count in padded) >= max(1, (len(padded) + 1) // 2)


def _counted(name: str, cells: Sequence[str]) -> Cells:
    """Count the cells of a column, evenly spread, trimmed."""
    raw = Counter(cells[:: max(1, len(cells) // MOST_CELLS)])
    if len(raw) > MOST_DISTINCT:
        raw = Counter(cells[:: max(1, len(cells) // MOST_DISTINCT)])
    trimmed: Counter[str] = Counter()
    for cell, count in raw.items():
        trimmed[cell.strip()] += count
    return Cells(name, trimmed, padded=any(cell != cell.strip() for cell in raw))


def _format(column: Cells) -> CellFormat | None:
    """Return the format of a column's numbers, dates, times or truth values; None of texts."""
    present = column.present
    if not present or is_code(present):
        return None
    for propose in (date_formats.of_digits, _boolean, number_formats.propose, date_formats.propose_clock,
                    date_formats.propose):  # fmt: skip
        described = propose(column.name, present)
        if described and covers(described, present):
            return described
    return None


def covers(described: CellFormat, present: Mapping[str, int]) -> bool:
    """Tell whether nearly all cells are spelled so."""
    parse = cell_values.parser(described)
    odd = {cell: count for cell, count in present.items() if parse(cell) is cell_values.ODD}
    share = 1 - sum(odd.values()) / sum(present.values())
    return share >= NEARLY_ALL or (
        share >= SHARE_BESIDE_WORDS and len(odd) <= FEW_WORDS and len(present) > 2 * len(odd)
    )


def is_code(present: Mapping[str, int]) -> bool:
    """Tell whether whole numbers are codes, such as postal codes: leading zeros mean something in them."""
    whole = {cell: count for cell, count in present.items() if DIGITS.fullmatch(cell)}
    if sum(whole.values()) < NEARLY_ALL * sum(present.values()):
        return False
    zeros = sum(count for cell, count in whole.items() if CODE.fullmatch(cell))
    one_length = len({len(cell) for cell in whole}) == 1
    return zeros > 0 and (one_length or zeros >= CODES * sum(whole.values()))


def _boolean(name: str, present: Mapping[str, int]) -> CellFormat | None:
    """Return a format of true and false if words of several pairs, or of several cases, stand for them."""
    words = {cell.casefold() for cell in present}
    listed = {word for word in words if word in TRUE | FALSE}
    share = sum(count for cell, count in present.items() if cell.casefold() in listed) / sum(present.values())
    if share < NEARLY_ALL or not listed & TRUE or not listed & FALSE or listed <= {"1", "0", "1.0", "0.0"}:
        return None
    if any(listed <= pair for pair in PAIRS) and listed != {"true", "false"}:
        return None  # one pair of words stays what it is: a category of two, whose spellings may be joined
    if listed == words == {"true", "false"} and share == 1:
        return None  # what every reader takes for true and false anyway
    return CellFormat(kind="boolean", true=tuple(sorted(listed & TRUE)), false=tuple(sorted(listed & FALSE)))


def _with_markers(described: CellFormat | None, column: Cells, missing: Mapping[str, None]) -> CellFormat | None:
    """Return a format with the markers of missing values that stand in the column alone."""
    if described is None:
        return None
    words = tuple(sorted(cell for cell in column.counts if cell and cell.casefold() in MARKERS and cell not in missing))
    return described.model_copy(update={"missing": words, "odd": "missing"})


def _text(column: Cells, trim: bool, is_target: bool) -> CellFormat | None:
    """Return the format of a column of texts, if it says more than that they are texts."""
    present = column.present
    if is_code(present):
        return CellFormat()
    few = len(present) <= MOST_SPELLINGS and sum(present.values()) >= 3 * len(present)
    if not (few or is_target) or not present or max(map(len, present)) > LONGEST_LABEL:
        return None
    spellings, strip = joined(present), column.padded and not trim
    return CellFormat(spellings=spellings, strip=strip or bool(spellings)) if spellings or strip else None


def joined(present: Mapping[str, int]) -> dict[str, str]:
    """Map each rarer spelling of a category to the most frequent one; they differ in case or blanks alone."""
    families: dict[str, list[str]] = {}
    for cell in present:
        families.setdefault(" ".join(cell.casefold().split()), []).append(cell)
    best = {key: max(spellings, key=lambda cell: (present[cell], cell)) for key, spellings in families.items()}
    return {
        cell: best[key]
        for key, spellings in families.items()
        if len(spellings) > 1
        for cell in sorted(spellings)
        if cell != best[key]
    }


def _said(column: Cells, described: CellFormat | None) -> Iterator[Choice]:
    """Say what a format reads that is more than plain numbers and texts."""
    if described is None:
        return
    example = next(
        (cell for cell in column.present if described.kind != "number" or not cell_values.PLAIN.fullmatch(cell)), ""
    )
    such = f"such as {example!r}" if example else "by its cells"
    for part in (*number_formats.said(column.name, described, such), *date_formats.said(column.name, described, such)):
        yield replace(part, look=part.look or column.marks.get(part.about, ""))
    if described.kind == "number":
        yield from date_formats.unread(column)
    if described.kind == "boolean":
        yield Choice(column.name, "true or false", f"{', '.join(described.true)} and {', '.join(described.false)}")
    if described.missing:
        markers = ", ".join(map(repr, described.missing))
        yield Choice(
            column.name, f"missing: {markers}", "words among its values",
            f"{column.name}: {markers} count{'s' if len(described.missing) == 1 else ''} as missing",
        )  # fmt: skip
    if described.kind == "text" and described.strip:
        pairs = ", ".join(f"{old!r} is {new!r}" for old, new in list(described.spellings.items())[:5])
        pairs = pairs or "blanks around values are cut off"
        yield Choice(column.name, "spellings joined", pairs, f"{column.name}: {pairs}")
    elif described.kind == "text":
        yield Choice(column.name, "codes", f"leading zeros, as in {next(filter(CODE.fullmatch, column.counts), '')!r}")

"""How the text of a table is written: encoding, separator, quotes, header."""

import codecs
import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lockstep.autoconfig.choice import Decision

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
BLANKS = r"\s+"
REGULAR = 0.98
"""Share of lines that must have the same number of values."""
NUMBER = re.compile(r"[+-]?(\d+([.,' ]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?")
Cells = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """What a reader needs to know to take a text apart, the values it gave, and the reasons."""

    encoding: str
    separator: str
    quote: str
    header: bool
    rows: Cells
    decisions: tuple[Decision, ...]

    @property
    def values(self) -> Cells:
        """Return the rows below the header."""
        return self.rows[1:] if self.header else self.rows


def encoding(sample: bytes) -> Decision:
    """Tell the encoding of a text from its first bytes."""
    for mark, name in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if sample.startswith(mark):
            return Decision("encoding", name, "its byte order mark says so")
    for name, places in (("utf-16-le", sample[1:400:2]), ("utf-16-be", sample[0:400:2])):
        if len(places) > 20 and places.count(0) > 0.8 * len(places):
            return Decision("encoding", name, "every second byte is 0")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as error:
        line = sample.count(b"\n", 0, error.start) + 1
        look = f"line {line} is not UTF-8; cp1252 (Western Europe) is a guess: look at letters with accents there"
        return Decision("encoding", _western(sample), f"line {line} is not UTF-8", look)
    return Decision("encoding", "utf-8", "all of it is valid UTF-8")


def _western(sample: bytes) -> str:
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def inspect(sample: bytes, whole: bool) -> Dialect:
    """Tell how a table is written from its first bytes; `whole` if there are no more."""
    named = encoding(sample)
    text = sample.decode(named.decided, errors="ignore").removeprefix("\ufeff")
    if not whole:
        text = text[: text.rfind("\n") + 1]
    separator, quote, decisions = _separator(text)
    rows = split(text, separator, quote)
    header = _header(rows)
    return Dialect(named.decided, separator, quote, header.decided == "yes", rows, (named, *decisions, header))


def split(text: str, separator: str, quote: str) -> Cells:
    """Take a text apart into rows of values, without empty lines."""
    csv.field_size_limit(sys.maxsize)
    if separator == BLANKS:
        return [line.split() for line in text.splitlines() if line.strip()]
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    return [row for row in csv.reader(lines, delimiter=separator, quotechar=quote or '"', quoting=quoting) if row]  # type: ignore[arg-type]


def _separator(text: str) -> tuple[str, str, list[Decision]]:
    """Return the separator and the quote under which the lines have the same number of values."""
    for separator, called in SEPARATORS.items():
        if separator not in text:
            continue
        plain, quoted = split(text, separator, ""), split(text, separator, '"')
        bare = _regular(plain) and _stray_quotes(plain, quoted)
        rows = plain if bare else quoted
        if _regular(rows):
            why = f"{len(rows[0])} values in {_share(rows):.1%} of the lines".replace("100.0%", "all")
            decisions = [Decision("separator", called, why)]
            if bare:
                decisions.append(
                    Decision("quotes", "part of the text", "taken as marks around values, they would swallow lines")
                )
            return separator, "" if bare else '"', decisions
    rows = split(text, BLANKS, "")
    if _regular(rows):
        return BLANKS, "", [Decision("separator", "blanks", f"{len(rows[0])} words in nearly all of the lines")]
    return (
        ",",
        '"',
        [Decision("separator", "commas", "nothing else divides the lines evenly", "does the file hold a table?")],
    )


def _regular(rows: Cells) -> bool:
    """Tell whether nearly all rows are as wide as the first, and wider than one value."""
    return bool(rows) and len(rows[0]) > 1 and _share(rows) >= REGULAR


def _share(rows: Cells) -> float:
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows)


def _stray_quotes(plain: Cells, quoted: Cells) -> bool:
    """Tell whether quotes are no marks around values: lines are whole without them, and some stand alone."""
    if _share(plain) < 1 or not any(cell.startswith('"') for row in plain for cell in row):
        return False
    if len(quoted) < len(plain):
        return True
    return any(cell.startswith('"') and not _well_quoted(cell) for row in plain for cell in row)


def _well_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _header(rows: Cells) -> Decision:
    """Tell whether the first row names the columns."""
    if len(rows) < 2:
        return Decision("header", "yes", "there is one line alone")
    first, below = rows[0], rows[1:2001]
    for place, name in enumerate(first):
        cells = [row[place] for row in below if len(row) > place and row[place].strip()]
        numbers = _numbers(cells)
        if _is_number(name) and numbers > 0.5:
            return Decision("header", "no", f"the first line holds the number {name.strip()} like the lines below")
        if name.strip() and not _is_number(name) and cells and numbers > 0.9:
            return Decision("header", "yes", f"{name.strip()!r} stands above numbers")
    again = [name for place, name in enumerate(first) if _recurs(name, place, below)]
    if again:
        return Decision(
            "header",
            "no",
            f"the first line's {again[0][:30]!r} is a value of the lines below too",
            "does the first line name the columns? Say --header if it does",
        )
    if max(map(len, first)) > 80:
        return Decision("header", "no", "the first line holds a text longer than a name", "say --header if it is one")
    return Decision("header", "yes", "the first line's texts do not come again below")


def _recurs(name: str, place: int, below: Cells) -> bool:
    return bool(name.strip()) and Counter(row[place] for row in below if len(row) > place)[name] > 0


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell.strip()))


def _numbers(cells: Sequence[str]) -> float:
    return sum(map(_is_number, cells)) / len(cells) if cells else 0.0

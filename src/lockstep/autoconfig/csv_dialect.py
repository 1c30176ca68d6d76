"""How the text of a table is written: encoding, separator, quotes, header."""

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lockstep.autoconfig import encodings
from lockstep.autoconfig.choice import Choice
from lockstep.config.params import Reader
from lockstep.errors import DataError

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
BLANKS = r"\s+"
REGULAR = 0.98  # Share of lines that must have the same number of values.
NUMBER = re.compile(r"[+-]?(\d+([.,' ]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?")
SEPARATOR_LINE = re.compile(r"sep=(.)", re.IGNORECASE)
MOST_TITLES = 10
COMMENTS = ("#", "%", "//", "--")
TOTAL = re.compile(
    r"(?i)\s*(grand )?(totals?|sum|summe|gesamt|insgesamt|total g[eé]n[eé]ral|average|mean|mittelwert|итого|всего)\b:?"
)
Cells = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """What a reader needs to know to take a text apart, the values it gave, and the reasons."""

    encoding: str
    separator: str
    quote: str
    header: bool
    rows: Cells
    decisions: tuple[Choice, ...]
    skip: int = 0
    footer: int = 0
    comment: str = ""
    escape: str = ""

    @property
    def values(self) -> Cells:
        """Return the rows below the header."""
        return self.rows[1:] if self.header else self.rows


@dataclass(frozen=True)
class Stated:
    """What a person says of the file beforehand."""

    encoding: str = ""
    separator: str = ""
    skip: int | None = None


def inspect(sample: bytes, complete: bool, stated: Stated = Stated()) -> Dialect:
    """Return how a table is written, from its first bytes; `complete` if there are no more."""
    encoding = stated.encoding
    named = Choice("encoding", encoding, "as stated") if encoding else encodings.encoding(sample)
    try:
        text = sample.decode(named.decided, errors="strict" if encoding and complete else "ignore").removeprefix(
            "\ufeff"
        )
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"the file is not {encoding}: {error}"[:200], "say --encoding with another one") from None
    if not complete:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    frame, body = _frame(text, stated.skip)
    separator, quote, escape, decisions = _separator(body, stated.separator or frame.separator)
    rows = split(body, separator, quote, escape)
    footer = _footer(rows) if complete else 0
    if footer:
        shown = " ".join(rows[-footer])[:40]
        decisions.append(
            Choice(
                "footer",
                f"{footer} line{'s' if footer > 1 else ''} at the end",
                f"no rows, as {shown!r}",
                f"the last {'line is' if footer == 1 else f'{footer} lines are'} left out: {shown!r}",
            )
        )
        rows = rows[:-footer]
    header = _header(rows)
    if (even := _even(rows)) is not rows:
        rows = even
        if rows[0][-1]:
            header = Choice("row names", "yes", "the header has one name less than the lines have values")
    return Dialect(
        named.decided, separator, quote, header.decided == "yes", rows, (named, *frame.decisions, *decisions, header),
        frame.skip, footer, frame.comment, escape,
    )  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """What stands around the rows of a text: lines to skip, the mark of comments, a separator that a line states."""

    skip: int
    comment: str
    separator: str
    decisions: tuple[Choice, ...]


def _frame(text: str, stated_skip: int | None) -> tuple[Frame, str]:
    """Return what stands around the rows, and the text of the rows alone."""
    lines = text.split("\n")
    stated = SEPARATOR_LINE.fullmatch(lines[0].strip())
    skip, decisions = (1, [Choice("first line", "states the separator", repr(lines[0].strip()))]) if stated else (0, [])
    titles = stated_skip if stated_skip is not None else 0 if stated else _titles(lines)
    if titles:
        shown = next((line.strip(" ,;\t") for line in lines[:titles] if line.strip(" ,;\t")), "")[:60]
        decisions.append(
            Choice("title", f"{titles} lines above the header", repr(shown), f"left out above the header: {shown!r}")
        )
    comment = next((mark for mark in COMMENTS if _commented(lines, mark)), "")
    if comment:
        shown = next(line for line in lines if line.startswith(comment))[:60]
        decisions.append(
            Choice("comments", f"lines that begin with {comment}", repr(shown), f"left out as comments: {shown!r}")
        )
    skip += titles
    body = [line for line in lines[skip:] if not (comment and line.startswith(comment))]
    return Frame(skip, comment, stated[1] if stated else "", tuple(decisions)), "\n".join(body)


def _commented(lines: Sequence[str], mark: str) -> bool:
    """Tell whether lines that begin with a mark are comments: they stand on top, and few of the others have it."""
    marked = [line.startswith(mark) for line in lines[:2000] if line.strip()]
    return (
        bool(marked)
        and marked[0]
        and sum(marked) < 0.5 * len(marked)
        and all(marked[:1]) is not False
        and _apart(lines, mark)
    )


def _apart(lines: Sequence[str], mark: str) -> bool:
    """Tell whether the first line that is marked has fewer values than those that are not."""
    marked = next(line for line in lines if line.startswith(mark))
    plain = [line for line in lines[:500] if line.strip() and not line.startswith(mark)]
    best = max(SEPARATORS, key=lambda row: sum(row in line for line in plain), default=",")
    usual = Counter(line.count(best) for line in plain).most_common(1)
    return bool(usual) and marked.count(best) != usual[0][0]


def _titles(lines: Sequence[str]) -> int:
    """Return how many lines stand above the header: they have fewer values than nearly all lines below."""
    some = [line for line in lines[:2000] if line.strip()]
    if len(some) < 5:
        return 0
    for separator in SEPARATORS:
        cells = [next(csv.reader([line], delimiter=separator), []) for line in some]
        below = Counter(map(len, cells[5:])).most_common(1)
        if not below or below[0][0] < 2 or below[0][1] < 0.5 * len(cells[5:]):
            continue
        heads = (at for at, row in enumerate(cells) if len(row) >= 0.7 * below[0][0] and len(_filled(row)) > 1)
        titles = next(heads, 0)
        commented = any(line.startswith(COMMENTS) for line in some[:titles])
        quoted = "".join(some[:titles]).count('"') % 2 == 1  # a line break within quotes is no end of a title
        return lines.index(some[titles]) if 0 < titles <= MOST_TITLES and not commented and not quoted else 0
    return 0


def _filled(cells: Sequence[str]) -> list[str]:
    return [cell for cell in cells if cell.strip()]


def _footer(rows: Cells) -> int:
    """Return how many lines at the end are no rows: a word for totals, or far fewer values than there are columns."""
    count = 0
    for row in reversed(rows[-4:]):
        filled = [cell for cell in row if cell.strip()]
        if not filled:
            break
        total = bool(TOTAL.match(filled[0])) and not any(TOTAL.match(other[0]) for other in rows[1:-4] if other)
        note = (
            len(filled) == 1
            and len(rows[0]) > 2
            and len(rows[len(rows) // 2]) == len(rows[0])
            and len(row) < len(rows[0])
        )
        if not total and not note:
            break
        count += 1
    return count if len(rows) > 20 else 0


def _even(rows: Cells) -> Cells:
    """Return rows in which a header that has one name less than the lines have values has another, empty one.

    It stands in front of the others, for row numbers as R writes them, or behind them if all lines end in a separator.
    """
    if len(rows) > 2 and len(rows[0]) + 1 == Counter(map(len, rows[1:])).most_common(1)[0][0]:
        ends = not any(row[-1].strip() for row in rows[1:] if len(row) == len(rows[0]) + 1)
        return [[*rows[0], ""] if ends else ["", *rows[0]], *rows[1:]]
    return rows


def _escape(text: str, separator: str) -> str:
    """Return the backslash if it stands before quotes within quoted values, which are even only if it is read so."""
    if not re.search(rf'\\"(?!"|$|{re.escape(separator)})', text, re.MULTILINE):
        return ""
    escaped = split(text, separator, '"', "\\")
    return "\\" if _share(escaped) >= _share(split(text, separator, '"')) else ""


def split(text: str, separator: str, quote: str, escape: str = "") -> Cells:
    """Take a text apart into rows of values, without empty lines."""
    csv.field_size_limit(sys.maxsize)
    if separator == BLANKS:
        return [line.split() for line in text.splitlines() if line.strip()]
    marks = Reader(quote=quote, escape=escape).marks  # type: ignore[arg-type]
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, **marks) if row]


def _separator(text: str, stated: str = "") -> tuple[str, str, str, list[Choice]]:
    """Return the separator, the quote and its escape under which the lines have the same number of values."""
    for separator, called in SEPARATORS.items():
        if separator not in text or (stated and separator != stated):
            continue
        if _single_quoted(text, separator):
            single = Choice("quotes", "single", "they stand around values")
            return separator, "'", "", [Choice("separator", called, "by the header"), single]
        plain, quoted = split(text, separator, ""), split(text, separator, '"')
        escape = _escape(text, separator)
        bare = not escape and _regular(plain) and _stray_quotes(plain, quoted)
        rows = _even(plain if bare else split(text, separator, '"', escape) if escape else quoted)
        if _regular(rows):
            why = f"{len(rows[0])} values in {_share(rows):.1%} of the lines".replace("100.0%", "all")
            decisions = [Choice("separator", called, why)]
            if bare:
                decisions.append(
                    Choice("quotes", "part of the text", "taken as marks around values, they would swallow lines")
                )
            if escape:
                decisions.append(Choice("escape", escape, "it stands before quotes within quotes"))
            return separator, "" if bare else '"', escape, decisions
    rows = split(text, BLANKS, "")
    if _regular(rows):
        return BLANKS, "", "", [Choice("separator", "blanks", f"{len(rows[0])} words in nearly all of the lines")]
    unsure = Choice("separator", "commas", "nothing else divides the lines evenly", "does the file hold a table?")
    return ",", '"', "", [unsure]


def _single_quoted(text: str, separator: str) -> bool:
    """Tell whether single quotes stand around values: in nearly all lines some value begins and ends with one."""
    lines = [line for line in text.split("\n")[:200] if line.strip()]
    quoted = re.compile(rf"(^|{re.escape(separator)})'([^']|'')*'(?=$|{re.escape(separator)})")
    return "'" in text and bool(lines) and sum(bool(quoted.search(line)) for line in lines) >= REGULAR * len(lines)


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
    if _share(quoted) == 1 and len(quoted[0]) < len(plain[0]):  # every line has as many separators within its quotes
        return False
    return any(cell.startswith('"') and not _well_quoted(cell) for row in plain for cell in row)


def _well_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell.endswith('"') and '"' not in cell[1:-1].replace('""', "")


def _header(rows: Cells) -> Choice:
    """Tell whether the first row names the columns."""
    if len(rows) < 2:
        return Choice("header", "yes", "there is one line alone")
    first, below = rows[0], rows[1:2001]
    for index, name in enumerate(first):
        cells = [row[index] for row in below if len(row) > index and row[index].strip()]
        numbers = _numbers(cells)
        if _is_number(name) and numbers > 0.5:
            return Choice("header", "no", f"the first line holds the number {name.strip()} like the lines below")
        if name.strip() and not _is_number(name) and cells and numbers > 0.9:
            return Choice("header", "yes", f"{name.strip()!r} stands above numbers")
    again = [name for index, name in enumerate(first) if _recurs(name, index, below)]
    if again:
        return Choice(
            "header",
            "no",
            f"the first line's {again[0][:30]!r} is a value of the lines below too",
            "does the first line name the columns? Say --header if it does",
        )
    if max(map(len, first)) > 80:
        return Choice("header", "no", "the first line holds a text longer than a name", "say --header if it is one")
    return Choice("header", "yes", "the first line's texts do not come again below")


def _recurs(name: str, index: int, below: Cells) -> bool:
    return bool(name.strip()) and Counter(row[index] for row in below if len(row) > index)[name] > 0


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell.strip()))


def _numbers(cells: Sequence[str]) -> float:
    return sum(map(_is_number, cells)) / len(cells) if cells else 0.0

"""How the dates, times and durations of a column are spelled."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

from lockstep.autoconfig.cell_counts import Cells
from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.spellings import SPELLINGS
from lockstep.config.params import CellFormat
from lockstep.data import cells as cell_values
from lockstep.data.date_words import NUMBERS

DAYS, WORDS, MONTHS, TIMES, UNIX = (
    tuple(SPELLINGS["dates"][kind]) for kind in ("days", "words", "months", "times", "unix")
)
COMPACT = "%Y%m%d"
EVERY = (*MONTHS, COMPACT, *UNIX, *(day + time for day, time in product((*DAYS, *WORDS), ("", *TIMES))))
MOST_SHAPES, MOST_TRIED, MOST_FORMATS, MOST_LOOKED_AT = 12, 3, 3, 2000
LEAST_SHARE = 0.01  # A further format of a column must read so large a share of its cells.
LONGEST = 45
DIGITS = re.compile(r"\d+", re.ASCII)
NAMED_MOMENT = re.compile(
    r"(?i)(time|date|stamp|epoch|unix|created|updated|posted|_at$|_ts$|^ts$|when|zeit|datum|fecha)"
)
NAMED_SPAN = re.compile(r"(?i)(duration|elapsed|length|took|dauer|runtime|wait|stay|delay)")
# The years 1990 to 2039 as seconds and milliseconds since 1970.
SECONDS, MILLIS = (631_152_000, 2_208_988_800), (631_152_000_000, 2_208_988_800_000)
NEARLY_ALL, CERTAIN = 0.9, 0.99  # So many cells must be whole numbers, and so many of these must be dates.


def of_digits(name: str, present: Mapping[str, int]) -> CellFormat | None:
    """Return the format of dates written as whole numbers: 20150224, or seconds since 1970."""
    whole = {cell: count for cell, count in present.items() if DIGITS.fullmatch(cell)}
    total = sum(whole.values())
    if total < NEARLY_ALL * sum(present.values()) or len(whole) < 3:
        return None
    lengths = Counter(map(len, whole)).most_common(1)[0][0]
    spelled = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 6: "%Y%m"}.get(lengths)
    if spelled and _years(whole) and (lengths > 6 or len(whole) >= 6):
        described = CellFormat(kind="date", dates=(spelled,))
        if _share(described, whole, total) >= CERTAIN:
            return described
    for ticks, (low, high) in (("s", SECONDS), ("ms", MILLIS)):
        inside = sum(count for cell, count in whole.items() if low <= int(cell) <= high)
        if inside >= CERTAIN * total and (len(whole) > 8 or NAMED_MOMENT.search(name)):
            return CellFormat(kind="epoch", ticks=ticks)  # type: ignore[arg-type]
    return None


def _years(whole: Mapping[str, int]) -> bool:
    good = sum(count for cell, count in whole.items() if 1900 <= int(cell[:4]) <= 2100)
    return good >= CERTAIN * sum(whole.values())


def propose_clock(name: str, present: Mapping[str, int]) -> CellFormat | None:
    """Return the format of times of day or of durations."""
    some = dict(list(present.items())[:MOST_LOOKED_AT])
    total = sum(some.values())
    clocks = [hours for cell in some if (hours := cell_values.clock(cell)) is not None]
    if len(clocks) >= 0.9 * len(some):
        span = NAMED_SPAN.search(name) or max(clocks) >= 24
        return CellFormat(kind="duration" if span else "time")
    described = CellFormat(kind="duration")
    return described if _share(described, some, total) >= 0.9 else None


def propose(name: str, present: Mapping[str, int]) -> CellFormat | None:
    """Return the formats of dates that together read nearly all cells; None of texts, and of plain ISO 8601."""
    some = {cell: count for cell, count in list(present.items())[:MOST_LOOKED_AT] if len(cell) <= LONGEST}
    if sum(some.values()) < 0.9 * sum(list(present.values())[:MOST_LOOKED_AT]):
        return None
    shapes = Counter[str]()
    examples: dict[str, list[str]] = {}
    for cell, count in some.items():
        shape = _shape(cell)
        shapes[shape] += count
        examples.setdefault(shape, []).append(cell)
    shaped = [examples[shape] for shape, _ in shapes.most_common(MOST_SHAPES) if "9" in shape]
    fitting = {spelled for cells in shaped for spelled in _fitting(cells)}
    formats = [spelled for spelled in EVERY if spelled in fitting]
    iso = cell_values.ISO
    chosen: list[str] = []
    left, total = dict(some), sum(some.values())
    while left and len(chosen) < MOST_FORMATS:
        counts = {spelled: _count(spelled, left) for spelled in (iso, *formats)}
        best = max(counts, key=lambda spelled: (counts[spelled], _order(spelled) in set(map(_order, chosen))))
        if counts[best] < max(1, LEAST_SHARE * total):
            break
        chosen.append(best)
        left = {cell: count for cell, count in left.items() if not _reads(best, cell)}
    return CellFormat(kind="date", dates=tuple(chosen)) if chosen else None


def _fitting(cells: Sequence[str]) -> list[str]:
    """Return the formats of the first of a few cells of one shape that is a date at all."""
    tried = ([spelled for spelled in EVERY if _reads(spelled, cell)] for cell in cells[:MOST_TRIED] if len(cell) > 5)
    return next(filter(None, tried), [])


def _shape(cell: str) -> str:
    return re.sub(r"9+", "9", re.sub(r"\d", "9", re.sub(r"[^\W\d_]+", "a", cell)))


@lru_cache(200_000)
def _reads(spelled: str, cell: str) -> bool:
    if spelled == cell_values.ISO:
        return bool(re.match(r"\d{4}-\d\d-\d\d", cell)) and cell_values.date(cell, spelled) is not None
    if spelled == COMPACT and len(cell) != 8:
        return False  # strptime would take five digits for a day, too
    if "%b" in spelled and not any(word.casefold() in NUMBERS for word in re.findall(r"[^\W\d_]+", cell)):
        return False
    moment = cell_values.date(cell, spelled)
    return moment is not None and ("%y" not in spelled or not re.search(r"\d{4}", cell))


def _count(spelled: str, present: Mapping[str, int]) -> int:
    return sum(count for cell, count in present.items() if _reads(spelled, cell))


def _share(described: CellFormat, present: Mapping[str, int], total: int) -> float:
    parse = cell_values.parser(described)
    return sum(count for cell, count in present.items() if parse(cell) is not cell_values.ODD) / total


def _order(spelled: str) -> str:
    """Return the order of day, month and year in a format."""
    return "".join(letter.lower() for letter in re.findall("%([dmbY])", spelled.replace("%y", "%Y"))).replace("b", "m")


def other_order(spelled: str) -> str:
    """Return a format with day and month in the other order, where both are numbers in front of the year."""
    match = re.match(r"%([dm])([/.\-])%([dm])", spelled)
    return f"%{match[3]}{match[2]}%{match[1]}{spelled[match.end() :]}" if match else ""


def settled(formats: dict[str, CellFormat | None], columns: Sequence[Cells]) -> dict[str, CellFormat | None]:
    """Decide formats whose cells fit two orders of day and month by the order that other cells need.

    Other formats of the column come first, then the other columns of the file.
    """
    dated = {column.name: column for column in columns if (form := formats[column.name]) and form.kind == "date"}
    certain = {name: _certain_orders(formats[name], column) for name, column in dated.items()}
    of_file = Counter(order for orders in certain.values() for order in orders)
    for name, column in dated.items():
        described = formats[name]
        if described is None or not any(map(other_order, described.dates)):
            continue
        orders = certain[name] or [order for order, _ in of_file.most_common(1)]
        if orders:
            dates = tuple(dict.fromkeys(_in_order(spelled, orders) for spelled in described.dates))
            formats[name] = described.model_copy(update={"dates": dates})
        else:
            cell, first = next(iter(column.present)), described.dates[0]
            column.marks = {name: f"{name}: is {cell!r} spelled {first} or {other_order(first)}? No value tells"}
    return formats


def _certain_orders(described: CellFormat | None, column: Cells) -> list[str]:
    """Return the orders of the formats that some cell fits in one order of day and month alone."""
    orders = []
    for spelled in described.dates if described else ():
        swapped = other_order(spelled)
        counts = {cell: count for cell, count in column.present.items() if swapped and _reads(spelled, cell)}
        if counts and _count(swapped, counts) < sum(counts.values()):
            orders.append(_order(spelled))
    return orders


def _in_order(spelled: str, orders: Sequence[str]) -> str:
    """Return a format in one of the orders, if it may be swapped into it."""
    swapped = other_order(spelled)
    return swapped if swapped and _order(spelled) not in orders and _order(swapped) in orders else spelled


def said(name: str, described: CellFormat, such: str) -> Iterator[Choice]:
    """Say how dates and times are spelled, and which numbers are none though their name says so."""
    if described.kind == "date" and described.dates != (cell_values.ISO,):
        yield Choice(name, f"dates spelled {', '.join(described.dates)}", such)
    elif described.kind == "epoch":
        yield Choice(name, f"dates in {'milliseconds' if described.ticks == 'ms' else 'seconds'} since 1970", such,
                       f"{name}: taken for moments; if it is an amount, describe it as kind: number")  # fmt: skip
    elif described.kind == "time":
        yield Choice(name, "times of day, as hours", such)
    elif described.kind == "duration":
        yield Choice(name, "durations, as seconds", such)


def unread(column: Cells) -> Iterator[Choice]:
    """Say that whole numbers of many digits, in a column that is called like a moment, are no moments."""
    some = list(column.present)[:MOST_LOOKED_AT]
    if NAMED_MOMENT.search(column.name) and all(len(cell) > 5 and DIGITS.fullmatch(cell) for cell in some):
        look = f"{column.name}: {some[0]} is no date, nor seconds or milliseconds of this century: it stays a number"
        yield Choice(column.name, "number", "called like a moment", look)

"""Read a cell of a file by the format of its column: the one parser behind training, batch, upload and feedback.

A cell is a text; its value is a float, a bool, a text (dates in ISO 8601) or None where it is missing. JSON carries
values as such and is not read here.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from lockstep.config.params import CellFormat
from lockstep.data.date_words import SECONDS, with_numbers

Value = float | bool | str | None
Parse = Callable[[str], Any]


class Odd:
    """The value of a cell that is not spelled as its column's format says."""

    def __repr__(self) -> str:
        return "ODD"


ODD: Final = Odd()
ISO: Final = "ISO8601"  # The name of ISO 8601 among the formats of dates, as in pandas.
# Digits in groups of three; the groups above thousands may have two digits, as in India.
GROUPS = {mark: re.compile(rf"\d{{1,3}}({re.escape(mark)}\d{{2,3}})*{re.escape(mark)}\d{{3}}") for mark in ",.' "}
# Other blanks, minus signs and apostrophes than those of ASCII, which spreadsheets and web pages put in numbers.
BLANKS = str.maketrans({"\xa0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})
RANGE = re.compile(r"(?P<low>\S.*?)\s*(?:\s-\s|\bto\b|\bbis\b|(?<=[\d%])-|[\u2013\u2014]|\.\.\.?)\s*(?P<high>\S.*)")
CLOCK = re.compile(r"(\d{1,3}):(\d\d)(?::(\d\d(?:[.,]\d+)?))?(?: ?([ap])\.?m\.?)?", re.IGNORECASE)
SPAN = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*([^\W\d_]+)\.?[\s,]*(?:(?:and|und|et|y|e)\s+)?", re.IGNORECASE)
ISO_SPAN = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)
EARLIEST, LATEST = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


def parser(format_: CellFormat, missing: Iterable[str] = ("",), trim: bool = False) -> Parse:
    """Return the function that reads one cell of a column: its value, None where missing, or `ODD`.

    `missing` holds the markers of the whole file; those of the column come on top.
    """
    markers = frozenset((*missing, *format_.missing))
    read = PARSERS[format_.kind](format_)
    if format_.kind == "number" and (sentinels := {number(marker) for marker in format_.missing} - {None}):
        read = _but(read, sentinels)
    strip = trim or format_.kind != "text" or format_.strip

    def parse(text: str) -> Any:
        if text in markers:
            return None
        cell = text.strip() if strip else text
        if strip and (not cell or cell in markers):
            return None
        return read(cell)

    return parse


def _but(read: Parse, sentinels: Iterable[float | None]) -> Parse:
    """Return a parser to which some numbers are missing values, however they are spelled."""
    missing = frozenset(sentinels)

    def parse(text: str) -> Any:
        value = read(text)
        return None if value in missing else value

    return parse


def number(text: str, decimal: str = ".", thousands: str = "") -> float | None:
    """Return a finite number of plain digits, with its marks of decimals and thousands; None if it is none."""
    if decimal == "." and PLAIN.fullmatch(text):
        return _value(text)  # most cells are such
    text = text if text.isascii() else text.translate(BLANKS)
    negative = (text.startswith("(") and text.endswith(")")) or text[1:].endswith("-")
    text = text.strip("()").removesuffix("-").rstrip() if negative else text
    body, _, exponent = text.replace("E", "e").partition("e")
    whole, mark, part = body.partition(decimal)
    sign = whole[:1] if whole[:1] in ("+", "-") else ""
    digits = whole.removeprefix(sign).lstrip() if sign else whole
    if thousands and thousands in digits:
        if not GROUPS[thousands].fullmatch(digits):
            return None
        digits = digits.replace(thousands, "")
    plain = f"{sign}{digits}{'.' if mark else ''}{part}{'e' if exponent else ''}{exponent}"
    value = _value(plain) if PLAIN.fullmatch(plain) else None
    return -value if negative and value is not None else value


def _value(plain: str) -> float | None:
    """Return a finite number; a whole one of many digits as such, since a float may not hold it exactly."""
    if len(plain) > 15 and plain.lstrip("+-").isdecimal():
        return int(plain)
    value = float(plain)
    return value if math.isfinite(value) else None


PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII)


def _number(format_: CellFormat) -> Parse:
    units = sorted(format_.units.items(), key=lambda pair: -len(pair[0]))

    def single(text: str) -> float | None:
        if units and not (text[:1].isdecimal() and text[-1:].isdecimal()):
            value = _with_unit(text, units, format_)
            return _grouped(text, format_) if value is None else value
        return _grouped(text, format_)

    usual = _usual(format_)
    factors = format_.units | {None: 1.0}

    def read(text: str) -> Any:
        match = usual.fullmatch(text)
        if match and len(match[3]) <= 15:
            amount = float(match[3].replace(format_.thousands, "").replace(format_.decimal, "."))
            amount *= factors[match[2]] * factors[match[4]]
            return -amount if match[1] == "-" else amount
        value = single(text)
        if value is not None:
            return value
        bounds = RANGE.fullmatch(text)
        low, high = (single(bounds["low"]), single(bounds["high"])) if bounds else (None, None)
        if low is None or high is None or low > high:
            return ODD
        return (low + high) / 2 if format_.ranges == "middle" else ODD

    return read


def _usual(format_: CellFormat) -> re.Pattern[str]:
    """Return the pattern of most cells, which are read faster by it: sign, unit, digits in groups or not, unit."""
    units = "|".join(re.escape(unit) for unit in sorted(format_.units, key=len, reverse=True)) or "(?!)"
    mark, decimals = re.escape(format_.thousands), rf"(?:{re.escape(format_.decimal)}\d+)?"
    groups = rf"\d{{1,3}}(?:{mark}\d{{3}})+{decimals}|" if mark else ""
    return re.compile(rf"([+-]?)(?:({units}) ?)?({groups}\d+{decimals})(?: ?({units}))?", re.ASCII)


def _grouped(text: str, format_: CellFormat) -> float | None:
    """Return a number; where training had no thousands, those before decimals are beyond doubt."""
    thousands: str = format_.thousands
    if not thousands and format_.decimal in text:
        plain = text.translate(BLANKS)
        thousands = next((mark for mark in GROUPS if mark in plain and mark != format_.decimal), "")
    return number(text, format_.decimal, thousands)


def _with_unit(text: str, units: list[tuple[str, float]], format_: CellFormat) -> float | None:
    """Return a number that has units before or behind it, multiplied by what they stand for."""
    negative = text.startswith("(") and text.endswith(")")
    rest, factor = (text[1:-1] if negative else text), -1.0 if negative else 1.0
    sign = rest[:1] if rest[:1] in ("+", "-", "\u2212") else ""
    rest = rest.removeprefix(sign).lstrip()
    for unit, multiplier in units:
        if rest.startswith(unit):
            rest, factor = rest.removeprefix(unit).strip(), factor * multiplier
        elif rest.endswith(unit):
            rest, factor = rest.removesuffix(unit).strip(), factor * multiplier
    value = _grouped(sign + rest, format_)
    return None if value is None else value * factor


def _boolean(format_: CellFormat) -> Parse:
    words = {word.casefold(): True for word in format_.true} | {word.casefold(): False for word in format_.false}
    return lambda text: words.get(text.casefold(), ODD)


def _text(format_: CellFormat) -> Parse:
    spellings = format_.spellings
    return (lambda text: spellings.get(text, text)) if spellings else (lambda text: text)


def _date(format_: CellFormat) -> Parse:
    patterns = [_moment(spelled) for spelled in format_.dates]

    def read(text: str) -> Any:
        for pattern in patterns:
            value = pattern(text)
            if value is not None:
                return value
        return ODD

    return read


@lru_cache(256)
def _moment(spelled: str) -> Callable[[str], str | None]:
    """Return the function that reads a date of one format as ISO 8601, with its time if the format has one."""
    if spelled == ISO:
        return _iso
    words = re.search("%[abAB]", spelled)
    pattern = re.sub("%[bB]", "%m", re.sub(r"%[aA],?\s*", "", spelled)) if words else spelled
    timed = bool(re.search("%[HIMSTXczfp]", spelled))

    def read(text: str) -> str | None:
        try:
            moment = dt.datetime.strptime(with_numbers(text) if words else text, pattern)
        except ValueError:
            return None
        return moment.isoformat() if timed else moment.date().isoformat()

    return read


def date(text: str, spelled: str) -> str | None:
    """Return a date of a format of strptime in ISO 8601, with months in the words of common languages, or None."""
    return _moment(spelled)(text)


def _iso(text: str) -> str | None:
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return text if re.match(r"\d{4}-?\d\d-?\d\d", text) else None


def _epoch(format_: CellFormat) -> Parse:
    scale = 1000.0 if format_.ticks == "ms" else 1.0

    def read(text: str) -> Any:
        value = number(text)
        if value is None or not EARLIEST.timestamp() <= value / scale <= LATEST.timestamp():
            return ODD
        moment = dt.datetime.fromtimestamp(value / scale, dt.UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="milliseconds" if scale > 1 else "seconds")

    return read


def _time(format_: CellFormat) -> Parse:
    def read(text: str) -> Any:
        hours = clock(text)
        return ODD if hours is None or hours >= 24 else hours

    return read


def clock(text: str) -> float | None:
    """Return the hours of a text such as 13:30, 1:30 pm or 36:15:00; None if it is none."""
    parts = CLOCK.fullmatch(text)
    if not parts or int(parts[2]) > 59:
        return None
    hours = int(parts[1])
    if parts[4]:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if parts[4].lower() == "p" else 0)
    return hours + int(parts[2]) / 60 + float((parts[3] or "0").replace(",", ".")) / 3600


def seconds(text: str) -> float | None:
    """Return the seconds of a duration such as `1h 30m`, `36:15:00`, `PT90S` or `2 days`; None if it is none."""
    hours = clock(text)
    if hours is not None:
        return round(hours * 3600, 6)
    if text[:1] in ("P", "p") and (parts := ISO_SPAN.fullmatch(text)) and any(parts.groups()):
        return sum(
            float(part or 0) * size for part, size in zip(parts.groups(), (604800, 86400, 3600, 60, 1), strict=True)
        )
    total, position = 0.0, 0
    while position < len(text):
        part = SPAN.match(text, position)
        if not part or part[2].lower() not in SECONDS:
            return None
        total += float(part[1].replace(",", ".")) * SECONDS[part[2].lower()]
        position = part.end()
    return total if text else None


def _duration(format_: CellFormat) -> Parse:
    def read(text: str) -> Any:
        value = seconds(text)
        return ODD if value is None else value

    return read


PARSERS: dict[str, Callable[[CellFormat], Parse]] = {
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "epoch": _epoch,
    "time": _time,
    "duration": _duration,
    "text": _text,
}

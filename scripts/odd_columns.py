"""Random columns as people write them: each with its clean values, its cells, and what it tells of the target."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Role

Draw = np.random.Generator
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Script:
    """The words of a language: of good and bad reviews, others, names of categories, months, and its encodings."""

    good: Sequence[str]
    bad: Sequence[str]
    plain: Sequence[str]
    levels: Sequence[str]
    months: Sequence[str]
    encodings: Sequence[str]
    blank: str = " "


def _script(good: str, bad: str, plain: str, levels: str, encodings: str, months: str = "", blank: str = " ") -> Script:
    english = "January February March April May June July August September October November December"
    parts = (good, bad, plain, levels, months or english, encodings)
    return Script(*(part.split() for part in parts), blank=blank)


SCRIPTS = {
    "english": _script(
        "great lovely clean friendly superb happy", "awful dirty rude broken noisy sad",
        "the room was in hotel near station with breakfast and we stayed there for two nights", "red blue green amber",
        "ascii",
    ),
    "german": _script(
        "schön großartig gemütlich höflich köstlich", "schäbig übel hässlich ungemütlich müde",
        "das Zimmer war für zwei Nächte über dem Frühstücksraum gegenüber vom Bahnhof", "Köln Düsseldorf Zürich Lübeck",
        "cp1252", "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    ),
    "russian": _script(
        "отличный прекрасный чистый вежливый вкусный", "ужасный грязный грубый шумный скучный",
        "номер был в гостинице рядом с вокзалом завтрак мы жили там две ночи", "Москва Казань Пермь Самара", "cp1251",
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    ),
    "chinese": _script(
        "很好 干净 满意 热情 舒服", "很差 失望 吵闹 太旧 冷淡",
        "房间 酒店 前台 早餐 服务 位置 我们 这个 时候 他们 的 是 了 在",
        "北京 上海 广州 成都", "gb18030", blank="",
    ),
    "polish": _script(
        "świetny czysty miły wspaniały pyszny", "zły brudny głośny okropny śmierdzący",
        "pokój był w hotelu przy dworcu śniadanie i łóżko dwie noce że się też już", "Łódź Kraków Gdańsk Poznań",
        "cp1250", "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """The role that a careful person gives a column, its values (None where missing), its cells, and its effect (n,).

    A cell is a text, or a number where the file format has numbers and nothing is odd about this one.
    """

    role: Role
    values: Sequence[Any]
    cells: Sequence[Any]
    effect: Floats


Make = Callable[[Draw, int, Script], Column]


def _numbers(draw: Draw, rows: int, decimals: int = 2, top: float = 20_000) -> Floats:
    """Return numbers (n,) of one of several distributions, rounded."""
    scale = float(draw.choice([top / 500, top / 20, top]))
    shapes = (draw.gamma(2, 0.2, rows), draw.uniform(0, 1, rows), np.abs(draw.normal(0.5, 0.15, rows)))
    return np.round(scale * shapes[draw.integers(len(shapes))], decimals)


def spell(value: float, decimal: str = ".", thousands: str = "", decimals: int = 2) -> str:
    """Return a number with its marks."""
    return f"{value:,.{decimals}f}".translate(str.maketrans({",": thousands, ".": decimal}))


def _of_numbers(numbers: Floats, cells: Sequence[Any]) -> Column:
    return Column("numeric", numbers.tolist(), cells, _standardised(np.log1p(np.abs(numbers))))


def _standardised(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / (values.std() or 1.0))


def integers(draw: Draw, rows: int, _: Script) -> Column:
    """Whole numbers, as they are."""
    numbers = _numbers(draw, rows, decimals=0)
    return _of_numbers(numbers, [int(number) for number in numbers])


def plain(draw: Draw, rows: int, _: Script) -> Column:
    """Numbers, as they are."""
    numbers = _numbers(draw, rows, decimals=3)
    return _of_numbers(numbers, numbers.tolist())


def marked(draw: Draw, rows: int, _: Script) -> Column:
    """Numbers with other marks of decimals and thousands."""
    decimal, thousands = [(",", ""), (",", "."), (".", ","), (".", "'"), (",", " "), (",", "\u202f")][draw.integers(6)]
    numbers = _largest_first(_numbers(draw, rows))
    return _of_numbers(numbers, [spell(number, decimal, thousands) for number in numbers])


def _largest_first(numbers: Floats) -> Floats:
    """Return numbers of which the largest, with its thousands, stands in a train row."""
    largest = int(numbers.argmax())
    numbers[[2, largest]] = numbers[[largest, 2]]
    return numbers


def money(draw: Draw, rows: int, _: Script) -> Column:
    """Amounts with a currency, in front or behind, some with a blank at the end."""
    numbers, trail = _largest_first(_numbers(draw, rows)), " " * int(draw.integers(2))
    if draw.random() < 0.5:
        sign = str(draw.choice(["$", "£", "US$", "CHF "]))
        return _of_numbers(numbers, [f"{sign}{spell(number, '.', ',')}{trail}" for number in numbers])
    return _of_numbers(numbers, [f"{spell(number, ',', '.')} €{trail}" for number in numbers])


def units(draw: Draw, rows: int, _: Script) -> Column:
    """Numbers with a unit or a percent sign."""
    unit = str(draw.choice(["%", " %", " kg", " km", "cm", " m²", " mg/l", "°C"]))
    numbers = _numbers(draw, rows, decimals=1, top=1000)
    return _of_numbers(numbers, [f"{number:g}{unit}" for number in numbers])


def ranges(draw: Draw, rows: int, _: Script) -> Column:
    """Whole numbers, of which some are ranges: their value is the middle."""
    low = np.round(_numbers(draw, rows, decimals=0, top=3000)) + 1
    width = np.where(draw.random(rows) < 0.04, draw.integers(1, 40, rows), 0)
    dash = str(draw.choice(["-", " - ", "\u2013", " to "]))
    cells = [f"{a:.0f}{dash}{a + b:.0f}" if b else int(a) for a, b in zip(low, width, strict=True)]
    return _of_numbers(low + width / 2, cells)


def limits(draw: Draw, rows: int, _: Script) -> Column:
    """Measurements of which those outside a range are given as its limit, and some are approximations."""
    numbers = np.round(draw.uniform(1, 99, rows), 1)
    low, high = np.quantile(numbers, draw.uniform(0.05, 0.4)).round(1), np.quantile(numbers, 0.95).round(1)
    below, above = [("<", ">"), ("< ", "> "), ("<=", ">="), ("\u2264", "\u2265")][draw.integers(4)]
    about = str(draw.choice(["", "", "~", "ca. "]))
    values = np.clip(numbers, low, high)
    cells = [
        f"{below}{low}" if number < low else f"{above}{high}" if number > high else f"{about}{number}"
        for number in numbers
    ]
    return _of_numbers(values, cells)


def scores(draw: Draw, rows: int, _: Script) -> Column:
    """Points of so many, of which the most stand in each cell."""
    most = int(draw.choice([5, 10, 100]))
    way = str(draw.choice(["/{}", " / {}", " out of {}", " of {}"])).format(most)
    numbers = np.round(draw.uniform(0, most, rows), 1)
    return _of_numbers(numbers, [f"{number}{way}" for number in numbers])


def ledger(draw: Draw, rows: int, _: Script) -> Column:
    """Amounts whose minus stands behind them, or that are negative in parentheses."""
    numbers = _largest_first(_numbers(draw, rows)) * np.where(draw.random(rows) < draw.uniform(0.05, 0.6), -1, 1)
    way = str(draw.choice(["{}-", "({})", "{} -"]))
    cells = [way.format(spell(-number, ".", ",")) if number < 0 else spell(number, ".", ",") for number in numbers]
    return _of_numbers(numbers, cells)


def sentinel(draw: Draw, rows: int, _: Script) -> Column:
    """Numbers in which one far from all others means that there is none."""
    marker = int(draw.choice([-200, -999, 9999, -1]))
    numbers = np.round(draw.uniform(10, 90, rows), 0 if marker == -1 else 1)
    values: list[float | None] = numbers.tolist()
    gaps = draw.random(rows) < draw.uniform(0.03, 0.2)
    cells = [marker if gap else number for gap, number in zip(gaps, values, strict=True)]
    effect = np.where(gaps, 0.0, _standardised(numbers))
    return Column("numeric", [None if gap else v for gap, v in zip(gaps, values, strict=True)], cells, effect)


def codes(draw: Draw, rows: int, _: Script) -> Column:
    """Postal codes, some with a leading zero."""
    names = [f"{number:05d}" for number in draw.choice(99_999, int(draw.integers(4, 15)), replace=False)]
    names[0] = f"0{names[0][1:]}"
    return _of_levels(draw, rows, names)


def _of_levels(draw: Draw, rows: int, names: Sequence[Any]) -> Column:
    picked = draw.integers(0, len(names), rows)
    effects = draw.normal(size=len(names))
    values = [names[index] for index in picked]
    return Column("categorical", values, values, _standardised(effects[picked]))


def levels(draw: Draw, rows: int, script: Script) -> Column:
    """Categories of a language."""
    return _of_levels(draw, rows, [*script.levels, *script.plain[: int(draw.integers(0, 6))]])


def spellings(draw: Draw, rows: int, script: Script) -> Column:
    """Categories, of which one in ten is written in another case or with blanks around."""
    column = _of_levels(draw, rows, script.levels)
    ways: Sequence[Callable[[str], str]] = (str.upper, str.lower, lambda text: f"{text} ", lambda text: f" {text}")
    cells = [ways[draw.integers(4)](value) if draw.random() < 0.1 else value for value in column.values]
    return Column("categorical", column.values, cells, column.effect)


def truth(draw: Draw, rows: int, _: Script) -> Column:
    """True and false in the words of several pairs."""
    pairs = [("yes", "no"), ("Y", "N"), ("true", "false"), ("TRUE", "FALSE"), ("ja", "nein")]
    some = [pairs[index] for index in draw.choice(len(pairs), int(draw.integers(1, 4)), replace=False)]
    column = _of_levels(draw, rows, [True, False])
    cells = [some[draw.integers(len(some))][0 if value else 1] for value in column.values]
    return Column("categorical", column.values, cells, column.effect)


def dates(draw: Draw, rows: int, script: Script) -> Column:
    """Days in one format or two, with months as numbers or words."""
    days = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in draw.integers(0, 1500, rows)]
    names = script.months
    ways: list[Callable[[dt.date], str]] = [
        lambda day: day.isoformat(), lambda day: f"{day:%d.%m.%Y}", lambda day: f"{day:%d/%m/%Y}",
        lambda day: f"{day:%Y%m%d}", lambda day: f"{day.day} {names[day.month - 1]} {day.year}",
        lambda day: f"{names[day.month - 1]} {day.day}, {day.year}", lambda day: f"{day:%Y/%m/%d}",
        lambda day: f"{day:%d-%m-%y}",
    ]  # fmt: skip
    first = ways[draw.integers(len(ways))]
    second = ways[1] if draw.random() < 0.2 else first
    cells = [(second if draw.random() < 0.3 else first)(day) for day in days]
    return Column("date", [day.isoformat() for day in days], cells, _seasonal(days))


def _seasonal(days: Sequence[dt.date]) -> Floats:
    return _standardised(np.array([day.month in (5, 6, 7, 8) for day in days], dtype=float))


def moments(draw: Draw, rows: int, _: Script) -> Column:
    """Moments: with a time, or as seconds or milliseconds since 1970."""
    times = [dt.datetime(2020, 1, 1) + dt.timedelta(seconds=int(s)) for s in draw.integers(0, 10**8, rows)]
    scale = int(draw.choice([0, 1, 1000]))
    if scale:
        cells = [int(time.replace(tzinfo=dt.UTC).timestamp()) * scale for time in times]
    else:
        spelled = str(draw.choice(["%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%a %b %d %H:%M:%S +0000 %Y"]))
        cells = [time.strftime(spelled) for time in times]
    return Column("date", [time.isoformat() for time in times], cells, _seasonal([time.date() for time in times]))


def clock(draw: Draw, rows: int, _: Script) -> Column:
    """Times of day."""
    minutes = draw.integers(0, 1440, rows)
    cells = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes]
    return Column("numeric", (minutes / 60).tolist(), cells, _standardised(minutes.astype(float)))


def durations(draw: Draw, rows: int, _: Script) -> Column:
    """Durations in hours and minutes."""
    minutes = draw.integers(1, 3000, rows)
    spelled = ["{h}h {m}m", "{h} hours {m} min", "{h}:{m:02d}:00"][draw.integers(3)]
    cells = [spelled.format(h=minute // 60, m=minute % 60) for minute in minutes]
    return Column("numeric", (minutes * 60.0).tolist(), cells, _standardised(minutes.astype(float)))


def texts(draw: Draw, rows: int, script: Script) -> Column:
    """Reviews of a dozen words."""
    good = draw.integers(0, 4, rows)
    values = [_review(draw, script, int(count)) for count in good]
    return Column("text", values, values, _standardised(good.astype(float)))


def _review(draw: Draw, script: Script, good: int) -> str:
    words = [*draw.choice(script.good, good), *draw.choice(script.bad, 3 - good), *draw.choice(script.plain, 9)]
    return script.blank.join(str(word) for word in draw.permutation(words))


def products(draw: Draw, rows: int, script: Script) -> Column:
    """Names of products: a few words and a number."""
    good = draw.integers(0, 2, rows)
    words = [draw.choice(script.good if flag else script.bad) for flag in good]
    values = [f"{draw.choice(script.levels)} {word} X{draw.integers(10_000)}" for word in words]
    return Column("text", values, values, _standardised(good.astype(float)))


def sets(draw: Draw, rows: int, script: Script) -> Column:
    """Several values in one cell."""
    items = [*script.levels, *script.good]
    has = draw.random((rows, len(items))) < 0.35
    has[~has.any(axis=1), 0] = True
    bar = str(draw.choice(["|", ";", ", "]))
    values = [bar.join(item for item, flag in zip(items, row, strict=True) if flag) for row in has]
    return Column("text", values, values, _standardised(has[:, 0] + has[:, -1] * 1.0))


def _silent(role: Role, cells: Sequence[Any]) -> Column:
    return Column(role, cells, cells, np.zeros(len(cells)))


def keys(draw: Draw, rows: int, _: Script) -> Column:
    """Names of the rows."""
    ways = (lambda n: 10**6 + int(n), lambda n: f"K{n:06d}", lambda n: f"{n * 2654435761 % 2**32:08x}-{n % 977:04x}")
    way = ways[draw.integers(3)]
    return _silent("id", [way(number) for number in draw.permutation(rows)])


def silent(draw: Draw, rows: int, script: Script) -> Column:
    """A column that tells nothing: constant, empty, nearly empty, or links."""
    ways: Mapping[str, Callable[[], list[Any]]] = {
        "constant": lambda: [script.levels[0]] * rows,
        "empty": lambda: [None] * rows,
        "nearly": lambda: [script.plain[0] if draw.random() < 0.005 else None for _ in range(rows)],
        "links": lambda: [f"https://www.example.com/{row}/{draw.integers(10**6)}.html" for row in range(rows)],
    }
    return _silent("ignore", ways[str(draw.choice(list(ways)))]())


KINDS: dict[str, tuple[Make, float]] = {
    make.__name__: (make, share)
    for make, share in (
        (integers, 2), (plain, 2), (marked, 2), (money, 1), (units, 1), (ranges, 1), (limits, 0.5), (scores, 0.5),
        (ledger, 0.5), (sentinel, 1), (codes, 1),
        (levels, 2), (spellings, 1), (truth, 1), (dates, 1), (moments, 1), (clock, 0.5), (durations, 0.5), (texts, 0.4),
        (products, 0.3), (sets, 0.5), (keys, 0.5), (silent, 0.5),
    )
}  # fmt: skip
"""Each kind of column, and how often a table has it."""

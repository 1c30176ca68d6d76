"""How the numbers of a column are spelled: marks of decimals and thousands, units, percent, ranges."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lockstep.autoconfig.cell_counts import Cells
from lockstep.autoconfig.choice import Choice
from lockstep.autoconfig.spellings import SPELLINGS
from lockstep.config.params import QUALIFIERS, CellFormat
from lockstep.data import cells as cell_values

# Marks of decimals and thousands, the most usual first: of those that read as many cells the first is taken.
MARKS = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
CURRENCIES, FACTORS = frozenset(SPELLINGS["currencies"]), SPELLINGS["factors"]
CORE = re.compile(
    r"\(?(?P<front>approx\.|[^\d\s.,+\-(]{0,4}?\.?)\s*"
    r"(?P<number>[+-]?\s?[\d][\d.,' \xa0\u202f\u2019]*(?:e[+-]?\d+)?|[+-]?[.,]\d+)"
    r"\s*(?P<back>[^\d\s][^\d]{0,14}?[²³]?|(?:/|out of|of|von|sur|de)\s?\d+|)\)?",
    re.IGNORECASE,
)

# A unit must stand at so large a share of the numbers; bare numbers beside it are taken to have it too.
UNIT_SHARE = 0.5
MOST_BINS = 20  # So many different limits, in most of the cells, are the names of bins.
FEW = 0.1  # A smaller share of the cells is odd, whatever it looks like.
# So many cells are looked at, and so many of the longest for their marks: these have thousands and decimals.
MOST_LOOKED_AT, MOST_MARKED = 5000, 500


def propose(name: str, present: Mapping[str, int]) -> CellFormat | None:
    """Return the format that reads most cells as numbers; None if hardly any is one."""
    some = dict(sorted(present.items(), key=lambda pair: -pair[1])[:MOST_LOOKED_AT])
    if not any(any(letter.isdigit() for letter in cell) for cell in some):
        return None
    cores = _cores(some)
    units = _units(cores, sum(some.values()))
    if units is None:
        return None
    numbers = Counter[str]()
    for cell, count in some.items():
        core = cores.get(cell)
        numbers[core[1] if core else cell] += count
    decimal, thousands = best_marks(numbers)
    return CellFormat(kind="number", decimal=decimal, thousands=thousands, units=units)  # type: ignore[arg-type]


def _cores(present: Mapping[str, int]) -> dict[str, tuple[str, str, str, int]]:
    """Return the parts before, in and behind the number of each cell that holds one."""
    parts = {}
    for cell, count in present.items():
        match = CORE.fullmatch(cell.translate(cell_values.BLANKS))
        if match and not cell_values.PLAIN.fullmatch(cell):
            parts[cell] = (match["front"].strip(), match["number"].strip(), match["back"].strip(), count)
    return parts


def _units(cores: Mapping[str, tuple[str, str, str, int]], cells: int) -> dict[str, float] | None:
    """Return the units of a column and what they multiply by; None if letters beside digits are no unit."""
    fronts, backs = Counter[str](), Counter[str]()
    for front, _, back, count in cores.values():
        fronts[front] += count
        backs[back] += count
    total = sum(fronts.values())
    units: dict[str, float] = {}
    qualifiers = dict.fromkeys(sorted(QUALIFIERS & fronts.keys()), 1.0)
    if len(cores) <= MOST_BINS and sum(fronts[mark] for mark in qualifiers) > UNIT_SHARE * cells:
        return None  # a few limits name ranges, such as <=50K and >50K
    for front, count in fronts.most_common(3 + len(qualifiers)):
        if front and front in CURRENCIES:
            units[front] = 1.0
        elif front in qualifiers:
            continue
        elif front and count > max(UNIT_SHARE * total, FEW * cells):
            return None  # letters in front of digits make codes
    factors = {back: FACTORS[back] for back in backs if back in FACTORS}
    named = [
        (back, count)
        for back, count in backs.most_common(3)
        if back and back not in factors and not {"-", "?"} & set(back)
    ]
    if named and named[0][1] > UNIT_SHARE * (
        total - sum(backs[back] for back in factors) - backs[""] * bool(units) + 0.5
    ):
        units[named[0][0]] = 1.0
    if factors and (units or sum(backs[back] for back in factors) > 0.2 * total or len(factors) > 1):
        units |= factors
    return units | qualifiers


def best_marks(numbers: Mapping[str, int]) -> tuple[str, str]:
    """Return the marks of decimals and thousands under which most cells are numbers."""
    if all(map(cell_values.PLAIN.fullmatch, numbers)):
        return ".", ""
    longest = dict(sorted(numbers.items(), key=lambda pair: -len(pair[0]))[:MOST_MARKED])
    shares = {marks: _readable(longest, *marks) for marks in MARKS}
    most = max(shares.values())
    fits = [marks for marks, share in shares.items() if share == most]
    return fits[0]


def _readable(numbers: Mapping[str, int], decimal: str, thousands: str) -> int:
    return sum(
        count for cell, count in numbers.items() if cell_values.number(cell.strip(), decimal, thousands) is not None
    )


def settled(formats: dict[str, CellFormat | None], columns: Sequence[Cells]) -> dict[str, CellFormat | None]:
    """Decide columns that two pairs of marks read by the pair that other columns of the file need."""
    needed = Counter(
        described.decimal
        for column in columns
        if (described := formats[column.name]) and described.kind == "number" and not _ambiguous(column)
        and any(described.decimal in cell for cell in column.present)
    )  # fmt: skip
    for column in columns:
        described = formats[column.name]
        if described and described.kind == "number" and (marks := _ambiguous(column)):
            chosen = next((pair for pair in marks if needed and pair[0] == needed.most_common(1)[0][0]), marks[0])
            formats[column.name] = described.model_copy(update={"decimal": chosen[0], "thousands": chosen[1]})
            if len(needed) != 1 and marks[0] != (".", ""):
                column.marks = {
                    column.name: f"{column.name}: is {_grouped(column)!r} grouped by thousands? No cell tells"
                }
    return formats


def _ambiguous(column: Cells) -> list[tuple[str, str]]:
    """Return the pairs of marks that read a column equally well but give other numbers; empty if one does."""
    cores = _cores(column.present)
    odd = [parts[1] for parts in cores.values()] + [
        cell for cell in column.present if cell not in cores and cell_values.PLAIN.fullmatch(cell) and "." in cell
    ]
    marked = [cell for cell in odd if re.search("[.,]", cell)][:MOST_LOOKED_AT]
    if marked and all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) for cell in marked):
        return [(".", ","), (",", "")]
    if len(marked) >= 20 and all(re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", cell) for cell in marked):
        return [(".", ""), (",", ".")]
    return []


def _grouped(column: Cells) -> str:
    return next(cell for cell in column.present if "," in cell or "." in cell)


def said(name: str, described: CellFormat, such: str) -> Iterator[Choice]:
    """Say which marks and units the numbers of a column have."""
    if described.kind != "number":
        return
    marks = []
    if described.decimal == ",":
        marks.append("decimals after a comma")
    if described.thousands:
        marks.append(f"thousands grouped by {described.thousands!r}")
    if units := [unit for unit in described.units if unit not in QUALIFIERS]:
        marks.append(f"in {', '.join(units)}")
    if qualifiers := [unit for unit in described.units if unit in QUALIFIERS]:
        marks.append(f"without {', '.join(qualifiers)}: a limit counts as a value")
    if marks:
        yield Choice(name, "; ".join(marks), such)

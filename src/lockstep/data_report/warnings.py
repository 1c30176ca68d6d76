"""What in the data a person should look at before trusting a model made of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockstep.metrics.leakage import Leak

NEAR_CONSTANT = 0.99
MOST_LEVELS = 100
ALL_DIFFERENT = 0.95
MANY_MISSING = 0.4
SMALL_CLASS = 0.1
FEW_OF_A_CLASS = 10
FEWEST_ROWS = 20
"""Among fewer rows nothing is odd about a column of which every value is another."""

Columns = Sequence[Mapping[str, Any]]


def warnings(
    columns: Columns, target: Mapping[str, Any], dropped: Mapping[str, Any], sampled: int, leaks: Mapping[str, Leak]
) -> list[dict[str, str]]:
    """Return each warning: its kind, the column it is about ("" for none), and a sentence; leaks come first."""
    found = [*_of_rows(dropped), *_of_classes(target)]
    for column in columns:
        found += [
            {"kind": kind, "column": str(column["name"]), "text": text} for kind, text in _of_column(column, sampled)
        ]
    return [*_of_leaks(leaks), *found]


def _of_leaks(leaks: Mapping[str, Leak]) -> Iterator[dict[str, str]]:
    for name, leak in leaks.items():
        text = f"{leak.reason}: is it known when a prediction is requested? If not, make it an id or ignore it"
        yield {"kind": "leak", "column": name, "text": text}


def _of_column(column: Mapping[str, Any], sampled: int) -> Iterator[tuple[str, str]]:
    present = column["rows"] - column["missing"]
    if column["missing"] > MANY_MISSING * column["rows"]:
        yield "missing", f"{column['missing']} of {column['rows']} values are missing"
    if present and column["distinct"] == 1:
        yield "near-constant", "all its values are the same"
    elif present and column["most_frequent_share"] >= NEAR_CONSTANT:
        yield "near-constant", f"one value stands in {column['most_frequent_share']:.1%} of the rows"
    yield from _of_levels(column, sampled)


def _of_levels(column: Mapping[str, Any], sampled: int) -> Iterator[tuple[str, str]]:
    """Warn of identifiers, and of categories with more levels than the rows can teach."""
    if sampled < FEWEST_ROWS:
        return
    different = column["distinct"] >= ALL_DIFFERENT * sampled
    if column["in_order"] or (column["kind"] == "categorical" and different):
        yield "id-like", "nearly every row has a value of its own: make it an id unless it means something"
    elif column["kind"] == "categorical" and column["distinct"] > MOST_LEVELS:
        yield "high cardinality", f"{column['distinct']} categories, many of which few rows can teach"


def _of_rows(dropped: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Warn of duplicate rows, wherever they were left."""
    if count := dropped.get("rows_duplicate", 0):
        text = f"{count} of {dropped['rows_read']} rows equal an earlier one; they were dropped"
        yield {"kind": "duplicate rows", "column": "", "text": text}


def _of_classes(target: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    classes = target.get("classes", [])
    if not classes:
        return
    least, rows = classes[-1], target["rows"]
    if least["rows"] < FEW_OF_A_CLASS or least["rows"] < SMALL_CLASS * rows:
        text = f"class {least['label']!r} has {least['rows']} of {rows} train rows: accuracy says little of it"
        yield {"kind": "imbalance", "column": "", "text": text}

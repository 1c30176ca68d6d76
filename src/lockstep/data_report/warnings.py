"""Data warnings: what a person should look at before training on these rows."""

from collections.abc import Iterator, Sequence

from lockstep.data.record import Dropped
from lockstep.data_report.record import ColumnFacts, DataWarning, TargetFacts
from lockstep.metrics.leakage import Verdict

NEAR_CONSTANT = 0.99
MAX_CATEGORIES = 100
ALL_DISTINCT = 0.95
MANY_MISSING = 0.4
SMALL_CLASS = 0.1
MIN_CLASS_ROWS = 10
MIN_ROWS = 20  # In fewer rows it is no surprise that every value of a column is distinct.


def warnings(
    columns: Sequence[ColumnFacts], target: TargetFacts, dropped: Dropped, verdict: Verdict, sampled_rows: int
) -> list[DataWarning]:
    """Return all warnings; leaks come first, then those of rows and target, then those of each column."""
    by_column = [
        DataWarning(kind, column.name, text) for column in columns for kind, text in _of_column(column, sampled_rows)
    ]
    return [*_of_leaks(verdict), *_of_rows(dropped), *_of_classes(target), *by_column]


def _of_leaks(verdict: Verdict) -> Iterator[DataWarning]:
    for kind, columns in (("leak", verdict.leaks), ("near copy", verdict.near)):
        for name, leak in columns.items():
            text = f"{leak.reason}: is it known when a prediction is requested? If not, make it an id or ignore it"
            yield DataWarning(kind, name, text)


def _of_column(column: ColumnFacts, sampled_rows: int) -> Iterator[tuple[str, str]]:
    if column.missing > MANY_MISSING * column.rows:
        yield "missing", f"{column.missing} of {column.rows} values are missing"
    if column.distinct == 1:
        yield "near-constant", "all its values are the same"
    elif column.most_frequent_share >= NEAR_CONSTANT:
        yield "near-constant", f"one value stands in {column.most_frequent_share:.1%} of the rows"
    yield from _of_categories(column, sampled_rows)


def _of_categories(column: ColumnFacts, sampled_rows: int) -> Iterator[tuple[str, str]]:
    """Warn of identifiers, and of categories too many to learn from these rows."""
    if sampled_rows < MIN_ROWS:
        return
    all_distinct = column.distinct >= ALL_DISTINCT * sampled_rows
    if column.in_order or (column.kind == "categorical" and all_distinct):
        yield "id-like", "nearly every row has a value of its own: make it an id unless it means something"
    elif column.kind == "categorical" and column.distinct > MAX_CATEGORIES:
        yield "high cardinality", f"{column.distinct} categories, many of them in few rows"


def _of_rows(dropped: Dropped) -> Iterator[DataWarning]:
    """Warn of duplicate rows."""
    if dropped.rows_duplicate:
        text = f"{dropped.rows_duplicate} of {dropped.rows_read} rows equal an earlier one; they were dropped"
        yield DataWarning("duplicate rows", "", text)


def _of_classes(target: TargetFacts) -> Iterator[DataWarning]:
    """Warn of a class that is rare."""
    if not target.classes:
        return
    rarest = target.classes[-1]
    if rarest.rows < MIN_CLASS_ROWS or rarest.rows < SMALL_CLASS * target.rows:
        text = f"class {rarest.label!r} has {rarest.rows} of {target.rows} train rows: accuracy says little of it"
        yield DataWarning("imbalance", "", text)

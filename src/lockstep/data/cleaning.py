"""Cleaning of the set of rows before the split: roles, canonical types, target, duplicates.

What depends on the values of one row alone belongs to the fitted pipeline, so that the server does it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.config.params import Columns, DataPreprocessing, Kind, Role, Task
from lockstep.data import columnwise
from lockstep.data.record import Dropped
from lockstep.data.schema import ROW_NUMBERS, as_category
from lockstep.errors import DataError, nearest

LONG_TEXT = 40  # A text column has values of this many characters on average; others are categories.
# From so large a share of distinct values in so many rows on, a column of words is an id or a text, no category.
UNIQUE, UNIQUE_ROWS = 0.95, 100


@dataclass(frozen=True)
class CleanTable:
    """Rows in canonical form, the kind of each feature column, and what was dropped.

    `positions` (n,) are those of the rows in the raw table, `split_key` (n,) holds the column that the split goes by,
    `row_hashes` (n,) are equal for equal rows.
    """

    frame: pd.DataFrame
    kinds: dict[str, Kind]
    task: Task
    dropped: Dropped = field(default_factory=lambda: Dropped(0))
    positions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    split_key: pd.Series | None = None
    row_hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))


def clean(frame: pd.DataFrame, params: DataPreprocessing) -> CleanTable:
    """Bring the rows into canonical form; rows without a target and exact duplicates are dropped.

    Raises DataError: the target is missing or useless, a named column does not exist, or nothing is left.
    """
    labelled = _labelled(frame, params.target)
    roles = decide_roles(frame, params)
    kinds, empty = _kinds(frame, roles)
    filled = len(labelled)
    stated = decide_task(labelled[params.target], params) if params.task == "auto" else params.task
    labelled, rare = without_rare_classes(labelled, params, stated)
    task = decide_task(labelled[params.target], params)
    rows, hashes = _distinct_rows(labelled, kinds, task, params)
    dropped = Dropped(
        rows_read=len(frame),
        rows_without_target=len(frame) - filled,
        rows_of_rare_classes=filled - len(labelled),
        rare_classes=rare,
        rows_duplicate=len(labelled) - len(rows),
        columns_left_out={name: role for name, role in roles.items() if role in ("id", "ignore")},
        columns_without_values=empty,
    )
    key = frame.loc[rows.index, params.split.column].reset_index(drop=True) if params.split.column else None
    return CleanTable(rows.reset_index(drop=True), kinds, task, dropped, rows.index.to_numpy(), key, hashes)


def _distinct_rows(
    labelled: pd.DataFrame, kinds: dict[str, Kind], task: Task, params: DataPreprocessing
) -> tuple[pd.DataFrame, NDArray[np.uint64]]:
    """Return the rows in canonical form and in the order asked for, without duplicates, and their hashes."""
    rows = canonical(labelled, kinds)
    _check_values(rows, kinds)
    rows[params.target] = canonical_target(labelled[params.target], task)
    hashes = columnwise.row_hashes(rows)
    if params.order == "content":
        order = np.argsort(hashes, kind="stable")
        rows, hashes = rows.iloc[order], hashes[order]
    if params.drop_duplicates:
        is_first = ~columnwise.duplicated(rows, hashes)
        rows, hashes = rows[is_first], hashes[is_first]
    return rows, hashes


def _labelled(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return the rows with a target."""
    if target not in frame.columns:
        raise DataError(
            f"target column {target!r} not found{nearest(target, map(str, frame.columns))}",
            f"columns are {', '.join(map(str, frame.columns[:20]))}; set data_preprocessing.target",
        )
    if frame.empty:
        raise DataError("no row is left", "look at data_preprocessing.contract, and at the source")
    labelled = frame[frame[target].notna()]
    if labelled.empty:
        raise DataError(f"target column {target!r} holds no value", "check data_ingestion.reader.missing")
    return labelled


def _kinds(frame: pd.DataFrame, roles: Mapping[str, Role]) -> tuple[dict[str, Kind], list[str]]:
    """Return the kind of each feature column, and the columns that are none since they hold no value."""
    kinds: dict[str, Kind] = {}
    empty = []
    for name, role in roles.items():
        if role == "id" or role == "ignore":
            continue
        if frame[name].isna().all():
            empty.append(name)
        else:
            kinds[name] = role
    if not kinds:
        raise DataError("no feature column is left", "name some under data_preprocessing.columns")
    return kinds, sorted(empty)


JOINED = "other"  # The label of rare classes that are joined.


def without_rare_classes(
    labelled: pd.DataFrame, params: DataPreprocessing, task: Task
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows without the classes of too few rows, or with those joined, and the rows of each such class."""
    target = labelled[params.target]
    counts = target.value_counts()
    rare = counts[counts < params.least_in_class]
    if params.rare_classes == "keep" or task == "regression" or rare.empty:
        return labelled, {}
    if len(counts) - len(rare) + (params.rare_classes == "join") < 2:
        raise DataError(
            f"all but {len(counts) - len(rare)} classes of target {params.target!r} have fewer than "
            f"{params.least_in_class} rows",
            "bring more rows of them, or lower data_preprocessing.least_in_class",
        )
    taken = {str(as_category(label)): int(count) for label, count in rare.items()}
    is_rare = target.isin(rare.index)
    if params.rare_classes == "join" and rare.sum() >= params.least_in_class:
        joined = target.astype(object).map(as_category).where(~is_rare, JOINED)
        return columnwise.with_columns(labelled, {params.target: joined}), taken
    return labelled[~is_rare], taken


def positive_label(labels: pd.Series, params: DataPreprocessing) -> str | int | bool | None:
    """Return the positive label of a binary target: the stated one, or the rarer; of equals the one that sorts last.

    Raises DataError: the stated one is no label.
    """
    counts = labels.value_counts()
    names = sorted(counts.index.tolist())
    if params.positive is not None:
        named = next((label for label in names if as_category(label) == as_category(params.positive)), None)
        if named is None:
            raise DataError(
                f"positive label {params.positive!r} is not one of {', '.join(map(repr, names))}",
                "mend data_preprocessing.positive",
            )
        return named
    first, second = names
    return second if counts[second] <= counts[first] else first


def iso_dates(frame: pd.DataFrame, formats: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows with dates of a stated format spelled in ISO 8601, as the server takes them.

    Raises DataError: a column does not exist, or a value has another format.
    """
    moments = {}
    for name, spelled in formats.items():
        if name not in frame.columns:
            raise DataError(
                f"column {name!r} not found{nearest(name, map(str, frame.columns))}", "mend data_preprocessing.dates"
            )
        try:
            moments[name] = pd.to_datetime(frame[name], format=spelled)
        except ValueError as error:
            raise DataError(
                f"column {name!r} holds a date that is not spelled {spelled!r}: {str(error).splitlines()[0][:200]}",
                "mend data_preprocessing.dates; the codes are those of strftime, and also ISO8601 and mixed",
            ) from None
    return columnwise.with_columns(frame, moments)


def canonical(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Give every feature column its one type: float64 for numeric, text (or None) for the rest.

    Training, evaluation, batch scoring and serving all build their frames here.
    """
    return pd.DataFrame({name: CANONICAL[kind](frame[name]) for name, kind in kinds.items()}, index=frame.index)


def _check_values(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> None:
    for name, kind in kinds.items():
        values = frame[name]
        if kind == "numeric" and np.isinf(values).any():
            raise DataError(
                f"column {name!r} holds infinity in {int(np.isinf(values).sum())} rows",
                "add its spelling to data_ingestion.reader.missing, or quarantine it by data_preprocessing.contract",
            )
        if kind == "date":
            wrong = values[values.notna() & pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True).isna()]
            if len(wrong):
                raise DataError(
                    f"column {name!r} is a date but holds {str(wrong.iloc[0])[:80]!r}",
                    f"state its format: data_preprocessing.dates: {{{name}: '%d.%m.%Y'}}, or make it categorical",
                )


def with_kinds(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """Return the rows with their feature columns in canonical form and the other columns as they are."""
    features = canonical(frame, kinds)
    return replaced(frame, {name: features[name] for name in kinds})


def replaced(frame: pd.DataFrame, columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Return the rows with some columns replaced by others; `assign` would take minutes for 5,000 of them."""
    return pd.DataFrame({name: columns.get(str(name), frame[name]) for name in frame.columns}, index=frame.index)


def decide_roles(frame: pd.DataFrame, params: DataPreprocessing) -> dict[str, Role]:
    """Give each column but the target a role: the one params.yaml names, else the one its values suggest."""
    named = params.columns.roles()
    listed = ", ".join(map(str, frame.columns[:20]))
    for column in named:
        if column not in frame.columns:
            raise DataError(
                f"column {column!r} not found{nearest(column, map(str, frame.columns))}",
                f"data_preprocessing.columns.{named[column]} names it; columns are {listed}",
            )
    key = params.split.column
    if key is not None and key not in named:
        if key not in frame.columns:
            raise DataError(
                f"column {key!r} not found{nearest(key, map(str, frame.columns))}",
                f"data_preprocessing.split.column names it; columns are {listed}",
            )
        named[key] = "ignore"
    features = [str(column) for column in frame.columns if column != params.target]
    return {name: named.get(name) or _other(frame[name], params.columns) for name in features}


def decide_task(target: pd.Series, params: DataPreprocessing) -> Task:
    """Return the task that params.yaml states, else the one the target's values suggest.

    Raises DataError: the values do not fit the stated task, or there is one class only.
    """
    distinct = target.nunique()
    if distinct < 2:
        raise DataError(
            f"target {params.target!r} has one value only, {target.tolist()[0]!r}", "a model needs two classes or more"
        )
    numeric = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    if params.task == "regression" and not numeric:
        raise DataError(
            f"target {params.target!r} is not numeric, but the task is regression", "set data_preprocessing.task"
        )
    if params.task == "binary" and distinct != 2:
        raise DataError(
            f"target {params.target!r} has {distinct} classes, but the task is binary", "set task: multiclass"
        )
    if params.task != "auto":
        return params.task
    if numeric and (distinct > 20 or (target % 1 != 0).any()):
        return "regression"
    return "binary" if distinct == 2 else "multiclass"


def canonical_target(target: pd.Series, task: Task) -> pd.Series:
    """Give the target its one type: float64, int64, bool or text. Raises DataError: a number is infinite."""
    if task == "regression":
        numbers = target.astype("float64")
        if np.isinf(numbers).any():
            raise DataError(
                f"target {target.name!r} holds infinity", "add its spelling to data_ingestion.reader.missing"
            )
        return numbers
    if types.is_bool_dtype(target) or (set(target.unique()) <= {True, False} and target.dtype == object):
        return target.astype("bool")
    if types.is_numeric_dtype(target) and (target % 1 == 0).all():
        return target.astype("int64")
    return _as_text(target)


def _other(values: pd.Series, columns: Columns) -> Role:
    if columns.other == "refuse":
        raise DataError(
            f"column {values.name!r} has no role", "name it under data_preprocessing.columns, or set other: auto"
        )
    if columns.other == "ignore":
        return "ignore"
    if values.name == ROW_NUMBERS:
        return "id"
    kind = suggest_kind(values)
    return suggest_names(values) if kind == "categorical" else kind


def suggest_names(values: pd.Series) -> Role:
    """Return the role of short texts: id or text where nearly every row has another value, else categorical."""
    present = values.dropna().astype(str)
    if len(present) < UNIQUE_ROWS or present.nunique() < UNIQUE * len(present):
        return "categorical"
    return "text" if present.str.contains(r"\s").mean() > 0.5 else "id"


def suggest_kind(values: pd.Series) -> Kind:
    """Guess the kind of a column from its values."""
    if types.is_datetime64_any_dtype(values):
        return "date"
    if types.is_bool_dtype(values):
        return "categorical"
    if types.is_numeric_dtype(values):
        return "numeric"
    present = values.dropna().astype(str)
    if present.empty or present.str.len().mean() >= LONG_TEXT:
        return "text"
    return "date" if _looks_like_dates(present) else "categorical"


def _looks_like_dates(present: pd.Series) -> bool:
    sample = present.head(200)
    return bool(sample.str.match(r"^\d{4}-\d{2}-\d{2}").all()) and bool(
        pd.to_datetime(sample, format="ISO8601", errors="coerce", utc=True).notna().all()
    )


def _as_number(values: pd.Series) -> pd.Series:
    try:
        return values.astype("float64")
    except (ValueError, TypeError):
        wrong = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()].iloc[0]
        raise DataError(
            f"column {values.name!r} is numeric but holds {str(wrong)[:80]!r}",
            "add it to data_ingestion.reader.missing, set reader.decimal or thousands, or make the column categorical",
        ) from None


def _as_text(values: pd.Series) -> pd.Series:
    """Return text in an object column, None where missing; True and 3.0 read as in JSON: `true` and `3`."""
    return columnwise.mapped(values, as_category)


def _as_date(values: pd.Series) -> pd.Series:
    return columnwise.iso_dates(values) if types.is_datetime64_any_dtype(values) else _as_text(values)


CANONICAL = {"numeric": _as_number, "categorical": _as_text, "text": _as_text, "date": _as_date}

"""Conversion between data frames and rows of the schema, which is learned from the train rows."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Categorical, FeatureEngineering, Kind, Task
from lockstep.data.schema import Column, FieldError, Row, RowsRefused, Schema


def learn(
    train: pd.DataFrame, target: str, task: Task, kinds: Mapping[str, Kind], params: FeatureEngineering
) -> Schema:
    """Describe the train rows: canonical feature columns, and the target's labels in sorted order."""
    labels = () if task == "regression" else tuple(sorted(train[target].unique().tolist()))
    return Schema(task, target, labels, tuple(_describe(train[name], kind, params) for name, kind in kinds.items()))


def rows_of(frame: pd.DataFrame, schema: Schema) -> list[Row]:
    """Return the rows of a canonical frame, None where a value is missing."""
    columns = [[None if value != value else value for value in frame[name].tolist()] for name in schema.kinds]
    return list(zip(*columns, strict=True))


def from_rows(rows: list[Row], schema: Schema) -> pd.DataFrame:
    """Return rows as a canonical frame."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema.columns)
    types = {"numeric": np.float64}
    return pd.DataFrame(
        {
            column.name: pd.Series(list(values), dtype=types.get(column.kind, object))
            for column, values in zip(schema.columns, columns, strict=True)
        }
    )


def check_frame(frame: pd.DataFrame, schema: Schema, start: int = 0) -> None:
    """Refuse canonical rows that do not fit, column by column; `start` is the number of the first row.

    Raises RowsRefused: with the first wrong row of each column.
    """
    faults = []
    for column in schema.columns:
        values = frame[column.name]
        wrong = values.isna() & (not column.nullable)
        if column.kind == "numeric":
            wrong |= values.abs() > column.largest
        elif column.kind == "categorical" and column.unknown == "refuse":
            wrong |= values.notna() & ~values.isin(column.categories)
        if wrong.any():
            row_index = int(np.flatnonzero(wrong)[0])
            value = values.iloc[row_index]
            problem = schema.problem(column.name, None if pd.isna(value) else value)
            faults.append(FieldError(start + row_index, column.name, problem or "does not fit"))
    if faults:
        raise RowsRefused(faults)


def target_array(frame: pd.DataFrame, schema: Schema) -> NDArray[Any]:
    """Return the target (n,) in the type that estimators keep as their classes: float64, int64, bool or text."""
    values = frame[schema.target]
    return values.to_numpy(dtype=str) if isinstance((*schema.labels, 0)[0], str) else values.to_numpy()


def _describe(values: pd.Series, kind: Kind, params: FeatureEngineering) -> Column:
    present = values.dropna()
    missing = round(1 - len(present) / len(values), 6) if len(present) < len(values) else None
    nullable = missing is not None or params.missing == "fill"
    column = Column(str(values.name), kind, nullable, _example(present, kind), missing=missing)
    if kind == "numeric" and len(present):
        integral = bool((present % 1 == 0).all())
        return Column(
            **asdict(column)
            | {"minimum": float(present.min()), "maximum": float(present.max()), "step": 1.0 if integral else None}
        )
    if kind == "categorical":
        return Column(**asdict(column) | _levels(present, params.categorical))
    if kind == "text" and column.name in params.text.sets:
        return replace(column, separator=params.text.sets[column.name])
    return column


def _levels(present: pd.Series, params: Categorical) -> dict[str, Any]:
    """Return the categories; of more than `most_levels` the most frequent, and then others are accepted too."""
    if present.nunique() <= params.most_levels:
        return {"categories": tuple(sorted(present.unique().tolist())), "unknown": params.unknown}
    counts = present.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return {"categories": tuple(sorted(counts.index[: params.most_levels].tolist())), "unknown": "ignore"}


def _example(present: pd.Series, kind: Kind) -> float | str | None:
    """Pick the middle value of numbers, the most frequent category, the first text or date in sorted order."""
    if present.empty:
        return None
    if kind == "numeric":
        middle = len(present) // 2
        return float(np.partition(present.to_numpy(), middle)[middle])
    import pyarrow as pa
    import pyarrow.compute as pc

    counted = pc.value_counts(pa.array(present.to_numpy(), pa.large_string()))  # half of what pandas takes
    counts = counted.field("counts")
    best: str = pc.min(counted.field("values").filter(pc.equal(counts, pc.max(counts)))).as_py()
    return best[:500]

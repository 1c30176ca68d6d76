"""The points behind each picture of an evaluation, as tables that `dvc plots` draws and compares."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep import files
from lockstep.data.schema import Schema, label_name
from lockstep.metrics.evaluation_record import Evaluation
from lockstep.metrics.scores import Scored

POINTS = 200
# Each table and its columns; one that the task or the params leave out has no rows.
COLUMNS: dict[str, tuple[str, ...]] = {
    "confusion": ("actual", "predicted"),
    "calibration": ("said", "came", "low", "high", "rows"),
    "thresholds": ("threshold", "precision", "recall", "f1", "accuracy", "share"),
    "residuals": ("actual", "predicted"),
    "residual_histogram": ("error", "share"),
    "learning_curve": ("rows", "train", "held_out", "test"),
    "importance": ("column", "drop", "spread"),
    "slices": ("slice", "rows", "loss", "low", "high", "difference", "surely_worse"),
}
CURVE = ("recall", "false_positive_rate", "precision")


def curves(scored: Scored, schema: Schema) -> pd.DataFrame:
    """Return the curve points of each label (of two, the positive one); no rows for regression."""
    shown = [code for code in range(len(schema.labels)) if code == scored.positive or len(schema.labels) > 2]
    parts = [_curve(scored, code, label_name(schema.labels[code])) for code in shown]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["label", *CURVE])


def _curve(scored: Scored, code: int, name: str) -> pd.DataFrame:
    """Return recall, false positive rate and precision of a label at up to 200 thresholds, strictest first."""
    positives, negatives = (np.cumsum(side[::-1]) for side in scored.by_threshold(code, np.ones(scored.rows)))
    chosen = np.unique(np.linspace(0, len(positives) - 1, min(POINTS, len(positives))).astype(int))
    hits, alarms = positives[chosen], negatives[chosen]
    shares = (hits / max(positives[-1], 1), alarms / max(negatives[-1], 1), hits / (hits + alarms))
    return pd.DataFrame(
        {"label": name, **{column: values.round(6) for column, values in zip(CURVE, shares, strict=True)}}
    )


def write(record: Evaluation, predictions: pd.DataFrame, folder: Path) -> None:
    """Write each table into a folder; `predictions` are those of reports/predictions.csv."""
    rows = tables(record)
    if record.labels:
        rows["confusion"] = predictions[["actual", "prediction"]].to_numpy().tolist()
    for name, columns in COLUMNS.items():
        files.write_csv(pd.DataFrame(rows.get(name, []), columns=list(columns)), folder / f"{name}.csv")


def tables(record: Evaluation) -> dict[str, Sequence[Any]]:
    """Return the rows of each table that the evaluation record has."""
    weakest = [{**msgspec.to_builtins(part), "slice": f"{part.column}: {part.name}"} for part in record.weakest.slices]
    rows: dict[str, Sequence[Any]] = {"slices": weakest}
    if record.importance:
        rows["importance"] = msgspec.to_builtins(record.importance.columns)
    if record.learning_curve:
        rows["learning_curve"] = msgspec.to_builtins(record.learning_curve.points)
    if record.curves:
        rows["calibration"] = msgspec.to_builtins(record.curves.calibration.bins)
        rows["thresholds"] = msgspec.to_builtins(record.curves.thresholds)
    if record.residuals:
        histogram = record.residuals.histogram
        rows["residuals"] = record.residuals.points
        rows["residual_histogram"] = list(zip(_middles(np.asarray(histogram.edges)), histogram.shares, strict=True))
    return rows


def _middles(edges: NDArray[np.float64]) -> list[float]:
    return [float(f"{middle:.6g}") for middle in (edges[:-1] + edges[1:]) / 2]

"""The points behind each picture of an evaluation, as tables that `dvc plots` draws and compares."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep import files

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
"""Each table and its columns; one that the task or the params leave out has no rows."""


def write(facts: Mapping[str, Any], predictions: pd.DataFrame, folder: Path) -> None:
    """Write each table into a folder; `predictions` are those of reports/predictions.csv."""
    rows = tables(facts)
    if facts["labels"]:
        rows["confusion"] = predictions[["actual", "prediction"]].to_numpy().tolist()
    for name, columns in COLUMNS.items():
        files.write_csv(pd.DataFrame(rows.get(name, []), columns=list(columns)), folder / f"{name}.csv")


def tables(facts: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """Return the rows of each table that the content of reports/evaluation.json has."""
    found: dict[str, Sequence[Any]] = {
        "importance": (facts["importance"] or {}).get("columns", []),
        "learning_curve": (facts["learning_curve"] or {}).get("points", []),
        "slices": [{**one, "slice": f"{one['column']}: {one['name']}"} for one in facts["weakest"]["slices"]],
    }
    if facts["curves"]:
        found |= {"calibration": facts["curves"]["calibration"]["bins"], "thresholds": facts["curves"]["thresholds"]}
    if facts["residuals"]:
        histogram = facts["residuals"]["histogram"]
        middles = _middles(np.asarray(histogram["edges"]))
        found |= {
            "residuals": facts["residuals"]["points"],
            "residual_histogram": list(zip(middles, histogram["shares"], strict=True)),
        }
    return found


def _middles(edges: NDArray[np.float64]) -> list[float]:
    return [float(f"{middle:.6g}") for middle in (edges[:-1] + edges[1:]) / 2]

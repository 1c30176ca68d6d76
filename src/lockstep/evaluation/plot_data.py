"""Pictures of an evaluation, and the points behind them."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lockstep import files
from lockstep.data.schema import Schema, label_name
from lockstep.metrics.scores import Scored

POINTS = 200
CURVE = ("recall", "false_positive_rate", "precision")


def draw(scored: Scored, schema: Schema, folder: Path) -> None:
    """Draw confusion matrix, ROC and precision-recall curves, or actual against predicted and residuals."""
    folder.mkdir(parents=True, exist_ok=True)
    if schema.labels:
        names = [label_name(label) for label in schema.labels]
        _confusion(scored, names, folder / "confusion.png")
        points = curves(scored, schema)
        _lines(points, "false_positive_rate", "recall", "ROC", folder / "roc.png")
        _lines(points, "recall", "precision", "Precision and recall", folder / "precision_recall.png")
    else:
        _scatter(scored, schema.target, folder / "actual_predicted.png")
        _residuals(scored, schema.target, folder / "residuals.png")


def curves(scored: Scored, schema: Schema) -> pd.DataFrame:
    """Return the curve points of each label (of two, the second); no rows for regression."""
    shown = [code for code in range(len(schema.labels)) if code or len(schema.labels) > 2]
    parts = [_curve(scored, code, label_name(schema.labels[code])) for code in shown]
    return pd.concat(parts) if parts else pd.DataFrame(columns=["label", *CURVE])


def _curve(scored: Scored, code: int, name: str) -> pd.DataFrame:
    """Return recall, false positive rate and precision of a label at up to 200 thresholds, strictest first."""
    positives, negatives = (np.cumsum(side[::-1]) for side in scored.by_threshold(code, np.ones(scored.rows)))
    chosen = np.unique(np.linspace(0, len(positives) - 1, min(POINTS, len(positives))).astype(int))
    found, alarms = positives[chosen], negatives[chosen]
    shares = (found / max(positives[-1], 1), alarms / max(negatives[-1], 1), found / (found + alarms))
    return pd.DataFrame({"label": name, **{column: own.round(6) for column, own in zip(CURVE, shares, strict=True)}})


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    with files.atomic(path) as partial:
        figure.savefig(partial, dpi=110, metadata={"Software": None})


def _confusion(scored: Scored, names: list[str], path: Path) -> None:
    table = scored.confusion(np.ones(scored.rows))
    figure, axes = _figure("Confusion matrix (test rows)", "predicted", "actual")
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0)
    axes.set_yticks(range(len(names)), names)
    for (row, column), count in np.ndenumerate(table):
        axes.text(
            column,
            row,
            f"{count:.0f}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
        )
    _save(figure, path)


def _lines(points: pd.DataFrame, x: str, y: str, title: str, path: Path) -> None:
    figure, axes = _figure(title, x.replace("_", " "), y)
    for name, own in points.groupby("label", sort=False):
        axes.plot(own[x], own[y], label=str(name))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(frameon=False)
    _save(figure, path)


def _scatter(scored: Scored, target: str, path: Path) -> None:
    figure, axes = _figure("Actual and predicted (test rows)", f"actual {target}", f"predicted {target}")
    axes.scatter(scored.truth, scored.predicted, s=6, alpha=0.35)
    axes.axline((float(np.mean(scored.truth.astype(float))),) * 2, slope=1, color="black", linewidth=1)
    _save(figure, path)


def _residuals(scored: Scored, target: str, path: Path) -> None:
    figure, axes = _figure("Residuals (test rows)", f"predicted - actual {target}", "rows")
    axes.hist(scored.errors, bins=60)
    axes.axvline(0, color="black", linewidth=1)
    _save(figure, path)

"""All that an evaluation finds out about a model, as one record: the same data, model and params, the same record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.data.schema import label_name
from lockstep.evaluation import (
    curves,
    error_analysis,
    importance,
    learning_curve,
    residuals,
    test_metrics,
)
from lockstep.evaluation.learning_curve import Matrices
from lockstep.inference.predictor import Predictor
from lockstep.metrics.scores import METRICS, Scored

FORMAT = 1
MOST_CELLS = 20_000_000
"""A matrix with more values is neither learned from again nor given to scikit-learn's defaults."""


@dataclass(frozen=True)
class Subject:
    """A model, the test rows that it was asked about, what it said, and the metric that it was chosen by."""

    predictor: Predictor
    pipeline: Any
    test: pd.DataFrame
    scored: Scored
    metric: str


@dataclass(frozen=True)
class Taught:
    """The matrix of the train rows (rows x features) with its target (rows), and what the split kept to."""

    matrix: Any
    target: NDArray[Any]
    marks: Mapping[str, NDArray[Any]]


def of(subject: Subject, taught: Taught, measured: Mapping[str, Any], params: ModelEvaluation) -> dict[str, Any]:
    """Return the content of reports/evaluation.json, which docs/evaluation.md describes key by key."""
    schema, scored, test = subject.predictor.schema, subject.scored, subject.test
    shuffled = importance.permutation(subject.predictor, test, scored, subject.metric, params)
    ranked = [one["column"] for one in (shuffled or {}).get("columns", [])]
    columns = [*ranked, *(name for name in schema.kinds if name not in set(ranked))]
    return {
        "format": FORMAT,
        "task": schema.task,
        "target": schema.target,
        "labels": [label_name(label) for label in schema.labels],
        "metric": subject.metric,
        "rows": {"train": len(taught.target), "test": scored.rows},
        "metrics": _metrics(measured),
        "per_class": test_metrics.per_class(scored, schema).to_dict("records"),
        "confusion": curves.confusion(scored, schema),
        "curves": curves.of(scored, schema),
        "residuals": residuals.of(scored),
        "weakest": error_analysis.weakest(test, scored, schema, subject.metric),
        "worst": error_analysis.worst(test, scored, schema, params.report.worst_rows, columns),
        "importance": shuffled,
        "words": importance.words(subject.pipeline, schema, taught.matrix),
        **_refitted(subject, taught, params),
    }


def _metrics(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each metric that has a known name, with its interval, in the order of the catalog of metrics."""
    bounds = measured["interval_95"]
    return [
        {
            "name": name,
            "value": measured[name],
            "low": bounds[name][0],
            "high": bounds[name][1],
            "higher_is_better": METRICS[name].higher_is_better,
        }
        for name in METRICS
        if name in bounds
    ]


def _refitted(subject: Subject, taught: Taught, params: ModelEvaluation) -> dict[str, Any]:
    """Return what takes further fits: the learning curve, and scikit-learn's defaults; None where it was left out."""
    asked, schema = params.report, subject.predictor.schema
    cells = getattr(taught.matrix, "nnz", taught.matrix.size)
    left_out = None
    if cells > MOST_CELLS:
        left_out = f"{cells:,} values are more than {MOST_CELLS:,}, which are learned from again"
    found: dict[str, Any] = {"learning_curve": None, "references": None, "left_out": left_out}
    if left_out or not (asked.learning_curve or asked.references):
        return found
    features, estimator = (subject.pipeline.named_steps[name] for name in ("features", "estimator"))
    target = frames.target_array(subject.test, schema)
    whole = Matrices(taught.matrix, taught.target, features.transform(subject.test), target, taught.marks)
    if asked.learning_curve:
        found["learning_curve"] = learning_curve.curve(whole, estimator, subject.metric, params)
    if asked.references and len(taught.target) <= asked.reference_rows:
        found["references"] = learning_curve.references(whole, schema.task, subject.scored, subject.metric, params)
    return found

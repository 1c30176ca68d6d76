"""The evaluation record of a model: deterministic, the same for the same data, model and params."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.data.schema import label_name
from lockstep.evaluation import curves, error_analysis, importance, learning_curve, residuals, test_metrics
from lockstep.evaluation.learning_curve import Matrices
from lockstep.inference.predictor import Predictor
from lockstep.metrics.evaluation_record import Evaluation, LabelScores, LearningCurve, MetricValue, Reference, RowCounts
from lockstep.metrics.scores import METRICS, Scored

# A larger matrix is not refitted: neither for the learning curve nor for scikit-learn's defaults.
MOST_CELLS = 20_000_000


@dataclass(frozen=True)
class EvaluatedModel:
    """A model with the size of its file, the test rows with their predictions, and the metric of model selection."""

    predictor: Predictor
    pipeline: Any
    test: pd.DataFrame
    scored: Scored
    metric: str
    model_bytes: int = 0


@dataclass(frozen=True)
class TrainMatrix:
    """The matrix of the train rows (rows x features) with its target (rows), and the groups or times of the split."""

    matrix: Any
    target: NDArray[Any]
    marks: Mapping[str, NDArray[Any]]


def evaluate(
    subject: EvaluatedModel,
    train: TrainMatrix,
    metrics: Mapping[str, Any],
    leaks: Mapping[str, float],
    params: ModelEvaluation,
) -> Evaluation:
    """Return the evaluation record: `metrics` is the content of metrics.json, `leaks` scores the leaky columns."""
    schema, scored, test = subject.predictor.schema, subject.scored, subject.test
    shuffled = importance.permutation(subject.predictor, test, scored, subject.metric, params)
    ranked = [entry.column for entry in shuffled.columns] if shuffled else []
    columns = [*ranked, *(name for name in schema.kinds if name not in set(ranked))]
    refitted = _refitted(subject, train, params)
    return Evaluation(
        task=schema.task,
        target=schema.target,
        labels=[label_name(label) for label in schema.labels],
        metric=subject.metric,
        rows=RowCounts(len(train.target), scored.rows),
        metrics=_metrics(metrics),
        per_class=msgspec.convert(test_metrics.per_class(scored, schema).to_dict("records"), list[LabelScores]),
        confusion=curves.confusion(scored, schema),
        curves=curves.compute(scored, schema),
        residuals=residuals.compute(scored),
        weakest=error_analysis.weakest(test, scored, schema, subject.metric),
        worst=error_analysis.worst(test, scored, schema, params.report.worst_rows, columns),
        importance=shuffled,
        words=importance.words(subject.pipeline, schema, train.matrix),
        learning_curve=refitted.curve,
        references=refitted.references,
        left_out=refitted.left_out,
        leaks=dict(leaks),
        model_bytes=subject.model_bytes,
    )


def _metrics(measured: Mapping[str, Any]) -> list[MetricValue]:
    """Return each metric that has a value with its interval, in the order of the catalog of metrics."""
    bounds, draws = measured["interval_95"], measured.get("draws", {})
    return [
        MetricValue(
            name, measured[name], bounds[name][0], bounds[name][1], METRICS[name].higher_is_better, draws.get(name)
        )
        for name in METRICS
        if name in bounds
    ]


@dataclass(frozen=True)
class Refits:
    """Results of further fits: learning curve and scikit-learn's defaults, or the reason why there are none."""

    curve: LearningCurve | None = None
    references: list[Reference] | None = None
    left_out: str | None = None


def _refitted(subject: EvaluatedModel, train: TrainMatrix, params: ModelEvaluation) -> Refits:
    wanted, schema = params.report, subject.predictor.schema
    cells = getattr(train.matrix, "nnz", train.matrix.size)
    if cells > MOST_CELLS:
        return Refits(left_out=f"{cells:,} values are more than {MOST_CELLS:,}, which are learned from again")
    if not (wanted.learning_curve or wanted.references):
        return Refits()
    features, estimator = (subject.pipeline.named_steps[name] for name in ("features", "estimator"))
    target = frames.target_array(subject.test, schema)
    whole = Matrices(train.matrix, train.target, features.transform(subject.test), target, train.marks)
    curve = references = None
    if wanted.learning_curve:
        curve = learning_curve.curve(whole, estimator, subject.metric, params)
    if wanted.references and len(train.target) <= wanted.reference_rows:
        references = learning_curve.references(whole, schema.task, subject.scored, subject.metric, params)
    return Refits(curve, references)

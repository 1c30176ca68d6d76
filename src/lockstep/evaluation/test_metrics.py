"""Metrics of the test rows with intervals, scores per class, predictions, and the evidence for the gate."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.data.schema import Schema, label_name
from lockstep.drift.profile import EvaluationSample
from lockstep.errors import DataError
from lockstep.gate.checks import HoldoutEvidence
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored

SKEW_ROWS = 200
DIGITS = 6


def report(scored: Scored, schema: Schema, params: ModelEvaluation) -> dict[str, Any]:
    """Return each metric of the test rows, its 95 % bootstrap interval, and the number of rows.

    A metric without a value on these rows is null, and `undefined` says so; `draws` has the number of resamples of each
    interval that rests on fewer than `params.resamples`.
    """
    values = {name: scores.measure(name, scored) for name in scores.for_task(schema.task)}
    defined = [name for name, value in values.items() if np.isfinite(value)]
    drawn = scores.intervals(scored, defined, params.resamples, params.seed)
    bounds = {name: bound for name, bound in drawn.items() if bound.draws}
    few = {name: bound.draws for name, bound in bounds.items() if bound.draws < params.resamples}
    undefined = {name: f"no value on these {scored.rows} test rows" for name in values if name not in bounds}
    return {
        **{name: round(value, DIGITS) if np.isfinite(value) else None for name, value in values.items()},
        "interval_95": {name: [round(pair.low, DIGITS), round(pair.high, DIGITS)] for name, pair in bounds.items()},
        "test_rows": scored.rows,
        **({"draws": few} if few else {}),
        **({"undefined": undefined} if undefined else {}),
    }


def require(metrics: Mapping[str, Any], name: str) -> None:
    """Refuse test rows on which the metric of model selection has no value or no interval.

    Raises DataError: it has none, as ROC AUC where all test rows are of one class.
    """
    if name not in metrics["interval_95"]:
        raise DataError(
            f"{name} has no value on the {metrics['test_rows']} test rows, as where all have the same target",
            "choose another data_preprocessing.split or model_building.metric",
        )


def per_class(scored: Scored, schema: Schema) -> pd.DataFrame:
    """Return precision, recall, F1 and the number of test rows of each label; no rows for regression."""
    if not schema.labels:
        return pd.DataFrame(columns=["label", "precision", "recall", "f1", "rows"])
    table = scored.confusion(np.ones(scored.rows))
    right, truths, answers = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    shares = {"precision": (right, answers), "recall": (right, truths), "f1": (2 * right, truths + answers)}
    columns = {
        name: np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0).round(DIGITS)
        for name, (numerator, denominator) in shares.items()
    }
    return pd.DataFrame(
        {"label": [label_name(label) for label in schema.labels], **columns, "rows": truths.astype(int)}
    )


def predictions(frame: pd.DataFrame, scored: Scored, schema: Schema) -> pd.DataFrame:
    """Return truth and answer of each test row, in the order of the test rows, as the API prints them."""
    table = {"row": np.arange(len(frame)), "actual": frame[schema.target].to_numpy()}
    if scored.probabilities is None:
        return pd.DataFrame({**table, "prediction": scored.predicted})
    names = [label_name(label) for label in schema.labels]
    columns = {f"probability_{name}": scored.probabilities[:, code] for code, name in enumerate(names)}
    table["actual"] = np.asarray([label_name(value) for value in frame[schema.target].tolist()], dtype=object)
    return pd.DataFrame({**table, "prediction": [names[code] for code in scored.predicted], **columns})


def evaluated(
    frame: pd.DataFrame, scored: Scored, schema: Schema, metric: str, measured: Mapping[str, Any]
) -> EvaluationSample:
    """Return the predictions and metrics from which the monitoring profile is made."""
    rows = frames.rows_of(frame, schema)
    if scored.probabilities is None:
        return EvaluationSample(rows, scored.predicted.tolist(), None, metric, measured)
    values = [schema.labels[code] for code in scored.predicted]
    return EvaluationSample(rows, values, scored.probabilities.tolist(), metric, measured)


def constant(scored: Scored) -> Scored:
    """Return the best constant prediction: the most frequent label with the labels' shares, or the mean."""
    if scored.probabilities is None:
        return Scored(scored.truth, np.full(scored.rows, scored.truth.astype(np.float64).mean()))
    shares = np.bincount(scored.truth.astype(np.int64), minlength=scored.classes) / scored.rows
    return Scored(
        scored.truth, np.full(scored.rows, shares.argmax()), np.tile(shares, (scored.rows, 1)), scored.positive
    )


def examine(predictor: Predictor, frame: pd.DataFrame, scored: Scored, leaks: Mapping[str, float]) -> HoldoutEvidence:
    """Return the evidence on the test rows that needs no champion."""
    rows = predictor.schema.objects(frames.rows_of(frame, predictor.schema))
    refused = [bool(predictor.schema.faults(row)) for row in rows]
    differing, sent = skew(predictor, frame, [index for index, wrong in enumerate(refused) if not wrong][:SKEW_ROWS])
    return HoldoutEvidence(scored, constant(scored), differing, sent, sum(refused), leaks)


def skew(predictor: Predictor, frame: pd.DataFrame, places: list[int]) -> tuple[int, int]:
    """Count the rows that, sent one by one as JSON, get another answer than as a table; and the rows sent."""
    table = frame.iloc[places]
    expected = predictor.as_answers(predictor.predict_frame(table))
    rows = predictor.schema.objects(frames.rows_of(table, predictor.schema))
    sent = [json.loads(json.dumps(row)) for row in rows]
    return sum(predictor.answers([row]) != [answer] for row, answer in zip(sent, expected, strict=True)), len(places)

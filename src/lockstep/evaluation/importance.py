"""Permutation importance of the columns, and the most influential terms of linear models of texts."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.data.schema import Row, Schema, label_name
from lockstep.features.transformers import TextTfidf
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.metrics.evaluation_record import ColumnImportance, Importance, LabelTerms
from lockstep.metrics.scores import METRICS, Floats, Scored, short
from lockstep.runtime import progress

log = logging.getLogger("evaluation")
REPEATS = 5
BUDGET = 30_000_000  # Most cells that are scored: a number or category is one, a text as many as it has characters.
MOST_COLUMNS, FEWEST_COLUMNS = 60, 10
FEWEST_ROWS = 200
SCREENED = 500
BINS = 10
WORDS = 20
LINEAR = ("LogisticRegression", "Ridge")


@dataclass(frozen=True)
class Extent:
    """Number of rows and columns to shuffle within the budget."""

    rows: int
    columns: tuple[str, ...]


def permutation(
    predictor: Predictor, frame: pd.DataFrame, scored: Scored, metric: str, params: ModelEvaluation
) -> Importance | None:
    """Return how much the metric of test rows (n) falls when a column's values change places (Breiman 2001).

    Each column is shuffled `REPEATS` times; `drop` is the mean fall and `spread` its standard deviation. Where columns
    are many or texts long, fewer rows are scored, and only the columns that the model's answers follow most.
    """
    if not params.report.importance_rows:
        return None
    sample_extent = extent(frame, scored, predictor.schema, params.report.importance_rows)
    sample_rows = np.unique(np.linspace(0, len(frame) - 1, sample_extent.rows).astype(int))
    sample, sampled = frame.iloc[sample_rows], scored.take(sample_rows)
    sign = 1 if METRICS[metric].higher_is_better else -1
    base, rows = scores.measure(metric, sampled), frames.rows_of(sample, predictor.schema)
    names = list(predictor.schema.kinds)
    random = np.random.default_rng(params.seed)
    drops_by_column: list[tuple[float, float, str]] = []
    for name in progress.tracked(sample_extent.columns, "columns shuffled", log):
        orders = [random.permutation(len(rows)) for _ in range(REPEATS)]
        shuffled = _shuffled(rows, names.index(name), orders)
        drops = [sign * (base - scores.measure(metric, answer)) for answer in _answers(predictor, shuffled, sampled)]
        drops_by_column.append((short(np.mean(drops)), short(np.std(drops, ddof=1)), name))
    drops_by_column.sort(key=lambda entry: -entry[0])
    columns = [ColumnImportance(name, drop, spread) for drop, spread, name in drops_by_column]
    return Importance(metric, len(rows), REPEATS, len(predictor.schema.columns), columns)


def extent(frame: pd.DataFrame, scored: Scored, schema: Schema, most: int) -> Extent:
    """Choose rows and columns within the budget, the columns by how closely the answers follow them."""
    width = sum(_width(frame[name], kind) for name, kind in schema.kinds.items())
    fewest = min(FEWEST_ROWS, most, len(frame))
    columns = int(BUDGET / (REPEATS * width * fewest))
    columns = min(len(schema.columns), MOST_COLUMNS, max(FEWEST_COLUMNS, columns))
    rows = min(most, len(frame), max(20, int(BUDGET / (REPEATS * width * columns))))
    names = list(schema.kinds)
    if columns < len(names):
        strength = {name: follows(frame[name], kind, scored) for name, kind in schema.kinds.items()}
        names = sorted(names, key=lambda name: -strength[name])[:columns]
    return Extent(rows, tuple(names))


def follows(values: pd.Series, kind: str, scored: Scored) -> float:
    """Return which share of the variance of the answers (n,) lies between bins or categories of a column (n,)."""
    sample_rows = np.unique(np.linspace(0, len(values) - 1, min(SCREENED, len(values))).astype(int))
    sample = values.iloc[sample_rows]
    if kind == "numeric":
        numbers = sample.to_numpy(np.float64)
        is_finite = np.isfinite(numbers)
        edges = np.quantile(numbers[is_finite], np.linspace(0, 1, BINS + 1)[1:-1]) if is_finite.any() else np.zeros(0)
        codes = np.where(is_finite, np.searchsorted(edges, numbers), BINS + 1)
    else:
        codes = pd.factorize(sample.str.len() if kind == "text" else sample)[0] + 1
    answers = scored.predicted if scored.probabilities is None else scored.probabilities[:, -1]
    answers = answers[sample_rows].astype(np.float64)
    rows = np.bincount(codes)
    means = np.bincount(codes, answers) / np.maximum(rows, 1)
    total = float(((answers - answers.mean()) ** 2).sum())
    return float(rows @ (means - answers.mean()) ** 2) / total if total else 0.0


def _width(values: pd.Series, kind: str) -> float:
    return max(1.0, float(values.str.len().mean())) if kind == "text" and values.notna().any() else 1.0


def _shuffled(rows: Sequence[Row], column: int, orders: Sequence[NDArray[np.int64]]) -> list[Row]:
    """Return the rows once for each order, with the values of one column in that order."""
    return [
        (*row[:column], rows[source][column], *row[column + 1 :])
        for order in orders
        for row, source in zip(rows, order.tolist(), strict=True)
    ]


def _answers(predictor: Predictor, rows: list[Row], truth_rows: Scored) -> list[Scored]:
    """Score `REPEATS` times as many rows as have a truth, and pair each part with the truth."""
    predictions = predictor.predict(rows)
    parts = []
    for start in range(0, len(rows), truth_rows.rows):
        part = slice(start, start + truth_rows.rows)
        if predictions.probabilities is None:
            parts.append(Scored(truth_rows.truth, np.asarray(predictions.values[part], np.float64)))
        else:
            shares = predictions.probabilities[part]
            parts.append(Scored(truth_rows.truth, shares.argmax(axis=1), shares, truth_rows.positive))
    return parts


def words(pipeline: Any, schema: Schema, matrix: Any, most: int = WORDS) -> list[LabelTerms] | None:
    """Return the terms that weigh most for and against each label, or for a higher value; None if there are none.

    A term's weight is its coefficient times the standard deviation of its feature among the train rows (rows x
    features): how far the term moves the score, often enough to matter. A coefficient alone is largest for rare terms.
    """
    features, estimator = pipeline.named_steps["features"], pipeline.named_steps["estimator"]
    texts = [(name, part) for name, part, _ in features.transformers_ if isinstance(part, TextTfidf)]
    if not texts or type(estimator).__name__ not in LINEAR:
        return None
    columns = np.concatenate([np.arange(matrix.shape[1])[features.output_indices_[name]] for name, _ in texts])
    terms = np.concatenate([part.get_feature_names_out() for _, part in texts])
    weights = np.atleast_2d(estimator.coef_)[:, columns] * _deviations(matrix)[columns]
    return [
        LabelTerms(label, _top(terms, weights[output], most), _top(terms, -weights[output], most))
        for output, label in enumerate(_outputs(schema, len(weights)))
    ]


def _deviations(matrix: Any) -> Floats:
    """Return the standard deviation of each feature (features,) of a dense or sparse matrix."""
    squares = matrix.multiply(matrix) if sparse.issparse(matrix) else matrix * matrix
    means = np.asarray(matrix.mean(axis=0)).ravel()
    return np.sqrt(np.maximum(np.asarray(squares.mean(axis=0)).ravel() - means**2, 0.0))


def _outputs(schema: Schema, count: int) -> list[str]:
    if not schema.labels:
        return [f"a higher {schema.target}"]
    names = [label_name(label) for label in schema.labels]
    return names if count == len(names) else names[1:]


def _top(terms: NDArray[np.object_], weights: Floats, most: int) -> list[tuple[str, float]]:
    """Return the terms of largest weight (terms,), the largest first, positive ones only."""
    order = np.argsort(-weights, kind="stable")[:most]
    return [(str(terms[index]), short(weights[index])) for index in order if weights[index] > 0]

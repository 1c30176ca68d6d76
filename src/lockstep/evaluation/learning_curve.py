"""Learning curve of the estimator, and scikit-learn's defaults as baselines on the same rows."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone

from lockstep.config.params import ModelEvaluation, Task
from lockstep.metrics import scores as metrics
from lockstep.metrics.evaluation_record import LearningCurve, LearningPoint, Reference
from lockstep.metrics.scores import Scored, short
from lockstep.modeling.search import fold_score
from lockstep.modeling.search.term_weights import TermWeights
from lockstep.runtime import progress

log = logging.getLogger("evaluation")
Ids = NDArray[np.int64]
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
HELD_OUT = 0.2
FEWEST = 20
SCORED_ROWS = 2_000
NO_TERMS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Matrices:
    """Train and test rows x features with their targets, and the groups or times by which the train rows are split."""

    train: Any
    target: NDArray[Any]
    test: Any
    test_target: NDArray[Any]
    marks: Mapping[str, Ids]


@dataclass(frozen=True)
class Sample:
    """The rows of a learning curve in one matrix: fitting rows, held-out rows, test rows."""

    matrix: Any
    target: NDArray[Any]
    terms: TermWeights
    teaching: int
    held_out: int
    positive: int | None = None

    @classmethod
    def of(cls, whole: Matrices, teaching: Ids, held_out: Ids, tested: Ids) -> "Sample":
        """Take rows by their places in the matrices."""
        parts = [whole.train[teaching], whole.train[held_out], whole.test[tested]]
        matrix = sparse.csr_matrix(sparse.vstack(parts)) if sparse.issparse(whole.train) else np.vstack(parts)
        target = np.concatenate([whole.target[teaching], whole.target[held_out], whole.test_target[tested]])
        terms = TermWeights.from_matrix(whole.train, whole.target, whole.marks.get("terms", NO_TERMS))
        positive = int(whole.marks["positive"]) if "positive" in whole.marks else None
        return cls(matrix, target, terms, len(teaching), len(held_out), positive)

    def scores(self, estimator: BaseEstimator, metric: str, rows: int) -> dict[str, float | None] | None:
        """Fit on the first rows, terms weighted by them only, and score each part; None if they lack a class."""
        fit_rows = np.arange(rows)
        if len(np.unique(self.target[fit_rows])) < len(getattr(estimator, "classes_", ())):
            return None
        matrix = self.terms.reweight(self.matrix, self.target, fit_rows)
        fitted = fit(clone(estimator), matrix[fit_rows], self.target[fit_rows])
        cut = self.teaching + self.held_out
        parts = {"train": slice(0, rows), "held_out": slice(self.teaching, cut), "test": slice(cut, None)}
        scored = {
            name: fold_score.predict(fitted, matrix[part], self.target[part], self.target, self.positive)
            for name, part in parts.items()
        }
        values = {name: metrics.measure(metric, predicted) for name, predicted in scored.items()}
        return {name: short(value) if np.isfinite(value) else None for name, value in values.items()}


def curve(of: Matrices, estimator: BaseEstimator, metric: str, params: ModelEvaluation) -> LearningCurve:
    """Refit an estimator on growing shares of the train rows; score it on a held-out fifth and on test rows.

    Classes keep their shares, groups stay together, and by time the held-out rows come last and the fitting rows grow
    backwards from it. `learning_rows` bounds the rows that teach.
    """
    teaching, held_out = parted(of.target, of.marks, params.seed, regression=not hasattr(estimator, "classes_"))
    held_out = held_out[_every(len(held_out), SCORED_ROWS)]
    tested = _every(len(of.test_target), SCORED_ROWS)
    sample = Sample.of(of, teaching[: params.report.learning_rows], held_out, tested)
    sizes = progress.tracked(_growing(sample.teaching), "fits of the learning curve", log, float)
    scored_sizes = [(rows, sample.scores(estimator, metric, rows)) for rows in sizes]
    points = [LearningPoint(rows=rows, **scores) for rows, scores in scored_sizes if scores]
    return LearningCurve(metric, points, len(of.target), len(held_out), len(tested))


def parted(target: NDArray[Any], marks: Mapping[str, Ids], seed: int, regression: bool) -> tuple[Ids, Ids]:
    """Return the fitting rows, in the order in which they join, and the held-out rows."""
    random = np.random.default_rng(seed)
    count = len(target)
    if "times" in marks:
        order = np.lexsort((random.permutation(count), -marks["times"]))
        cut = _between(marks["times"][order], int(count * HELD_OUT))
    elif "groups" in marks:
        groups, group_of_row = np.unique(marks["groups"], return_inverse=True)
        joined = random.permutation(len(groups))[group_of_row]
        order = np.lexsort((random.permutation(count), joined))
        cut = _between(joined[order], int(count * HELD_OUT))
    else:
        shuffled = random.permutation(count)
        order = shuffled if regression else shuffled[np.argsort(_evenly(target[shuffled]), kind="stable")]
        cut = int(count * HELD_OUT)
    return order[cut:], order[:cut]


def _evenly(target: NDArray[Any]) -> NDArray[np.float64]:
    """Return a place between 0 and 1 for each row (n,), so that every class is spread evenly over them."""
    _, codes, counts = np.unique(target, return_inverse=True, return_counts=True)
    places = np.empty(len(target))
    for code, count in enumerate(counts):
        places[codes == code] = (np.arange(count) + 0.5) / count
    return places


def _between(values: Ids, cut: int) -> int:
    """Return the first place from `cut` on at which another value begins."""
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(next(iter(changes[changes >= cut]), cut))


def _growing(count: int) -> list[int]:
    return sorted({int(count * share) for share in SHARES if int(count * share) >= FEWEST})


def _every(count: int, most: int) -> Ids:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def references(of: Matrices, task: Task, scored: Scored, metric: str, params: ModelEvaluation) -> list[Reference]:
    """Return the scores of scikit-learn's defaults, fitted on the same train rows, on the same test rows.

    `difference` is how much better the model is than the default, with its 95 % paired bootstrap interval; better is
    positive, whichever way the metric points.
    """
    entries = []
    defaults = list(_defaults(task, params.seed, sparse.issparse(of.train)))
    for name, estimator in progress.tracked(defaults, "reference models", log):
        fitted = fit(estimator, of.train, of.target)
        baseline = fold_score.predict(fitted, of.test, of.test_target, of.target, scored.positive)
        value, low, high = metrics.difference(scored, baseline, metric, params.resamples, params.seed)
        entries.append(
            Reference(
                name=name,
                metric=metric,
                value=short(metrics.measure(metric, baseline)),
                difference=short(value),
                low=short(low),
                high=short(high),
                verdict="better" if low > 0 else "worse" if high < 0 else "as good",
            )
        )
    return entries


def _defaults(task: Task, seed: int, is_sparse: bool) -> Iterator[tuple[str, BaseEstimator]]:
    from sklearn import ensemble, linear_model

    if task == "regression":
        yield "default Ridge", linear_model.Ridge(random_state=seed)
    else:
        yield "default LogisticRegression", linear_model.LogisticRegression(random_state=seed)
    if not is_sparse:
        name = "HistGradientBoostingRegressor" if task == "regression" else "HistGradientBoostingClassifier"
        yield f"default {name}", getattr(ensemble, name)(random_state=seed)


def fit(estimator: BaseEstimator, matrix: Any, target: NDArray[Any]) -> BaseEstimator:
    """Fit as far as the estimator's rounds reach; an estimator that stops early is scored as it is."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater")  # on the first points of the curve
        return estimator.fit(matrix, target)

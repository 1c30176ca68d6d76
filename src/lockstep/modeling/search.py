"""Choose among candidates by cross-validation, and fit the best on all train rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from lockstep import compute
from lockstep.errors import ConfigError
from lockstep.modeling import catalog, folds, metrics
from lockstep.modeling.folds import Fold
from lockstep.modeling.reweighting import Terms
from lockstep.sections import Candidate, ModelBuilding, Task

Matrix = Any
"""Rows x features: a float64 array or a CSR matrix."""


NO_TERMS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True)
class Trial:
    """One point: an estimator with its parameters, and its score on each fold."""

    estimator: str
    params: dict[str, Any]
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Return the mean over the folds; 0 where a lone candidate was not compared."""
        return float(np.mean(self.scores)) if self.scores else 0.0


@dataclass(frozen=True)
class Found:
    """The fitted winner, and every trial in the order of params.yaml."""

    estimator: BaseEstimator
    best: Trial
    metric: str
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record of the search, scores rounded to what the folds can tell."""
        trials = [
            {
                "estimator": trial.estimator,
                "params": trial.params,
                "scores": [round(score, 6) for score in trial.scores],
            }
            for trial in self.trials
        ]
        return {"metric": self.metric, "best": self.trials.index(self.best), "trials": trials}


def choose(
    matrix: Matrix,
    target: NDArray[Any],
    task: Task,
    params: ModelBuilding,
    marks: Mapping[str, NDArray[np.int64]] | None = None,
) -> Found:
    """Cross-validate every point of every candidate and fit the best on all rows; folds respect `marks`.

    Raises
    ------
    ConfigError
        A candidate does not fit the task, or a parameter value is refused by its estimator.
    DataError
        A class has fewer rows than there are folds.
    """
    metric = metrics.primary(params.metric, task)
    points = list(expand(params.candidates))
    made = [catalog.make(candidate, point, task, params.seed, sparse.issparse(matrix)) for candidate, point in points]
    parts = folds.make(target, task, params, marks or {})
    scores: list[tuple[float, ...]] = [()]
    if len(made) > 1:
        terms = Terms.of(matrix, target, (marks or {}).get("terms", NO_TERMS))
        score = partial(_score, terms=terms, metric=metric)
        scores = _cross_validate(made, matrix, target, parts, score, params)
    trials = tuple(
        Trial(candidate.estimator, {**candidate.params, **point}, own)
        for (candidate, point), own in zip(points, scores, strict=True)
    )
    sign = 1 if metrics.METRICS[metric].higher_is_better else -1
    winner = int(np.argmax([sign * trial.mean for trial in trials]))
    return Found(_fit(made[winner], matrix, target), trials[winner], metric, trials)


def expand(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, dict[str, Any]]]:
    """Yield each candidate with each point of its grid."""
    for candidate in candidates:
        for point in ParameterGrid({name: list(values) for name, values in candidate.grid.items()}):
            yield candidate, point


def _cross_validate(
    made: list[BaseEstimator],
    matrix: Matrix,
    target: NDArray[Any],
    parts: list[Fold],
    score: Callable[..., float],
    params: ModelBuilding,
) -> list[tuple[float, ...]]:
    columns = (TextColumn("cross-validation"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks = [(one, fold) for one in made for fold in parts]
    scores = [0.0] * len(tasks)
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        compute.pool(params.compute, params.jobs) as pool,
    ):
        bar = progress.add_task("", total=len(tasks))
        for place, reached in pool.run(score, (matrix, target), tasks):
            scores[place] = reached
            progress.advance(bar)
    width = len(parts)
    return [tuple(scores[start : start + width]) for start in range(0, len(scores), width)]


def _score(
    matrix: Matrix, target: NDArray[Any], estimator: BaseEstimator, fold: Fold, terms: Terms, metric: str
) -> float:
    train, held_out = fold
    matrix = terms.by(matrix, target, train)
    with threadpool_limits(limits=1):
        fitted = _fit(clone(estimator), matrix[train], target[train])
        return metrics.measure(metric, scored(fitted, matrix[held_out], target[held_out], np.unique(target)))


def _fit(estimator: BaseEstimator, matrix: Matrix, target: NDArray[Any]) -> BaseEstimator:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return estimator.fit(matrix, target)
        except ConvergenceWarning:
            problem = f"{type(estimator).__name__} did not converge in {estimator.get_params().get('max_iter')} rounds"
            raise ConfigError(problem, "raise max_iter under the candidate's params") from None
        except ValueError as error:
            raise ConfigError(f"{type(estimator).__name__} cannot be fitted: {error}", "check its params") from None


def scored(
    estimator: BaseEstimator, matrix: Matrix, target: NDArray[Any], classes: NDArray[Any] | None = None
) -> metrics.Scored:
    """Return what a fitted estimator says of matrix rows, beside the truth; a class it never saw has no chance."""
    if not hasattr(estimator, "classes_"):
        return metrics.Scored(target, estimator.predict(matrix))
    probabilities = estimator.predict_proba(matrix)
    classes = estimator.classes_ if classes is None else classes
    if len(classes) > len(estimator.classes_):
        known = probabilities
        probabilities = np.zeros((len(known), len(classes)))
        probabilities[:, np.searchsorted(classes, estimator.classes_)] = known
    truth = np.searchsorted(classes, target)
    return metrics.Scored(truth, probabilities.argmax(axis=1), probabilities)

"""Model selection: cross-validate the candidates, and fit the best on all train rows."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator

from lockstep.compute import pool as compute
from lockstep.config.params import ModelBuilding, Task
from lockstep.errors import ConfigError
from lockstep.metrics import scores as metrics
from lockstep.modeling import catalog
from lockstep.modeling.search import fold_score, space
from lockstep.modeling.search.checkpoint import Checkpoint
from lockstep.modeling.search.fold_score import predict as predict
from lockstep.modeling.search.trials import CVData, SearchSpec, TrialRunner
from lockstep.runtime.progress import Progress, TimeLeft

Matrix = Any  # Rows x features: a float64 array or a CSR matrix.
FoldConstraints = Mapping[str, NDArray[np.int64]]

log = logging.getLogger("search")

LEAST_ROWS = 100  # Fewest train rows of a fold in the first round of halving; with fewer, the ranking is mostly noise.


@dataclass(frozen=True)
class Trial:
    """One point: an estimator with its parameters, its score on each fold, and what became of it.

    `status` is compared, dropped (by halving), failed (`cause` says why), left_out (the search stopped before) or
    alone (nothing to compare with); `rows` is the number of train rows in the largest fold.
    """

    estimator: str
    params: dict[str, Any]
    scores: tuple[float, ...] = ()
    status: str = "compared"
    rows: int = 0
    cause: str = ""
    reference: bool = False

    @property
    def mean(self) -> float:
        """Return the mean over the folds; 0 where a lone candidate was not compared."""
        return float(np.mean(self.scores)) if self.scores else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the record of the trial, scores rounded to what the folds can tell."""
        more = {"cause": self.cause} if self.cause else {}
        return more | {
            "estimator": self.estimator,
            "params": self.params,
            "reference": self.reference,
            "rows": self.rows,
            "scores": [round(score, 6) for score in self.scores],
            "status": self.status,
        }


@dataclass(frozen=True)
class SearchResult:
    """The fitted winner, every trial in the order of params.yaml, and how long each took."""

    estimator: BaseEstimator
    best: Trial
    metric: str
    trials: tuple[Trial, ...]
    method: str = "grid"
    stopped: str | None = None
    timings: tuple[Mapping[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record of the search."""
        return {
            "best": self.trials.index(self.best),
            "method": self.method,
            "metric": self.metric,
            "stopped": self.stopped,
            "trials": [trial.to_json() for trial in self.trials],
        }


def choose(
    matrix: Matrix,
    target: NDArray[Any],
    task: Task,
    params: ModelBuilding,
    constraints: FoldConstraints | None = None,
    checkpoint: Checkpoint | None = None,
) -> SearchResult:
    """Cross-validate the points of all candidates and fit the best on all rows; folds respect `constraints`.

    Raises ConfigError: a candidate does not fit the task, or its estimator refuses a parameter value; in a random
    search, all do.
    Raises DataError: a class has fewer rows than there are folds.
    """
    metric = metrics.primary(params.metric, task)
    points = space.points(params, task, sparse.issparse(matrix))
    estimators = [
        catalog.make(point.candidate, point.values, task, params.seed, sparse.issparse(matrix)) for point in points
    ]
    for name in dict.fromkeys(point.candidate.estimator for point in points):
        catalog.check_values(name, task, matrix)
    data = CVData.from_params(matrix, target, task, params, constraints or {})
    spec = SearchSpec(points, estimators, metric, params)
    if len(points) == 1:
        only = Trial(points[0].candidate.estimator, points[0].params, status="alone")
        return SearchResult(fold_score.fit(estimators[0], matrix, target), only, metric, (only,), params.search.method)
    runner = _cross_validate(spec, data, checkpoint)
    winner, estimator = _fit_best(runner, matrix, target)
    trials = tuple(_trials(runner))
    timings = tuple(runner.seconds.get(trial, {}) for trial in range(len(trials)))
    return SearchResult(estimator, trials[winner], metric, trials, params.search.method, runner.stopped, timings)


def _cross_validate(spec: SearchSpec, data: CVData, checkpoint: Checkpoint | None) -> TrialRunner:
    params = spec.params
    shares = rungs(len(spec.points), data.rows(1.0), params.search.factor)
    sizes = [math.ceil(len(spec.points) * shares[0] / share) for share in shares]
    total = len(data.folds) * (sum(sizes) if params.search.method == "halving" else len(spec.points))
    done = min(total, len(checkpoint.results)) if checkpoint else 0
    if done:
        log.info("%d of %d fits were done before and are not repeated", done, total)
    with compute.pool(params.compute, params.jobs) as pool, Progress("items", "fits", total, done, log) as progress:
        runner = TrialRunner(spec, data, pool, progress, checkpoint)
        progress.left = TimeLeft(_expected(runner, dict(zip(shares, sizes, strict=True))))
        if params.search.method == "halving":
            _halve(runner, shares)
        else:
            _in_turn(runner, params.search.patience)
    return runner


def _expected(runner: TrialRunner, sizes: Mapping[float, int]) -> Iterator[tuple[str, float]]:
    """Yield kind and share of rows of each fit that a search will run; `sizes` has the trials of each round."""
    folds = range(len(runner.data.folds))
    if runner.spec.params.search.method == "halving":
        yield from (("", share) for share, trials in sizes.items() for _ in range(trials) for _ in folds)
        return
    done = runner.checkpoint.results if runner.checkpoint else {}
    for trial in range(len(runner.spec.points)):
        yield from ((runner.kind(trial), 1.0) for fold in folds if runner.name(trial, 1.0, fold) not in done)


def _in_turn(runner: TrialRunner, patience: int | None) -> None:
    """Run all trials, or as many as it takes until so many in a row have brought nothing better.

    Whole batches run at a time, but patience is judged trial by trial, so that it does not depend on who came first.
    """
    count = len(runner.spec.points)
    step = patience or count
    for start in range(0, count, step):
        end = min(start + step, count)
        runner.run(range(start, end))
        last = _impatient(runner, end, patience) if patience else None
        if last is not None:
            runner.stopped = "patience" if last + 1 < count else runner.stopped
            runner.forget(range(last + 1, count))
            return
        if runner.stopped:
            return


def _impatient(runner: TrialRunner, end: int, patience: int) -> int | None:
    """Return the trial at which patience ends, among those before `end`."""
    best, best_at = -math.inf, 0
    for trial in range(end):
        if trial in runner.results and runner.value(trial) > best:
            best, best_at = runner.value(trial), trial
        elif trial - best_at >= patience:
            return trial
    return None


def rungs(count: int, rows: int, factor: int) -> list[float]:
    """Return the shares of rows in the rounds of successive halving, the last of which is all (Jamieson and Talwalkar).

    Each round has `factor` times the rows of the one before and a `factor`-th of its trials.
    """
    steps = 0
    while factor ** (steps + 1) <= count and rows / factor ** (steps + 1) >= LEAST_ROWS:
        steps += 1
    return [factor**-step for step in range(steps, -1, -1)]


def _halve(runner: TrialRunner, shares: Sequence[float]) -> None:
    """Run all trials on few rows, and the best of them on more; references are run on all rows in any case."""
    points = runner.spec.points
    running = [trial for trial, point in enumerate(points) if not point.reference]
    for number, share in enumerate(shares):
        last = number == len(shares) - 1
        more = [trial for trial, point in enumerate(points) if point.reference] if last else []
        runner.run(sorted(running + more), share)
        if runner.stopped:
            return
        predict = [trial for trial in runner.ranked(share) if not points[trial].reference]
        running = sorted(predict[: math.ceil(len(running) / runner.spec.params.search.factor)])


def _fit_best(runner: TrialRunner, matrix: Matrix, target: NDArray[Any]) -> tuple[int, BaseEstimator]:
    """Return the best trial that can be fitted on all rows, and its fitted estimator."""
    spec = runner.spec
    share = max((share for share, _ in runner.results.values()), default=1.0)
    for winner in runner.ranked(share):
        try:
            return winner, fold_score.fit(spec.estimators[winner], matrix, target)
        except ConfigError as error:
            if spec.params.search.method == "grid" and not spec.points[winner].reference:
                raise
            runner.failures[winner] = fold_score.FoldResult(None, f"on all rows: {error.problem}", error.hint)
            runner.results.pop(winner)
    first = runner.failures[min(runner.failures)]
    raise ConfigError(f"all {len(runner.failures)} trials failed, the first because {first.cause}", first.hint)


def _trials(runner: TrialRunner) -> Iterator[Trial]:
    most = max(share for share, _ in runner.results.values())
    for trial, point in enumerate(runner.spec.points):
        common: dict[str, Any] = {
            "estimator": point.candidate.estimator,
            "params": point.params,
            "reference": point.reference,
        }
        if trial in runner.failures:
            yield Trial(**common, status="failed", cause=runner.failures[trial].cause)
        elif trial in runner.results:
            share, scores = runner.results[trial]
            status = "compared" if share == most else "dropped"
            yield Trial(**common, scores=scores, status=status, rows=runner.data.rows(share))
        else:
            yield Trial(**common, status="left_out")

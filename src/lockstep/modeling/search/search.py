"""Choose among candidates by cross-validation, and fit the best on all train rows."""

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
from lockstep.modeling.search.checkpoint import Journal
from lockstep.modeling.search.fold_score import scored as scored
from lockstep.modeling.search.trials import Bench, Ground, Job
from lockstep.runtime.progress import Progress

Matrix = Any
"""Rows x features: a float64 array or a CSR matrix."""
Marks = Mapping[str, NDArray[np.int64]]

log = logging.getLogger("search")

LEAST_ROWS = 100
"""Fewest rows that teach in a fold of the first round of halving."""


@dataclass(frozen=True)
class Trial:
    """One point: an estimator with its parameters, its score on each fold, and what became of it.

    `status` is compared, dropped (by halving), failed (`cause` says why), left_out (the search stopped before) or
    alone (nothing to compare with); `rows` taught it in the largest fold.
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
class Found:
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
    marks: Marks | None = None,
    journal: Journal | None = None,
) -> Found:
    """Cross-validate the points of all candidates and fit the best on all rows; folds respect `marks`.

    Raises
    ------
    ConfigError
        A candidate does not fit the task, or its estimator refuses a parameter value; in a random search, all do.
    DataError
        A class has fewer rows than there are folds.
    """
    metric = metrics.primary(params.metric, task)
    points = space.points(params, task, sparse.issparse(matrix))
    made = [catalog.make(point.candidate, point.values, task, params.seed, sparse.issparse(matrix)) for point in points]
    for name in dict.fromkeys(point.candidate.estimator for point in points):
        catalog.check_values(name, task, matrix)
    ground = Ground.of(matrix, target, task, params, marks or {})
    job = Job(points, made, metric, params)
    if len(points) == 1:
        alone = Trial(points[0].candidate.estimator, points[0].params, status="alone")
        return Found(fold_score.fit(made[0], matrix, target), alone, metric, (alone,), params.search.method)
    bench = _compared(job, ground, journal)
    winner, estimator = _fitted(bench, matrix, target)
    trials = tuple(_trials(bench))
    timings = tuple(bench.seconds.get(place, {}) for place in range(len(trials)))
    return Found(estimator, trials[winner], metric, trials, params.search.method, bench.stopped, timings)


def _compared(job: Job, ground: Ground, journal: Journal | None) -> Bench:
    params = job.params
    plan = rungs(len(job.points), ground.rows(1.0), params.search.factor)
    sizes = [math.ceil(len(job.points) * plan[0] / share) for share in plan]
    total = len(ground.folds) * (sum(sizes) if params.search.method == "halving" else len(job.points))
    kept = min(total, len(journal.known)) if journal else 0
    if kept:
        log.info("%d of %d fits were done before and are not repeated", kept, total)
    with compute.pool(params.compute, params.jobs) as pool, Progress("items", "fits", total, kept, log) as progress:
        bench = Bench(job, ground, pool, progress, journal)
        if params.search.method == "halving":
            _halve(bench, plan)
        else:
            _in_turn(bench, params.search.patience)
    return bench


def _in_turn(bench: Bench, patience: int | None) -> None:
    """Run all trials, or as many as it takes until so many in a row have brought nothing better.

    Whole batches run at a time, but patience is judged trial by trial, so that it does not depend on who came first.
    """
    count = len(bench.job.points)
    step = patience or count
    for start in range(0, count, step):
        end = min(start + step, count)
        bench.run(range(start, end))
        last = _impatient(bench, end, patience) if patience else None
        if last is not None:
            bench.stopped = "patience" if last + 1 < count else bench.stopped
            bench.forget(range(last + 1, count))
            return
        if bench.stopped:
            return


def _impatient(bench: Bench, end: int, patience: int) -> int | None:
    """Return the trial at which patience ends, among those before `end`."""
    best, best_at = -math.inf, 0
    for trial in range(end):
        if trial in bench.results and bench.value(trial) > best:
            best, best_at = bench.value(trial), trial
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


def _halve(bench: Bench, plan: Sequence[float]) -> None:
    """Run all trials on few rows, and the best of them on more; references are run on all rows in any case."""
    points = bench.job.points
    running = [place for place, point in enumerate(points) if not point.reference]
    for number, share in enumerate(plan):
        last = number == len(plan) - 1
        more = [place for place, point in enumerate(points) if point.reference] if last else []
        bench.run(sorted(running + more), share)
        if bench.stopped:
            return
        there = [place for place in bench.ranked(share) if not points[place].reference]
        running = sorted(there[: math.ceil(len(running) / bench.job.params.search.factor)])


def _fitted(bench: Bench, matrix: Matrix, target: NDArray[Any]) -> tuple[int, BaseEstimator]:
    """Return the best trial that can be fitted on all rows, and its fitted estimator."""
    job = bench.job
    share = max((share for share, _ in bench.results.values()), default=1.0)
    for winner in bench.ranked(share):
        try:
            return winner, fold_score.fit(job.made[winner], matrix, target)
        except ConfigError as error:
            if job.params.search.method == "grid" and not job.points[winner].reference:
                raise
            bench.failures[winner] = fold_score.Outcome(None, f"on all rows: {error.problem}", error.hint)
            bench.results.pop(winner)
    first = bench.failures[min(bench.failures)]
    raise ConfigError(f"all {len(bench.failures)} trials failed, the first because {first.cause}", first.hint)


def _trials(bench: Bench) -> Iterator[Trial]:
    most = max(share for share, _ in bench.results.values())
    for place, point in enumerate(bench.job.points):
        given: dict[str, Any] = {
            "estimator": point.candidate.estimator,
            "params": point.params,
            "reference": point.reference,
        }
        if place in bench.failures:
            yield Trial(**given, status="failed", cause=bench.failures[place].cause)
        elif place in bench.results:
            share, scores = bench.results[place]
            status = "compared" if share == most else "dropped"
            yield Trial(**given, scores=scores, status=status, rows=bench.ground.rows(share))
        else:
            yield Trial(**given, status="left_out")

"""Trial runner: schedules every fold of every trial as one fit, unless a checkpoint holds its result."""

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from lockstep.compute.pool import Pool
from lockstep.config.params import ModelBuilding, Task
from lockstep.errors import ConfigError
from lockstep.metrics import scores
from lockstep.modeling.search import fold_score, folds
from lockstep.modeling.search.checkpoint import Checkpoint
from lockstep.modeling.search.fold_score import FoldResult
from lockstep.modeling.search.folds import Fold
from lockstep.modeling.search.space import Point
from lockstep.modeling.search.term_weights import TermWeights
from lockstep.runtime.progress import Progress

NO_BLOCKS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class CVData:
    """Cross-validation data: a matrix (rows x features), its target (rows,), and folds of the rows."""

    matrix: Any
    target: NDArray[Any]
    task: Task
    terms: TermWeights
    folds: tuple[Fold, ...]
    seed: int
    positive: int | None = None

    @classmethod
    def from_params(
        cls,
        matrix: Any,
        target: NDArray[Any],
        task: Task,
        params: ModelBuilding,
        constraints: Mapping[str, NDArray[np.int64]],
    ) -> "CVData":
        """Take all rows, or the sample that `search.rows` asks for; `constraints` are what the folds must respect.

        Beside those, they name the blocks of terms and the code of the positive class.
        """
        term_weights = TermWeights.from_matrix(matrix, target, constraints.get("terms", NO_BLOCKS))
        rows = params.search.rows
        if rows and rows < len(target):
            chosen = folds.stratified_rows(target, task, rows / len(target), params.seed)
            matrix, target = matrix[chosen], target[chosen]
            constraints = {
                name: values[chosen] if name in ("groups", "times") else values for name, values in constraints.items()
            }
        chosen_folds = tuple(folds.build(target, task, params, constraints))
        positive = int(constraints["positive"]) if "positive" in constraints else None
        return cls(matrix, target, task, term_weights, chosen_folds, params.seed, positive)

    @cache  # noqa: B019 - one instance a search, which ends with its process
    def train_folds(self, share: float) -> list[Fold]:
        """Return the folds with a share of their train rows; what is held out stays whole, so that scores compare."""
        return [
            (train[folds.stratified_rows(self.target[train], self.task, share, self.seed)], held_out)
            for train, held_out in self.folds
        ]

    def rows(self, share: float) -> int:
        """Return the number of train rows of the largest fold."""
        return max(len(train) for train, _ in self.train_folds(share))


@dataclass(frozen=True)
class SearchSpec:
    """Search specification: the points, each as an unfitted estimator, and the metric that compares them."""

    points: Sequence[Point]
    estimators: Sequence[BaseEstimator]
    metric: str
    params: ModelBuilding

    @property
    def sign(self) -> int:
        """Return 1 where more is better, else -1."""
        return 1 if scores.METRICS[self.metric].higher_is_better else -1


@dataclass
class TrialRunner:
    """Runs trials and records, for each, the largest share of rows on which it was scored on every fold."""

    spec: SearchSpec
    data: CVData
    pool: Pool
    progress: Progress
    checkpoint: Checkpoint | None = None
    stopped: str | None = None
    results: dict[int, tuple[float, tuple[float, ...]]] = field(default_factory=dict)
    failures: dict[int, FoldResult] = field(default_factory=dict)
    seconds: dict[int, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        minutes, spent_s = self.spec.params.search.minutes, self.checkpoint.spent_s if self.checkpoint else 0.0
        self._until = time.time() + 60 * minutes - spent_s if minutes else math.inf
        self._earlier = dict(self.checkpoint.results) if self.checkpoint else {}
        self._reached: dict[int, dict[int, float]] = {}
        self._best = (0.0, -math.inf)
        self._leader = ""

    def run(self, trials: Iterable[int], share: float = 1.0) -> None:
        """Score trials on every fold with a share of its train rows; the time may be up before the last."""
        self._reached = {trial: {} for trial in trials if trial not in self.failures}
        tasks_wanted = [(trial, fold) for trial in self._reached for fold in range(len(self.data.folds))]
        waiting = []
        for trial, fold in self._sampled_first(tasks_wanted):
            if result := self._earlier.get(self.name(trial, share, fold)):
                self._take(trial, fold, share, result)
            else:
                waiting.append((trial, fold))
        # the very first trial always runs to its end, so that there is something to choose
        first_trial = None if self.results else min(self._reached, default=None)
        parts = self.data.train_folds(share)
        tasks = [
            (
                self.spec.estimators[trial],
                parts[fold],
                self.spec.metric,
                math.inf if trial == first_trial else self._until,
            )
            for trial, fold in waiting
        ]
        shared = (self.data.matrix, self.data.target, self.data.terms, self.data.positive)
        for index, outcome in self.pool.run(fold_score.fit_task, shared, tasks) if tasks else ():
            self._done(*waiting[index], share, outcome)

    def kind(self, trial: int) -> str:
        """Return what the time of a fit depends on: the estimator, if it is known beforehand which ones run."""
        return "" if self.spec.params.search.method == "halving" else self.spec.points[trial].candidate.estimator

    def _sampled_first(self, tasks: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the tasks (trial, fold) with one of each estimator first, from which the time left is estimated.

        It is one from the middle of the grid, since the time often grows from one end to the other.
        """
        by_kind: dict[str, list[tuple[int, int]]] = {}
        for task in tasks:
            by_kind.setdefault(self.kind(task[0]), []).append(task)
        samples = [tasks[len(tasks) // 2] for tasks in by_kind.values()] if len(by_kind) > 1 else []
        return [*samples, *(task for task in tasks if task not in set(samples))]

    def name(self, trial: int, share: float, fold: int) -> str:
        """Return the key of a fit in the checkpoint."""
        point = self.spec.points[trial]
        return json.dumps([point.candidate.estimator, point.params, share, fold], sort_keys=True)

    def forget(self, trials: Iterable[int]) -> None:
        """Leave out trials that a search which went on trial by trial would not have run."""
        for trial in trials:
            self.results.pop(trial, None)
            self.failures.pop(trial, None)
            self.seconds.pop(trial, None)

    def ranked(self, share: float) -> list[int]:
        """Return the trials that were scored with a share of the rows, best first, among equals the first."""
        scored = sorted(trial for trial, (scored_on, _) in self.results.items() if scored_on == share)
        return sorted(scored, key=lambda trial: -self.value(trial))

    def value(self, trial: int) -> float:
        """Return the mean over the folds; better is larger, whichever way the metric points."""
        return self.spec.sign * float(np.mean(self.results[trial][1]))

    def _done(self, trial: int, fold: int, share: float, outcome: FoldResult | None) -> None:
        if outcome is None:
            self.stopped = "time"
            return
        if self.checkpoint:
            self.checkpoint.add(self.name(trial, share, fold), outcome)
        if self.progress.left:
            self.progress.left.done(self.kind(trial), share, outcome.fit_s + outcome.score_s)
        self._take(trial, fold, share, outcome)
        self.progress.advance(detail=f"best so far {self._leader}" if self._leader else "")

    def _take(self, trial: int, fold: int, share: float, outcome: FoldResult) -> None:
        durations = self.seconds.setdefault(trial, {"fit_s": 0.0, "score_s": 0.0})
        durations["fit_s"] += outcome.fit_s
        durations["score_s"] += outcome.score_s
        if outcome.score is None:
            self._fail(trial, outcome)
            return
        fold_scores = self._reached[trial]
        fold_scores[fold] = outcome.score
        width = len(self.data.folds)
        if len(fold_scores) == width and trial not in self.failures:
            self.results[trial] = (share, tuple(fold_scores[fold] for fold in range(width)))
            self._lead(trial, share)

    def _fail(self, trial: int, outcome: FoldResult) -> None:
        if self.spec.params.search.method == "grid" and not self.spec.points[trial].reference:
            raise ConfigError(outcome.cause, outcome.hint)
        self.failures.setdefault(trial, outcome)
        self.results.pop(trial, None)

    def _lead(self, trial: int, share: float) -> None:
        """Update the description of the leading trial among those with the most rows."""
        value = self.value(trial)
        if (share, value) > self._best:
            self._best = (share, value)
            point = self.spec.points[trial]
            chosen = (f"{name}={value}" for name, value in point.params.items())
            words = " ".join([point.candidate.estimator, *chosen])
            self._leader = f"{words}: {self.spec.metric} {self.spec.sign * value:.4f}"

"""Where trials are run: every fold of every trial is a piece of work, done before or done now."""

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
from lockstep.modeling.search import fold_score, folds, subsample
from lockstep.modeling.search.checkpoint import Journal
from lockstep.modeling.search.fold_score import Outcome
from lockstep.modeling.search.folds import Fold
from lockstep.modeling.search.space import Point
from lockstep.modeling.search.term_weights import Terms
from lockstep.runtime.progress import Progress

NO_TERMS = np.zeros((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class Ground:
    """What all trials are judged on: a matrix (rows x features), its target (rows,), and folds of the rows."""

    matrix: Any
    target: NDArray[Any]
    task: Task
    terms: Terms
    folds: tuple[Fold, ...]
    seed: int

    @classmethod
    def of(
        cls,
        matrix: Any,
        target: NDArray[Any],
        task: Task,
        params: ModelBuilding,
        marks: Mapping[str, NDArray[np.int64]],
    ) -> "Ground":
        """Take all rows, or the sample that `search.rows` asks for; `marks` are what the folds must respect."""
        terms = Terms.of(matrix, target, marks.get("terms", NO_TERMS))
        rows = params.search.rows
        if rows and rows < len(target):
            chosen = subsample.part(target, task, rows / len(target), params.seed)
            matrix, target = matrix[chosen], target[chosen]
            marks = {name: own if name == "terms" else own[chosen] for name, own in marks.items()}
        return cls(matrix, target, task, terms, tuple(folds.make(target, task, params, marks)), params.seed)

    @cache  # noqa: B019 - one ground a search, which ends with its process
    def taught_by(self, share: float) -> list[Fold]:
        """Return the folds with a share of the rows that teach; what is held out stays whole, so scores compare."""
        return [
            (train[subsample.part(self.target[train], self.task, share, self.seed)], held_out)
            for train, held_out in self.folds
        ]

    def rows(self, share: float) -> int:
        """Return how many rows teach in the largest fold."""
        return max(len(train) for train, _ in self.taught_by(share))


@dataclass(frozen=True)
class Job:
    """The points of a search, each as an unfitted estimator, and the metric that they are compared by."""

    points: Sequence[Point]
    made: Sequence[BaseEstimator]
    metric: str
    params: ModelBuilding

    @property
    def sign(self) -> int:
        """Return 1 where more is better, else -1."""
        return 1 if scores.METRICS[self.metric].higher_is_better else -1


@dataclass
class Bench:
    """Runs trials and remembers, for each, the largest share of rows on which it was scored on every fold."""

    job: Job
    ground: Ground
    pool: Pool
    progress: Progress
    journal: Journal | None = None
    stopped: str | None = None
    results: dict[int, tuple[float, tuple[float, ...]]] = field(default_factory=dict)
    failures: dict[int, Outcome] = field(default_factory=dict)
    seconds: dict[int, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        minutes, spent_s = self.job.params.search.minutes, self.journal.spent_s if self.journal else 0.0
        self._until = time.time() + 60 * minutes - spent_s if minutes else math.inf
        self._known = dict(self.journal.known) if self.journal else {}
        self._reached: dict[int, dict[int, float]] = {}
        self._best = (0.0, -math.inf)
        self._leader = ""

    def run(self, trials: Iterable[int], share: float = 1.0) -> None:
        """Score trials on every fold with a share of the rows that teach; the time may be up before the last."""
        self._reached = {trial: {} for trial in trials if trial not in self.failures}
        pieces = [(trial, fold) for trial in self._reached for fold in range(len(self.ground.folds))]
        waiting = []
        for trial, fold in pieces:
            if known := self._known.get(self.name(trial, share, fold)):
                self._take(trial, fold, share, known)
            else:
                waiting.append((trial, fold))
        # the very first trial always runs to its end, so that there is something to choose
        spared = None if self.results else min(self._reached, default=None)
        parts = self.ground.taught_by(share)
        tasks = [
            (self.job.made[trial], parts[fold], self.job.metric, math.inf if trial == spared else self._until)
            for trial, fold in waiting
        ]
        shared = (self.ground.matrix, self.ground.target, self.ground.terms)
        for place, outcome in self.pool.run(fold_score.piece, shared, tasks) if tasks else ():
            self._done(*waiting[place], share, outcome)

    def name(self, trial: int, share: float, fold: int) -> str:
        """Return what a piece of work is found again by."""
        point = self.job.points[trial]
        return json.dumps([point.candidate.estimator, point.params, share, fold], sort_keys=True)

    def forget(self, trials: Iterable[int]) -> None:
        """Leave out trials that a search which went on trial by trial would not have run."""
        for trial in trials:
            self.results.pop(trial, None)
            self.failures.pop(trial, None)
            self.seconds.pop(trial, None)

    def ranked(self, share: float) -> list[int]:
        """Return the trials that were scored with a share of the rows, best first, among equals the first."""
        there = sorted(trial for trial, (own, _) in self.results.items() if own == share)
        return sorted(there, key=lambda trial: -self.value(trial))

    def value(self, trial: int) -> float:
        """Return the mean over the folds; better is larger, whichever way the metric points."""
        return self.job.sign * float(np.mean(self.results[trial][1]))

    def _done(self, trial: int, fold: int, share: float, outcome: Outcome | None) -> None:
        if outcome is None:
            self.stopped = "time"
            return
        if self.journal:
            self.journal.add(self.name(trial, share, fold), outcome)
        self._take(trial, fold, share, outcome)
        self.progress.advance(detail=f"best so far {self._leader}" if self._leader else "")

    def _take(self, trial: int, fold: int, share: float, outcome: Outcome) -> None:
        spent = self.seconds.setdefault(trial, {"fit_s": 0.0, "score_s": 0.0})
        spent["fit_s"] += outcome.fit_s
        spent["score_s"] += outcome.score_s
        if outcome.score is None:
            self._fail(trial, outcome)
            return
        own = self._reached[trial]
        own[fold] = outcome.score
        width = len(self.ground.folds)
        if len(own) == width and trial not in self.failures:
            self.results[trial] = (share, tuple(own[fold] for fold in range(width)))
            self._lead(trial, share)

    def _fail(self, trial: int, outcome: Outcome) -> None:
        if self.job.params.search.method == "grid" and not self.job.points[trial].reference:
            raise ConfigError(outcome.cause, outcome.hint)
        self.failures.setdefault(trial, outcome)
        self.results.pop(trial, None)

    def _lead(self, trial: int, share: float) -> None:
        """Say what leads among the trials with the most rows."""
        value = self.value(trial)
        if (share, value) > self._best:
            self._best = (share, value)
            point = self.job.points[trial]
            chosen = (f"{name}={value}" for name, value in point.params.items())
            words = " ".join([point.candidate.estimator, *chosen])
            self._leader = f"{words}: {self.job.metric} {self.job.sign * value:.4f}"

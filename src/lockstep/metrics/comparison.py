"""Paired comparison of two models on the same rows: the better one, the slices that regress, the rows they part on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lockstep.metrics import scores
from lockstep.metrics.scores import Floats, Scored
from lockstep.metrics.slices import LEAST_ROWS, Slice

Verdict = Literal["better", "the same within noise", "worse", "not measurable"]


@dataclass(frozen=True)
class Difference:
    """How much better a candidate is on the same rows, with its 95 % interval; better is positive for each metric."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    @property
    def verdict(self) -> Verdict:
        """Return better or worse if the interval is on one side of zero, in the metric's own sense."""
        if not all(math.isfinite(bound) for bound in (self.value, self.low, self.high)):
            return "not measurable"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "the same within noise"


@dataclass(frozen=True)
class RegressedSlice:
    """A slice on which the candidate is worse beyond noise, with the accuracy or mean absolute error of both models."""

    part: Slice
    candidate: float
    champion: float


def difference(candidate: Scored, champion: Scored, metric: str, count: int, seed: int) -> Difference:
    """Compare two models by a metric on the same rows, by `count` paired bootstrap resamples."""
    candidate_value, champion_value = scores.measure(metric, candidate), scores.measure(metric, champion)
    if not (math.isfinite(candidate_value) and math.isfinite(champion_value)):
        return Difference(metric, math.nan, math.nan, math.nan, candidate.rows)
    return Difference(metric, *scores.difference(candidate, champion, metric, count, seed), candidate.rows)


def regressed_slices(
    candidate: Scored, champion: Scored, parts: Sequence[Slice], margin: float, alpha: float
) -> tuple[list[RegressedSlice], int]:
    """Return the slices on which the candidate is worse by more than a margin, worst first, and how many were tested.

    Each test is one-sided, and Holm's method (1979) keeps the chance that any slice of two equal models is named at or
    below `alpha`. The margin is a share of rows for classes, and of the champion's mean absolute error for values.
    """
    new, old = losses(candidate), losses(champion)
    scale = 1.0 if candidate.classes else float(old.mean()) or 1.0
    tested = [part for part in parts if part.count >= LEAST_ROWS]
    chances = [chance(new[part.rows], old[part.rows], margin * scale, candidate.classes > 0) for part in tested]
    named = [tested[index] for index in holm(chances, alpha)]
    sign = -1.0 if candidate.classes else 1.0
    regressed = [
        RegressedSlice(part, *(sign * float(loss[part.rows].mean()) + (candidate.classes > 0) for loss in (new, old)))
        for part in named
    ]
    return sorted(regressed, key=lambda item: sign * (item.champion - item.candidate)), len(tested)


def furthest_apart(candidate: Scored, champion: Scored, most: int) -> list[int]:
    """Return the rows that one model predicts better, by the distance of their predictions: `most` of each model."""
    gain = losses(champion) - losses(candidate)
    if candidate.probabilities is not None and champion.probabilities is not None:
        distance = np.abs(candidate.probabilities - champion.probabilities).max(axis=1)
    else:
        distance = np.abs(gain)
    order = np.argsort(-distance, kind="stable")
    return [int(row) for side in (1.0, -1.0) for row in order[gain[order] * side > 0][:most]]


def losses(scored: Scored) -> Floats:
    """Return the loss of each row (n,): 1 for a wrong label, the absolute error for a value in the target's unit."""
    if scored.classes:
        return (scored.truth != scored.predicted).astype(np.float64)
    return np.abs(scored.errors)


def chance(new: Floats, old: Floats, margin: float, labels: bool) -> float:
    """Return p of a loss (n,) that is larger than the other by more than the margin by chance alone, one-sided.

    Student's t of the paired differences; of labels, few differ, and then t is too sure: p is at least that of the
    exact sign test of the rows that differ (McNemar 1947).
    """
    from scipy.special import bdtrc, stdtr

    more = new - old - margin
    mean, spread = float(more.mean()), float(more.std(ddof=1))
    if mean <= 0:
        return 1.0
    p = float(stdtr(len(more) - 1, -mean / (spread / math.sqrt(len(more))))) if spread else 0.0
    if not labels:
        return p
    lost, gained = int((new > old).sum()), int((new < old).sum())
    return max(p, float(bdtrc(lost - 1, lost + gained, 0.5)) if lost else 1.0)


def holm(chances: Sequence[float], alpha: float) -> list[int]:
    """Return the places of the hypotheses that Holm's step-down method rejects at the level alpha."""
    order = sorted(range(len(chances)), key=lambda index: (chances[index], index))
    rejected = []
    for step, index in enumerate(order):
        if chances[index] > alpha / (len(chances) - step):
            break
        rejected.append(index)
    return rejected

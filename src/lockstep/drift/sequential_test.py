"""Sequential test of a challenger against Production on live labels, valid however often it is evaluated.

The answer is a confidence sequence: an interval that holds the true difference at every look at once, with 95 %. It is
that of the mixture sequential probability ratio test (Robbins 1970; Johari et al. 2022), with a normal mixture over the
difference, on asymptotically normal means (Waudby-Smith et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Monitoring, Task
from lockstep.data.schema import label_name
from lockstep.drift.numeric_baseline import Floats
from lockstep.drift.results import Challenge, Difference, Interval
from lockstep.metrics.intervals import Z, wilson

LABELS_A_LOOK = 100  # Labels between two looks at the statistic.
# The 80 % point of the normal distribution: the difference asked for is found in four of five cases.
POWER_Z = 0.8416212335729143


@dataclass(frozen=True)
class LabelStream:
    """Labelled predictions of a version, n each, in the order of the labels; `at` says when, in any one unit."""

    version: str
    values: Sequence[Any]
    truths: Sequence[Any]
    at: Sequence[float]


@dataclass(frozen=True)
class Looks:
    """What each look saw: labels, mean of production's losses less the challenger's, and that mean's variance."""

    labels: NDArray[np.int64]
    means: Floats
    variances: Floats


def measure(
    task: Task, production: LabelStream, challenger: LabelStream, limits: Monitoring, share: int = 0
) -> Challenge:
    """Compare two versions on live labels: with share 0 both answered each row, else each its own rows.

    In the shadow, the two are of the same length and order.
    """
    losses = [losses_of(task, stream) for stream in (production, challenger)]
    unit = float(np.concatenate(losses).mean()) if task == "regression" and any(map(len, losses)) else 1.0
    if share == 0:
        looks = paired(losses[0], losses[1], unit)
    else:
        looks = unpaired(
            losses, [np.asarray(stream.at) for stream in (production, challenger)], unit, limits.min_labels
        )
    challenge = Challenge(
        production.version,
        challenger.version,
        share,
        "mae" if task == "regression" else "accuracy",
        labels_production=len(losses[0]),
        labels_challenger=len(losses[1]),
        production_value=_value(task, losses[0]),
        challenger_value=_value(task, losses[1]),
        agreement=_agreement(production, challenger) if share == 0 else None,
    )
    if not len(looks.labels) or not unit:
        return challenge
    return _decide(challenge, looks, limits.difference * unit, limits.difference_p)


def losses_of(task: Task, labelled: LabelStream) -> Floats:
    """Return the loss (n,) of each answer: 1 for a wrong label, or the absolute error in the target's unit."""
    if task == "regression":
        truths, values = (np.asarray(column, dtype=np.float64) for column in (labelled.truths, labelled.values))
        return np.abs(values - truths)
    pairs = zip(labelled.values, labelled.truths, strict=True)
    return np.asarray([label_name(value) != label_name(truth) for value, truth in pairs], dtype=np.float64)


def paired(production: Floats, challenger: Floats, unit: float = 1.0) -> Looks:
    """Look at the differences of losses (n,) on the same rows, every 100 labels.

    Before many labels have come, an estimate of the variance may be 0 by chance; one difference of `unit`, the
    loss of a wrong label or of an average error, is added.
    """
    size = np.arange(LABELS_A_LOOK, len(production) + 1, LABELS_A_LOOK)
    means, spreads = _moments(production - challenger, size, unit)
    return Looks(size, means, spreads / size)


def unpaired(losses: Sequence[Floats], at: Sequence[Floats], unit: float = 1.0, least: int = 50) -> Looks:
    """Look at the losses of two versions on rows of their own, every 100 labels in the order they came.

    A look counts once both versions have `least` labels. The variance is that of equal versions, or their own where it
    is larger: few errors among few labels would make a small share look better than it is.
    """
    side = np.repeat([0, 1], [len(of_version) for of_version in losses])
    order = np.argsort(np.concatenate(at), kind="stable")
    side = side[order]
    looks = np.arange(LABELS_A_LOOK, len(side) + 1, LABELS_A_LOOK)
    second = np.cumsum(side)[looks - 1]
    enough = np.minimum(second, looks - second) >= max(1, least)
    looks, sizes = looks[enough], (looks - second, second)
    sizes = (sizes[0][enough], sizes[1][enough])
    parts = [_moments(of_version, size, unit) for of_version, size in zip(losses, sizes, strict=True)]
    own_spread = parts[0][1] / sizes[0] + parts[1][1] / sizes[1]
    pooled = _moments(np.concatenate(losses)[order], looks, unit)[1] * (1 / sizes[0] + 1 / sizes[1])
    return Looks(looks, parts[0][0] - parts[1][0], np.maximum(own_spread, pooled))


def _moments(values: Floats, sizes: NDArray[np.int64], unit: float) -> tuple[Floats, Floats]:
    """Return mean and variance of the first so many values, with one square of `unit` among the latter."""
    means = np.cumsum(values)[sizes - 1] / sizes
    squares = (np.cumsum(values**2)[sizes - 1] + unit**2) / sizes
    return means, np.maximum(squares - means**2, np.finfo(np.float64).tiny)


def bounds(looks: Looks, difference: float, alpha: float) -> tuple[Floats, Floats]:
    """Return the confidence sequence (looks,): bounds of the true difference, each held to the tightest.

    With information ``I = 1 / variance`` and a mixture N(0, difference^2) it is the mean plus or minus
    ``sqrt(2 (1 + I t) / (I^2 t) log(sqrt(1 + I t) / alpha))``, ``t = difference^2``; narrowest near that difference.
    """
    half = np.sqrt(looks.variances) * _boundary(difference**2 / looks.variances, alpha)
    return np.maximum.accumulate(looks.means - half), np.minimum.accumulate(looks.means + half)


def always_valid_p(looks: Looks, difference: float) -> float:
    """Return the p that holds however often one looked: the least inverse of the mixture likelihood ratio."""
    weight = difference**2 / looks.variances
    exponent = looks.means**2 / looks.variances * weight / (2 * (1 + weight))
    return float(min(1.0, np.exp(0.5 * np.log1p(weight) - exponent).min()))


def labels_needed(variance: float, difference: float, alpha: float = 0.05) -> int:
    """Return how many labels find a true difference in four of five cases, rounded up to whole looks.

    `variance` is that of one label: of the difference of losses where both versions answer each row; with a share s for
    the challenger it is ``v / (1 - s) + v / s``, v that of all losses together, and the labels are those of both.
    """
    looks = np.arange(1, 100_000, dtype=np.float64) * LABELS_A_LOOK
    needed = np.sqrt(variance / looks) * (_boundary(difference**2 * looks / variance, alpha) + POWER_Z)
    return int(looks[min(int(np.argmax(needed <= difference)), len(looks) - 1)]) if needed[-1] <= difference else 10**8


def _boundary(weight: Floats, alpha: float) -> Floats:
    """Return by how many standard errors a mean must differ, with so many times the information of the mixture."""
    return np.sqrt(2 * (1 + weight) / weight * np.log(np.sqrt(1 + weight) / alpha))


def _decide(challenge: Challenge, looks: Looks, least: float, alpha: float) -> Challenge:
    """Add the difference, its bounds at all looks, and what follows."""
    low, high = bounds(looks, least, alpha)
    needed = labels_needed(float(looks.variances[-1] * looks.labels[-1]), least, alpha)
    verdict: Difference = "no difference found" if looks.labels[-1] >= needed else "undecided"
    if low[-1] > 0 or high[-1] < 0:
        first = int(np.argmax((low > 0) | (high < 0)))
        verdict = "challenger better" if low[first] > 0 else "production better"
    return msgspec.structs.replace(
        challenge,
        difference=Interval(float(looks.means[-1]), float(low[-1]), float(high[-1])),
        p=always_valid_p(looks, least),
        verdict=verdict,
        labels_needed=needed,
    )


def _value(task: Task, losses: Floats) -> Interval | None:
    """Return a version's figure with its 95 % interval: Wilson's for accuracy, the normal one for the mean error."""
    if not len(losses):
        return None
    if task != "regression":
        right = len(losses) - round(float(losses.sum()))
        return Interval(right / len(losses), *wilson(right, len(losses)))
    mean, half = float(losses.mean()), Z * float(losses.std() / np.sqrt(len(losses)))
    return Interval(mean, mean - half, mean + half)


def _agreement(production: LabelStream, challenger: LabelStream) -> float | None:
    pairs = list(zip(production.values, challenger.values, strict=True))
    return sum(left == right for left, right in pairs) / len(pairs) if pairs else None

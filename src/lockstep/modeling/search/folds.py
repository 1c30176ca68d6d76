"""Cross-validation folds, by the same rule as the train/test split, and stratified subsamples of rows."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from lockstep.config.params import ModelBuilding, Task
from lockstep.errors import DataError

Ids = NDArray[np.int64]
Fold = tuple[Ids, Ids]
LOWER = "lower model_building.folds or bring more rows"


def build(target: NDArray[np.generic], task: Task, params: ModelBuilding, constraints: Mapping[str, Ids]) -> list[Fold]:
    """Return for each fold the indices of its train rows and of those held out.

    With `groups` (n,) no group stands on both sides of a fold; with `times` (n,), ranks of moments, what is held out
    comes after the train rows (forward chaining, Bergmeir and Benitez 2012).

    Raises DataError: there are fewer rows, groups or moments than folds ask for, or a fold would hold one class.
    """
    if "times" in constraints:
        folds = _forward(constraints["times"], params.folds)
    elif "groups" in constraints:
        folds = _by_group(target, task, params, constraints["groups"])
    else:
        return _by_class(target, task, params)
    if task != "regression":
        _check_classes(folds, target)
    return folds


def _by_class(target: NDArray[np.generic], task: Task, params: ModelBuilding) -> list[Fold]:
    smallest = len(target) if task == "regression" else int(np.unique(target, return_counts=True)[1].min())
    whose = "" if task == "regression" else "of the smallest class "
    if smallest < params.folds:
        raise DataError(f"{smallest} train rows {whose}cannot fill {params.folds} folds", LOWER)
    splitter = KFold if task == "regression" else StratifiedKFold
    return list(splitter(params.folds, shuffle=True, random_state=params.seed).split(np.zeros(len(target)), target))


def _by_group(target: NDArray[np.generic], task: Task, params: ModelBuilding, groups: Ids) -> list[Fold]:
    count = len(np.unique(groups))
    if count < params.folds:
        raise DataError(f"{count} groups among the train rows cannot fill {params.folds} folds", LOWER)
    splitter = GroupKFold if task == "regression" else StratifiedGroupKFold
    chosen = splitter(params.folds, shuffle=True, random_state=params.seed)
    return list(chosen.split(np.zeros(len(target)), target, groups))


def _forward(times: Ids, count: int) -> list[Fold]:
    """Cut the rows into one part more than folds, never between equal moments; each fold holds out the next part."""
    moments, rows = np.unique(times, return_counts=True)
    if len(moments) <= count:
        raise DataError(f"{len(moments)} moments among the train rows cannot fill {count} folds", LOWER)
    each = np.arange(count)
    cuts = np.searchsorted(np.cumsum(rows), len(times) * (each + 1) / (count + 1)) + 1
    apart = np.maximum.accumulate(cuts - each) + each
    cuts = np.minimum(apart, len(moments) - count + each)
    bounds = [*moments[cuts].tolist(), int(moments[-1]) + 1]
    return [
        (np.flatnonzero(times < low), np.flatnonzero((times >= low) & (times < high))) for low, high in pairwise(bounds)
    ]


def _check_classes(folds: list[Fold], target: NDArray[np.generic]) -> None:
    for number, sides in enumerate(folds, start=1):
        if min(len(np.unique(target[side])) for side in sides) < 2:
            raise DataError(
                f"fold {number} of {len(folds)} holds one class only",
                "lower model_building.folds, or split by another column",
            )


def stratified_rows(target: NDArray[np.generic], task: Task, share: float, seed: int) -> Ids:
    """Return the indices of a share of the rows (n,), in order; of each class at least one row stays.

    Subsamples of a seed are nested: a smaller one is part of a larger one.
    """
    if share >= 1:
        return np.arange(len(target))
    random = np.random.default_rng(seed)
    classes = np.zeros(len(target), np.int64) if task == "regression" else np.unique(target, return_inverse=True)[1]
    chosen = []
    for label in range(int(classes.max()) + 1):
        rows = random.permutation(np.flatnonzero(classes == label))
        chosen.append(rows[: math.ceil(round(share * len(rows), 9))])
    return np.sort(np.concatenate(chosen))

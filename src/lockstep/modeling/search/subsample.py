"""Stratified subsamples of rows, seeded and nested: a smaller one is part of a larger one."""

import math

import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Task

Ids = NDArray[np.int64]


def stratified_rows(target: NDArray[np.generic], task: Task, share: float, seed: int) -> Ids:
    """Return the indices of a share of the rows (n,), in order; of each class at least one row stays."""
    if share >= 1:
        return np.arange(len(target))
    random = np.random.default_rng(seed)
    classes = np.zeros(len(target), np.int64) if task == "regression" else np.unique(target, return_inverse=True)[1]
    chosen = []
    for label in range(int(classes.max()) + 1):
        rows = random.permutation(np.flatnonzero(classes == label))
        chosen.append(rows[: math.ceil(round(share * len(rows), 9))])
    return np.sort(np.concatenate(chosen))

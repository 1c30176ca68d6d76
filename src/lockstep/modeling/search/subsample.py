"""Seeded parts of the rows that keep the shares of the classes; a smaller part lies within a larger one."""

import math

import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Task

Ids = NDArray[np.int64]


def part(target: NDArray[np.generic], task: Task, share: float, seed: int) -> Ids:
    """Return the places of a share of the rows (n,), in order; of each class at least one row stays."""
    if share >= 1:
        return np.arange(len(target))
    random = np.random.default_rng(seed)
    classes = np.zeros(len(target), np.int64) if task == "regression" else np.unique(target, return_inverse=True)[1]
    chosen = []
    for one in range(int(classes.max()) + 1):
        own = random.permutation(np.flatnonzero(classes == one))
        chosen.append(own[: math.ceil(round(share * len(own), 9))])
    return np.sort(np.concatenate(chosen))

"""Choose the test rows."""

import numpy as np
import pandas as pd

from lockstep.config import Split, Task
from lockstep.errors import DataError


def split(frame: pd.DataFrame, target: str, task: Task, params: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows, each in the order of the source.

    Raises
    ------
    DataError
        A class is too small to stand on both sides, or a side would be empty.
    """
    stratified = task != "regression" if params.method == "auto" else params.method == "stratified"
    if stratified and task == "regression":
        raise DataError("a regression target cannot be stratified", "set data_preprocessing.split.method: random")
    groups = frame[target].to_numpy() if stratified else np.zeros(len(frame))
    test = _choose(groups, params)
    if test.sum() in (0, len(frame)):
        raise DataError(
            f"{len(frame)} rows cannot be split with test_size {params.test_size}",
            "bring more rows or change data_preprocessing.split.test_size",
        )
    return frame[~test].reset_index(drop=True), frame[test].reset_index(drop=True)


def _choose(groups: np.ndarray, params: Split) -> np.ndarray:
    """Mark the same share of each group, as test rows, and at least one row of each on either side."""
    random = np.random.default_rng(params.seed)
    chosen = np.zeros(len(groups), dtype=bool)
    values, codes = np.unique(groups, return_inverse=True)
    for code, value in enumerate(values):
        members = random.permutation(np.flatnonzero(codes == code))
        if len(members) < 2 and len(values) > 1:
            raise DataError(
                f"class {value!r} has one row, which cannot stand in both train and test rows",
                "bring more rows of it, drop it, or set data_preprocessing.split.method: random",
            )
        share = max(1, round(len(members) * params.test_size))
        chosen[members[: min(share, len(members) - 1)]] = True
    return chosen

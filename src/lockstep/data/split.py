"""Choose the test rows."""

import numpy as np
import pandas as pd

from lockstep.config import Split, Task
from lockstep.data import feedback
from lockstep.errors import DataError


def split(
    frame: pd.DataFrame, target: str, task: Task, params: Split, own: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows, each in the order of the source.

    The first `own` rows (all, if None) are divided by chance, as they would be without the others, which came as
    feedback and are divided by what they say: so no row ever changes sides because more have come.

    Raises
    ------
    DataError
        A class is too small to stand on both sides, or a side would be empty.
    """
    stratified = task != "regression" if params.method == "auto" else params.method == "stratified"
    if stratified and task == "regression":
        raise DataError("a regression target cannot be stratified", "set data_preprocessing.split.method: random")
    own = len(frame) if own is None else own
    groups = frame[target].to_numpy()[:own] if stratified else np.zeros(own)
    late = frame.iloc[own:].drop(columns=target)
    test = np.concatenate([_choose(groups, params), feedback.sides(late, params.test_size, params.seed)])
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

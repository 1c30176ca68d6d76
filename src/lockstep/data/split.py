"""Choose the test rows: by chance, by group, by time, by a column, or from a file of their own.

Whichever way, rows that repeat each other stand on one side, and every label of a test row is one that training shows.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.config.params import Split
from lockstep.data import feedback
from lockstep.data.cleaning import Cleaned
from lockstep.data.columnwise import row_hashes
from lockstep.data.record import SplitRecord
from lockstep.data.schema import as_category
from lockstep.errors import DataError, nearest

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]
Marks = NDArray[np.uint64]
ATTEMPTS = 20
"""Divisions by group that are tried; the one whose classes are nearest to the wished shares is taken."""


def split(cleaned: Cleaned, target: str, params: Split, late: Mask | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows, each in the order of the source, with the column they were divided by.

    Rows marked as `late` came as feedback and are divided by what they say; the others are divided as they would be
    without them: so no row ever changes sides because more have come. Test rows that repeat a train row are left out
    where time, a column or a file decides.

    Raises
    ------
    DataError
        A class is too small to stand on both sides, a side would be empty, or the column does not fit.
    """
    late = np.zeros(len(cleaned.frame), dtype=bool) if late is None else late
    marks = cleaned.marks if len(cleaned.marks) else row_hashes(cleaned.frame)
    test = np.zeros(len(cleaned.frame), dtype=bool)
    test[~late] = METHODS[params.method](_of(cleaned, ~late), target, params, marks[~late])
    if late.any():
        test[late] = _late_sides(cleaned, target, params, test, late)
        test[late] |= np.isin(marks[late], marks[~late & test])
        test[late] &= ~np.isin(marks[late], marks[~late & ~test])
    if test.sum() in (0, len(test)):
        raise DataError(
            f"{len(test)} rows cannot be split with test_size {params.test_size}",
            "bring more rows or change data_preprocessing.split.test_size",
        )
    once = test & ~pd.Series(marks).isin(marks[~test]).to_numpy()
    if not once.any():
        raise DataError(
            f"all {int(test.sum())} test rows repeat train rows",
            "choose other test rows under data_preprocessing.split",
        )
    _check_labels(cleaned, target, once, ~test)
    frame = _with_column(cleaned, params)
    return frame[~test].reset_index(drop=True), frame[once].reset_index(drop=True)


def _of(cleaned: Cleaned, rows: Mask) -> Cleaned:
    by = None if cleaned.by is None else cleaned.by[rows]
    return Cleaned(cleaned.frame[rows], cleaned.kinds, cleaned.task, by=by)


def _with_column(cleaned: Cleaned, params: Split) -> pd.DataFrame:
    """Return the rows, and beside them the group or time that the cross-validation must respect too."""
    if params.method in ("group", "time") and cleaned.by is not None and params.column not in cleaned.frame:
        return cleaned.frame.assign(**{str(params.column): cleaned.by.to_numpy()})
    return cleaned.frame


def _by_chance(cleaned: Cleaned, target: str, params: Split, marks: Marks) -> Mask:
    stratified = cleaned.task != "regression" if params.method == "auto" else params.method == "stratified"
    if stratified and cleaned.task == "regression":
        raise DataError("a regression target cannot be stratified", "set data_preprocessing.split.method: random")
    classes = cleaned.frame[target].to_numpy()
    heads, member = _distinct(marks)
    chosen = _choose(classes[heads] if stratified else np.zeros(len(heads)), params)[member]
    return chosen if stratified or cleaned.task == "regression" else chosen & ~_lone(classes)


def _lone(classes: NDArray[np.object_]) -> Mask:
    """Mark rows that are the only one of their class: they can only teach."""
    _, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return np.asarray(counts[codes] == 1)


def _choose(groups: NDArray[np.object_] | NDArray[np.float64], params: Split) -> Mask:
    """Mark the same share of each group, as test rows, and at least one row of each on either side."""
    random = np.random.default_rng(params.seed)
    chosen = np.zeros(len(groups), dtype=bool)
    codes, values = pd.factorize(groups, sort=True)
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


def _by_group(cleaned: Cleaned, target: str, params: Split, marks: Marks) -> Mask:
    """Mark whole groups; groups that share a row count as one, and a row without a group is a group of its own."""
    groups = _joined(group_codes(_values(cleaned)), _distinct(marks)[1])
    classes = np.zeros(len(groups), np.int64)
    if cleaned.task != "regression":
        classes = np.unique(cleaned.frame[target].to_numpy(), return_inverse=True)[1]
    count, width = int(groups.max(initial=-1)) + 1, int(classes.max(initial=0)) + 1
    if count < 2:
        raise DataError(
            f"{params.column!r} makes {count} group, and a split needs two or more",
            "choose another data_preprocessing.split.column",
        )
    table = np.bincount(groups * width + classes, minlength=count * width).reshape(count, width)
    return _best_groups(table, params)[groups]


def _best_groups(table: Codes, params: Split) -> Mask:
    """Mark the test groups of the attempt that comes nearest to the wished share of each class (columns)."""
    random = np.random.default_rng(params.seed)
    wished = table.sum(axis=0) * params.test_size
    best, least = np.zeros(len(table), dtype=bool), np.inf
    for _ in range(ATTEMPTS):
        order = random.permutation(len(table))
        reached = np.cumsum(table[order].sum(axis=1))
        size = int(np.argmin(np.abs(reached[:-1] - wished.sum()))) + 1
        found = table[order[:size]].sum(axis=0)
        gone = int(((found == 0) | (found == table.sum(axis=0))).sum())
        cost = gone * table.sum() + np.abs(found - wished).sum()
        if cost < least:
            best, least = np.zeros(len(table), dtype=bool), cost
            best[order[:size]] = True
    return best


def _by_time(cleaned: Cleaned, target: str, params: Split, marks: Marks) -> Mask:
    """Mark the last rows; rows of one moment stay together."""
    ranks = time_ranks(_values(cleaned))
    counts = np.bincount(ranks)
    later = np.cumsum(counts[::-1])[::-1]
    if len(counts) < 2:
        raise DataError(
            f"{params.column!r} holds one moment only, and a split by time needs two or more",
            "choose another data_preprocessing.split.column",
        )
    first = int(np.argmin(np.abs(later[1:] - len(ranks) * params.test_size))) + 1
    return np.asarray(ranks >= first)


def _by_column(cleaned: Cleaned, target: str, params: Split, marks: Marks) -> Mask:
    """Mark the rows whose column holds one of the listed values."""
    values = _values(cleaned).map(as_category)
    known = sorted(map(str, values.dropna().unique()))
    wanted = [str(as_category(value)) for value in params.test]
    if wrong := [value for value in wanted if value not in known]:
        raise DataError(
            f"column {params.column!r} never holds {wrong[0]!r}{nearest(wrong[0], known)}",
            f"it holds {', '.join(known[:20])}; mend data_preprocessing.split.test",
        )
    return np.asarray(values.isin(wanted))


def _by_file(cleaned: Cleaned, target: str, params: Split, marks: Marks) -> Mask:
    return _values(cleaned).to_numpy(dtype=bool)


METHODS: dict[str, Callable[[Cleaned, str, Split, Marks], Mask]] = {
    "auto": _by_chance,
    "random": _by_chance,
    "stratified": _by_chance,
    "group": _by_group,
    "time": _by_time,
    "column": _by_column,
    "file": _by_file,
}
"""Ways to split by name; adding one is one function and one line."""


def fold_constraints(train: pd.DataFrame, split: SplitRecord | None) -> dict[str, Codes]:
    """Return what the folds of train rows must respect: `groups` or `times` (n,), nothing for a split by chance."""
    if split is None:
        return {}
    name, encode = {"group": ("groups", group_codes), "time": ("times", time_ranks)}[split.method]
    return {name: encode(train[split.column])}


def group_codes(values: pd.Series) -> Codes:
    """Return the number of each row's group (n,), whatever the order of the rows; without a value, one of its own."""
    codes, known = pd.factorize(values.map(as_category), sort=True)
    alone = codes < 0
    return np.where(alone, len(known) + np.cumsum(alone) - 1, codes).astype(np.int64)


def time_ranks(values: pd.Series) -> Codes:
    """Return the rank of each row's moment (n,), 0 the first; equal moments are equal ranks.

    Raises
    ------
    DataError
        A row has no moment that can be read.
    """
    moments = values
    if not types.is_numeric_dtype(values) and not types.is_datetime64_any_dtype(values):
        moments = pd.to_datetime(values.astype(object), format="ISO8601", errors="coerce", utc=True)
    if moments.isna().any():
        wrong, count = str(values[moments.isna()].iloc[0])[:80], int(moments.isna().sum())
        raise DataError(
            f"column {values.name!r} says when a row was, but {count} rows hold {wrong!r}",
            "drop these rows at the source; dates are read as in 2026-01-31, or in the format under "
            "data_preprocessing.dates",
        )
    return np.unique(moments.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _values(cleaned: Cleaned) -> pd.Series:
    assert cleaned.by is not None  # noqa: S101 - cleaning brings it with these methods
    return cleaned.by


def _distinct(marks: Marks) -> tuple[Codes, Codes]:
    """Return the first place of each distinct row, in order, and which of them each row repeats."""
    member, _ = pd.factorize(marks)
    return np.flatnonzero(~pd.Series(marks).duplicated().to_numpy()), member.astype(np.int64)


def _joined(groups: Codes, rows: Codes) -> Codes:
    """Return group numbers in which groups that hold the same row are one."""
    from scipy.sparse import coo_matrix, csgraph

    count = int(groups.max(initial=-1)) + 1
    size = count + int(rows.max(initial=-1)) + 1
    edges = coo_matrix((np.ones(len(groups)), (groups, count + rows)), shape=(size, size))
    return csgraph.connected_components(edges, directed=False)[1][groups].astype(np.int64)


def _late_sides(cleaned: Cleaned, target: str, params: Split, test: Mask, late: Mask) -> Mask:
    """Mark feedback rows for good: by their group, if it is known, else by what they say."""
    features = cleaned.frame.loc[late, list(cleaned.kinds)]
    chosen = feedback.sides(features, params.test_size, params.seed)
    if params.method != "group":
        return chosen
    groups = _values(cleaned).map(as_category)
    own = dict(zip(groups[~late], test[~late].tolist(), strict=True))
    named = groups[late].notna().to_numpy()
    chosen[named] = feedback.sides(groups[late][named].to_frame(), params.test_size, params.seed)
    known = groups[late].isin([group for group in own if group is not None]).to_numpy()
    chosen[known] = [own[group] for group in groups[late][known]]
    return chosen


def _check_labels(cleaned: Cleaned, target: str, test: Mask, train: Mask) -> None:
    if cleaned.task == "regression":
        return
    labels = cleaned.frame[target]
    tested, taught = labels[test].unique().tolist(), set(labels[train].unique().tolist())
    hint = "choose other test rows under data_preprocessing.split, or drop the class"
    if alone := [label for label in tested if label not in taught]:
        raise DataError(f"class {alone[0]!r} stands among the test rows only, so no model can learn it", hint)
    if len(tested) < 2:
        raise DataError(f"the test rows hold {len(tested)} class, and a test needs two or more", hint)

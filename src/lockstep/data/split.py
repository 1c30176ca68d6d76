"""Train/test split: random, stratified, by group, by time, by a column, or from a file of test rows.

Equal rows stay on one side, and every label of a test row occurs in the train rows.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.config.params import Split
from lockstep.data import feedback
from lockstep.data.cleaning import CleanTable
from lockstep.data.columnwise import row_hashes, with_columns
from lockstep.data.record import SplitRecord
from lockstep.data.schema import as_category
from lockstep.errors import DataError, nearest

Mask = NDArray[np.bool_]
Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]
# Random divisions of the groups that are tried; the one whose class shares are nearest to those asked for is taken.
ATTEMPTS = 20


def split(table: CleanTable, target: str, params: Split, late: Mask | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return train and test rows; see `split_with_feedback`."""
    return split_with_feedback(table, target, params, late)[:2]


def split_with_feedback(
    table: CleanTable, target: str, params: Split, late: Mask | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, Mask]:
    """Return train rows, test rows (n) and a mask (n,) of the test rows that came as feedback.

    Rows are in the order of the source, with the column that they were split by.

    Rows marked as `late` came as feedback and are split by a hash of their content; the others are split as they would
    be without them: so no row ever changes sides because more feedback has come. Test rows that repeat a train row are
    left out where time, a column or a file decides.

    Raises DataError: a class is too small to stand on both sides, a side would be empty, or the column does not fit.
    """
    late = np.zeros(len(table.frame), dtype=bool) if late is None else late
    hashes = table.row_hashes if len(table.row_hashes) else row_hashes(table.frame)
    test = np.zeros(len(table.frame), dtype=bool)
    test[~late] = METHODS[params.method](_take(table, ~late), target, params, hashes[~late])
    if late.any():
        test[late] = _late_sides(table, target, params, test, late)
        test[late] |= np.isin(hashes[late], hashes[~late & test])
        test[late] &= ~np.isin(hashes[late], hashes[~late & ~test])
    if test.sum() in (0, len(test)):
        raise DataError(
            f"{len(test)} rows cannot be split with test_size {params.test_size}",
            "bring more rows or change data_preprocessing.split.test_size",
        )
    is_test = test & ~pd.Series(hashes).isin(hashes[~test]).to_numpy()
    if not is_test.any():
        raise DataError(
            f"all {int(test.sum())} test rows repeat train rows",
            "choose other test rows under data_preprocessing.split",
        )
    _check_labels(table, target, is_test, ~test)
    frame = _with_column(table, params)
    return frame[~test].reset_index(drop=True), frame[is_test].reset_index(drop=True), late[is_test]


def _take(table: CleanTable, rows: Mask) -> CleanTable:
    key = None if table.split_key is None else table.split_key[rows]
    return CleanTable(table.frame[rows], table.kinds, table.task, split_key=key)


def _with_column(table: CleanTable, params: Split) -> pd.DataFrame:
    """Return the rows, and beside them the group or time that the cross-validation must respect too."""
    if params.method in ("group", "time") and table.split_key is not None and params.column not in table.frame:
        return with_columns(table.frame, {str(params.column): table.split_key.to_numpy()})
    return table.frame


def _by_chance(table: CleanTable, target: str, params: Split, hashes: Hashes) -> Mask:
    stratified = table.task != "regression" if params.method == "auto" else params.method == "stratified"
    if stratified and table.task == "regression":
        raise DataError("a regression target cannot be stratified", "set data_preprocessing.split.method: random")
    classes = table.frame[target].to_numpy()
    firsts, member = _distinct(hashes)
    chosen = _choose(classes[firsts] if stratified else np.zeros(len(firsts)), params)[member]
    return chosen if stratified or table.task == "regression" else chosen & ~_lone(classes)


def _lone(classes: NDArray[np.object_]) -> Mask:
    """Mark rows that are the only one of their class, which can only be train rows."""
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


def _by_group(table: CleanTable, target: str, params: Split, hashes: Hashes) -> Mask:
    """Mark whole groups; groups that share a row count as one, and a row without a group is a group of its own."""
    groups = _merged_groups(group_codes(_values(table)), _distinct(hashes)[1])
    classes = np.zeros(len(groups), np.int64)
    if table.task != "regression":
        classes = np.unique(table.frame[target].to_numpy(), return_inverse=True)[1]
    count, width = int(groups.max(initial=-1)) + 1, int(classes.max(initial=0)) + 1
    if count < 2:
        raise DataError(
            f"{params.column!r} makes {count} group, and a split needs two or more",
            "choose another data_preprocessing.split.column",
        )
    counts = np.bincount(groups * width + classes, minlength=count * width).reshape(count, width)
    return _best_groups(counts, params)[groups]


def _best_groups(counts: Codes, params: Split) -> Mask:
    """Mark the test groups of the attempt that comes nearest to the target share of each class (columns)."""
    random = np.random.default_rng(params.seed)
    target_counts = counts.sum(axis=0) * params.test_size
    best, lowest_cost = np.zeros(len(counts), dtype=bool), np.inf
    for _ in range(ATTEMPTS):
        order = random.permutation(len(counts))
        cumulated = np.cumsum(counts[order].sum(axis=1))
        size = int(np.argmin(np.abs(cumulated[:-1] - target_counts.sum()))) + 1
        test_counts = counts[order[:size]].sum(axis=0)
        one_sided = int(((test_counts == 0) | (test_counts == counts.sum(axis=0))).sum())
        cost = one_sided * counts.sum() + np.abs(test_counts - target_counts).sum()
        if cost < lowest_cost:
            best, lowest_cost = np.zeros(len(counts), dtype=bool), cost
            best[order[:size]] = True
    return best


def _by_time(table: CleanTable, target: str, params: Split, hashes: Hashes) -> Mask:
    """Mark the last rows; rows of one moment stay together."""
    ranks = time_ranks(_values(table))
    counts = np.bincount(ranks)
    later = np.cumsum(counts[::-1])[::-1]
    if len(counts) < 2:
        raise DataError(
            f"{params.column!r} holds one moment only, and a split by time needs two or more",
            "choose another data_preprocessing.split.column",
        )
    first = int(np.argmin(np.abs(later[1:] - len(ranks) * params.test_size))) + 1
    return np.asarray(ranks >= first)


def _by_column(table: CleanTable, target: str, params: Split, hashes: Hashes) -> Mask:
    """Mark the rows whose column holds one of the listed values."""
    values = _values(table).map(as_category)
    present = sorted(map(str, values.dropna().unique()))
    wanted = [str(as_category(value)) for value in params.test]
    if absent := [value for value in wanted if value not in present]:
        raise DataError(
            f"column {params.column!r} never holds {absent[0]!r}{nearest(absent[0], present)}",
            f"it holds {', '.join(present[:20])}; mend data_preprocessing.split.test",
        )
    return np.asarray(values.isin(wanted))


def _by_file(table: CleanTable, target: str, params: Split, hashes: Hashes) -> Mask:
    return _values(table).to_numpy(dtype=bool)


# Ways to split by name; adding one is one function and one line.
METHODS: dict[str, Callable[[CleanTable, str, Split, Hashes], Mask]] = {
    "auto": _by_chance,
    "random": _by_chance,
    "stratified": _by_chance,
    "group": _by_group,
    "time": _by_time,
    "column": _by_column,
    "file": _by_file,
}


def fold_constraints(train: pd.DataFrame, split: SplitRecord | None) -> dict[str, Codes]:
    """Return what the folds of train rows must respect: `groups` or `times` (n,), nothing for a split by chance."""
    if split is None:
        return {}
    name, encode = {"group": ("groups", group_codes), "time": ("times", time_ranks)}[split.method]
    return {name: encode(train[split.column])}


def group_codes(values: pd.Series) -> Codes:
    """Return the number of each row's group (n,), whatever the order of the rows; without a value, one of its own."""
    codes, groups = pd.factorize(values.map(as_category), sort=True)
    ungrouped = codes < 0
    return np.where(ungrouped, len(groups) + np.cumsum(ungrouped) - 1, codes).astype(np.int64)


def time_ranks(values: pd.Series) -> Codes:
    """Return the rank of each row's moment (n,), 0 the first; equal moments are equal ranks.

    Raises DataError: a row has no moment that can be read.
    """
    moments = values
    if not types.is_numeric_dtype(values) and not types.is_datetime64_any_dtype(values):
        moments = pd.to_datetime(values.astype(object), format="ISO8601", errors="coerce", utc=True)
    if moments.isna().any():
        wrong, count = str(values[moments.isna()].iloc[0])[:80], int(moments.isna().sum())
        raise DataError(
            f"column {values.name!r} holds the time of a row, but {count} rows hold {wrong!r}",
            "drop these rows at the source; dates are read as in 2026-01-31, or in the format under "
            "data_preprocessing.dates",
        )
    return np.unique(moments.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _values(table: CleanTable) -> pd.Series:
    assert table.split_key is not None  # noqa: S101 - cleaning brings it with these methods
    return table.split_key


def _distinct(hashes: Hashes) -> tuple[Codes, Codes]:
    """Return the index of the first of each set of equal rows, in order, and the number of the set of each row."""
    member, _ = pd.factorize(hashes)
    return np.flatnonzero(~pd.Series(hashes).duplicated().to_numpy()), member.astype(np.int64)


def _merged_groups(groups: Codes, rows: Codes) -> Codes:
    """Return group numbers in which groups that hold the same row are one."""
    from scipy.sparse import coo_matrix, csgraph

    count = int(groups.max(initial=-1)) + 1
    size = count + int(rows.max(initial=-1)) + 1
    edges = coo_matrix((np.ones(len(groups)), (groups, count + rows)), shape=(size, size))
    return csgraph.connected_components(edges, directed=False)[1][groups].astype(np.int64)


def _late_sides(table: CleanTable, target: str, params: Split, test: Mask, late: Mask) -> Mask:
    """Mark feedback test rows for good: by their group if an earlier row has it, else by a hash of their content."""
    features = table.frame.loc[late, list(table.kinds)]
    chosen = feedback.is_test_row(features, params.test_size, params.seed)
    if params.method != "group":
        return chosen
    groups = _values(table).map(as_category)
    side_of_group = dict(zip(groups[~late], test[~late].tolist(), strict=True))
    grouped = groups[late].notna().to_numpy()
    chosen[grouped] = feedback.is_test_row(groups[late][grouped].to_frame(), params.test_size, params.seed)
    assigned = groups[late].isin([group for group in side_of_group if group is not None]).to_numpy()
    chosen[assigned] = [side_of_group[group] for group in groups[late][assigned]]
    return chosen


def _check_labels(table: CleanTable, target: str, test: Mask, train: Mask) -> None:
    if table.task == "regression":
        return
    labels = table.frame[target]
    test_labels, train_labels = labels[test].unique().tolist(), set(labels[train].unique().tolist())
    hint = "choose other test rows under data_preprocessing.split, or drop the class"
    if untrained := [label for label in test_labels if label not in train_labels]:
        raise DataError(f"class {untrained[0]!r} stands among the test rows only, so no model can learn it", hint)
    if len(test_labels) < 2:
        raise DataError(f"the test rows hold {len(test_labels)} class, and a test needs two or more", hint)

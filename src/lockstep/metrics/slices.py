"""Cut rows into slices, each category and each quartile, to see where a model is weak."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Kind
from lockstep.data.schema import Schema

MOST = 200  # Default limit on the number of slices.
LEAST_ROWS = 20  # Slices with fewer rows are dropped: their loss is mostly noise.
LEVELS = 8  # The most frequent categories of a column are slices of their own; the others form one slice.
MISSING, OTHERS = "(missing)", "(other values)"
LONGEST_NAME = 60

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """The rows (n,) of a table for which a column holds a category, or a number in a range."""

    column: str
    name: str
    rows: Rows

    def among(self, rows: Rows) -> "Slice":
        """Return the same slice of fewer rows, those that the mask (n,) marks."""
        return Slice(self.column, self.name, self.rows[rows])

    @property
    def count(self) -> int:
        """Return the number of rows in it."""
        return int(self.rows.sum())


def cut(frame: pd.DataFrame, schema: Schema, most: int = MOST) -> tuple[Slice, ...]:
    """Cut canonical rows (n) by each column of the schema into slices of at least `LEAST_ROWS` rows each.

    A column that tells no rows apart gives none. Columns come in the schema's order, and none is cut that would bring
    more than `most` slices in all.
    """
    slices: list[Slice] = []
    for name, kind in schema.kinds.items():
        parts = [part for part in _parts(name, frame[name], kind) if part.count >= LEAST_ROWS]
        if all(part.count == len(frame) for part in parts):
            continue
        if len(slices) + len(parts) > most:
            break
        slices += parts
    return tuple(slices)


def _parts(column: str, values: pd.Series, kind: Kind) -> Iterator[Slice]:
    missing = values.isna().to_numpy()
    for name, rows in CUTS[kind](values.loc[~missing]):
        whole = np.zeros(len(values), dtype=bool)
        whole[np.flatnonzero(~missing)[rows]] = True
        yield Slice(column, name, whole)
    if missing.any():
        yield Slice(column, MISSING, missing)


def _by_category(values: pd.Series) -> Iterator[tuple[str, Rows]]:
    """Take the most frequent categories, in the order of their names where equally frequent, then the others."""
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    alone = counts.index[counts.to_numpy() >= LEAST_ROWS][:LEVELS]
    for category in alone:
        yield _short(str(category)), (values == category).to_numpy()
    if len(alone) < len(counts):
        yield OTHERS, ~values.isin(alone).to_numpy()


def _by_number(values: pd.Series) -> Iterator[tuple[str, Rows]]:
    return _by_quartile(values.to_numpy(np.float64), _numbers)


def _by_length(values: pd.Series) -> Iterator[tuple[str, Rows]]:
    lengths = np.asarray(values.str.len(), dtype=np.float64)
    return ((f"{name} characters", rows) for name, rows in _by_quartile(lengths, _numbers))


def _by_time(values: pd.Series) -> Iterator[tuple[str, Rows]]:
    moments = pd.to_datetime(values, format="ISO8601", utc=True).dt.as_unit("us")
    return _by_quartile(np.asarray(moments.astype("int64"), dtype=np.float64), _moments)


CUTS: dict[Kind, Callable[[pd.Series], Iterator[tuple[str, Rows]]]] = {
    "numeric": _by_number,
    "categorical": _by_category,
    "text": _by_length,
    "date": _by_time,
}


def _by_quartile(
    values: NDArray[np.float64], spell: Callable[[NDArray[np.float64]], list[str]]
) -> Iterator[tuple[str, Rows]]:
    """Cut values (n,) at their quartiles; equal values stay together, so a frequent one may leave fewer parts."""
    if not len(values):
        return
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf"))
    edges = edges[edges < values.max()]
    bins = np.searchsorted(edges, values, side="left")
    for index, name in enumerate(_ranges(spell(edges))):
        yield name, bins == index


def _ranges(edges: list[str]) -> Iterable[str]:
    """Name the parts between edges; an edge belongs to the part below it."""
    if not edges:
        return ["all"]
    middle = [f"over {low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *middle, f"over {edges[-1]}"]


def _numbers(edges: NDArray[np.float64]) -> list[str]:
    """Spell numbers with as many digits as tell them apart."""
    for digits in (4, 7):
        names = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(names)) == len(names):
            return names
    return [repr(float(edge)) for edge in edges]


def _moments(edges: NDArray[np.float64]) -> list[str]:
    """Spell microseconds since 1970 as days, with the time where a day is not enough to tell them apart."""
    moments = [np.datetime64(int(edge), "us") for edge in edges]
    days = [str(moment.astype("datetime64[D]")) for moment in moments]
    return days if len(set(days)) == len(days) else [str(moment) for moment in moments]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"

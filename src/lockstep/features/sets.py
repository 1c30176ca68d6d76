"""Transformer of cells with several values. Its import path stands in models: never move or rename it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from lockstep.features.tokenizer import split_items


class MultiHot(TransformerMixin, BaseEstimator):
    """Turn cells with several values into a feature for each item: 1 where a cell holds it, in any order.

    Parameters
    ----------
    separator : what stands between two items of a cell.
    min_cells : fewest cells that must hold an item.
    most : most items, those in the most cells first.

    Examples
    --------
    >>> MultiHot("|", min_cells=1).fit(["a|b", "b", None]).transform(["b | a", "c"]).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, separator: str = "|", min_cells: int = 2, most: int = 100) -> None:
        self.separator = separator
        self.min_cells = min_cells
        self.most = most

    def fit(self, X: Iterable[str | None], y: Any = None) -> Self:
        """Learn the items of cells."""
        counts = Counter(item for cell in X for item in set(split_items(cell, self.separator)))
        frequent = sorted((-count, item) for item, count in counts.items() if count >= self.min_cells)
        self.items_ = "\n".join(sorted(item for _, item in frequent[: self.most]))
        return self

    def transform(self, X: Iterable[str | None]) -> NDArray[np.float64]:
        """Return cells x items."""
        cells = list(X)
        table = {item: index for index, item in enumerate(self.items())}
        matrix = np.zeros((len(cells), len(table)))
        for row, cell in enumerate(cells):
            matrix[row, [table[item] for item in split_items(cell, self.separator) if item in table]] = 1.0
        return matrix

    def items(self) -> list[str]:
        """Return the items in the order of their features."""
        return self.items_.split("\n") if self.items_ else []

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the items."""
        return np.asarray(self.items(), dtype=object)

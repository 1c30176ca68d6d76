"""Naive Bayes term weights, computed anew from the train rows of each fold.

Otherwise held-out rows would leak into the weights, and the cross-validation would be optimistic.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lockstep.features.transformers import telling

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TermWeights:
    """Blocks of term columns (blocks, 2), and the weight of each term over all train rows."""

    blocks: tuple[tuple[int, int], ...]
    full_weights: tuple[Floats, ...]

    @classmethod
    def from_matrix(cls, matrix: Any, target: NDArray[Any], blocks: NDArray[np.int64]) -> "TermWeights":
        """Compute the weights of the blocks of a matrix (rows x features) with its target (rows)."""
        pairs = tuple((int(start), int(stop)) for start, stop in blocks)
        return cls(pairs, tuple(_telling(matrix, target, block) for block in pairs))

    def reweight(self, matrix: Any, target: NDArray[Any], train: NDArray[np.int64]) -> Any:
        """Return the matrix with its terms weighted by the train rows alone, each block's rows of length 1 again."""
        if not self.blocks:
            return matrix
        weighted = sparse.csr_matrix(matrix, dtype=np.float64, copy=True)
        rows = np.repeat(np.arange(weighted.shape[0]), np.diff(weighted.indptr))
        for block, full in zip(self.blocks, self.full_weights, strict=True):
            train_weights = _telling(matrix[train], target[train], block)
            in_block = (weighted.indices >= block[0]) & (weighted.indices < block[1])
            weights = weighted.data[in_block] * (train_weights / full)[weighted.indices[in_block] - block[0]]
            norms = np.sqrt(np.bincount(rows[in_block], weights * weights, minlength=weighted.shape[0]))
            weighted.data[in_block] = weights / norms[rows[in_block]]
        return weighted if sparse.issparse(matrix) else weighted.toarray()


def _telling(matrix: Any, target: NDArray[Any], block: tuple[int, int]) -> Floats:
    cells = sparse.coo_matrix(matrix[:, block[0] : block[1]])
    return telling(cells.row, cells.col, target, block[1] - block[0])

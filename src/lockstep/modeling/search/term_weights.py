"""Terms that are weighed by what they tell of the classes, weighed anew by the rows that teach in a fold.

Otherwise what is held out would have had a part in the weights, and the cross-validation would be too hopeful.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from lockstep.features.transformers import telling

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Blocks of columns (blocks, 2) of terms, and how well each told classes apart among all train rows."""

    blocks: tuple[tuple[int, int], ...]
    whole: tuple[Floats, ...]

    @classmethod
    def of(cls, matrix: Any, target: NDArray[Any], blocks: NDArray[np.int64]) -> "Terms":
        """Remember the blocks of a matrix (rows x features) with its target (rows)."""
        own = tuple((int(start), int(stop)) for start, stop in blocks)
        return cls(own, tuple(_telling(matrix, target, block) for block in own))

    def by(self, matrix: Any, target: NDArray[Any], train: NDArray[np.int64]) -> Any:
        """Return the matrix with its terms weighed by the train rows alone, each block's rows of length 1 again."""
        if not self.blocks:
            return matrix
        found = sparse.csr_matrix(matrix, dtype=np.float64, copy=True)
        rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
        for block, whole in zip(self.blocks, self.whole, strict=True):
            own = _telling(matrix[train], target[train], block)
            mine = (found.indices >= block[0]) & (found.indices < block[1])
            weights = found.data[mine] * (own / whole)[found.indices[mine] - block[0]]
            norms = np.sqrt(np.bincount(rows[mine], weights * weights, minlength=found.shape[0]))
            found.data[mine] = weights / norms[rows[mine]]
        return found if sparse.issparse(matrix) else found.toarray()


def _telling(matrix: Any, target: NDArray[Any], block: tuple[int, int]) -> Floats:
    cells = sparse.coo_matrix(matrix[:, block[0] : block[1]])
    return telling(cells.row, cells.col, target, block[1] - block[0])

"""Which rows a model was trained on, as hashes that travel with its version.

When data come in, the split is drawn anew, and rows that taught the champion may be among the test rows of the next.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep import files, paths
from lockstep.data import columnwise
from lockstep.data.schema import Schema

KEPT = 100_000
"""So many hashes are kept, the lowest; of rows whose hash is higher, nobody knows whether they taught."""

Hashes = NDArray[np.uint64]


def write(train: pd.DataFrame, schema: Schema, to: Path = paths.TRAINED_ON) -> None:
    """Write the hashes of canonical train rows: first the highest that is known of, then those of the rows, sorted."""
    found = np.unique(hashes(train, schema))
    highest = found[KEPT - 1] if len(found) > KEPT else np.iinfo(np.uint64).max
    with files.atomic(to) as partial:
        np.save(partial, np.asarray([highest, *found[:KEPT]], dtype=np.uint64), allow_pickle=False)


def hashes(frame: pd.DataFrame, schema: Schema) -> Hashes:
    """Return a hash of features and target of each canonical row (n,), whatever the order of the columns."""
    return columnwise.row_hashes(frame[sorted({*schema.kinds, schema.target})])


def read(file: Path) -> Hashes:
    """Read what `write` wrote."""
    content: Hashes = np.load(file, allow_pickle=False)
    return content


def fair(found: Hashes, one: Hashes, other: Hashes) -> NDArray[np.bool_]:
    """Mark the rows (n,), by their hashes, that are known to have taught both of two models, or neither."""
    known = found <= min(one[0], other[0])
    same: NDArray[np.bool_] = known & (np.isin(found, one[1:]) == np.isin(found, other[1:]))
    return same

"""Hashes of the rows that a model was trained on, which travel with its version.

When data come in, the split is drawn anew, and train rows of the champion may be among the test rows of its challenger.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep import files, paths
from lockstep.data import columnwise
from lockstep.data.schema import Schema

MAX_HASHES = 100_000  # The lowest so many hashes are stored; whether a row of a higher hash was a train row is unknown.
Hashes = NDArray[np.uint64]


def write(train: pd.DataFrame, schema: Schema, to: Path = paths.TRAINED_ON) -> None:
    """Write the hashes of canonical train rows: first the highest that is stored, then those of the rows, sorted."""
    distinct = np.unique(hashes(train, schema))
    highest = distinct[MAX_HASHES - 1] if len(distinct) > MAX_HASHES else np.iinfo(np.uint64).max
    with files.atomic(to) as partial:
        np.save(partial, np.asarray([highest, *distinct[:MAX_HASHES]], dtype=np.uint64), allow_pickle=False)


def hashes(frame: pd.DataFrame, schema: Schema) -> Hashes:
    """Return a hash of features and target of each canonical row (n,), whatever the order of the columns."""
    return columnwise.row_hashes(frame[sorted({*schema.kinds, schema.target})])


def read(file: Path) -> Hashes:
    """Read what `write` wrote."""
    return np.load(file, allow_pickle=False)


def fair(rows: Hashes, first: Hashes, second: Hashes) -> NDArray[np.bool_]:
    """Mark the rows (n,), by their hashes, that are train rows of both of two models, or surely of neither."""
    decidable = rows <= min(first[0], second[0])
    return decidable & (np.isin(rows, first[1:]) == np.isin(rows, second[1:]))

"""Columnwise operations: what is the same for equal values is computed once for each distinct value.

Millions of rows hold few distinct categories and days, so time and memory depend on the number of distinct values:
equal values come out as one and the same Python object.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

CHUNK_ROWS = 100_000


def with_columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows with columns replaced or added, of any name: `DataFrame.assign` takes none called `self`."""
    changed = frame.copy(deep=False)
    for name, values in columns.items():
        changed[name] = values
    return changed


def mapped(values: pd.Series, spell: Callable[[Any], str | None]) -> pd.Series:
    """Return text in an object column: `spell` of each value, called once for each distinct one, None where missing.

    Values of several Python types are spelled one by one, since True, 1 and 1.0 are equal and read differently.
    """
    if values.dtype == object and types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        return _as_objects([spell(value) for value in values.tolist()], values)
    codes, distinct = pd.factorize(values)
    return _taken(codes, [spell(value) for value in distinct.tolist()], values)


def iso_dates(moments: pd.Series) -> pd.Series:
    """Return moments spelled in ISO 8601 as `Timestamp.isoformat` does, None where missing."""
    codes, distinct = pd.factorize(moments)
    index = pd.DatetimeIndex(distinct)
    if index.tz is not None or bool((index.microsecond != 0).any()) or bool((index.nanosecond != 0).any()):
        return _taken(codes, [moment.isoformat() for moment in index], moments)
    plain = index.to_numpy()
    chunks = [
        np.datetime_as_string(plain[at : at + CHUNK_ROWS], unit="s").tolist() for at in range(0, len(plain), CHUNK_ROWS)
    ]
    return _taken(codes, [text for chunk in chunks for text in chunk], moments)


def duplicated(frame: pd.DataFrame, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Mark each row (n,) that equals an earlier one, missing values being equal to each other.

    Rows of different `row_hashes` (n,) differ; only those that share one are compared.
    """
    shared = pd.Series(hashes).duplicated(keep=False).to_numpy()
    marked = np.zeros(len(frame), dtype=bool)
    if shared.any():
        marked[shared] = frame[shared].duplicated().to_numpy()
    return marked


def row_hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """Return a hash of each row (n,) that is equal for equal rows, whatever their order; 0.0 equals -0.0."""
    total: NDArray[np.uint64] = np.zeros(len(frame), dtype=np.uint64)
    for name in frame.columns:
        values = frame[name]
        if values.dtype == np.float64:
            values = pd.Series(np.where(values.isna(), np.nan, values + 0.0))
        total ^= pd.util.hash_pandas_object(values, index=False).to_numpy()
        total *= np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return total


def _taken(codes: NDArray[np.intp], spelled: list[str | None], like: pd.Series) -> pd.Series:
    """Return the spelling of each code; the code -1 is a missing value."""
    table = np.empty(len(spelled) + 1, dtype=object)
    table[:-1] = spelled
    return _as_objects(table[codes], like)


def _as_objects(content: Any, like: pd.Series) -> pd.Series:
    return pd.Series(content, index=like.index, dtype=object, name=like.name)

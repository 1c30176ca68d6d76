"""Answered rows whose truth came back, as further rows beside the source.

`lockstep retrain` writes them to `data/external/feedback/<model>.parquet`, with a page of the same name in JSON that
says which source they belong to and where they come from.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep import files, paths
from lockstep.data import parquet
from lockstep.data.schema import as_category
from lockstep.errors import DataError

HINT = "remove it and run `lockstep retrain`, which writes it anew, or set data_ingestion.feedback: false"
SIDES = 2**64


@dataclass(frozen=True)
class Joined:
    """The rows of a source with those of its feedback at the end, and for each model what came from it."""

    frame: pd.DataFrame
    record: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return how many rows at the end are feedback."""
        return sum(one["joined"] for one in self.record.values())


def join(frame: pd.DataFrame, source: str) -> Joined:
    """Put the feedback that belongs to a source at its end, but for rows that are there already.

    Raises
    ------
    DataError
        A file of it is missing, damaged or changed, or has a column that the source has not.
    """
    record = {}
    for path, page in _pages(source):
        rows = _read(path, page, frame)
        joined = _append(frame, rows)
        record[str(page["model"])] = {
            "rows": len(rows),
            "joined": len(joined) - len(frame),
            "there_already": len(frame) + len(rows) - len(joined),
            **{name: page[name] for name in ("sha256", "first", "last", "versions")},
        }
        frame = joined
    return Joined(frame, record)


def _pages(source: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(paths.FEEDBACK.glob("*.json")):
        try:
            page = files.read_json(path)
            fits = page["source"] == source
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged: {error!r}", HINT) from None
        if fits:
            yield path.with_suffix(".parquet"), page


def _read(path: Path, page: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    if not path.is_file() or files.sha256(path) != page["sha256"]:
        raise DataError(f"{path} is missing, or is not what {path.with_suffix('.json').name} describes", HINT)
    rows = parquet.read(path)
    if unknown := [name for name in rows.columns if name not in frame.columns]:
        raise DataError(f"{path} has a column {unknown[0]!r}, but the source has none of that name", HINT)
    return rows


def _append(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return both, without such of the second that stand before them; columns that they lack are missing in them."""
    both = {name: _under(frame[name], rows[name]) for name in rows.columns}
    upper = frame.assign(**{name: pair[0] for name, pair in both.items()})
    lower = pd.DataFrame({name: pair[1] for name, pair in both.items()}, columns=list(rows.columns))
    whole = pd.concat([upper, lower], ignore_index=True)
    known = whole.duplicated(subset=list(rows.columns)).to_numpy() & (np.arange(len(whole)) >= len(frame))
    return whole[~known].reset_index(drop=True)


def _under(own: pd.Series, more: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return values of the source and of the feedback in one type; the feedback spells categories and dates as text."""
    if types.is_bool_dtype(own) and more.isin(["true", "false", True, False]).all():
        return own, more.map({"true": True, "false": False, True: True, False: False}).astype("bool")
    if types.is_numeric_dtype(own) and not types.is_bool_dtype(own):
        numbers = pd.to_numeric(more, errors="coerce")
        if (numbers.notna() | more.isna()).all():
            whole = types.is_integer_dtype(own) and numbers.notna().all() and (numbers % 1 == 0).all()
            return own, numbers.astype(own.dtype if whole else "float64")
    if types.is_datetime64_any_dtype(own):
        own = own.map(lambda moment: None if moment is pd.NaT else moment.isoformat())
    return _as_text(own), _as_text(more)


def _as_text(values: pd.Series) -> pd.Series:
    return pd.Series([as_category(value) for value in values.tolist()], index=values.index, dtype=object)


def sides(features: pd.DataFrame, test_size: float, seed: int) -> NDArray[np.bool_]:
    """Mark test rows by what they say: (n,) booleans from n canonical rows of features.

    A row that came as feedback stays on its side however many more come, so that no model is tested on rows that an
    earlier one has learned from; and so do its repetitions with another label.
    """
    limit = test_size * SIDES
    return np.array([_place(row, seed) < limit for row in features.itertuples(index=False, name=None)], dtype=bool)


def _place(row: tuple[Any, ...], seed: int) -> int:
    plain = [None if value != value else value for value in row]  # NaN differs from itself
    digest = hashlib.blake2b(repr((seed, plain)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)

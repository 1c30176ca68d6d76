"""Labelled feedback: predictions whose true label came back, as further rows of the source.

`lockstep retrain` writes them to `data/external/feedback/<model>.parquet`, with a manifest of the same name in JSON
that names their source, and says where they come from.
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
from lockstep.data import columnwise, parquet
from lockstep.data.schema import as_category
from lockstep.errors import DataError

HINT = "remove it and run `lockstep retrain`, which writes it anew, or set data_ingestion.feedback: false"
HASH_RANGE = 2**64


@dataclass(frozen=True)
class JoinResult:
    """The rows of a source with those of its feedback at the end, and the counts of each model's feedback."""

    frame: pd.DataFrame
    record: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return how many rows at the end are feedback."""
        return sum(counts["joined"] for counts in self.record.values())


def join(frame: pd.DataFrame, source: str) -> JoinResult:
    """Put the feedback that belongs to a source at its end, but for rows that are there already.

    Raises DataError: a file of it is missing, damaged or changed, or has a column that the source has not.
    """
    record = {}
    for path, manifest in _manifests(source):
        rows = _read(path, manifest, frame)
        joined = _append(frame, rows)
        record[str(manifest["model"])] = {
            "rows": len(rows),
            "joined": len(joined) - len(frame),
            "there_already": len(frame) + len(rows) - len(joined),
            **{name: manifest[name] for name in ("sha256", "first", "last", "versions")},
        }
        frame = joined
    return JoinResult(frame, record)


def _manifests(source: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(paths.FEEDBACK.glob("*.json")):
        try:
            manifest = files.read_json(path)
            fits = manifest["source"] == source
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged: {error!r}", HINT) from None
        if fits:
            yield path.with_suffix(".parquet"), manifest


def _read(path: Path, manifest: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    if not path.is_file() or files.sha256(path) != manifest["sha256"]:
        raise DataError(f"{path} is missing, or is not what {path.with_suffix('.json').name} describes", HINT)
    rows = parquet.read(path)
    if unknown := [name for name in rows.columns if name not in frame.columns]:
        raise DataError(f"{path} has a column {unknown[0]!r}, but the source has none of that name", HINT)
    return rows


def _append(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return both, without such of the second that stand before them; columns that they lack are missing in them."""
    both = {name: _common_type(frame[name], rows[name]) for name in rows.columns}
    upper = columnwise.with_columns(frame, {name: pair[0] for name, pair in both.items()})
    lower = pd.DataFrame({name: pair[1] for name, pair in both.items()}, columns=list(rows.columns))
    table = pd.concat([upper, lower], ignore_index=True)
    repeated = table.duplicated(subset=list(rows.columns)).to_numpy() & (np.arange(len(table)) >= len(frame))
    return table[~repeated].reset_index(drop=True)


def _common_type(source: pd.Series, added: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return values of the source and of the feedback in one type; the feedback spells categories and dates as text."""
    if types.is_bool_dtype(source) and added.isin(["true", "false", True, False]).all():
        return source, added.map({"true": True, "false": False, True: True, False: False}).astype("bool")
    if types.is_numeric_dtype(source) and not types.is_bool_dtype(source):
        numbers = pd.to_numeric(added, errors="coerce")
        if (numbers.notna() | added.isna()).all():
            integral = types.is_integer_dtype(source) and numbers.notna().all() and (numbers % 1 == 0).all()
            return source, numbers.astype(source.dtype if integral else "float64")
    if types.is_datetime64_any_dtype(source):
        source = source.map(lambda moment: None if moment is pd.NaT else moment.isoformat())
    return _as_text(source), _as_text(added)


def _as_text(values: pd.Series) -> pd.Series:
    return pd.Series([as_category(value) for value in values.tolist()], index=values.index, dtype=object)


def is_test_row(features: pd.DataFrame, test_size: float, seed: int) -> NDArray[np.bool_]:
    """Mark test rows by a hash of their content: (n,) booleans from n canonical rows of features.

    A row that came as feedback stays on its side however many more come, so that no model is tested on rows that an
    earlier one has learned from; and so do its repetitions with another label.
    """
    limit = test_size * HASH_RANGE
    return np.array(
        [_content_hash(row, seed) < limit for row in features.itertuples(index=False, name=None)], dtype=bool
    )


def _content_hash(row: tuple[Any, ...], seed: int) -> int:
    plain = [None if value != value else value for value in row]  # NaN differs from itself
    digest = hashlib.blake2b(repr((seed, plain)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)

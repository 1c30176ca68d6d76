"""From raw rows to train and test rows: contract, cleaning and split, with a record of all that was left out."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pandas as pd

from lockstep import paths
from lockstep.config.params import DataIngestion, DataPreprocessing, Split
from lockstep.data import cleaning, contract
from lockstep.data.cleaning import Cleaned
from lockstep.data.contract import Kept
from lockstep.data.record import DataRecord, Dropped, OddCells, SplitRecord
from lockstep.data.sources import change_detection, read
from lockstep.data.split import split
from lockstep.errors import DataError


@dataclass(frozen=True)
class Prepared:
    """Train and test rows, the rows set aside, and what reports/data.json says of all of them."""

    train: pd.DataFrame
    test: pd.DataFrame
    quarantined: pd.DataFrame
    record: DataRecord


def prepare(raw: pd.DataFrame, origin: Mapping[str, Any], params: DataPreprocessing) -> Prepared:
    """Check, clean and split the raw rows, at whose end stands the feedback that `origin` counts."""
    whole = cleaning.iso_dates(with_test_file(raw, params.split), params.dates)
    kept = contract.enforce(whole, params.contract, contract.rules(params.contract, origin["source"]))
    cleaned = cleaning.clean(kept.frame, params)
    if params.split.method == "file":
        cleaned = dataclasses.replace(cleaned, by=pd.Series(cleaned.places >= len(raw)))
    late = (cleaned.places >= len(raw) - origin.get("feedback_rows", 0)) & (cleaned.places < len(raw))
    train, test = split(cleaned, params.target, params.split, late)
    record = DataRecord(
        train_rows=len(train),
        test_rows=len(test),
        target=params.target,
        task=cleaned.task,
        kinds=list(cleaned.kinds.items()),
        dropped=_dropped(cleaned, kept, len(train) + len(test)),
        feedback_rows=int(late.sum()),
        split=_split_record(params.split),
        reader=origin.get("reader"),
        odd_cells=msgspec.convert(origin.get("odd_cells", {}), dict[str, OddCells]),
    )
    return Prepared(train, test, kept.quarantined, record)


def with_test_file(raw: pd.DataFrame, params: Split) -> pd.DataFrame:
    """Return the raw rows with those of the test file at their end, if the split has one.

    Raises
    ------
    DataError
        The file cannot be read, or lacks a column.
    """
    if params.method != "file" or params.path is None:
        return raw
    given = read.read(DataIngestion(source=params.path, reader=params.reading())).frame
    if gone := [str(name) for name in raw.columns if name not in given.columns]:
        raise DataError(
            f"{params.path} has no column {gone[0]!r}, which the train rows have",
            "the file of data_preprocessing.split.path needs the columns of the source",
        )
    if change_detection.unwatched(params.path):
        text = "%s lies outside %s: DVC does not notice when it changes"
        logging.getLogger("data_preprocessing").warning(text, params.path, paths.EXTERNAL)
    return pd.concat([raw, given[list(raw.columns)]], ignore_index=True)


def _dropped(cleaned: Cleaned, kept: Kept, split_rows: int) -> Dropped:
    """Return what was left out, by reason."""
    return msgspec.structs.replace(
        cleaned.dropped,
        rows_read=cleaned.dropped.rows_read + len(kept.quarantined),
        rows_quarantined=len(kept.quarantined),
        quarantined=kept.reasons,
        rows_on_both_sides=len(cleaned.frame) - split_rows,
    )


def _split_record(params: Split) -> SplitRecord | None:
    if params.method in ("group", "time") and params.column:
        return SplitRecord(params.method, params.column)
    return None

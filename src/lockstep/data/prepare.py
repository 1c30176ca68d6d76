"""From raw rows to train and test rows: contract, cleaning and split, with a record of all that was left out."""

import dataclasses
from dataclasses import dataclass

import msgspec
import pandas as pd

from lockstep.config.params import DataPreprocessing, Split
from lockstep.data import cleaning, contract
from lockstep.data.cleaning import Cleaned
from lockstep.data.contract import Kept
from lockstep.data.raw import RawData
from lockstep.data.record import DataRecord, Dropped, OddCells, SplitRecord
from lockstep.data.split import split


@dataclass(frozen=True)
class Prepared:
    """Train and test rows, the rows set aside, and what reports/data.json says of all of them."""

    train: pd.DataFrame
    test: pd.DataFrame
    quarantined: pd.DataFrame
    record: DataRecord


def prepare(raw: RawData, params: DataPreprocessing) -> Prepared:
    """Check, clean and split the raw rows, at whose end stands the feedback that their origin counts."""
    from_file = params.split.method == "file"
    frame = pd.concat([raw.rows, raw.test_rows], ignore_index=True) if from_file else raw.rows
    frame = cleaning.iso_dates(frame, params.dates)
    kept = contract.enforce(frame, params.contract, {**raw.rules, **params.contract.columns})
    cleaned = cleaning.clean(kept.frame, params)
    if from_file:
        cleaned = dataclasses.replace(cleaned, by=pd.Series(cleaned.places >= len(raw.rows)))
    late = (cleaned.places >= len(raw.rows) - raw.origin.get("feedback_rows", 0)) & (cleaned.places < len(raw.rows))
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
        reader=raw.origin.get("reader"),
        odd_cells=msgspec.convert(raw.origin.get("odd_cells", {}), dict[str, OddCells]),
    )
    return Prepared(train, test, kept.quarantined, record)


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

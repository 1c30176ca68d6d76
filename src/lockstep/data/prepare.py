"""Preparation of raw rows into train and test rows: data contract, cleaning and split, with a record of each."""

import dataclasses
from dataclasses import dataclass

import msgspec
import pandas as pd

from lockstep.config.params import DataPreprocessing, Split
from lockstep.data import cleaning, contract
from lockstep.data.cleaning import CleanTable
from lockstep.data.contract import ContractResult
from lockstep.data.raw import RawData
from lockstep.data.record import DataRecord, Dropped, OddCells, SplitRecord
from lockstep.data.split import Mask, split_with_feedback


@dataclass(frozen=True)
class PreparedData:
    """Train and test rows, quarantined rows, and the record of the preparation."""

    train: pd.DataFrame
    test: pd.DataFrame
    quarantined: pd.DataFrame
    record: DataRecord


def prepare(raw: RawData, params: DataPreprocessing) -> PreparedData:
    """Check, clean and split the raw rows, at whose end stands the feedback that their origin counts."""
    from_file, source_rows = params.split.method == "file", len(raw.rows)
    frame = pd.concat([raw.rows, raw.test_rows], ignore_index=True) if from_file else raw.rows
    frame = cleaning.iso_dates(frame, params.dates)
    checked = contract.enforce(frame, params.contract, {**raw.rules, **params.contract.columns})
    cleaned = cleaning.clean(checked.frame, params)
    if from_file:
        cleaned = dataclasses.replace(cleaned, split_key=pd.Series(cleaned.positions >= source_rows))
    first_late = source_rows - raw.origin.get("feedback_rows", 0)
    late = (cleaned.positions >= first_late) & (cleaned.positions < source_rows)
    train, test, late_test = split_with_feedback(cleaned, params.target, params.split, late)
    record = DataRecord(
        train_rows=len(train),
        test_rows=len(test),
        target=params.target,
        task=cleaned.task,
        kinds=list(cleaned.kinds.items()),
        dropped=_dropped(cleaned, checked, len(train) + len(test)),
        feedback_rows=int(late.sum()),
        feedback_test_rows=_span(late_test),
        split=_split_record(params.split),
        reader=raw.origin.get("reader"),
        positive=cleaning.positive_label(train[params.target], params) if cleaned.task == "binary" else None,
        odd_cells=msgspec.convert(raw.origin.get("odd_cells", {}), dict[str, OddCells]),
    )
    return PreparedData(train, test, checked.quarantined, record)


def _dropped(cleaned: CleanTable, checked: ContractResult, split_rows: int) -> Dropped:
    """Return what was left out, by reason."""
    return msgspec.structs.replace(
        cleaned.dropped,
        rows_read=cleaned.dropped.rows_read + len(checked.quarantined),
        rows_quarantined=len(checked.quarantined),
        quarantined=checked.reasons,
        rows_on_both_sides=len(cleaned.frame) - split_rows,
    )


def _span(mask: Mask) -> tuple[int, int]:
    """Return where the marked rows begin and end, which stand together; (0, 0) for none."""
    marked = mask.nonzero()[0]
    return (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 0)


def _split_record(params: Split) -> SplitRecord | None:
    if params.method in ("group", "time") and params.column:
        return SplitRecord(params.method, params.column)
    return None

"""Clean and split the rows; rows without a target and exact duplicates are dropped."""

import logging

from lockstep import files, paths
from lockstep.config.params import DataPreprocessing
from lockstep.data import parquet
from lockstep.data.prepare import prepare
from lockstep.data.raw import RawData
from lockstep.data_report import facts
from lockstep.stage import run_stage


def main(params: DataPreprocessing) -> None:
    """Read, validate, clean and split the raw rows; write train, test and quarantined rows, and the data report."""
    raw = RawData.load(params.split)

    prepared = prepare(raw, params)
    types = {str(name): str(dtype) for name, dtype in raw.rows.dtypes.items()}
    report = facts.describe(prepared.train, prepared.record, types)

    parquet.write(prepared.train, paths.TRAIN)
    parquet.write(prepared.test, paths.TEST)
    parquet.write(prepared.quarantined, paths.QUARANTINE)
    files.write_json(report.to_json(), paths.DATA_REPORT)
    log = logging.getLogger("data_preprocessing")
    log.info("%s: %d train and %d test rows", report.task, len(prepared.train), len(prepared.test))
    if len(prepared.quarantined):
        log.warning("%d rows break the data contract: see %s", len(prepared.quarantined), paths.QUARANTINE)


if __name__ == "__main__":
    run_stage("data_preprocessing", main)

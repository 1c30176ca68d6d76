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
    """Read the raw rows, check, clean and split them; write both parts, and a report on them and on what was left."""
    raw = RawData.load(params.split)

    made = prepare(raw, params)
    report = facts.describe(made.train, made.record, {str(name): str(dtype) for name, dtype in raw.rows.dtypes.items()})

    parquet.write(made.train, paths.TRAIN)
    parquet.write(made.test, paths.TEST)
    parquet.write(made.quarantined, paths.QUARANTINE)
    files.write_json(report.to_json(), paths.DATA_REPORT)
    log = logging.getLogger("data_preprocessing")
    log.info("%s: %d train and %d test rows", report.task, len(made.train), len(made.test))
    if len(made.quarantined):
        log.warning("%d rows break the data contract: see %s", len(made.quarantined), paths.QUARANTINE)


if __name__ == "__main__":
    run_stage("data_preprocessing", main)

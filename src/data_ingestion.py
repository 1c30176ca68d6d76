"""Read the sources that params.yaml names, join labelled feedback, and write the raw rows with their origin."""

import logging
import os
from typing import Any

from lockstep.config import params_file
from lockstep.config.params import DataIngestion
from lockstep.config.settings import Settings
from lockstep.data import contract, feedback, raw
from lockstep.data.feedback import JoinResult
from lockstep.data.raw import RawData
from lockstep.data.sources import change_detection, column_values, formats, read
from lockstep.data.sources.read import Rows
from lockstep.stage import run_stage

log = logging.getLogger("data_ingestion")


def main(params: DataIngestion) -> None:
    """Read the source, and that of the test rows if there is one; write the raw rows and what they came from."""
    password = Settings.read(os.environ).source_password
    test_params = params_file.load().test_ingestion()
    state = change_detection.look(params, password)
    rows = read.read(params, password)
    joined = feedback.join(rows.frame, params.named) if params.feedback else JoinResult(rows.frame)
    origin, test_rows = _origin(params, rows, joined), {}
    if test_params:
        state |= change_detection.look(test_params, password)
        test = raw.read_test_rows(test_params, joined.frame.columns, password)
        origin["test_source"] = raw.test_origin(test_params, {"rows": len(test.frame), "sha256": test.digest})
        test_rows = {"test_rows": test.frame}
        _log_rows(test, test_params)

    RawData(joined.frame, origin, **test_rows, rules=contract.accepted(params.named)).write()
    change_detection.keep(state)
    _log_rows(rows, params)
    for model, joined_rows in joined.record.items():
        counts = joined_rows["joined"], model, joined_rows["there_already"]
        log.info("%d rows of feedback on %s (%d were there already)", *counts)


def _log_rows(rows: Rows, params: DataIngestion) -> None:
    undescribed = [name for name in rows.frame.columns if name not in params.reader.columns]
    for doubt in formats.doubts(rows.frame[undescribed]):
        log.warning(doubt)
    for column, odd in rows.odd.items():
        log.warning("column %r: %d odd cells are missing, such as %s", column, odd.count, ", ".join(odd.examples))
    log.info("%d rows x %d columns from %s", *rows.frame.shape, params.named)


def _origin(params: DataIngestion, rows: Rows, joined: JoinResult) -> dict[str, Any]:
    """Return where the raw rows come from and how their cells were read; of feedback only if there is some."""
    origin: dict[str, Any] = {"rows": len(joined.frame), "sha256": rows.digest, "source": params.named}
    if rows.columns:
        origin["reader"] = column_values.reader_json(params.reader, rows.columns)
    if rows.odd:
        origin["odd_cells"] = {
            column: {"count": odd.count, "examples": odd.examples} for column, odd in rows.odd.items()
        }
    if rows.origin:
        origin["found"] = rows.origin
    if not joined.record:
        return origin
    return origin | {"feedback": joined.record, "feedback_rows": joined.rows}


if __name__ == "__main__":
    run_stage("data_ingestion", main)

"""Read the source that params.yaml names, join labelled feedback, and keep it as one Parquet file with its digest."""

import logging
import os
from typing import Any

import msgspec

from lockstep import files, paths
from lockstep.config.params import DataIngestion
from lockstep.config.settings import Settings
from lockstep.data import feedback, parquet
from lockstep.data.feedback import Joined
from lockstep.data.sources import change_detection, column_values, formats, read
from lockstep.data.sources.read import Rows
from lockstep.stage import run_stage


def main(params: DataIngestion) -> None:
    """Read the source; write the raw rows and what they came from."""
    password = Settings.read(os.environ).source_password
    state = change_detection.look(params, password)
    rows = read.read(params, password)
    joined = feedback.join(rows.frame, params.named) if params.feedback else Joined(rows.frame)

    parquet.write(joined.frame, paths.RAW)
    files.write_json(_origin(params, rows, joined), paths.SOURCE)
    change_detection.keep(state)
    log = logging.getLogger("data_ingestion")
    for doubt in formats.doubts(rows.frame):
        log.warning(doubt)
    for column, one in rows.odd.items():
        log.warning("column %r: %d odd cells are missing, such as %s", column, one.count, ", ".join(one.examples))
    log.info("%d rows x %d columns from %s", *rows.frame.shape, params.named)
    for model, one in joined.record.items():
        log.info("%d rows of feedback on %s (%d were there already)", one["joined"], model, one["there_already"])


def _origin(params: DataIngestion, rows: Rows, joined: Joined) -> dict[str, Any]:
    """Return where the raw rows come from and how their cells were read; of feedback only if there is some."""
    origin: dict[str, Any] = {"rows": len(joined.frame), "sha256": rows.digest, "source": params.named}
    if rows.columns:
        origin["reader"] = column_values.reader_json(params.reader, rows.columns)
    if rows.odd:
        origin["odd_cells"] = msgspec.to_builtins(rows.odd)
    if rows.origin:
        origin["found"] = rows.origin
    if not joined.record:
        return origin
    return origin | {"feedback": joined.record, "feedback_rows": joined.rows}


if __name__ == "__main__":
    run_stage("data_ingestion", main)

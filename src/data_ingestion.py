"""Read the source that params.yaml names, join labelled feedback, and keep it as one Parquet file with its digest."""

import logging
from typing import Any

from lockstep import files, paths
from lockstep.config import DataIngestion
from lockstep.data import feedback, sources, tables
from lockstep.data.feedback import Joined
from lockstep.stage import run_stage


def main(params: DataIngestion) -> None:
    """Read the source; write the raw rows and what they came from."""
    rows = sources.read(params)
    joined = feedback.join(rows.frame, params.source) if params.feedback else Joined(rows.frame)

    tables.write(joined.frame, paths.RAW)
    files.write_json(_origin(params.source, rows.digest, joined), paths.SOURCE)
    log = logging.getLogger("data_ingestion")
    if sources.unwatched(params.source):
        log.warning("%s lies outside %s: DVC does not notice when it changes", params.source, paths.EXTERNAL)
    log.info("%d rows x %d columns from %s", *rows.frame.shape, params.source)
    for model, one in joined.record.items():
        log.info("%d rows of feedback on %s (%d were there already)", one["joined"], model, one["there_already"])


def _origin(source: str, digest: str, joined: Joined) -> dict[str, Any]:
    """Return where the raw rows come from; of feedback only if there is some."""
    origin = {"rows": len(joined.frame), "sha256": digest, "source": source}
    if not joined.record:
        return origin
    return origin | {"feedback": joined.record, "feedback_rows": joined.rows}


if __name__ == "__main__":
    run_stage("data_ingestion", main)

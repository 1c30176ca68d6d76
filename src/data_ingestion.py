"""Read the source that params.yaml names and keep it as one Parquet file with its digest."""

import logging

from lockstep import files, paths
from lockstep.config import DataIngestion
from lockstep.data import sources, tables
from lockstep.stage import run_stage


def main(params: DataIngestion) -> None:
    """Read the source; write the raw rows and what they came from."""
    rows = sources.read(params)

    tables.write(rows.frame, paths.RAW)
    files.write_json({"rows": len(rows.frame), "sha256": rows.digest, "source": params.source}, paths.SOURCE)
    log = logging.getLogger("data_ingestion")
    if sources.unwatched(params.source):
        log.warning("%s lies outside %s: DVC does not notice when it changes", params.source, paths.EXTERNAL)
    log.info("%d rows x %d columns from %s", *rows.frame.shape, params.source)


if __name__ == "__main__":
    run_stage("data_ingestion", main)

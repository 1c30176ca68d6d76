"""Bring the rows into canonical form, drop what cannot teach, and split into train and test rows."""

import logging

from lockstep import files, paths
from lockstep.config import DataPreprocessing
from lockstep.data import cleaning, report, report_page, tables
from lockstep.data.split import split
from lockstep.stage import run_stage


def main(params: DataPreprocessing) -> None:
    """Read the raw rows, clean and split them; write both parts and what was dropped."""
    raw = tables.read(paths.RAW)

    late = files.read_json(paths.SOURCE).get("feedback_rows", 0)
    cleaned = cleaning.clean(raw, params)
    own = int((cleaned.places < len(raw) - late).sum())
    train, test = split(cleaned.frame, params.target, cleaned.task, params.split, own)

    tables.write(train, paths.TRAIN)
    tables.write(test, paths.TEST)
    counts = {"train_rows": len(train), "test_rows": len(test), "target": params.target, "task": cleaned.task}
    if late:
        counts["feedback_rows"] = len(cleaned.frame) - own
    subject = report.Subject(params.target, cleaned.task, cleaned.kinds, raw.dtypes.astype(str).to_dict())
    described = report.describe(train, subject, cleaned.dropped)
    facts = {**counts, "kinds": list(cleaned.kinds.items()), "dropped": cleaned.dropped, **described}
    files.write_json(facts, paths.DATA_REPORT)
    files.write_bytes(report_page.html(facts).encode(), paths.DATA_PAGE)
    logging.getLogger("data_preprocessing").info("%s: %d train and %d test rows", cleaned.task, len(train), len(test))


if __name__ == "__main__":
    run_stage("data_preprocessing", main)

"""Traffic on a project's own model, written to its log as a server would: answers of Production, and their truth."""

import secrets
import time

import pandas as pd

from lockstep.config.settings import Settings
from lockstep.data import cleaning, frames
from lockstep.inference.predictor import Predictor
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.records import Answer, Label


def settings_of(project, **more):
    """Return the settings of a project's folder."""
    return Settings.read({"LOCKSTEP_STATE": str(project.root / ".lockstep"), **project.settings, **more})


def source_rows(project):
    """Return the raw rows of a project, as its source has them."""
    return pd.read_parquet(project.root / "data/raw/data.parquet")


def answered(project, frame, version="1", variant="production"):
    """Let the model in models/ answer the rows of a frame, and return the record."""
    predictor = Predictor.load(project.root / "models")
    rows = frames.rows_of(cleaning.canonical(frame, predictor.schema.kinds), predictor.schema)
    predictions = predictor.predict(rows)
    return Answer(
        at_us=time.time_ns() // 1000,
        model="breast-cancer",
        version=version,
        variant=variant,
        key="",
        latency_us=100,
        ids=[secrets.token_hex(16) for _ in rows],
        rows=[list(row) for row in rows],
        values=predictions.values,
        shares=predictions.shares,
    )


def labels(record, truth):
    """Return the truth about a record's predictions."""
    at = time.time_ns() // 1000
    return [Label(at, secrets.token_hex(8), own, label, "api") for own, label in zip(record.ids, truth, strict=True)]


def log(project, frame, labelled=True, version="1"):
    """Write down that Production answered the rows of a frame, and unless told otherwise what was true."""
    record = answered(project, frame, version)
    store = Store.from_settings(settings_of(project))
    store.add([record, *(labels(record, frame["target"].tolist()) if labelled else [])])
    store.close()
    return record

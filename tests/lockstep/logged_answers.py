import itertools
import json

import pytest
from sqlalchemy import select

from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.records import Answer, Label
from lockstep.prediction_log.tables import LABELS
from tests.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    server = request.getfixturevalue("postgres")
    return server.url(server.database()).replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def store(url):
    opened = Store.open(url)
    yield opened
    opened.close()


COUNT = itertools.count()


def answer(*ids, at_us=60_000_000, version="1", variant="production", value="yes", share=0.75, **other):
    """Return an answered request with one row for each id."""
    given = {"key": "", "latency_us": 1000, "rows": [[1.5, "a", None] for _ in ids]} | other
    return Answer(
        at_us=at_us,
        model="demo",
        version=version,
        variant=variant,
        ids=list(ids),
        values=[value for _ in ids],
        shares=None if share is None else [[round(1 - share, 6), share] for _ in ids],
        **given,
    )


def label(prediction, label="yes", at_us=1, event=None, source="test"):
    return Label(at_us, event or f"event {next(COUNT)}", prediction, label, source)


def find(store, prediction):
    """Return a prediction by its id, or None."""
    stored = store.predictions(PredictionFilter(limit=10_000))
    return next((one for one in stored if one.id == prediction), None)


def labels(store, prediction):
    """Return all labels that a prediction was given, the latest first."""
    wanted = select(LABELS.c.label).where(LABELS.c.prediction_id == prediction)
    return [json.loads(text) for (text,) in store.rows(wanted.order_by(LABELS.c.at_us.desc(), LABELS.c.seq.desc()))]

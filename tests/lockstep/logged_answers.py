import itertools

import pytest

from lockstep.prediction_log.database import Store
from lockstep.prediction_log.records import Answer, Label
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

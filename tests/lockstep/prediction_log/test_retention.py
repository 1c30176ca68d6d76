from sqlalchemy import func, select

from lockstep.prediction_log import retention
from lockstep.prediction_log.database import PredictionFilter
from lockstep.prediction_log.retention import prune
from lockstep.prediction_log.tables import LABELS, LATENCIES, TRAFFIC
from tests.lockstep.logged_answers import answer, find, label

MINUTE_US = 60_000_000


def count(store, table):
    with store.reading() as link:
        return link.execute(select(func.count()).select_from(table)).scalar_one()


def test_what_is_old_goes_with_its_labels_and_counts_and_the_rest_stays(store, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 3)
    store.add([answer(f"p{at}", at_us=at * MINUTE_US) for at in range(20)])
    store.add([label("p3", at_us=19 * MINUTE_US), label("p15", at_us=16 * MINUTE_US)])
    store.add([label("never seen", at_us=at * MINUTE_US) for at in (1, 18)])
    told = []
    assert prune(store, 10 * MINUTE_US, told.append) == 10
    assert told == [3, 6, 9, 10]
    assert [one.id for one in store.predictions(PredictionFilter())] == [f"p{at}" for at in range(19, 9, -1)]
    assert find(store, "p15").labelled
    assert [count(store, table) for table in (LABELS, TRAFFIC, LATENCIES)] == [2, 10, 10]
    assert prune(store, 10 * MINUTE_US) == 0

"""What a look costs does not grow with the log."""

import time

from sqlalchemy import event

from lockstep.prediction_log.monitoring_queries import end_of
from lockstep.prediction_log.records import Answer
from tests.flask_app import standins
from tests.lockstep.monitoring.log import NOON_S, Log

HOURS = 48
BATCH = 2_000


def fill(log, count):
    """Log so many predictions over two days, of two versions."""
    rows = log.rows(BATCH)
    found = log.predictor.predict(rows)
    for first in range(0, count, BATCH):
        at_us = round((NOON_S - 3600 * HOURS * (1 - first / count)) * 1e6)
        ids = [f"{first + place:032x}" for place in range(BATCH)]
        version = "1" if first % (4 * BATCH) else "2"
        made = (at_us, "demo", version, "production", "", 900 + first % 1000, ids, [list(row) for row in rows])
        log.store.add([Answer(*made, found.values, found.shares)])


def test_a_look_at_many_predictions_is_quick(tmp_path, request):
    many = 1_000_000 if request.config.getoption("long") else 12_000
    log = Log(tmp_path, standins.make_bundle("binary", tmp_path / "bundle"))
    fill(log, many)
    looks, covered = 0, -1
    while (end := end_of(log.store, "demo", "1", "drift")) > covered:
        covered = end
        assert log.look().log.fault == ""
        looks += 1
    log.drawn = many
    log.answer(log.rows(400))
    began = time.perf_counter()
    seen = log.look()
    took_s = time.perf_counter() - began
    print(f"{many} predictions: {looks} looks to catch up, then {took_s:.3f} s a look")
    assert seen.log.stored == many + 400
    assert took_s < (0.5 if many > 12_000 else 5)
    log.store.close()


def test_a_look_asks_few_questions(tmp_path):
    """The database may be far away: a look must not ask once for each window, version or label."""
    log = Log(tmp_path, standins.make_bundle("binary", tmp_path / "bundle"))
    log.answer(log.rows(600))
    log.look()
    asked = []
    event.listen(log.store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    log.answer(log.rows(10))
    log.look()
    assert len([statement for statement in asked if not statement.startswith("BEGIN")]) < 20
    log.store.close()

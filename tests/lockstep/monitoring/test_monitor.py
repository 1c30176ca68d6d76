import shutil

import msgspec
import pytest

from lockstep.drift import results
from lockstep.drift.results import LogState
from lockstep.errors import StoreError, TrackingError
from lockstep.monitoring import registry_view
from lockstep.monitoring.label_windows import shadow_id
from lockstep.prediction_log import monitoring_queries, refusals
from lockstep.prediction_log.refusals import Group, Refusal
from tests.flask_app import standins
from tests.lockstep.monitoring.log import Log
from tests.postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return standins.make_bundle("binary", tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def log(tmp_path, bundle):
    made = Log(tmp_path, bundle)
    yield made
    made.store.close()


def moved(size):
    return size + 30


def test_a_quiet_log_is_shown_as_it_is(log):
    log.answer(log.rows(600))
    seen = log.look()
    model = seen.models["demo"]
    assert (model.production.version, model.production.actor, model.task) == ("1", "ada", "binary")
    assert [window.verdict for window in model.drift] == ["quiet"]
    assert sum(model.traffic[0].by_version["1"]) == 600
    assert sum(model.traffic[1].by_version["1"]) == 600
    assert model.latency["1"].count == 600
    assert model.latency["1"].p50 == pytest.approx(1.5, rel=0.05)
    assert sum(model.mix["1"].shares) == pytest.approx(1)
    assert (seen.log.stored, seen.alerts) == (600, [])


def test_what_came_before_the_first_window_is_told(log):
    log.answer(log.rows(30))
    window = log.look().models["demo"].drift[0]
    assert (window.rows, window.verdict, window.features) == (30, "not enough data", [])


def test_one_window_warns_two_call_and_a_quiet_one_ends_it(log):
    found = []
    for change in (moved, moved, None):
        log.answer(log.rows(500, **({"size": change} if change else {})))
        found.append(log.look().alerts)
    assert [(own.severity, own.closed is None) for alerts in found for own in alerts] == [
        ("warning", True),
        ("page", True),
        ("page", False),
    ]
    assert "size" in found[1][0].subject
    assert len({alerts[0].id for alerts in found}) == 1


def test_quality_is_measured_by_windows_of_labels(log):
    ids, values = log.answer(log.rows(600))
    log.label(ids[:520], values[:520])
    model = log.look().models["demo"]
    assert [(own.labels, own.verdict) for own in model.quality.windows] == [(20, "not enough data"), (500, "quiet")]
    assert model.quality.windows[1].metric.value == 1
    assert 3600 <= model.quality.windows[1].delay_s < 3600 + 700
    assert model.quality.evaluation is not None


def test_wrong_answers_in_two_windows_call_someone(log):
    ids, values = log.answer(log.rows(1000))
    log.label(ids, [other(value) for value in values])
    alert = next(own for own in log.look().alerts if own.kind == "quality")
    assert (alert.severity, alert.version, alert.closed) == ("page", "1", None)


def test_a_later_label_takes_the_place_of_an_earlier_one(log):
    ids, values = log.answer(log.rows(500))
    log.label(ids[:499], [other(value) for value in values[:499]])
    assert log.look().models["demo"].quality.windows[0].labels == 499
    log.label(ids, values)
    window = next(own for own in log.look().models["demo"].quality.windows if own.verdict != "not enough data")
    assert (window.labels, window.metric.value) == (500, 1)


def test_labels_are_read_once_also_by_the_next_process(log):
    ids, values = log.answer(log.rows(700))
    log.label(ids[:600], values[:600])
    log.look()
    log.watcher = log.restarted()
    assert [own.labels for own in log.look().models["demo"].quality.windows] == [100, 500]
    log.label(ids[600:], values[600:])
    assert [own.labels for own in log.look().models["demo"].quality.windows] == [200, 500]


def test_labels_that_come_before_their_predictions_count_too(log):
    ids, values = log.answer(log.rows(60))
    log.label([f"{log.drawn + 1 + place:032x}" for place in range(40)], ["middle"] * 40)
    log.label(ids, values)
    assert log.look().models["demo"].quality.windows[0].labels == 60
    log.answer(log.rows(40))
    assert [log.look().models["demo"].quality.windows[0].labels for _ in range(2)] == [100, 100]


def test_a_slow_window_is_closed_in_the_end(log):
    ids, values = log.answer(log.rows(100))
    log.label(ids[:80], values[:80])
    log.at += 2 * 86_400
    model = log.look().models["demo"]
    assert [(own.rows, own.verdict) for own in model.drift] == [(100, "quiet")]
    assert [own.labels for own in model.quality.windows] == [80]


@pytest.mark.parametrize("share", [0, 50])
def test_a_challenger_is_compared_on_live_labels(tmp_path, bundle, share):
    log = Log(tmp_path, bundle, share=share)
    log.roles.roles["challenger"] = "2"
    rows = log.rows(400)
    log.look()
    ids, values = log.answer(rows)
    if share:
        tried, answered = log.answer(rows, "2", "challenger")
    else:
        tried, answered = log.answer(rows, "2", "shadow", [shadow_id(own, "2") for own in ids])
    wrong = [other(value) for value in values]
    log.label(ids, wrong)
    if share:
        log.label(tried, answered)
    challenge = log.look().models["demo"].challenge
    assert (challenge.production, challenge.challenger, challenge.share) == ("1", "2", share)
    assert (challenge.labels_production, challenge.labels_challenger) == (400, 400)
    if share:
        assert challenge.verdict == "challenger better"
    else:
        assert (challenge.agreement, challenge.verdict) == (1, "no difference found")
    log.watcher = log.restarted()
    assert log.look().models["demo"].challenge == challenge
    log.store.close()


def test_of_two_watchers_one_result_is_kept(log):
    log.answer(log.rows(1000, size=moved))
    second = log.restarted()
    log.look()
    seen = second.look(log.at, LogState())
    assert len(seen.models["demo"].drift) == 2
    assert len(seen.alerts) == 1


@pytest.mark.parametrize("fault", [TrackingError("no answer"), FileNotFoundError("no such file")], ids=["away", "file"])
def test_while_the_registry_is_away_what_was_known_stands(log, fault):
    log.answer(log.rows(500))
    before = log.look()
    log.roles.down = fault
    log.answer(log.rows(500))
    seen = log.look()
    assert seen.models["demo"].production == before.models["demo"].production
    assert len(seen.models["demo"].drift) == 2


def test_a_start_without_the_registry_takes_the_moves_that_were_noted(log):
    log.answer(log.rows(10))
    log.look()
    log.roles.down = True
    log.watcher = log.restarted()
    model = log.look().models["demo"]
    assert (model.production.version, [move.actor for move in model.history]) == ("1", ["ada"])


def test_c19_a_database_that_is_away_is_told_and_the_rest_stands(log):
    log.answer(log.rows(600))
    before = log.look()
    log.watcher.open = broken
    seen = log.look(spool_bytes=9)
    assert (seen.log.reachable, seen.log.fault) == (False, "gone")
    assert seen.models == before.models
    assert [(own.subject, own.severity) for own in seen.alerts] == [("database", "warning")]
    assert [own.severity for own in log.look().alerts] == ["page"]
    log.watcher.open = lambda: log.store
    seen = log.look()
    assert seen.log.reachable
    assert [own.closed for own in seen.alerts] == [log.at]


def test_lag_and_loss_are_alerts_of_their_own(log):
    assert [own.subject for own in log.look(lag_s=90.0, lost=3).alerts] == ["lag"]
    found = log.look(lag_s=700.0, lost=5).alerts
    assert sorted((own.subject, own.severity) for own in found) == [("lag", "page"), ("loss", "page")]
    assert {own.subject for own in log.look(lost=5).alerts if own.closed is None} == set()
    assert len({own.id for own in found}) == 2


def test_what_was_not_logged_is_not_measured(log):
    log.answer(log.rows(500), rows=False)
    window = log.look().models["demo"].drift[0]
    assert (window.verdict, window.features, window.score is not None) == ("quiet", [], True)


def test_a_snapshot_survives_its_file(log, tmp_path):
    log.answer(log.rows(600, size=moved))
    seen = log.look()
    results.write(seen, tmp_path / "deep" / "monitoring.json")
    assert results.read(tmp_path / "deep" / "monitoring.json") == seen
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["monitoring.json"]


def test_only_the_newest_window_keeps_all_features(log):
    log.answer(log.rows(1500, size=moved))
    windows = log.look().models["demo"].drift
    assert len(windows[0].features) == len(log.predictor.schema.columns)
    assert all(own.baseline and own.window for own in windows[0].features)
    for older in windows[1:]:
        assert [(own.name, own.alarm, own.window) for own in older.features] == [("size", True, None)]
        assert older.score.effect is not None


def test_a_bundle_that_cannot_be_read_is_tried_again(log, monkeypatch):
    folder = log.folder / "models" / log.roles.version("1").sha256
    folder.mkdir(parents=True)
    (folder / "schema.json").write_text("{")
    log.answer(log.rows(600))
    assert log.look().models["demo"].drift == []
    shutil.rmtree(folder)
    monkeypatch.setattr(registry_view, "AGAIN_S", 0.0)
    assert [own.verdict for own in log.look().models["demo"].drift] == ["quiet"]
    fetched = [path.name for path in log.folder.glob("profiles/*/*")]
    assert sorted(fetched) == ["profile.json", "schema.json"]


def broken():
    raise StoreError("gone")


def other(value):
    return "middle" if value == "<low>" else "<low>"


def test_another_version_takes_over_and_the_alert_ends(log):
    log.answer(log.rows(1000, size=moved))
    assert log.look().alerts[0].closed is None
    log.roles.promote("2", "2026-09-22T10:00:00+00:00")
    seen = log.look()
    assert seen.alerts[0].closed is not None
    assert "took over" in seen.alerts[0].detail
    assert [move.version for move in seen.models["demo"].history] == ["2", "1"]


@pytest.fixture
def shared(tmp_path, bundle, request):
    server = request.getfixturevalue("postgres")
    address = server.url(server.database()).replace("postgresql://", "postgresql+psycopg://")
    made = Log(tmp_path, bundle, url=address)
    yield made
    made.store.close()


def test_on_postgresql_one_server_measures_and_all_tell(shared):
    ids, values = shared.answer(shared.rows(1000, size=moved))
    shared.label(ids[:600], values[:600])
    second = shared.restarted()
    with monitoring_queries.leading(shared.store) as leads:
        assert leads
        assert second.look(shared.at, LogState()).models["demo"].drift[0].verdict == "not enough data"
    seen = shared.look()
    also = second.look(shared.at, LogState())
    for found in (seen, also):
        assert [own.verdict for own in found.models["demo"].drift] == ["alarm", "alarm"]
        assert [(own.kind, own.severity) for own in found.alerts] == [("drift", "page")]
    assert (also.log.stored, also.log.labels) == (1000, 600)
    assert also.models["demo"].latency == seen.models["demo"].latency
    assert also.models["demo"].history == seen.models["demo"].history
    shared.roles.promote("2", "2026-09-22T10:00:00+00:00")
    assert shared.look().alerts[0].closed is not None


def test_rows_that_are_refused_beside_those_that_are_answered_open_an_alert(log):
    log.answer(log.rows(80))
    sample = log.folder / refusals.FILE
    line = Refusal(log.at, "demo", [Group("size", "null", 20)], "key-1", 20)
    sample.write_bytes(msgspec.json.encode(line) + b"\n{cut off")
    (alert,) = log.look().alerts
    assert (alert.kind, alert.model, alert.severity) == ("refused", "demo", "warning")
    assert alert.detail.startswith("20 % refused since ")
    assert alert.detail.endswith(" UTC: size is null, from key key-1")
    sample.unlink()
    assert [alert.closed is None for alert in log.look().alerts] == [False]

import pytest

from tests.flask_app import standins
from tests.lockstep.monitoring.log import Log


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


def test_another_version_takes_over_and_the_alert_ends(log):
    log.answer(log.rows(1000, size=moved))
    assert log.look().alerts[0].closed is None
    log.roles.promote("2", "2026-09-22T10:00:00+00:00")
    seen = log.look()
    assert seen.alerts[0].closed is not None
    assert "took over" in seen.alerts[0].detail
    assert [move.version for move in seen.models["demo"].history] == ["2", "1"]

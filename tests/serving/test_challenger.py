"""Two versions at once, on the real server: who answers whom, and that the shadow answers nobody."""

import time
from collections import Counter

import pytest
from sqlalchemy import func, select

from lockstep.config.settings import Settings
from lockstep.prediction_log.database import Store as Log
from lockstep.prediction_log.tables import PREDICTIONS
from lockstep.registry.history import Event
from tests.serving.load import Load
from tests.serving.real import Server, wait_for
from tests.serving.test_faults_c import OPENED_S, bundles, local, rows  # noqa: F401 - fixtures

pytestmark = pytest.mark.server

FOLLOWS_S = 5.0


@pytest.fixture
def serve(local, tmp_path):  # noqa: F811
    """Return a function that starts a server, with version 2 as the challenger unless told otherwise."""
    store, _, _ = local
    store.promote("1")
    store.registry.clear_alias("challenger")
    made = []

    def start(share):
        folder = tmp_path / f"server {share}"
        folder.mkdir()
        uri = {"MLFLOW_TRACKING_URI": store.settings.tracking_uri, "LOCKSTEP_POLL_S": "1", "LOCKSTEP_MONITOR_S": "1"}
        made.append(Server(folder, LOCKSTEP_CHALLENGER_SHARE=str(share), **uri))
        return made[-1].holds(*store.bundles.values()).start()

    yield start
    for server in made:
        server.kill()
    store.registry.clear_alias("challenger")


def versions(server, row, count=40, **headers):
    return Counter(server_version(server, row, headers) for _ in range(count))


def tried(server):
    """Tell whether the worker that answers has the challenger loaded."""
    return "sha256" in (server.get("/health")[2]["challenger"] or {})


def server_version(server, row, headers):
    status, _, answer = server.predict([row], headers=headers)
    assert status == 200
    return answer["model"]["version"]


def test_a_challenger_comes_answers_its_share_and_is_promoted_without_a_failed_request(serve, local, rows):  # noqa: F811
    store, answers, _ = local
    server = serve(50)
    with Load(server.port, rows, answers) as load:
        store.registry.set_alias("challenger", "2")
        wait_for(lambda: all(tried(server) for _ in range(12)), OPENED_S)
        assert set(versions(server, rows[0])) == {"1", "2"}
        for number in range(12):
            assert len(versions(server, rows[0], 4, **{"X-Sticky-Key": f"user {number}"})) == 1
        keyed = {server_version(server, rows[0], {"X-Sticky-Key": f"user {number}"}) for number in range(12)}
        assert keyed == {"1", "2"}
        store.registry.promote("2", Event(actor="test"))
        store.registry.clear_alias("challenger")
        began = time.monotonic()
        wait_for(lambda: set(versions(server, rows[0])) == {"2"}, FOLLOWS_S)
        assert time.monotonic() - began < FOLLOWS_S
        store.rollback()
        wait_for(lambda: set(versions(server, rows[0])) == {"1"}, FOLLOWS_S)
    assert [one for one in load.seen if one.fault or one.status != 200] == []


def shadows(server, variant):
    log = Log.from_settings(Settings.read({"LOCKSTEP_STATE": server.environment["LOCKSTEP_STATE"]}))
    wanted = select(func.count()).select_from(PREDICTIONS).where(PREDICTIONS.c.variant == variant)
    with log.reading() as link:
        found = link.execute(wanted).scalar_one()
    log.close()
    return found


@pytest.mark.long("starts one more server")
def test_in_the_shadow_every_row_is_answered_for_the_log_and_for_nobody_else(serve, local, rows):  # noqa: F811
    store, _, _ = local
    server = serve(0)
    store.registry.set_alias("challenger", "2")
    wait_for(lambda: "answers in the shadow" in server.log.read_text(), OPENED_S)
    time.sleep(0.5)
    before = shadows(server, "production"), shadows(server, "shadow")
    assert versions(server, rows[0], 60) == {"1": 60}
    wait_for(lambda: shadows(server, "production") == before[0] + 60, 10)
    wait_for(lambda: shadows(server, "shadow") == before[1] + 60, 10)
    health = server.get("/health")[2]["challenger"]
    assert health == {"version": "2", "share": 0, "fault": None}

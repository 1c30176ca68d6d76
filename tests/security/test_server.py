"""FAULTS (d) that need the real server: what it adds to an answer, and what several workers count together."""

import contextlib
import gzip
import http.client
import json
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import psutil
import pytest

from lockstep.config.settings import SETTINGS
from tests.flask_app.prediction.test_response_cache import RedisServer
from tests.security.conftest import KEY, TOKEN
from tests.serving.real import ROOT, Server

pytestmark = pytest.mark.server

OTHER = "second-key-0123456789"
NOWHERE = "http://127.0.0.1:9"
CANARY = "a text of Ann Example"
LIMIT = 150


def keyed(key, **more):
    return {"Authorization": f"Bearer {key}", **more}


@pytest.fixture(scope="module")
def served(bundles, tmp_path_factory):
    """Return a function that starts a server on a baked model, with no registry to ask."""
    running = []

    def start(**settings):
        own = {"LOCKSTEP_BAKED_MODEL": str(bundles["text"]), "MLFLOW_TRACKING_URI": NOWHERE, **settings}
        server = Server(tmp_path_factory.mktemp("served"), **own)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.kill()


@pytest.fixture(scope="module")
def server(served):
    return served(
        LOCKSTEP_API_KEYS=f"{KEY},{OTHER}",
        LOCKSTEP_ADMIN_TOKEN=TOKEN,
        LOCKSTEP_RATE_LIMIT=f"{LIMIT}/hour",
        LOCKSTEP_LOG_LEVEL="DEBUG",
        LOCKSTEP_MAX_BODY_MB="1",
    )


def raw(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        with contextlib.suppress(BrokenPipeError):  # the server may answer before it has read all of the body
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_S15_the_server_names_no_version(server):
    for path, status in (("/livez", 200), ("/nowhere", 401), ("/livez?" + "x" * 9000, 414)):
        answered, headers, _ = raw(server, "GET", path)
        assert answered == status
        assert not re.search(r"\d", headers.get("Server", ""))
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_S17_workers_count_together_and_no_header_makes_another_client(server):
    body = json.dumps({"rows": [{"review": "good"}]})
    headers = [keyed(KEY, **{"X-Forwarded-For": f"10.0.0.{n}", "X_Forwarded_For": f"10.0.1.{n}"}) for n in range(250)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda own: raw(server, "POST", "/predict", body, own), headers))
    statuses = [status for status, _, _ in answers]
    assert (statuses.count(200), statuses.count(429)) == (LIMIT, 250 - LIMIT)
    refused = next(own for status, own, _ in answers if status == 429)
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert raw(server, "POST", "/predict", body, keyed(OTHER))[0] == 200


def memory(server):
    return sum(psutil.Process(worker.pid).memory_info().rss for worker in server.workers())


def test_S18_a_bomb_is_unpacked_to_the_limit_only(server):
    before = memory(server)
    bomb = gzip.compress(b"[" * 500_000_000, 1)
    for encoding, refusal in (("gzip", 413), ("deflate", 415)):
        status, _, _ = raw(server, "POST", "/predict", bomb[:900_000], keyed(OTHER, **{"Content-Encoding": encoding}))
        assert status == refusal
    assert memory(server) - before < 50_000_000


def test_S23_trace_repeats_nothing(server):
    status, _, body = raw(server, "TRACE", "/predict", headers=keyed(OTHER, **{"X-Canary": CANARY}))
    assert (status, CANARY.encode() in body) == (405, False)


def test_S02_S24_neither_secrets_nor_texts_are_in_the_log_or_the_command_line(server):
    rows = {"rows": [{"review": CANARY}]}
    for body in (rows, {"rows": [{CANARY: 1}]}, {"rows": [{"review": [CANARY]}]}, CANARY):
        raw(server, "POST", "/predict", json.dumps(body), keyed(OTHER))
    raw(server, "GET", f"/{CANARY.split()[-1]}?key={KEY}", headers=keyed(OTHER))
    status, _, body = raw(server, "POST", "/admin/reload", headers=keyed(TOKEN))
    assert (status, json.loads(body)["models"][0]["serving"]) == (200, "baked")
    log = server.log.read_text()
    assert "serves" in log
    shown = log + "".join(" ".join(process.cmdline()) for process in server.tree())
    assert [text for text in (KEY, OTHER, TOKEN, CANARY, "Example") if text in shown] == []


needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None or find_spec("redis") is None,
    reason="redis-server or its client is not installed",
)


@needs_redis
@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_C23_a_server_answers_on_while_its_redis_is_killed_or_paused(served, tmp_path, fault):
    redis = RedisServer(tmp_path)
    redis.start()
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), *sys.path])
    server = served(REDIS_URL=redis.url, PYTHONPATH=path)
    bodies = [json.dumps({"rows": [{"review": f"good film {n % 7}"}]}) for n in range(400)]

    def ask(body):
        started = time.monotonic()
        status, _, content = raw(server, "POST", "/predict", body)
        return status, json.loads(content)["predictions"][0]["prediction"], time.monotonic() - started

    try:
        with ThreadPoolExecutor(4) as pool:
            calm = list(pool.map(ask, bodies))
            getattr(redis, fault)()
            broken = list(pool.map(ask, bodies))
        assert [answer[:2] for answer in calm] == [answer[:2] for answer in broken]
        assert {status for status, _, _ in broken} == {200}
        assert max(seconds for _, _, seconds in broken) < 1
        assert sum(seconds > 0.05 for _, _, seconds in broken) <= 40
        metrics = raw(server, "GET", "/metrics")[2].decode()
        assert (
            float(re.search(r'prediction_cache_total{result="hit"} (\d+)', metrics)[1]) > 50
        )  # a slow look on a busy machine lets the cache rest for seconds
        assert float(re.search(r'prediction_cache_total{result="fault"} (\d+)', metrics)[1]) >= 1
    finally:
        redis.go_on()
        redis.kill()


SECRETS = {name: f"canary-{name}-0123456789" for setting in SETTINGS if setting.secret for name in setting.variables}
ADDRESSES = {"DATABASE_URL": "postgresql://own:{}@127.0.0.1:9/log", "REDIS_URL": "redis://:{}@127.0.0.1:9/0"}


def test_s25_no_secret_of_the_environment_is_told_to_anybody(served):
    canaries = set(SECRETS.values())
    own = {name: ADDRESSES.get(name, "{}").format(canary) for name, canary in SECRETS.items()}
    server = served(**own, LOCKSTEP_LOG_LEVEL="DEBUG", LOCKSTEP_DEBUG="1", LOCKSTEP_DISPATCH_REPO="own/er")
    key, admin = keyed(own["LOCKSTEP_API_KEYS"]), keyed(own["LOCKSTEP_ADMIN_TOKEN"])
    asked = [
        *(("GET", path, None) for path in ("/", "/health", "/metrics", "/dashboard", "/predictions", "/none")),
        *(("POST", "/predict", body) for body in ('{"rows": [{"review": "good film"}]}', '{"rows": [{}]}', "{")),
        *(("POST", path, '{"reason": "a drill"}') for path in ("/retrain", "/admin/reload", "/admin/rollback")),
    ]
    answers = [raw(server, *one, headers=who) for one in asked for who in (key, admin, {})]
    assert {200, 400, 401, 404, 422, 503} <= {status for status, _, _ in answers}
    told = " ".join(f"{headers} {content.decode()}" for _, headers, content in answers) + server.log.read_text()
    kept = b" ".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file()).decode(errors="replace")
    assert len(told) > 20_000
    assert {canary for canary in canaries if canary in told or canary in kept} == set()

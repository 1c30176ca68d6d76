import dataclasses
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from importlib.util import find_spec

import pytest

from flask_app import create_app
from flask_app.models import model_service
from flask_app.prediction import prediction_service, response_cache
from flask_app.prediction.response_cache import CachingPredictor, LocalCache
from lockstep.config.settings import Settings
from lockstep.data.schema import FieldError, RowsRefused
from lockstep.errors import ConfigError
from tests.flask_app.standins import ODD, example


def rows_of(bundle, serving):
    smoke = json.loads((bundle / "smoke.json").read_text())["rows"]
    return serving.predictor.schema.check(smoke)


@pytest.fixture
def serving(serve, bundle):
    """A version of each task."""
    return model_service.default(serve(bundle)).require()


@pytest.fixture
def counts():
    return Counter()


@pytest.fixture
def counted(counts):
    def count(result, rows):
        counts[result] += rows

    return count


@pytest.fixture
def asked(monkeypatch):
    """How many rows each call of the model got."""
    calls = []

    def watch(serving):
        own = serving.predictor.predict
        monkeypatch.setattr(serving.predictor, "predict", lambda rows: calls.append(len(rows)) or own(rows))
        return serving

    watch.calls = calls
    return watch


def test_a_hit_is_what_the_model_answers(serving, bundle, counts, counted, asked):
    rows = list(dict.fromkeys(rows_of(bundle, serving)))
    expected = serving.predictor.predict(rows)
    kept = CachingPredictor(LocalCache(100), counted)
    asked(serving)
    assert kept.predict(serving, rows[:2]) == type(expected)(
        expected.values[:2], expected.shares and expected.shares[:2]
    )
    assert kept.predict(serving, rows) == expected
    assert kept.predict(serving, rows[::-1]).values == expected.values[::-1]
    assert asked.calls == [2, len(rows) - 2]
    assert counts == {"hit": 2 + len(rows), "miss": len(rows)}


def test_versions_do_not_share(serve, bundles, registry, counted):
    service = model_service.default(serve(bundles["binary"]))
    first = service.require()
    registry.add("2", bundles["tree"])
    service.look()
    second = service.require()
    rows = rows_of(bundles["binary"], first)
    kept = CachingPredictor(LocalCache(100), counted)
    for serving in (first, second, first, second):
        assert kept.predict(serving, rows) == serving.predictor.predict(rows)
    assert set(response_cache.keys_of(first, rows)).isdisjoint(response_cache.keys_of(second, rows))


ALIKE = [({"size": 0.0}, {"size": 1.0}), ({ODD: None}, {ODD: 0.0}), ({"place": "INLAND"}, {"place": "<1H OCEAN"})]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_rows_that_differ_have_different_keys(app, one, other):
    serving = model_service.default(app).require()
    rows = serving.predictor.schema.check([example(app) | one, example(app) | other])
    first, second = response_cache.keys_of(serving, rows)
    assert first != second
    assert b"INLAND" not in first


def test_what_is_not_text_is_never_kept(app, counted):
    serving = model_service.default(app).require()
    assert response_cache.keys_of(serving, [("\ud800",)]) == [b""]
    kept = LocalCache(10)
    kept.put_many(serving, [("\ud800",)], [("x", [1.0])])
    assert kept.get_many(serving, [("\ud800",)]) == [None]


def test_the_answers_used_last_stay(app):
    serving = model_service.default(app).require()
    kept = LocalCache(2)
    rows = [(float(n),) for n in range(3)]
    kept.put_many(serving, rows[:2], [("a", [1.0]), ("b", [1.0])])
    kept.get_many(serving, rows[:1])
    kept.put_many(serving, rows[2:], [("c", [1.0])])
    assert kept.get_many(serving, rows) == [("a", [1.0]), None, ("c", [1.0])]


def test_threads_may_share_it(app, counted):
    serving = model_service.default(app).require()
    kept = LocalCache(5)
    faults = []

    def run(seed):
        try:
            for n in range(2000):
                row = (float((n * seed) % 17),)
                (found,) = kept.get_many(serving, [row])
                assert found in (None, (row[0], None))
                kept.put_many(serving, [row], [(row[0], None)])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (faults, len(kept._answers) <= 5) == ([], True)


def test_a_refusal_numbers_the_rows_as_they_were_sent(app, counted, monkeypatch):
    serving = model_service.default(app).require()
    rows = [(1.0,), (2.0,), (3.0,)]

    def predict(asked):
        raise RowsRefused([FieldError(place, "", "too extreme") for place, row in enumerate(asked) if row == (3.0,)])

    monkeypatch.setattr(serving.predictor, "predict", predict)
    kept = LocalCache(10)
    kept.put_many(serving, rows[:2], [("a", [1.0]), ("b", [1.0])])
    with pytest.raises(RowsRefused) as refused:
        CachingPredictor(kept, counted).predict(serving, rows)
    assert [fault.row for fault in refused.value.faults] == [2]


def test_large_batches_pass_by(app, counts, counted, bundles):
    serving = model_service.default(app).require()
    rows = rows_of(bundles["binary"], serving)[:1] * (response_cache.MOST_ROWS + 1)
    assert len(CachingPredictor(LocalCache(10), counted).predict(serving, rows).values) == len(rows)
    assert counts == {}


def test_off_by_default_and_chosen_by_settings(counted):
    assert response_cache.from_settings(Settings.read({}), counted) is None
    assert isinstance(
        response_cache.from_settings(Settings.read({"LOCKSTEP_CACHE_ROWS": "5"}), counted).cache, LocalCache
    )


def test_hits_are_named_counted_and_logged_like_any_answer(settings, registry, bundles):
    registry.add("1", bundles["binary"])
    app = create_app(dataclasses.replace(settings, cache_rows=10), registry.connect)
    model_service.default(app).look()
    logged = []
    prediction_service.from_app(app).subscribers.append(logged.append)
    client = app.test_client()
    answers = [client.post("/predict", json={"rows": [example(app)]}).get_json()["predictions"][0] for _ in range(3)]
    assert len({answer.pop("id") for answer in answers}) == len(logged) == 3
    assert answers[0] == answers[1] == answers[2]
    metrics = client.get("/metrics").text
    assert 'prediction_cache_total{result="hit"} 2.0' in metrics
    assert 'prediction_cache_total{result="miss"} 1.0' in metrics
    assert re.findall(r"^model_prediction_count_total{.*} 3.0$", metrics, re.MULTILINE)


SERVER = shutil.which("redis-server")
needs_client = pytest.mark.skipif(find_spec("redis") is None, reason="the Redis client is not installed")
needs_redis = pytest.mark.skipif(
    SERVER is None or find_spec("redis") is None, reason="redis-server or its client is not installed"
)


@needs_client
@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1", "redis://127.0.0.1:port"])
def test_an_address_that_is_none(url, counted):
    with pytest.raises(ConfigError, match="no address") as refused:
        response_cache.from_settings(Settings.read({"REDIS_URL": url}), counted)
    assert url not in str(refused.value)


class RedisServer:
    """A real Redis that can be started, stopped and paused."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.folder, self.process = f"redis://127.0.0.1:{self.port}/0", folder, None

    def start(self):
        command = [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def server(tmp_path):
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.go_on()
    made.kill()


@pytest.fixture
def kept(server, counted):
    """A cache in Redis."""
    made = response_cache.from_settings(Settings.read({"REDIS_URL": server.url}), counted)
    yield made
    made.cache._redis.close()


@needs_redis
def test_redis_keeps_answers_for_all_processes(serving, bundle, server, kept, counts, counted, asked):
    rows = rows_of(bundle, serving)
    expected = serving.predictor.predict(rows)
    asked(serving)
    assert kept.predict(serving, rows) == expected
    other = response_cache.from_settings(Settings.read({"REDIS_URL": server.url}), counted)
    assert other.predict(serving, rows) == expected
    assert asked.calls == [len(rows)]
    assert counts == {"hit": len(rows), "miss": len(rows)}
    keys = other.cache._redis.keys()
    assert len(keys) == len(set(rows))
    assert all(0 < other.cache._redis.ttl(key) <= response_cache.LIFETIME_S for key in keys)
    other.cache._redis.close()


STRANGE = [
    b"",
    b"\xc1",
    b"text",
    b"\x92\xa4evil\xc0",
    b"\x92\xa3top\x91\xcb?\xf0\x00\x00\x00\x00\x00\x00",
    b"\x90" * 9000,
]


@needs_redis
@pytest.mark.parametrize("content", STRANGE)
def test_what_another_hand_wrote_is_no_answer(serving, bundle, kept, content):
    rows = rows_of(bundle, serving)[:1]
    (key,) = response_cache.keys_of(serving, rows)
    kept.cache._redis.set(response_cache.PREFIX + key, content)
    assert kept.predict(serving, rows) == serving.predictor.predict(rows)


def slowest(kept, serving, rows, times):
    """Return the longest time that an answer took, each being the model's."""
    expected, longest = serving.predictor.predict(rows), 0.0
    for _ in range(times):
        started = time.perf_counter()
        assert kept.predict(serving, rows) == expected
        longest = max(longest, time.perf_counter() - started)
    return longest


@needs_redis
@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_C23_redis_killed_or_paused_costs_one_short_wait(
    app, bundles, server, kept, counts, caplog, monkeypatch, fault
):
    monkeypatch.setattr(response_cache, "REST_S", 0.5)
    serving = model_service.default(app).require()
    rows = rows_of(bundles["binary"], serving)
    kept.predict(serving, rows)
    getattr(server, fault)()
    assert slowest(kept, serving, rows, 1) < response_cache.TIME_LIMIT_S + 0.25
    assert slowest(kept, serving, rows, 50) < response_cache.TIME_LIMIT_S / 2
    assert counts["fault"] == 1
    time.sleep(0.6)
    assert slowest(kept, serving, rows, 50) < response_cache.TIME_LIMIT_S + 0.25
    assert counts["fault"] == 2
    assert [record.getMessage() for record in caplog.records if record.name == "cache"] == [caplog.messages[-1]]
    server.start() if fault == "kill" else server.go_on()
    time.sleep(0.6)
    kept.predict(serving, rows)
    hits = counts["hit"]
    kept.predict(serving, rows)
    assert (counts["hit"] - hits, counts["fault"]) == (len(rows), 2)


@needs_redis
def test_C23_many_threads_wait_together_and_only_once(app, bundles, server, kept, counts):
    serving = model_service.default(app).require()
    rows = rows_of(bundles["binary"], serving)
    kept.predict(serving, rows)
    server.pause()
    times = []

    def run():
        times.append(slowest(kept, serving, rows, 20))

    threads = [threading.Thread(target=run) for _ in range(16)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 16
    assert time.perf_counter() - started < 2
    assert counts["fault"] <= 16


@needs_redis
def test_C23_redis_away_from_the_start(app, bundles, server, counts, counted):
    server.kill()
    kept = response_cache.from_settings(Settings.read({"REDIS_URL": server.url}), counted)
    serving = model_service.default(app).require()
    assert slowest(kept, serving, rows_of(bundles["binary"], serving), 20) < 0.5
    assert counts["fault"] == 1
    server.start()

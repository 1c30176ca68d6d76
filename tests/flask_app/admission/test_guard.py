import dataclasses
import threading
from io import BytesIO

import pytest
from flask import request
from werkzeug.test import create_environ, run_wsgi_app

from flask_app import create_app
from flask_app.admission import guard
from flask_app.admission import headers as security
from flask_app.admission.limits import Overloaded
from flask_app.models import model_service
from lockstep.errors import ConfigError
from tests.flask_app.standins import example

KEY = "first-key-0123456789"
BROWSER = {"Accept": "text/html"}
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def make(settings, registry, bundles):
    """Return a function that gives an app with these settings, which serves the binary model."""
    registry.add("1", bundles["binary"])

    def with_settings(**changes):
        app = create_app(dataclasses.replace(settings, **changes), registry.connect)
        model_service.default(app).look()
        return app

    return with_settings


def ask(app, headers=None, **more):
    return app.test_client().post("/predict", json={"rows": [example(app)]}, headers=headers, **more)


def test_without_settings_the_door_is_open_and_leaves_no_file(make, tmp_path):
    app = make()
    assert ask(app).status_code == 200
    assert guard.from_app(app).passes({})
    assert not list(tmp_path.rglob("limits.bin"))


def test_keys(make):
    app = make(api_keys=KEY)
    assert ask(app, BEARER).status_code == 200
    refused = ask(app)
    assert (refused.status_code, refused.mimetype) == (401, "application/problem+json")
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="Lockstep"'
    page = app.test_client().get("/", headers=BROWSER)
    assert (page.status_code, page.headers["WWW-Authenticate"][:6]) == (401, "Basic ")
    assert app.test_client().get("/", headers=BROWSER, auth=("me", KEY)).status_code == 200
    for address, status in {"/livez": 200, "/readyz": 200, "/static/app.css": 200, "/metrics": 401, "/no": 401}.items():
        with app.test_client().get(address) as answer:
            assert answer.status_code == status, address


def test_the_rate_counts_for_each_key_else_for_each_address(make):
    app = make(rate_limit="3/h", api_keys=f"{KEY},second-key-0123456789")
    assert [ask(app, BEARER).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert ask(app, {"X-API-Key": "second-key-0123456789"}).status_code == 200
    assert [ask(app, {"X-API-Key": f"guess-{n}"}).status_code for n in range(4)] == [401, 401, 401, 429]
    assert ask(app, environ_overrides={"REMOTE_ADDR": "10.0.0.2"}).status_code == 401
    assert [app.test_client().get("/livez").status_code for _ in range(4)] == [200] * 4
    refused = ask(app, BEARER)
    assert int(refused.headers["Retry-After"]) > 1000
    assert refused.headers["RateLimit-Policy"] == '"client";q=3;w=3600'


def test_what_the_front_let_in_is_not_counted_again(make):
    app = make(rate_limit="2/h")
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    assert guard.from_app(app).passes(environ)
    assert ask(app, environ_overrides=environ).status_code == 200
    assert guard.from_app(app).passes({"REMOTE_ADDR": "127.0.0.1"})
    assert not guard.from_app(app).passes({"REMOTE_ADDR": "127.0.0.1"})


def test_two_apps_on_one_folder_count_together(make):
    apps = [make(rate_limit="5/h"), make(rate_limit="5/h")]
    assert [ask(apps[n % 2]).status_code for n in range(7)] == [200] * 5 + [429] * 2


HOSTS = [
    ("localhost", 200),
    ("LOCALHOST:5000", 200),
    ("[::1]:5000", 200),
    ("evil.example", 400),
    ("localhost.evil.example", 400),
    ("localhost@evil.example", 400),
    ("", 400),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_S19_hosts(make, host, status):
    app = make(allowed_hosts="localhost, [::1]")
    assert ask(app, {"Host": host}).status_code == status
    assert app.test_client().get("/livez", headers={"Host": "10.1.2.3:5000"}).status_code == 200


def test_a_place_is_given_back_whatever_happens(make):
    app = make(max_in_flight=1)
    client = app.test_client()
    statuses = [ask(app).status_code, client.post("/predict", json={}).status_code, client.get("/nowhere").status_code]
    assert statuses == [200, 422, 404]
    guard.from_app(app).limiter.acquire()
    refused = ask(app)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert client.get("/livez").status_code == 200
    guard.from_app(app).limiter.release()
    assert ask(app).status_code == 200


def test_a_body_that_trickles_in_takes_no_place(make):
    app = make(max_in_flight=1)
    coming, rest = threading.Event(), threading.Event()

    class Slow(BytesIO):
        def readinto(self, space):
            coming.set()
            rest.wait(10)
            return super().readinto(space)

    def send():
        app.test_client().post("/predict", input_stream=Slow(b"{}"), content_length=2, content_type="application/json")

    slow = threading.Thread(target=send)
    slow.start()
    assert coming.wait(10)
    assert ask(app).status_code == 200
    rest.set()
    slow.join(10)


def test_a_large_body_waits_for_its_turn(make):
    app = make(queue_s=0)
    large = {"rows": [example(app)] * 2000}
    limiter = guard.from_app(app).limiter
    assert app.test_client().post("/predict", json=large).status_code == 200
    with limiter.large_request():
        statuses = []
        asking = threading.Thread(target=lambda: statuses.append(app.test_client().post("/predict", json=large)))
        asking.start()
        asking.join()
        assert (statuses[0].status_code, statuses[0].headers["Retry-After"]) == (503, "1")
        assert ask(app).status_code == 200
    assert app.test_client().post("/predict", json=large).status_code == 200


HEADS = {
    "plain": ({}, 200),
    "long address": ({"QUERY_STRING": "x" * 9000}, 414),
    "long header": ({"HTTP_X_LONG": "x" * 40_000}, 431),
    "long headers": ({f"HTTP_X_{n}": "x" * 400 for n in range(90)}, 431),
    "no Host": ({"HTTP_HOST": ""}, 400),
    "no Host in HTTP/1.0": ({"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}, 200),
    "two Hosts": ({"HTTP_HOST": "a.example,b.example"}, 400),
    "a Host that is none": ({"HTTP_HOST": "a b/<script>"}, 400),
    "a Host with a user": ({"HTTP_HOST": "localhost@evil.example"}, 400),
    "a Host with a line end": ({"HTTP_HOST": "localhost\n"}, 400),
    "Host and port": ({"HTTP_HOST": "a-b_c.example:65535"}, 200),
    "version 6": ({"HTTP_HOST": "[::1]:80"}, 200),
    "chunks": ({"HTTP_TRANSFER_ENCODING": "Chunked"}, 200),
    "compressed chunks": ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 501),
    "small method": ({"REQUEST_METHOD": "get"}, 400),
}


@pytest.mark.parametrize("case", HEADS)
def test_heads(app, case):
    changes, status = HEADS[case]
    environ = create_environ("/livez") | changes
    _, answered, headers = run_wsgi_app(app, environ)
    assert int(answered[:3]) == status
    assert headers["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
    assert guard.has_plain_head(environ) is (status == 200)


@pytest.mark.parametrize("media", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_is_cut_off(client, media):
    longer = {"CONTENT_LENGTH": "100", "wsgi.input_terminated": True}
    answer = client.post("/predict", data=b"{}", content_type=media, environ_overrides=longer)
    assert (answer.status_code, "shorter" in answer.text) == (400, True)


def test_limits_of_a_body(make):
    app = make(max_body_mb=1)
    client = app.test_client()
    assert client.post("/predict", data=b" " * (1024 * 1024 + 1), content_type="application/json").status_code == 413
    chunks = {"headers": {"Transfer-Encoding": "chunked"}, "environ_overrides": {"wsgi.input_terminated": True}}
    body = BytesIO(b" " * (1024 * 1024 + 1))
    assert client.post("/predict", input_stream=body, content_type="application/json", **chunks).status_code == 413


@pytest.mark.parametrize("setting", ["max_in_flight", "max_body_mb", "max_rows"])
def test_limits_that_leave_nothing(make, setting):
    with pytest.raises(ConfigError, match=f"LOCKSTEP_{setting.upper()} = 0"):
        make(**{setting: 0})


@pytest.mark.parametrize(("hops", "address", "scheme"), [(0, "127.0.0.1", "http"), (1, "1.2.3.4", "https")])
def test_proxies_that_are_trusted(make, hops, address, scheme):
    app = make(trusted_proxies=hops)
    seen = {}
    app.before_request(lambda: seen.update(request.environ))
    ask(app, {"X-Forwarded-For": "6.6.6.6, 1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"})
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (address, scheme, "localhost")


def test_ready_made_answers_are_what_the_app_answers(make):
    app = make(max_in_flight=1)
    status, headers, body = guard.ready_made(app, Overloaded(1))
    guard.from_app(app).limiter.acquire()
    answer = ask(app)
    assert (answer.status, answer.data) == (status, body)
    assert {name: value for name, value in headers if name != "Set-Cookie"} == dict(answer.headers)
    assert security.HEADERS.items() <= dict(headers).items()

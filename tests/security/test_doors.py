"""FAULTS (d): who comes in, what every answer says, and whose word counts."""

import hmac
import logging
import re
from io import BytesIO

import pytest

from flask_app import wsgi
from flask_app.admission import authentication, guard
from lockstep.config.settings import SETTINGS, Settings
from tests.flask_app.standins import example
from tests.security.conftest import KEY, TOKEN

BROWSER = {"Accept": "text/html"}
KEYED = {"X-API-Key": KEY}
PREDICTING = {
    "/predict",
    "/predict/file",
    "/predict/<name>",
    "/models/<name>/predict",
    "/models/<name>/predict/file",
    "/invocations",
    "/inference",
    "/v2/models/<name>/infer",
    "/v2/models/<name>/versions/<version>/infer",
    "/feedback",
    "/feedback/file",
}
"""Where anyone may send something if no keys are set; whatever else changes a thing needs the admin token."""

OPEN = {"/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/static/<path:filename>"}
"""What needs no key."""


def rules(app, safe):
    """Return the routes with a method that changes things, or those with GET."""
    found = [rule for rule in app.url_map.iter_rules() if ("GET" in rule.methods) is safe]
    assert found
    return sorted(found, key=lambda rule: rule.rule)


def address(rule):
    return re.sub(r"<(?:\w+:)?\w+>", "demo", rule.rule)


def sent(app, rule, **headers):
    """Send each method that changes things to a route, and return the statuses."""
    methods = rule.methods - {"GET", "HEAD", "OPTIONS"}
    assert methods
    return {app.test_client().open(address(rule), method=one, headers=headers).status_code for one in methods}


def test_S01_every_route_that_changes_things_is_on_the_list_or_needs_a_token(app, locked):
    for rule in rules(app, safe=False):
        if rule.rule not in PREDICTING:
            assert authentication.need_of(rule.rule) == "admin", rule.rule
            assert sent(app, rule) == {403}, rule.rule
            assert sent(locked(), rule, **KEYED) == sent(locked(), rule) == {401}, rule.rule
            assert sent(locked(), rule, Authorization=f"Bearer {TOKEN}") & {401, 403} == set(), rule.rule


def test_S01_with_keys_every_route_but_probes_and_static_files_needs_one(locked):
    app = locked()
    for rule in [*rules(app, safe=False), *rules(app, safe=True)]:
        method = "POST" if "POST" in rule.methods else "GET"
        with app.test_client().open(address(rule), method=method) as answer:
            assert (answer.status_code == 401) is (rule.rule not in OPEN), rule.rule
        if rule.rule not in OPEN and authentication.need_of(rule.rule) != "admin":
            with app.test_client().open(address(rule), method=method, headers=KEYED) as answer:
                assert answer.status_code not in (401, 403), rule.rule


def test_S01_an_old_key_is_none(locked):
    app = locked(api_keys="another-key-0123456789")
    assert app.test_client().get("/health", headers=KEYED).status_code == 401


def test_S02_secrets_are_compared_as_digests_in_constant_time(locked, monkeypatch):
    compared = []
    own = hmac.compare_digest
    monkeypatch.setattr(
        authentication.hmac, "compare_digest", lambda one, other: compared.append((one, other)) or own(one, other)
    )
    app = locked()
    for given in (TOKEN, "a", TOKEN[:-1] + "x", "x" * 5000):
        app.test_client().post("/admin/reload", headers={"Authorization": f"Bearer {given}"})
    assert [len(digest) for pair in compared for digest in pair] == [32] * 8
    looked_up = [guard.from_app(app).access._digest(key) for key in (KEY, "a", "x" * 5000)]
    assert {len(digest) for digest in looked_up} == {32}
    assert guard.from_app(locked()).access._digest(KEY) != guard.from_app(locked()).access._digest(KEY)


@pytest.mark.parametrize("query", [f"?api_key={KEY}", f"?key={KEY}&token={TOKEN}", f"?access_token={KEY}"])
def test_S02_secrets_in_the_address_count_for_nothing(locked, query):
    client = locked().test_client()
    assert client.get(f"/health{query}").status_code == 401
    assert client.post(f"/admin/reload{query}").status_code == 401


def test_S02_secrets_are_in_no_log_answer_or_message(locked, caplog):
    caplog.set_level(logging.DEBUG)
    app = locked(redis_url="")
    texts = []
    for headers in (KEYED, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {KEY}x"}):
        for where in ("/", "/health", "/metrics", "/nowhere", "/admin/reload"):
            for method in ("GET", "POST"):
                texts.append(app.test_client().open(where, method=method, headers=headers).text)
    for secret in (KEY, TOKEN):
        assert secret not in caplog.text
        assert not [text for text in texts if secret in text]


def test_S02_settings_shown_by_accident_hide_their_secrets():
    names = [setting for setting in SETTINGS if setting.secret]
    assert len(names) >= 4
    settings = Settings.read({setting.variables[0]: f"canary-{setting.name}" for setting in names})
    assert settings.api_keys == "canary-api_keys"
    assert "canary" not in repr(settings)


def test_S02_a_worker_forgets_what_it_has_read(monkeypatch):
    kept = {"PATH": "/usr/bin", "PYTHONPATH": "src", "PROMETHEUS_MULTIPROC_DIR": "metrics"}
    monkeypatch.setattr(wsgi.os, "environ", {"LOCKSTEP_API_KEYS": KEY, "CAPSTONE_TEST": "x", "REDIS_URL": "x", **kept})
    wsgi.forget_environment()
    assert wsgi.os.environ == kept


SITES = [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
    ({"Origin": "http://localhost"}, True),
    ({"Origin": "http://localhost.evil.example"}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "null"}, False),
]


@pytest.mark.parametrize(("headers", "let_in"), SITES)
def test_S04_no_other_site_can_change_anything_with_a_browsers_cookie_or_password(locked, headers, let_in):
    app = locked()
    for rule in rules(app, safe=False):
        statuses = sent(app, rule, Authorization=f"Bearer {TOKEN}", Cookie="a=b", **{"X-API-Key": KEY}, **headers)
        assert (403 not in statuses) is let_in, rule.rule


SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
ASKED = {
    200: ("GET", "/health", {}),
    400: ("GET", "/livez", {"Host": "a b"}),
    401: ("GET", "/health", {"X-API-Key": "wrong"}),
    403: ("POST", "/predict", {"Sec-Fetch-Site": "cross-site"}),
    404: ("GET", "/nowhere", {}),
    405: ("GET", "/predict", {}),
    413: ("POST", "/predict", {"Content-Type": "application/json"}),
    414: ("GET", f"/livez?{'x' * 9000}", {}),
    415: ("POST", "/predict", {"Content-Type": "text/plain"}),
    422: ("POST", "/predict", {"Content-Type": "application/json"}),
    431: ("GET", "/livez", {"X-Long": "x" * 40_000}),
    501: ("GET", "/livez", {"Transfer-Encoding": "gzip"}),
}


def check_headers(answer):
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'", "'none'")
    assert {source for own in policy.values() for source in own.split()} <= {"'none'", "'self'", "data:"}
    assert not re.search(r"\d", answer.headers.get("Server", ""))
    assert "X-Powered-By" not in answer.headers


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("status", ASKED)
def test_S15_headers_on_every_kind_of_answer(locked, status, accept):
    method, where, headers = ASKED[status]
    headers = {"Accept": accept, **KEYED, **headers}
    body = {413: b" " * (1024 * 1024 + 1), 422: b"{}"}.get(status, b"")
    answer = locked(max_body_mb=1).test_client().open(where, method=method, headers=headers, data=body)
    assert answer.status_code == status
    check_headers(answer)


def test_S15_headers_on_every_page(app):
    for rule in rules(app, safe=True):
        with app.test_client().get(address(rule), headers=BROWSER) as answer:
            check_headers(answer)


def test_S15_headers_on_429_500_and_503(locked, empty, monkeypatch):
    limited = locked(api_keys="", rate_limit="1/h").test_client()
    assert [limited.get("/health").status_code for _ in range(2)] == [200, 429]
    check_headers(limited.get("/health"))
    check_headers(empty.test_client().get("/readyz"))
    crashing = locked()
    monkeypatch.setitem(crashing.view_functions, "health.health", lambda: 1 / 0)
    crashed = crashing.test_client().get("/health", headers=KEYED)
    assert crashed.status_code == 500
    check_headers(crashed)


@pytest.mark.parametrize("base", ["http://localhost", "https://localhost"])
def test_S16_every_cookie_is_closed(app, base):
    for rule in rules(app, safe=True):
        with app.test_client().get(address(rule), headers=BROWSER, base_url=base) as answer:
            for cookie in answer.headers.getlist("Set-Cookie"):
                assert {"HttpOnly", "Path=/"} <= set(cookie.split("; ")), cookie
                assert re.search(r"SameSite=(Strict|Lax)", cookie), cookie
                assert ("Secure" in cookie) is base.startswith("https"), cookie


@pytest.mark.parametrize(
    ("hops", "told", "statuses"),
    [
        (0, "10.0.0.{}", [200, 200, 429, 429]),
        (1, "10.0.0.{}", [200, 200, 200, 200]),
        (1, "10.0.0.{}, 192.0.2.1", [200, 200, 429, 429]),
        (2, "10.0.0.{}, 192.0.2.1, 192.0.2.2", [200, 200, 429, 429]),
    ],
)
def test_S17_a_client_cannot_pass_for_many(locked, hops, told, statuses):
    client = locked(api_keys="", rate_limit="2/h", trusted_proxies=hops).test_client()
    headers = [{"X-Forwarded-For": told.format(n), "X-Real-IP": str(n), "Forwarded": f"for={n}"} for n in range(4)]
    assert [client.get("/health", headers=one).status_code for one in headers] == statuses


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x-gzip"])
@pytest.mark.parametrize("where", ["/predict", "/invocations", "/inference", "/v2/models/demo/infer", "/admin/reload"])
def test_S18_nothing_but_gzip_is_decompressed(locked, where, encoding):
    headers = {**KEYED, "Authorization": f"Bearer {TOKEN}", "Content-Encoding": encoding}
    answer = locked().test_client().post(where, data=b"\x1f\x8b", headers=headers, content_type="application/json")
    assert answer.status_code == (400 if encoding in ("gzip", "x-gzip") else 415)


EVIL = "evil.example"
FORGED = {"Host": EVIL, "X-Forwarded-Host": EVIL, "X-Forwarded-Server": EVIL, "X-Original-URL": "/admin/reload"}


@pytest.mark.parametrize(
    "where",
    ["", "/", "/health", "//health", "/livez/", "/v2/", "/static", "/openapi.json", "/docs", f"//{EVIL}/%2e%2e"],
)
@pytest.mark.parametrize("hops", [0, 1])
def test_S19_no_answer_repeats_the_host_that_was_asked(locked, where, hops):
    app = locked(api_keys="", trusted_proxies=hops)
    with app.test_client().get("/", headers=FORGED | BROWSER, environ_overrides={"PATH_INFO": where}) as answer:
        assert EVIL not in answer.text
        assert not [value for _, value in answer.headers if EVIL in value]
        assert answer.status_code != 500


def test_S23_no_debugger_whatever_the_environment_says(monkeypatch, locked):
    for name in ("FLASK_DEBUG", "FLASK_ENV", "WERKZEUG_DEBUG_PIN"):
        monkeypatch.setenv(name, "1")
    app = locked(api_keys="")
    assert (app.debug, app.testing, app.config["PROPAGATE_EXCEPTIONS"]) == (False, False, None)
    for where in ("/console", "/?__debugger__=yes&cmd=resource&f=debugger.js", "/health?__debugger__=yes&cmd=paste"):
        assert "werkzeug" not in app.test_client().get(where, headers=BROWSER).text.lower()
    assert app.test_client().open("/health", method="TRACE", headers={"X-Canary": "sings"}).status_code == 405
    assert "sings" not in app.test_client().open("/health", method="TRACE", headers={"X-Canary": "sings"}).text


def test_S23_methods_cannot_be_overridden(locked):
    app = locked(api_keys="")
    headers = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "GET"}
    rows = {"rows": [example(app)]}
    assert app.test_client().post("/predict?_method=GET", json=rows, headers=headers).status_code == 200
    assert app.test_client().get("/health", headers=headers, data=BytesIO(b"{}")).status_code == 200

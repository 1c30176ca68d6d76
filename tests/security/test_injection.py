"""FAULTS (d): what a client, a file or a registry sends is shown as text, and runs nowhere."""

import html
import json
import logging
import re
from pathlib import Path

import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep.errors import RegistryError
from lockstep.runtime import logger
from tests.flask_app.standins import ODD, example
from tests.security.conftest import TOKEN

ROOT = Path(__file__).parents[2]
BROWSER = {"Accept": "text/html"}
SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' autofocus onfocus='alert(1)' x='<",
    "</textarea><svg/onload=alert(1)>",
    "{{ 7 * 191 }}<{% print(7 * 191) %}",
    "<!--<script>",
]


def token_of(page):
    """Return the token of the form, as a field to be sent with it."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    return {"csrf_token": html.unescape(found[1])} if found else {}


def typed(app):
    return {name: "" if value is None else str(value) for name, value in example(app).items()}


def check_page(answer, script):
    assert script not in answer.text
    assert "1337" not in answer.text
    assert answer.status_code < 500
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_S05_what_is_typed_comes_back_as_text(app, client, script):
    form = typed(app) | token_of(client.get("/", headers=BROWSER))
    for name in typed(app):
        answer = client.post("/predict", data=form | {name: script}, headers=BROWSER)
        assert answer.status_code == 422, name
        check_page(answer, script)
        assert html.escape(script, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in answer.text, (
            name
        )
    check_page(client.post("/predict", data=form | {script: "1"}, headers=BROWSER), script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_S05_what_programs_send_comes_back_as_text(app, client, script):
    for row in ({**example(app), "place": script}, {**example(app), script: 1}):
        check_page(client.post("/predict", json={"rows": [row]}, headers=BROWSER), script)
        program = client.post("/predict", json={"rows": [row]})
        assert program.mimetype == "application/problem+json"
    check_page(client.post("/predict", json={script: 1}, headers=BROWSER), script)
    check_page(client.get("/" + script.replace("/", "%2F"), headers=BROWSER), script)
    check_page(client.get("/", query_string={script: script}, headers={**BROWSER, "User-Agent": script}), script)


UNSAFE_IN_TEMPLATES = (
    r"\|\s*safe|Markup|autoescape\s+false|\son\w+\s*=|\sstyle\s*=|<style|javascript:|<script(?![^>]*\ssrc=)"
)
UNSAFE_IN_SCRIPTS = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(\s*[\"'`]"
)
SOURCES = [
    *[(path, UNSAFE_IN_TEMPLATES) for path in sorted((ROOT / "flask_app/templates").rglob("*.html"))],
    *[(ROOT / "src/lockstep/html/pages" / name, UNSAFE_IN_TEMPLATES) for name in ("fragment.html", "parts.html")],
    *[(path, UNSAFE_IN_SCRIPTS) for path in sorted((ROOT / "flask_app/static").rglob("*.js"))],
]


@pytest.mark.parametrize(("path", "unsafe"), SOURCES, ids=lambda value: getattr(value, "name", ""))
def test_S06_nothing_that_is_stored_or_shown_becomes_markup(path, unsafe):
    assert re.search(unsafe, path.read_text(encoding="utf-8")) is None


def test_S06_nothing_comes_from_another_site():
    for path, _ in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"""(?:src|href|action|fetch\()\s*=?\s*["'`](?:https?:)?//[^"'`]+""", text), path


@pytest.mark.parametrize("script", SCRIPTS)
def test_S07_names_versions_and_faults_of_a_registry_are_text(settings, registry, bundles, script):
    settings = type(settings)(**{**settings.__dict__, "model_name": script.replace(",", " ")})
    registry.name = script
    registry.add(script, bundles["binary"])
    app = create_app(settings, registry.connect)
    model_service.default(app).look()
    client = app.test_client()
    page = client.get("/", headers=BROWSER)
    assert page.status_code == 200
    check_page(page, script)
    check_page(client.post("/predict", data=typed(app) | token_of(page), headers=BROWSER), script)
    registry.fault = RegistryError(script, script)
    model_service.default(app).look()
    check_page(client.get("/health", headers=BROWSER), script)
    assert client.get("/health").get_json()["status"] == "degraded"


def test_S08_column_names_in_the_form_are_text(client):
    page = client.get("/").text
    assert ODD not in page
    assert html.escape(ODD).replace("&quot;", "&#34;") in page
    assert "<i>" not in page


QUERIES = [
    "1' OR '1'='1",
    "1; DROP TABLE model_versions;--",
    '" UNION SELECT sqlite_version() --',
    "1' AND name LIKE '%",
    "\\'; SELECT pg_sleep(9); --",
    "1/**/OR/**/1=1",
    "%27%20OR%201=1",
]
BETRAYALS = ("sqlite", "syntax error", "psycopg", "sqlalchemy", "traceback", 'near "')


@pytest.fixture
def asked(monkeypatch, registry):
    """Everything that the registry was asked."""
    seen = []

    def get(version):
        seen.append(version)
        raise RegistryError("no such version", "")

    monkeypatch.setattr(registry, "get", get)
    return seen


def posts(app, text):
    """Yield requests with a text in every place that takes one."""
    rows = [example(app)]
    yield "/predict", {"rows": rows, "version": text}, {}
    yield "/predict", {"rows": [{**example(app), "place": text}]}, {}
    yield "/predict", {"rows": [{**example(app), text: 1}]}, {}
    yield "/predict", {"rows": rows}, {"Idempotency-Key": text}
    yield f"/models/{text}/predict", {"rows": rows}, {}
    yield f"/v2/models/{text}/infer", {"inputs": []}, {}
    yield f"/v2/models/demo/versions/{text}/infer", {"inputs": []}, {}
    yield "/inference", {"data": [[1]], "model_version": text}, {}
    yield "/invocations", {"dataframe_records": rows, "params": {"version": text}}, {}
    yield "/admin/rollback", {"reason": "r", "model": text}, {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("text", QUERIES)
def test_S09_queries_are_text(locked, asked, text):
    app = locked(api_keys="")
    for where, body, headers in posts(app, text):
        answer = app.test_client().post(where, json=body, headers=headers)
        named = "Idempotency-Key" in headers
        assert (answer.status_code == 200) if named else (400 <= answer.status_code < 500), (where, answer.text)
        assert not [word for word in BETRAYALS if word in answer.text.lower().replace(text.lower(), "")]
    assert asked == []


PATHS = [
    "../../../../etc/passwd",
    "..%2F..%2F..%2Fetc%2Fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..\\..\\etc\\passwd",
    "..%5C..%5Cetc%5Cpasswd",
    "//proc/self/root/etc/passwd",
    "/etc/passwd",
    "demo#/../../etc/passwd",
    "demo%23/../../etc/passwd",
    "demo?/../../etc/passwd",
    "demo\0",
    "demo%00.json",
    "....//....//etc/passwd",
    "file:///etc/passwd",
    "http:///?/../../../../etc/passwd",
    ".",
    "..",
    "~root",
    "1/../../x",
    "²",
]


@pytest.mark.parametrize("path", PATHS)
def test_S10_names_and_versions_lead_out_of_nowhere(locked, asked, path):
    app = locked(api_keys="")
    client = app.test_client()
    for where, body, headers in posts(app, path):
        raw = {"PATH_INFO": where} if path in where else {}
        answer = client.post("/", json=body, headers=headers, environ_overrides=raw or {"PATH_INFO": where})
        assert answer.status_code in ((200,) if "Idempotency-Key" in headers else (400, 404, 405, 415, 422)), where
        assert "root:" not in answer.text
    for where in (
        f"/static/{path}",
        f"/v2/models/{path}",
        f"/v2/models/demo/versions/{path}",
        f"/models/{path}/predict",
    ):
        answer = client.get("/", environ_overrides={"PATH_INFO": where})
        assert answer.status_code in (400, 404, 405), where
        assert "root:" not in answer.text
    assert asked == []


def test_S10_only_static_files_are_handed_out(client):
    for name in (
        "../wsgi.py",
        "../templates/base.html",
        "%2e%2e/wsgi.py",
        "/etc/passwd",
        "..\\wsgi.py",
        "app.css/../../wsgi.py",
    ):
        answer = client.get("/", environ_overrides={"PATH_INFO": f"/static/{name}"})
        assert answer.status_code == 404, name


FORGED = "complaints\r\n00:00:00 ERROR admin: forged \x1b[2J\x9b31m\u2028\u202e"


def test_S22_nothing_that_is_sent_forges_a_line_of_the_log(locked, registry, monkeypatch, capsys):
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logger.start("DEBUG")
    try:
        app = locked(api_keys="")
        monkeypatch.setattr(registry, "rollback", lambda event: event, raising=False)
        client = app.test_client()
        client.post("/admin/rollback", json={"reason": FORGED}, headers={"Authorization": f"Bearer {TOKEN}"})
        monkeypatch.setattr("flask_app.views.health.describe", lambda: (_ for _ in ()).throw(RuntimeError(FORGED)))
        client.get("/health", headers={"User-Agent": FORGED.encode("unicode_escape").decode()})
    finally:
        root.handlers[:], root.level = handlers, level
    lines = capsys.readouterr().err.splitlines()
    assert any("complaints" in line for line in lines)
    assert not [line for line in lines if re.match(r"\d\d:\d\d:\d\d ERROR admin", line)]
    assert not [line for line in lines if any(not c.isprintable() for c in line)]


CANARY = "a text of Ann Example, born 1970-01-01"


def test_S24_no_text_of_a_request_is_in_the_logs_at_any_level(serve, bundles, caplog):
    caplog.set_level(logging.DEBUG)
    app = serve(bundles["text"])
    client = app.test_client()
    form = {"review": CANARY} | token_of(client.get("/", headers=BROWSER))
    bodies = [{"rows": [{"review": CANARY}]}, {"rows": [{"review": [CANARY]}]}, {"rows": [{CANARY: 1}]}, {CANARY: 1}]
    statuses = [client.post("/predict", json=body, headers={"Idempotency-Key": CANARY}).status_code for body in bodies]
    statuses += [client.post("/predict", data=form, headers=BROWSER).status_code]
    statuses += [client.post("/predict", data=json.dumps(bodies[0])[:-3], content_type="application/json").status_code]
    statuses += [client.post("/invocations", data=f"review\n{CANARY}\n", content_type="text/csv").status_code]
    statuses += [client.get(f"/{CANARY}?{CANARY}").status_code]
    assert set(statuses) >= {200, 400, 404, 422}
    assert "Ann" not in caplog.text


def test_S24_no_text_of_a_request_is_in_the_metrics(serve, bundles):
    client = serve(bundles["text"]).test_client()
    client.post("/predict", json={"rows": [{"review": CANARY}]}, headers={"User-Agent": CANARY})
    client.get(f"/{CANARY}")
    assert "Ann" not in client.get("/metrics").text

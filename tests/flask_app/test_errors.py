import json

import pytest

from flask_app.errors import shown
from flask_app.protocols import predict as protocol

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PLAIN = {"type", "title", "status", "detail"}

ADDRESSES = [
    ("GET", "/nowhere", 404),
    ("GET", "/models/demo/predict", 405),
    ("GET", "/predict", 405),
    ("PUT", "/predict", 405),
    ("TRACE", "/predict", 405),
    ("DELETE", "/", 405),
    ("POST", "/health", 405),
    ("GET", "/static/../wsgi.py", 404),
    ("GET", "/static/%2e%2e/wsgi.py", 404),
    ("GET", "/console", 404),
]


@pytest.mark.parametrize(("method", "address", "status"), ADDRESSES)
def test_problems_for_programs_and_pages_for_browsers(client, method, address, status):
    program = client.open(address, method=method)
    assert (program.status_code, program.mimetype) == (status, "application/problem+json")
    content = json.loads(program.data)
    assert (set(content), content["status"]) == (PLAIN, status)
    browser = client.open(address, method=method, headers=BROWSER)
    assert (browser.status_code, browser.mimetype) == (status, "text/html")
    assert content["detail"] in browser.text
    if status == 405:
        assert program.headers["Allow"] == browser.headers["Allow"] != ""


ACCEPTS = [
    ("", False),
    ("*/*", False),
    ("application/json", False),
    ("application/problem+json", False),
    ("text/html;q=0.1, application/json", False),
    ("text/html", True),
    (BROWSER["Accept"], True),
]


@pytest.mark.parametrize(("accept", "page"), ACCEPTS)
def test_who_gets_a_page(client, accept, page):
    assert (client.get("/nowhere", headers={"Accept": accept}).mimetype == "text/html") is page


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_a_crash_is_logged_and_not_shown(client, monkeypatch, caplog, headers):
    def crash(*_):
        raise RuntimeError("secret /etc/passwd")

    monkeypatch.setattr(protocol, "decode", crash)
    response = client.post("/predict", json={"rows": [{}]}, headers=headers)
    assert response.status_code == 500
    assert not any(word in response.text for word in ("secret", "passwd", "Traceback", "RuntimeError"))
    assert "secret" in caplog.text


def test_a_wait_page_goes_to_the_form(empty):
    page = empty.test_client().post("/predict", data={"a": "1"}, headers=BROWSER)
    assert '<meta http-equiv="refresh" content="5; url=/">' in page.text


def test_every_listed_fault_is_shown_to_a_browser(client):
    response = client.post("/predict", json={"rows": [{"<b>": 1}] * 100}, headers=BROWSER)
    assert "&lt;b&gt;" in response.text
    assert "more</li>" in response.text
    assert len(response.data) < 16_000


@pytest.mark.parametrize(("name", "text"), [("é", "é"), ("\udc80x", "?x"), ("x" * 200, "x" * 119 + "…")])
def test_names_are_shown_short(name, text):
    assert shown(name) == text


EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


@pytest.mark.parametrize("address", ["/", "/livez", "/health", "/metrics", "/nowhere", "/static/app.css", "/predict"])
def test_headers_on_every_answer(client, address):
    with client.get(address) as response:
        assert {name: response.headers[name] for name in EXPECTED} == EXPECTED
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "Server" not in response.headers
        assert "Set-Cookie" not in response.headers
        assert ("no-store" in response.headers["Cache-Control"]) is not address.startswith("/static")


ORIGINS = [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, True),
    ({"Origin": "http://localhost"}, True),
    ({"Origin": "https://localhost"}, True),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "http://localhost.evil.example"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
]


@pytest.mark.parametrize(("headers", "let_in"), ORIGINS)
@pytest.mark.parametrize("body", [{"data": {"size": "1"}}, {"json": {"rows": []}}])
def test_other_sites_cannot_post(client, headers, let_in, body):
    assert ("another site" not in client.post("/predict", headers=headers, **body).text) is let_in
    assert client.get("/", headers=headers).status_code == 200

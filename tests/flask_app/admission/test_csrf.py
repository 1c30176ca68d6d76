import re
import stat
import threading
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from io import BytesIO

import pytest
from itsdangerous import URLSafeTimedSerializer

from flask_app import create_app
from flask_app.admission import csrf
from flask_app.models import model_service
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from tests.flask_app.standins import example

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HTTPS = "https://localhost"


def token_of(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page)[1]


@pytest.fixture
def typed(app):
    return {name: "" if value is None else str(value) for name, value in example(app).items()}


def hidden_of(page):
    names = ("csrf_token", "idempotency_key")
    return {name: re.search(rf'name="{name}" value="([^"]+)"', page)[1] for name in names}


def send(client, typed, **more):
    return client.post("/predict", data=typed | more, headers=BROWSER)


def test_s03_a_page_of_ours_can_be_sent_and_sent_again(client, typed):
    hidden = hidden_of(client.get("/", headers=BROWSER).text)
    first, again = send(client, typed, **hidden), send(client, typed, **hidden)
    assert (first.status_code, again.status_code) == (200, 200)
    ids = [re.search(r'<code id="prediction-id">(\w+)', page.text)[1] for page in (first, again)]
    assert ids[0] == ids[1]
    third = send(client, typed, **hidden_of(again.text))
    assert re.search(r'<code id="prediction-id">(\w+)', third.text)[1] != ids[0]


MARKS = [
    ({"Accept": "text/html"}, True),
    (BROWSER, True),
    ({"Cookie": "a=b"}, True),
    ({"Origin": "http://localhost"}, True),
    ({"Referer": "http://localhost/"}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Mode": "navigate"}, True),
    ({}, False),
    ({"Accept": "*/*", "User-Agent": "python-requests/2.32"}, False),
    ({"Accept": "application/json"}, False),
]


@pytest.mark.parametrize(("headers", "asked"), MARKS)
def test_s03_browsers_are_asked_for_the_token_and_programs_are_not(app, typed, headers, asked):
    client = app.test_client(use_cookies=False)
    response = client.post("/predict", data=typed, headers=headers)
    assert response.status_code == (403 if asked else 200)
    assert (response.mimetype == "text/html") is (not asked or "text/html" in headers.get("Accept", ""))


def test_s03_every_form_of_a_browser_is_asked_whatever_its_address(app):
    routes = [rule.rule for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    assert {"/predict", "/predict/file"} <= set(routes)
    for route in routes:
        address = re.sub(r"<[^>]+>", "demo", route)
        for media in csrf.FORMS:
            response = app.test_client().post(address, data={"a": "1"}, content_type=media, headers=BROWSER)
            assert response.status_code in (401, 403), (route, media)


def secret_in(client):
    with client.session_transaction(headers=BROWSER) as session:
        return session[csrf.FIELD]


def own(client):
    return token_of(client.get("/", headers=BROWSER).text)


FORGED = {
    "none": lambda app, client: "",
    "made up": lambda app, client: "abc",
    "changed": lambda app, client: own(client)[:-2] + "xx",
    "not ASCII": lambda app, client: "\xe9\u20ac",
    "of another browser": lambda app, client: own(app.test_client()),
    "of another secret": lambda app, client: URLSafeTimedSerializer("other", salt="wtf-csrf-token").dumps(
        secret_in(client)
    ),
    "signed for another use": lambda app, client: URLSafeTimedSerializer(app.secret_key, salt="x").dumps(
        secret_in(client)
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_s03_a_forged_token_is_refused_and_what_was_typed_is_kept(app, typed, case):
    client = app.test_client()
    client.get("/", headers=BROWSER)
    response = send(client, typed | {"size": "41.125"}, csrf_token=FORGED[case](app, client))
    assert (response.status_code, response.mimetype) == (403, "text/html")
    assert 'value="41.125"' in response.text
    assert "Please send it again" in response.text
    assert '<output class="label' not in response.text
    assert send(client, typed, csrf_token=token_of(response.text)).status_code == 200


def test_s03_a_token_without_its_cookie_is_refused(app, typed):
    token = own(app.test_client())
    response = send(app.test_client(), typed, csrf_token=token)
    assert response.status_code == 403
    assert "cookie" in response.text


@pytest.mark.parametrize(("age_s", "status"), [(12 * 3600 - 60, 200), (12 * 3600 + 60, 403), (-60, 403)])
def test_s03_tokens_age(client, typed, monkeypatch, age_s, status):
    now = URLSafeTimedSerializer.default_signer.get_timestamp
    with monkeypatch.context() as past:
        past.setattr(URLSafeTimedSerializer.default_signer, "get_timestamp", lambda self: now(self) - age_s)
        token = own(client)
    response = send(client, typed, csrf_token=token)
    assert response.status_code == status
    assert ("open for too long" in response.text) is (status == 403)


COOKIES = [("http://localhost", "lockstep_browser", False), (HTTPS, "__Host-lockstep_browser", True)]


@pytest.mark.parametrize(("base", "name", "secure"), COOKIES)
def test_s16_the_cookie_is_closed(client, base, name, secure):
    response = client.get("/", headers=BROWSER, base_url=base)
    (cookie,) = response.headers.getlist("Set-Cookie")
    parts = cookie.split("; ")
    assert re.fullmatch(rf"{name}=[\w.-]{{60,}}", parts[0])
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(parts)
    (expires,) = (part.partition("=")[2] for part in parts if part.startswith("Expires="))
    assert 43140 < parsedate_to_datetime(expires).timestamp() - time.time() <= 43201
    assert ("Secure" in parts) is secure
    assert not [part for part in parts if part.startswith("Domain")]


def test_the_session_keeps_its_secret_and_a_strange_one_is_replaced(client):
    client.get("/", headers=BROWSER)
    first = secret_in(client)
    client.get("/", headers=BROWSER)
    assert secret_in(client) == first
    strange = {"Cookie": f"{csrf.COOKIE}=<script>"}
    assert "script" not in client.get("/", headers=BROWSER | strange).headers["Set-Cookie"]


@pytest.mark.parametrize("address", ["/", "/livez", "/health", "/predict/template.csv"])
def test_programs_get_no_cookie(client, address):
    assert "Set-Cookie" not in client.get(address).headers


def test_programs_that_keep_cookies_can_go_on(app, typed):
    client = app.test_client()
    assert [client.post("/predict", data=typed).status_code for _ in range(3)] == [200, 200, 200]


def test_files_need_the_token_too(client):
    token = own(client)
    file = {"file": (BytesIO(client.get("/predict/template.csv").data), "a.csv")}
    refused = client.post("/predict/file", data=file | {"csrf_token": "x"}, headers=BROWSER)
    assert (refused.status_code, "Please send it again" in refused.text) == (403, True)
    file = {"file": (BytesIO(client.get("/predict/template.csv").data), "a.csv")}
    assert client.post("/predict/file", data=file | {"csrf_token": token}, headers=BROWSER).status_code == 200


def test_without_a_model_a_form_is_503(empty):
    assert empty.test_client().post("/predict", data={"a": "1"}, headers=BROWSER).status_code == 503


def test_the_secret_is_kept_for_the_owner_alone_and_shared(settings, tmp_path):
    secrets = []
    threads = [threading.Thread(target=lambda: secrets.append(csrf.secret_of(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 64
    (file,) = (tmp_path / "state dir").iterdir()
    assert file.read_text() == secrets[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_workers_take_each_others_pages(settings, registry, bundles, typed):
    registry.add("1", bundles["binary"])
    workers = [create_app(settings, registry.connect) for _ in range(2)]
    for worker in workers:
        model_service.default(worker).look()
    pages = workers[0].test_client()
    token = own(pages)
    other = workers[1].test_client()
    other.set_cookie(csrf.COOKIE, pages.get_cookie(csrf.COOKIE).value)
    assert send(other, typed, csrf_token=token).status_code == 200


@pytest.mark.parametrize("named", ["LOCKSTEP_SECRET_KEY", "LOCKSTEP_SECRET_KEY_FILE"])
def test_the_setting_goes_before_the_file(tmp_path, named):
    (tmp_path / "secret").write_text("from the setting\n")
    value = "from the setting" if named == "LOCKSTEP_SECRET_KEY" else str(tmp_path / "secret")
    settings = Settings.read({named: value, "LOCKSTEP_STATE": str(tmp_path / "state")})
    assert csrf.secret_of(settings) == "from the setting"
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_cannot_be_written_is_named(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept") as caught:
        csrf.secret_of(replace(settings, state=str(tmp_path / "file")))
    assert "LOCKSTEP_SECRET_KEY" in caught.value.hint

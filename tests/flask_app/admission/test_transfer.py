import gzip
import io
import json

import pytest
from werkzeug.test import Client

from flask_app.admission import transfer
from flask_app.fast_path import FastPath
from tests.flask_app.standins import example, make_bundle

GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
LIMIT = 8 << 20


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A bundle whose column names the fast path can decode."""
    return make_bundle("binary", tmp_path_factory.mktemp("plain") / "bundle", odd="a")


def body_of(app, rows=1):
    return json.dumps({"rows": [example(app)] * rows}).encode()


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_json_is_answered_like_plain(app, client, coding):
    answer = client.post("/predict", data=gzip.compress(body_of(app)), headers=GZIP | {"Content-Encoding": coding})
    assert answer.status_code == 200
    assert len(answer.get_json()["predictions"]) == 1


def test_gzip_forms_and_files_are_answered(app, client):
    form = gzip.compress(b"size=50&rooms=3&place=INLAND&day=2026-01-01&" + b"a+%22b%22+%3Ci%3E+%C3%A9__%25=1")
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/predict", data=form, headers=headers).status_code == 200


BODIES = {
    "no gzip": (b"{}", 400),
    "empty": (b"", 400),
    "cut off": (gzip.compress(b'{"rows": []}')[:-4], 400),
    "something behind it": (gzip.compress(b"{}") + b"x", 400),
    "two members": (gzip.compress(b"{}") * 2, 400),
    "a bomb": (LIMIT + 1, 413),
    "a large bomb": (20 * LIMIT, 413),
    "as large as may be": (LIMIT, 400),
}
"""What is sent, or how many blanks are compressed then."""


@pytest.mark.parametrize("case", BODIES)
def test_gzip_bodies_refused(client, case):
    body, status = BODIES[case]
    sent = gzip.compress(b" " * body) if isinstance(body, int) else body
    assert client.post("/predict", data=sent, headers=GZIP).status_code == status


ACCEPTED = {
    "gzip": True,
    "gzip, deflate, br": True,
    "br;q=1.0, gzip;q=0.5": True,
    "gzip;q=0": False,
    "identity": False,
    "br": False,
    "": False,
}


@pytest.mark.parametrize("accepted", ACCEPTED)
def test_large_answers_are_compressed_where_gzip_is_accepted(serve, plain, accepted):
    app = serve(plain)
    headers = {"Accept-Encoding": accepted}
    for client in (app.test_client(), Client(FastPath(app))):
        answer = client.post("/predict", data=body_of(app, 100), content_type="application/json", headers=headers)
        assert (answer.headers.get("Content-Encoding") == "gzip") is ACCEPTED[accepted]
        content = gzip.decompress(answer.data) if ACCEPTED[accepted] else answer.data
        assert len(json.loads(content)["predictions"]) == 100
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        small = client.post("/predict", data=body_of(app), content_type="application/json", headers=headers)
        assert "Content-Encoding" not in small.headers


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/static/app.css", "/static/form.js", "/metrics"])
def test_pages_and_files_are_compressed(client, path):
    with client.get(path) as plain, client.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len(gzip.decompress(answer.data)) > 0.8 * len(plain.data) > 0
        etag = answer.headers.get("ETag")
    if etag:
        assert "Accept-Encoding" in answer.headers["Vary"]
        with client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": etag}) as again:
            assert (again.status_code, again.data) == (304, b"")


def test_no_more_than_the_limit_is_unpacked():
    with pytest.raises(transfer.RequestEntityTooLarge):
        transfer.inflated(gzip.compress(b"abc"), 2)
    assert transfer.inflated(gzip.compress(b"abc"), 3) == b"abc"
    assert gzip.GzipFile(fileobj=io.BytesIO(transfer.compressed(b"abc"))).read() == b"abc"

import re
import time
from pathlib import Path

import msgspec
import pytest

from flask_app.observability import snapshots as dashboard
from lockstep.drift import results
from tests.lockstep import example_snapshot

PAGE = {"Accept": "text/html"}


@pytest.fixture
def seen(settings):
    """Return a function that puts a snapshot where the recorder does."""

    def put(content):
        path = Path(settings.state) / results.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".new").write_bytes(content if isinstance(content, bytes) else msgspec.json.encode(content))
        path.with_suffix(".new").rename(path)

    return put


def test_it_shows_what_was_last_seen(client, seen):
    seen(example_snapshot.snapshot(time.time()))
    page = client.get("/dashboard?model=tumours", headers=PAGE)
    assert page.status_code == 200
    assert "worst radius" in page.text
    assert "degraded" not in page.text
    assert re.findall(r'<a href="/dashboard\?model=(\w+)"', page.text) == ["demo", "fresh", "tumours"]
    assert "Nothing is known of demo yet" in client.get("/dashboard").text


def test_before_the_first_look_it_says_so(client):
    page = client.get("/dashboard")
    assert page.status_code == 200
    assert "No figures yet" in page.text


def test_old_figures_are_shown_and_called_old(client, seen):
    seen(example_snapshot.snapshot(time.time() - 700))
    page = client.get("/dashboard?model=tumours").text
    assert "These figures are 12 min old" in page
    assert "worst radius" in page


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": "x"}', b"\xff"])
def test_a_file_that_cannot_be_read_is_told(client, seen, content):
    seen(content)
    page = client.get("/dashboard")
    assert page.status_code == 200
    assert "The figures cannot be read" in page.text


def test_a_new_look_is_shown_at_once(client, seen):
    seen(example_snapshot.snapshot(time.time()))
    first = client.get("/dashboard?model=tumours")
    same = client.get("/dashboard?model=tumours", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    other = client.get("/dashboard?model=fresh", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    seen(example_snapshot.snapshot(time.time() + 1))
    again = client.get("/dashboard?model=tumours", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200


def test_c27_a_clock_that_is_set_back_makes_no_negative_age(app, seen):
    seen(example_snapshot.snapshot(time.time() + 86_400))
    snapshots = dashboard.from_app(app)
    assert snapshots.read().age_s() == 0
    assert not snapshots.is_late(snapshots.read())


@pytest.mark.parametrize("query", ["model=nobody", "model=<script>"])
def test_a_model_that_nobody_knows(client, query):
    answer = client.get(f"/dashboard?{query}", headers=PAGE)
    assert answer.status_code == 404
    assert "<script>" not in answer.text


@pytest.mark.parametrize("span", ["", "3600", "x", "-1", "9" * 5_000, "\u0663"])
def test_any_length_of_bars_may_be_asked_for(client, seen, span):
    seen(example_snapshot.snapshot(time.time()))
    assert client.get("/dashboard", query_string={"model": "tumours", "span": span}).status_code == 200


def test_the_policy_of_the_pages_holds(client, seen):
    seen(example_snapshot.snapshot(time.time()))
    page = client.get("/dashboard?model=tumours", headers=PAGE).text
    assert not re.findall(r'(?:src|href)="(?!/|#|\?|feedback")', page)
    assert not re.findall(r"<script(?![^>]*src=)|\son\w+=\"|style=", page.replace("&#34;", ""))


def test_without_a_model_it_still_shows(empty, seen):
    seen(example_snapshot.snapshot(time.time()))
    assert empty.test_client().get("/dashboard?model=tumours").status_code == 200


def test_the_style_is_sent_once(client):
    style = client.get("/dashboard/style.css")
    assert style.mimetype == "text/css"
    assert client.get("/dashboard/style.css", headers={"If-None-Match": style.headers["ETag"]}).status_code == 304


def test_it_answers_fast_with_a_day_by_the_minute(client, seen):
    state = example_snapshot.snapshot(time.time())
    state.models["tumours"].traffic = [example_snapshot.traffic(time.time(), 60, 1_440)]
    seen(state)
    started = time.perf_counter()
    assert client.get("/dashboard?model=tumours").status_code == 200
    assert time.perf_counter() - started < 1

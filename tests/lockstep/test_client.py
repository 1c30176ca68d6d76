import contextlib
import json
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lockstep.client import Busy, Client, Denied, Failed, Fault, Model, NotServed, Refused, Unreachable
from lockstep.runtime import retry

GOOD = {
    "model": {"name": "demo", "version": "3"},
    "predictions": [{"id": "a", "prediction": "yes", "probabilities": {"yes": 1.0}}],
}
CLOSE = "close"
"""Instead of an answer: the connection is cut."""


@contextlib.contextmanager
def answering(*answers):
    """A server that gives these answers in turn, and notes what it was asked."""
    waiting, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, dict(self.headers), body, self.client_address))
            status, content, headers = [*(waiting.pop(0) if len(waiting) > 1 else waiting[0]), {}][:3]
            if status == CLOSE:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def waits(monkeypatch):
    """The waits between attempts, none of which takes time."""
    waited = []
    monkeypatch.setattr(retry.time, "sleep", waited.append)
    return waited


def test_an_answer_is_typed():
    with answering((200, GOOD)) as (url, asked), Client(url + "/base/", api_key="k") as client:
        (one,) = client.predict([{"size": 1}], version="3", model="a/b")
    assert (one.id, one.prediction, one.probabilities, one.model) == ("a", "yes", {"yes": 1.0}, Model("demo", "3"))
    ((method, path, headers, body, _),) = asked
    assert (method, path, headers["X-API-Key"]) == ("POST", "/base/models/a%2Fb/predict", "k")
    assert json.loads(body) == {"rows": [{"size": 1}], "version": "3"}


def test_a_connection_is_kept():
    with answering((200, GOOD)) as (url, asked), Client(url) as client:
        for _ in range(3):
            client.predict([{}])
    assert len({address for *_, address in asked}) == 1


@pytest.mark.parametrize(
    "first", [(CLOSE, b""), (429, {}), (502, b"<html>"), (503, {}), (504, {})], ids=lambda one: str(one[0])
)
def test_what_passes_is_tried_again_with_the_same_key(first, waits):
    with answering(first, first, (200, GOOD)) as (url, asked), Client(url) as client:
        assert client.predict([{}])[0].prediction == "yes"
    assert len(asked) == 3
    assert len({headers["Idempotency-Key"] for _, _, headers, _, _ in asked}) == 1
    assert 0 < waits[0] <= 0.1 < 2 * waits[1] <= 0.4


def test_each_call_has_a_key_of_its_own():
    with answering((200, GOOD)) as (url, asked), Client(url) as client:
        client.predict([{}])
        client.predict([{}])
    assert len({headers["Idempotency-Key"] for _, _, headers, _, _ in asked}) == 2


def test_a_sticky_key_goes_along_if_one_is_given():
    with answering((200, GOOD)) as (url, asked), Client(url) as client:
        client.predict([{}], sticky_key="user 7")
        client.predict([{}])
    assert [headers.get("X-Sticky-Key") for _, _, headers, _, _ in asked] == ["user 7", None]


@pytest.mark.parametrize(("header", "low", "high"), [("7", 7, 7), ("soon", 0, 0.1), ("date", 3, 5)])
def test_retry_after_is_honoured(header, low, high, waits):
    if header == "date":
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
    with answering((503, {}, {"Retry-After": header}), (200, GOOD)) as (url, _), Client(url) as client:
        client.predict([{}])
    assert low <= waits[0] <= high


def test_a_server_that_asks_for_too_long_is_not_waited_for(waits):
    with answering((503, {}, {"Retry-After": "3600"})) as (url, _), Client(url) as client, pytest.raises(Busy) as busy:
        client.predict([{}])
    assert (waits, busy.value.retry_after_s) == ([], 3600)


DETAILS = {"title": "T", "detail": "D"}
FAULTS = [{"row": 1, "column": "size", "problem": "expected a number"}]


@pytest.mark.parametrize(
    ("status", "content", "kind", "tries"),
    [
        (400, DETAILS, Refused, 1),
        (422, DETAILS | {"errors": FAULTS}, Refused, 1),
        (401, DETAILS, Denied, 1),
        (403, DETAILS, Denied, 1),
        (404, DETAILS, NotServed, 1),
        (405, DETAILS, Failed, 1),
        (500, DETAILS, Failed, 1),
        (500, b"<html>", Failed, 1),
        (500, [], Failed, 1),
        (503, DETAILS, Busy, 3),
        (200, b"<html>", Failed, 1),
        (302, b"", Failed, 1),
    ],
)
def test_faults_are_told_apart(status, content, kind, tries, waits):
    with answering((status, content)) as (url, asked), Client(url, retries=2) as client, pytest.raises(kind) as raised:
        client.predict([{}])
    assert (len(asked), raised.value.status) == (tries, status)
    if content and isinstance(content, dict):
        assert str(raised.value).startswith(f"{status} T: D")


def test_a_refusal_names_the_columns():
    with (
        answering((422, DETAILS | {"errors": FAULTS})) as (url, _),
        Client(url) as client,
        pytest.raises(Refused) as raised,
    ):
        client.predict([{}])
    assert raised.value.faults == (Fault(1, "size", "expected a number"),)
    assert str(raised.value) == "422 T: D; row 1, 'size': expected a number"


def test_nobody_there(waits):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{probe.getsockname()[1]}", retries=2)
        with pytest.raises(Unreachable, match="does not answer"):
            client.predict([{}])
        assert not client.ready()
    assert len(waits) == 2


def test_a_server_that_hangs_is_left(waits):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05, retries=1)
        with pytest.raises(Unreachable, match="timed out"):
            client.predict([{}])
        client.close()


def test_ready_and_model():
    ready = (200, {"status": "ready", "model": {"name": "demo", "version": "3"}})
    with answering(ready, ready, (503, DETAILS)) as (url, _), Client(url, retries=0) as client:
        assert client.ready()
        assert client.model() == Model("demo", "3")
        assert not client.ready()
        with pytest.raises(Busy):
            client.model()


@pytest.mark.parametrize("url", ["ftp://a", "127.0.0.1:5000", "http://", ""])
def test_addresses_refused(url):
    with pytest.raises(ValueError, match="no address"):
        Client(url)


def test_nan_is_not_sent():
    with pytest.raises(ValueError, match="JSON compliant"):
        Client("http://127.0.0.1:1").predict([{"size": float("nan")}])


def test_threads_may_share_a_client():
    with answering((200, GOOD)) as (url, asked), Client(url) as client:

        def ask():
            client.predict([{}])
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({address for *_, address in asked}) == 8


def test_it_needs_the_standard_library_alone():
    code = "import sys, lockstep.client; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in loaded if name in ("pydantic", "yaml", "numpy", "msgspec", "requests", "flask")} == set()


@pytest.mark.parametrize(("status", "told"), [(200, "new"), (202, "waiting")])
def test_feedback_says_what_it_did(status, told):
    with answering((status, {"id": "a", "label": 1, "status": told})) as (url, asked), Client(url) as client:
        assert client.feedback("a", 1) == told
    ((method, path, headers, body, _),) = asked
    assert (method, path, json.loads(body)) == ("POST", "/feedback", {"id": "a", "label": 1})
    assert headers["Idempotency-Key"]

"""Files from real servers on this machine, which break off, redirect, lie and are slow."""

import hashlib
import http.server
import ipaddress
import socket
import threading

import pytest

from lockstep.config.params import DataIngestion
from lockstep.data.sources import http as web
from lockstep.data.sources import network_policy
from lockstep.data.sources import read as sources
from lockstep.errors import DataError
from lockstep.runtime.retry import Backoff

TABLE = "age,town,bought\n" + "".join(f"{20 + i % 60},town {i % 7},{i % 2}\n" for i in range(4000))
BODY = TABLE.encode()
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the script of the test: a function of the path, by which it is named."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        name = self.path.strip("/").partition(".")[0]
        getattr(self, f"send_{name}")()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

    def give(self, status=200, body=BODY, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send_whole(self):
        self.give(ETag='"one"', Last_Modified="Sat, 21 Nov 2026 10:00:00 GMT")

    def send_broken(self):
        """Break off in the middle, until asked for the rest."""
        asked = self.headers.get("Range")
        if asked:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self.give(206, BODY[start:], Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}", ETag='"one"')
            return
        self.send_response(200)
        self.send_header("Content-Length", len(BODY))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(BODY[:30_000])
        self.close_connection = True

    def send_changed(self):
        """Break off, then hold another file: what is here must not be glued to it."""
        if self.headers.get("If-Range") == '"one"':
            self.give(200, b"age,town,bought\n" * 2 + b"1,a,0\n", ETag='"two"')
            return
        self.send_broken()

    def send_hopeless(self):
        self.send_response(200)
        self.send_header("Content-Length", len(BODY))
        self.end_headers()
        self.wfile.write(BODY[:1000])
        self.close_connection = True

    def send_slow(self):
        self.server.released.wait(30)
        self.close_connection = True

    def send_busy(self):
        self.give(503 if len(self.server.asked) < 3 else 200)

    def send_500(self):
        self.give(500)

    def send_404(self):
        self.give(404)

    def send_403(self):
        self.give(403)

    def send_loop(self):
        self.give(302, b"", Location="/loop.csv")

    def send_moved(self):
        self.give(301, b"", Location="/whole.csv")

    def send_inside(self):
        self.give(302, b"", Location="http://127.0.0.2:9/whole.csv")

    def send_clouds(self):
        self.give(302, b"", Location="http://169.254.169.254/latest/meta-data/")

    def send_file(self):
        self.give(302, b"", Location="file:///etc/passwd")

    def send_page(self):
        self.give(200, b"<!DOCTYPE html><html><body>log in</body></html>", Content_Type="text/html; charset=utf-8")

    def send_disguised(self):
        self.give(200, b"\n  <html><body>log in</body></html>", Content_Type="text/csv")

    def send_nohead(self):
        if self.command == "HEAD":
            self.give(405, b"")
            return
        self.give(206, BODY[:1], Content_Range=f"bytes 0-0/{len(BODY)}", ETag='"one"')


@pytest.fixture
def server():
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.asked, served.released, served.daemon_threads = [], threading.Event(), True
    served.at = f"http://127.0.0.1:{served.server_address[1]}"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    served.released.set()
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web, "BACKOFF", Backoff(5, 0.0))


def read(url, **more):
    return sources.read(DataIngestion(source=url, **{"allow_private": True, "timeout_s": 20.0} | more))


def left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["whole", "moved", "busy", "B45-broken"])
def test_a_file_comes_whole(tmp_path, server, name):
    rows = read(f"{server.at}/{name.removeprefix('B45-')}.csv", sha256=SHA256)
    assert (len(rows.frame), rows.digest) == (4000, SHA256)
    assert left(tmp_path) == []


def test_b45_an_interrupted_download_asks_for_the_rest_alone(server):
    rows = read(f"{server.at}/broken.csv")
    again = server.asked[-1][2]
    assert (again["Range"], again["If-Range"]) == ("bytes=30000-", '"one"')
    assert rows.origin["etag"] == '"one"'


def test_b45_the_rest_is_fetched_by_the_next_run_too(tmp_path, server, monkeypatch):
    monkeypatch.setattr(web, "BACKOFF", Backoff(1, 0.0))
    with pytest.raises(DataError, match="broke off after 30000 of"):
        read(f"{server.at}/broken.csv")
    assert left(tmp_path) == ["broken.csv.json", "broken.csv.part"]
    assert read(f"{server.at}/broken.csv").digest == SHA256
    assert server.asked[-1][2]["Range"] == "bytes=30000-"


def test_b45_a_file_that_changed_meanwhile_is_fetched_anew(server):
    assert read(f"{server.at}/changed.csv").frame["bought"].tolist() == ["bought", "0"]


def test_b45_another_file_than_the_one_that_was_pinned_is_refused(server):
    with pytest.raises(DataError, match=r"not the one in params\.yaml") as refused:
        read(f"{server.at}/whole.csv", sha256="0" * 64)
    assert SHA256 in refused.value.problem
    assert "data_ingestion.sha256" in refused.value.hint


FAULTS = {
    "B45-breaks-off-again-and-again": ("hopeless", "broke off after 1000 of", "it goes on where it broke off"),
    "B46-404": ("404", "the server answers 404", "check the address"),
    "B46-403": ("403", "the server answers 403", "data/external/"),
    "B46-500": ("500", "the server answers 500", "run it again"),
    "B46-loop": ("loop", "redirects in circles", "the file really lies"),
    "B46-page": ("page", "is a web page, not a table", "raw file"),
    "B46-page-called-csv": ("disguised", "is a web page, not a table", "raw file"),
    "S20-redirect-to-the-clouds-credentials": ("clouds", "not a public address", "allow_private"),
    "S20-redirect-to-a-file": ("file", "leads to file://", "https://"),
}


@pytest.mark.parametrize(("name", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_of_servers(server, name, problem, hint):
    with pytest.raises(DataError) as refused:
        read(f"{server.at}/{name}.csv")
    assert problem in refused.value.problem
    assert hint in refused.value.hint
    assert f"/{name}.csv" in refused.value.problem or "169.254" in refused.value.problem


def test_b46_a_server_that_says_nothing_is_given_up(server, monkeypatch):
    monkeypatch.setattr(web, "BACKOFF", Backoff(2, 0.0))
    with pytest.raises(DataError, match="no answer in time") as refused:
        read(f"{server.at}/slow.csv", timeout_s=0.2)
    assert "data_ingestion.timeout_s" in refused.value.hint
    assert len(server.asked) == 2


def test_b46_nobody_listens(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="refused"):
        read(f"{server.at}/whole.csv")


@pytest.mark.parametrize("told", [True, False], ids=["length-told", "length-not-told"])
def test_b20_more_than_allowed_is_not_taken(server, monkeypatch, told):
    monkeypatch.setattr(web, "MIB", 1000)
    if not told:
        monkeypatch.setattr(Handler, "send_whole", chunked)
    with pytest.raises(DataError, match="larger than 40 MiB") as refused:
        read(f"{server.at}/whole.csv", max_mb=40)
    assert "data_ingestion.max_mb" in refused.value.hint


def chunked(self):
    self.send_response(200)
    self.send_header("Transfer-Encoding", "chunked")
    self.end_headers()
    for start in range(0, len(BODY), 10_000):
        piece = BODY[start : start + 10_000]
        self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    self.wfile.write(b"0\r\n\r\n")


def test_a_redirect_from_a_public_to_a_private_address_is_refused(server, monkeypatch):
    """S20: 127.0.0.1 stands for a public address here, 127.0.0.2 for a private one."""
    monkeypatch.setattr(network_policy, "accepted", lambda address, _: str(address) == "127.0.0.1")
    with pytest.raises(DataError, match=r"leads to 127\.0\.0\.2, which is not a public address"):
        read(f"{server.at}/inside.csv")
    assert len(server.asked) == 1


def test_s20_a_second_answer_of_the_name_server_changes_nothing(server, monkeypatch):
    """DNS rebinding: the first answer is checked and used, the second would lead elsewhere."""
    answers = ["127.0.0.1", "169.254.169.254"]
    real = socket.getaddrinfo

    def rebinding(host, port, *rest, **more):
        return real(answers.pop(0) if host == "data.example" else host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = server.server_address[1]
    assert len(read(f"http://data.example:{port}/whole.csv").frame) == 4000
    assert answers == ["169.254.169.254"]
    assert server.asked[0][2]["Host"] == f"data.example:{port}"


def test_s20_one_private_address_among_public_ones_is_enough(monkeypatch):
    found = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(DataError, match=r"leads to 10\.0\.0\.1"):
        network_policy.resolve("data.example", 443, allow_private=False)


ADDRESSES = {
    "93.184.216.34": (True, True),
    "2606:2800:220:1::1": (True, True),
    "127.0.0.1": (False, True),
    "10.1.2.3": (False, True),
    "192.168.0.1": (False, True),
    "172.16.0.1": (False, True),
    "100.64.0.1": (False, True),
    "::1": (False, True),
    "fd00::1": (False, True),
    "::ffff:127.0.0.1": (False, True),
    "64:ff9b::7f00:1": (False, True),
    "2002:7f00:1::": (False, True),
    "::ffff:169.254.169.254": (False, False),
    "64:ff9b::a9fe:a9fe": (False, False),
    "169.254.169.254": (False, False),
    "fe80::1": (False, False),
    "0.0.0.0": (False, False),
    "224.0.0.1": (False, False),
}


@pytest.mark.parametrize(("address", "answers"), ADDRESSES.items(), ids=ADDRESSES.keys())
def test_s20_which_addresses_are_accepted(address, answers):
    parsed = ipaddress.ip_address(address)
    assert (network_policy.accepted(parsed, False), network_policy.accepted(parsed, True)) == answers


def test_a_probe_changes_when_the_file_does(server, monkeypatch):
    page = web.Page(f"{server.at}/whole.csv", DataIngestion(source="x", allow_private=True))
    first = web.probe(page)
    assert first == {"etag": '"one"', "last_modified": "Sat, 21 Nov 2026 10:00:00 GMT", "size": str(len(BODY))}
    assert web.probe(page) == first
    assert {method for method, *_ in server.asked} == {"HEAD"}
    monkeypatch.setattr(Handler, "send_whole", lambda self: self.give(ETag='"two"'))
    assert web.probe(page)["etag"] == '"two"'


def test_a_server_without_head_is_probed_all_the_same(server):
    page = web.Page(f"{server.at}/nohead.csv", DataIngestion(source="x", allow_private=True))
    assert web.probe(page) == {"etag": '"one"', "size": str(len(BODY))}


def test_a_probe_of_a_server_that_is_away_says_so(server):
    with pytest.raises(DataError, match="does not answer"):
        web.probe(web.Page(f"{server.at}/500.csv", DataIngestion(source="x", allow_private=True)))


@pytest.mark.parametrize("url", ["http://example.org/rows.csv", "https://me:secret@example.org/rows.csv", "https:///x"])
def test_addresses_that_are_not_asked(monkeypatch, url):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(DataError) as refused:
        read(url, allow_private=False)
    assert "secret" not in refused.value.problem + refused.value.hint

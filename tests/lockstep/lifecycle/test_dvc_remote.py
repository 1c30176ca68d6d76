import http.server
import warnings
from contextlib import contextmanager

import pytest

from lockstep.lifecycle import dvc_remote
from lockstep.lifecycle.dvc_remote import RemoteBucket
from tests import http_stand_in

KEYS = {"access_key_id": "key-0123456789", "secret_access_key": "secret-0123456789"}
BEGUN = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"


class S3(http.server.BaseHTTPRequestHandler):
    """Answers with the status that is set for a method, as S3 does."""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        status = self.server.statuses.get(self.command, 200)
        body = BEGUN if status == 200 and self.command == "POST" else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_POST = do_DELETE = answer

    def log_message(self, *words):
        pass


@contextmanager
def serving(**statuses):
    with http_stand_in.running(S3, statuses=statuses, asked=[]) as server:
        yield server


@pytest.fixture
def looked(monkeypatch):
    """Return a function that looks at a remote, as its findings by name."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")

    def act(**remote):
        own = {"url": "s3://own/path", "region": "eu-central-1"} | KEYS | remote
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return {one.name: one for one in dvc_remote.look(RemoteBucket.of({k: v for k, v in own.items() if v}))}

    return act


def test_a_remote_elsewhere_is_no_bucket():
    for url in ("", "/mnt/storage", "ssh://host/path", "s3:///path"):
        assert RemoteBucket.of({"url": url}) is None
    assert "secret-0123456789" not in repr(RemoteBucket.of({"url": "s3://own"} | KEYS))


def test_a_bucket_that_can_be_used_is_left_as_it_was(looked):
    with serving() as s3:
        found = looked(endpointurl=f"http://127.0.0.1:{s3.server_port}")
    assert list(found) == ["remote reachable", "remote credentials", "remote bucket", "remote writable"]
    assert [one.todo for one in found.values()] == [""] * 4
    assert [line.split()[0] for line in s3.asked] == ["HEAD", "POST", "DELETE"]
    assert s3.asked[1].startswith("POST /own/path/.lockstep-doctor-")


@pytest.mark.parametrize(
    ("statuses", "name", "said"),
    [
        ({"HEAD": 404}, "remote bucket", "no bucket own"),
        ({"HEAD": 403}, "remote credentials", "refused (403"),
        ({"HEAD": 400}, "remote bucket", "400"),
        ({"POST": 403}, "remote credentials", "refused (403"),
        ({"HEAD": 500}, "remote reachable", "500"),
    ],
)
def test_a_refusal_is_one_line_with_a_hint(looked, statuses, name, said):
    with serving(**statuses) as s3:
        found = looked(endpointurl=f"http://127.0.0.1:{s3.server_port}")
    row = found[name]
    assert said in row.what
    assert row.todo
    assert "remote writable" not in found
    assert "secret-0123456789" not in str(found)


def test_a_server_that_is_down_is_named(looked):
    row = looked(endpointurl="http://127.0.0.1:9")["remote reachable"]
    assert "127.0.0.1:9" in row.what
    assert "endpointurl" in row.todo


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        ({"access_key_id": "", "secret_access_key": ""}, "none found"),
        ({"profile": "nobody", "access_key_id": "", "secret_access_key": ""}, "nobody"),
    ],
)
def test_credentials_that_are_missing_are_named(looked, remote, said):
    (row,) = looked(endpointurl="http://127.0.0.1:9", **remote).values()
    assert (row.name, said in row.what, bool(row.todo)) == ("remote credentials", True, True)


def test_dagshub_has_hints_of_its_own():
    endpoint = "https://dagshub.com/api/v1/repo-buckets/s3/own"
    at = RemoteBucket.of({"url": "s3://er", "endpointurl": endpoint})
    for status, hint in ((404, "repository's name"), (403, "TOKEN")):
        answer = {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {}}
        assert hint in dvc_remote._refused(at, answer).todo

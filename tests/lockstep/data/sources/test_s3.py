"""Objects from moto's S3 server, and from servers that answer as a store does on a bad day."""

import http.server
import threading
import time

import pytest

from lockstep.config.params import DataIngestion
from lockstep.data.sources import change_detection
from lockstep.data.sources import read as sources
from lockstep.data.sources import s3 as buckets
from lockstep.errors import DataError

TABLE = b"age,bought\n1,0\n2,1\n"


@pytest.fixture(autouse=True)
def nobody(account):
    """No test asks with anybody's credentials."""


def read(source, **more):
    return sources.read(DataIngestion(source=source, timeout_s=10.0, **more))


def test_an_object_is_read_and_identified(s3, tmp_path):
    s3.put_object(Bucket=s3.bucket, Key="in/rows.csv", Body=TABLE)
    rows = read(f"s3://{s3.bucket}/in/rows.csv")
    assert rows.frame["age"].tolist() == [1, 2]
    assert rows.origin == {"key": "in/rows.csv", "size": len(TABLE), "etag": rows.origin["etag"]}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_prefix_means_its_newest_object_and_a_probe_sees_the_next(s3):
    for name, body in (("b.csv", b"x,y\n1,1\n"), ("a.csv", TABLE)):
        s3.put_object(Bucket=s3.bucket, Key=f"in/{name}", Body=body)
        time.sleep(1.1)  # S3 tells whole seconds
    source = f"s3://{s3.bucket}/in/"
    assert read(source).origin["key"] == "in/a.csv"
    params = DataIngestion(source=source)
    before = change_detection.look(params)
    assert change_detection.look(params) == before
    s3.put_object(Bucket=s3.bucket, Key="in/b.csv", Body=TABLE + b"3,1\n")
    assert change_detection.look(params) != before
    assert len(read(source).frame) == 3


def test_a_version_is_recorded_where_there_are_versions(s3):
    s3.put_bucket_versioning(Bucket=s3.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=s3.bucket, Key="rows.csv", Body=TABLE)["VersionId"]
    assert read(f"s3://{s3.bucket}/rows.csv").origin["version"] == version


def test_b47_what_is_not_there(s3):
    for source, problem, hint in (
        (f"s3://{s3.bucket}/rows.csv", "answers 404", "check bucket and key"),
        (f"s3://{s3.bucket}/in/", "holds no object", "prefix"),
        ("s3://no-such-bucket-of-ours/in/", "answers NoSuchBucket", "check the bucket"),
        ("s3://", "names no bucket", "s3://BUCKET/KEY"),
    ):
        with pytest.raises(DataError) as refused:
            read(source)
        assert problem in refused.value.problem
        assert source in refused.value.problem
        assert hint in refused.value.hint


def test_b20_an_object_that_is_too_large_is_not_fetched(s3, monkeypatch):
    monkeypatch.setattr(buckets, "MIB", 10)
    s3.put_object(Bucket=s3.bucket, Key="rows.csv", Body=TABLE)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        read(f"s3://{s3.bucket}/rows.csv", max_mb=1)


def test_b47_no_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match="there are no credentials") as refused:
        read("s3://bucket/rows.csv")
    assert "AWS_ACCESS_KEY_ID" in refused.value.hint


class Bad(http.server.BaseHTTPRequestHandler):
    """A store that refuses as the server's script says: status, code, and how often before it gives in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        status, code, times = self.server.script
        if self.server.asked > times:
            self.answer(200, TABLE if self.command == "GET" else b"", {"ETag": '"e"'}, len(TABLE))
            return
        body = f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()
        self.answer(status, body if self.command == "GET" else b"", {}, len(body) if self.command == "GET" else 0)

    do_HEAD = do_GET

    def answer(self, status, body, headers, length):
        self.send_response(status)
        for key, value in {"Content-Length": length, **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def bad(monkeypatch):
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bad)
    served.asked, served.daemon_threads = 0, True
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{served.server_address[1]}")
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


def test_b47_a_busy_store_is_asked_again(bad, no_pause):
    bad.script = (503, "SlowDown", 2)
    assert len(read("s3://bucket/rows.csv").frame) == 2
    assert bad.asked == 4


REFUSALS = {
    "B47-busy-for-ever": (503, "SlowDown", "busy"),
    "B47-403": (403, "AccessDenied", "may not read it"),
    "B47-other-region": (400, "AuthorizationHeaderMalformed", "AWS_DEFAULT_REGION"),
    "B47-wrong-secret": (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
    "B47-session-over": (400, "ExpiredToken", "log in again"),
}


@pytest.mark.parametrize(("status", "code", "hint"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_of_a_store(bad, no_pause, status, code, hint):
    bad.script = (status, code, 99)
    with pytest.raises(DataError) as refused:
        read("s3://bucket/in/")
    assert f"answers {code}" in refused.value.problem
    assert hint in refused.value.hint
    assert "secret" not in refused.value.problem

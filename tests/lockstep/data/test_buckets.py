"""Objects from moto's S3 server, and from servers that answer as a store does on a bad day."""

import http.server
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from lockstep.data import buckets, probe, sources
from lockstep.errors import DataError
from lockstep.sections import DataIngestion

MOTO = Path(__file__).parents[3] / ".venv-ops" / "bin" / "moto_server"
TABLE = b"age,bought\n1,0\n2,1\n"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    if not MOTO.exists():
        pytest.skip(f"{MOTO} is not here: `make setup-ops` installs it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    at, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(f"{at}/moto-api/", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < end, "moto does not answer"
            time.sleep(0.1)
    yield at
    process.kill()
    process.wait()


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    """A folder and an environment without anybody's credentials, where clouds are not asked either."""
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    given = {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def store(moto, monkeypatch, request):
    """A bucket of the test's own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    client, bucket = boto3.client("s3"), f"bucket-{abs(hash(request.node.name))}"
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.bucket = bucket
    return client


def read(source, **more):
    return sources.read(DataIngestion(source=source, timeout_s=10.0, **more))


def test_an_object_is_read_and_identified(store, tmp_path):
    store.put_object(Bucket=store.bucket, Key="in/rows.csv", Body=TABLE)
    rows = read(f"s3://{store.bucket}/in/rows.csv")
    assert rows.frame["age"].tolist() == [1, 2]
    assert rows.origin == {"key": "in/rows.csv", "size": len(TABLE), "etag": rows.origin["etag"]}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_prefix_means_its_newest_object_and_a_probe_sees_the_next(store):
    for name, body in (("b.csv", b"x,y\n1,1\n"), ("a.csv", TABLE)):
        store.put_object(Bucket=store.bucket, Key=f"in/{name}", Body=body)
        time.sleep(1.1)  # S3 tells whole seconds
    source = f"s3://{store.bucket}/in/"
    assert read(source).origin["key"] == "in/a.csv"
    params = DataIngestion(source=source)
    before = probe.look(params)
    assert probe.look(params) == before
    store.put_object(Bucket=store.bucket, Key="in/b.csv", Body=TABLE + b"3,1\n")
    assert probe.look(params) != before
    assert len(read(source).frame) == 3


def test_a_version_is_recorded_where_there_are_versions(store):
    store.put_bucket_versioning(Bucket=store.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = store.put_object(Bucket=store.bucket, Key="rows.csv", Body=TABLE)["VersionId"]
    assert read(f"s3://{store.bucket}/rows.csv").origin["version"] == version


def test_b47_what_is_not_there(store):
    for source, problem, hint in (
        (f"s3://{store.bucket}/rows.csv", "answers 404", "check bucket and key"),
        (f"s3://{store.bucket}/in/", "holds no object", "prefix"),
        ("s3://no-such-bucket-of-ours/in/", "answers NoSuchBucket", "check the bucket"),
        ("s3://", "names no bucket", "s3://BUCKET/KEY"),
    ):
        with pytest.raises(DataError) as refused:
            read(source)
        assert problem in refused.value.problem
        assert source in refused.value.problem
        assert hint in refused.value.hint


def test_b20_an_object_that_is_too_large_is_not_fetched(store, monkeypatch):
    monkeypatch.setattr(buckets, "MIB", 10)
    store.put_object(Bucket=store.bucket, Key="rows.csv", Body=TABLE)
    with pytest.raises(DataError, match="larger than 1 MiB"):
        read(f"s3://{store.bucket}/rows.csv", max_mb=1)


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

import csv
import http.server
import json
import threading

import pytest
from pyarrow import parquet

from lockstep.errors import ConfigError, DataError
from lockstep.prediction_log import export as exporting
from lockstep.prediction_log.database import PredictionFilter
from lockstep.prediction_log.export import COLUMNS, export
from tests.lockstep.logged_answers import answer, label


@pytest.fixture
def filled(store, monkeypatch):
    monkeypatch.setattr(exporting, "PAGE", 4)
    store.add([answer(f"p{at}", at_us=at * 1_000_000, key='a "b", c') for at in range(10)])
    store.add([answer("none", at_us=10_000_000, rows=None, share=None, value=2.5), label("p3", False, at_us=5_500_000)])
    return store


def read(path):
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_every_prediction_is_a_line_the_oldest_first(filled, tmp_path, name):
    told = []
    assert export(filled, PredictionFilter(), str(tmp_path / name), told.append) == 11
    lines = read(tmp_path / name)
    assert told == [4, 8, 11]
    assert [line["id"] for line in lines] == [*(f"p{at}" for at in range(10)), "none"]
    assert list(lines[0]) == list(COLUMNS)
    third, last = lines[3], lines[-1]
    assert (third["at"], third["labelled_at"]) == (
        "1970-01-01T00:00:03.000000+00:00",
        "1970-01-01T00:00:05.500000+00:00",
    )
    assert (third["prediction"], third["label"], third["key"]) == ("yes", "false", 'a "b", c')
    assert (json.loads(third["row"]), json.loads(third["shares"])) == ([1.5, "a", None], [0.25, 0.75])
    assert (float(last["score"]), last["prediction"], last["row"] or None, last["label"] or None) == (
        2.5,
        "2.5",
        None,
        None,
    )


def test_what_is_asked_is_what_is_written(filled, tmp_path):
    assert export(filled, PredictionFilter(labelled=True), str(tmp_path / "a.csv")) == 1
    assert export(filled, PredictionFilter(since_us=4_000_000, until_us=6_000_000), str(tmp_path / "b.parquet")) == 2
    assert export(filled, PredictionFilter(version="9"), str(tmp_path / "c.parquet")) == 0
    assert read(tmp_path / "c.parquet") == []


def test_a_name_that_says_no_format_is_refused(filled, tmp_path):
    with pytest.raises(ConfigError, match=r"must end with one of \.csv, \.parquet"):
        export(filled, PredictionFilter(), str(tmp_path / "log.xlsx"))
    assert list(tmp_path.glob("log.xlsx")) == []


class Bucket(http.server.BaseHTTPRequestHandler):
    """What S3 answers to an upload."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got[self.path] = body
        self.send_response(403 if "closed" in self.path else 200)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def bucket(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.got = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("default")
def test_an_export_goes_to_s3(filled, bucket):
    assert export(filled, PredictionFilter(), "s3://own/a folder/log.csv") == 11
    ((path, body),) = bucket.got.items()
    assert path.startswith("/own/a%20folder/log.csv")
    assert body.count(b"\n") == 12
    with pytest.raises(DataError, match="cannot be written"):
        export(filled, PredictionFilter(), "s3://closed/log.csv")

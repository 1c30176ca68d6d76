"""The cases bite: an app as tutorials write it answers the good ones and fails most of the others."""

import collections
import threading

import flask
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.serving import casefile
from tests.serving.casefile import Inapplicable
from tests.serving.model import Model
from tests.serving.replay import Target

SCHEMA = {
    "target": "price",
    "columns": [{"name": name, "kind": "numeric", "nullable": False} for name in ("size", "rooms")],
}
MOST_RIGHT = {"broken JSON": 0, "envelope": 0, "columns": 0, "values": 3, "own routes": 4}
HEAVY = ("J21", "J22", "J23", "C16", "C17", "C24", "V19", "V20", "V31", "E23", "E25", "E26", "E32")
"""A development server takes seconds for these."""


def naive_app():
    app = flask.Flask("naive")

    @app.post("/predict")
    def predict():
        rows = flask.request.get_json(force=True)["rows"]
        answers = [{"prediction": float(row["size"]) * float(row["rooms"])} for row in rows]
        return {"model": {"name": "naive", "version": "1"}, "predictions": answers}

    return app


class Discreet(WSGIRequestHandler):
    """Names no version in the header Server, lest every case fail for that alone."""

    def version_string(self):
        return "naive"

    def log(self, *_):
        pass


@pytest.fixture(scope="module")
def target():
    server = make_server("127.0.0.1", 0, naive_app(), threaded=True, request_handler=Discreet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Target("127.0.0.1", server.port, Model(SCHEMA, {"size": "50.5", "rooms": "3.0"}), "naive")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def played(target):
    """How many cases of each kind were played, and how many were right."""
    counts = collections.defaultdict(lambda: [0, 0])
    for case in casefile.load():
        if case.kind in {*MOST_RIGHT, "good"} and case.id not in HEAVY:
            try:
                right = target.play(case) == []
            except Inapplicable:
                continue
            counts[case.kind][0] += 1
            counts[case.kind][1] += right
    return counts


@pytest.mark.parametrize("kind", MOST_RIGHT)
def test_a_naive_app_fails_them(played, kind):
    count, right = played[kind]
    assert count >= 10
    assert right <= MOST_RIGHT[kind]


def test_a_naive_app_answers_good_ones(played):
    count, right = played["good"]
    assert right == count >= 20

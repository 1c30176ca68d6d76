"""The checks of the cases bite: what is wrong with an answer is seen."""

import json

import pytest

from tests.serving import casefile, contract, wire
from tests.serving.casefile import Case, Inapplicable
from tests.serving.model import Facts, Model
from tests.serving.wire import NotHTTP, Reply

GOOD = {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "size: expected a number"}
JSON = (("Content-Type", "application/problem+json"),)
FACTS = {"numeric": "size", "good": '{"prediction": "a"}'}


def refusal(**changes):
    return Reply(422, JSON, json.dumps(GOOD | changes).encode())


REFUSALS = {
    "right": (refusal(), None),
    "status": (refusal(status=400), "its status is 400"),
    "no detail": (refusal(detail=""), "no detail"),
    "traceback": (refusal(detail="size Traceback (most recent call last)"), "a traceback"),
    "path": (refusal(detail="size in /home/app/model.skops"), "a path"),
    "module": (refusal(detail="size in views.py"), "a path"),
    "SQL": (refusal(detail="size: SELECT id"), "SQL"),
    "version": (refusal(detail="size: numpy 2.3"), "a library"),
    "exception": (refusal(detail="size: ValueError"), "an exception"),
    "server": (Reply(422, (*JSON, ("Server", "Werkzeug/3.1")), refusal().body), "a library"),
    "too long": (refusal(detail="size" * 3000), "8192 are the most"),
    "another column": (refusal(detail="sice"), "does not name 'size'"),
    "media type": (Reply(422, (("Content-Type", "application/json"),), refusal().body), "media type"),
    "page": (Reply(422, (("Content-Type", "text/html"),), b"<p>size"), "not a JSON object"),
    "NaN": (Reply(422, JSON, b'{"size": NaN}'), "not a JSON object"),
    "crash": (Reply(500, JSON, json.dumps(GOOD | {"status": 500}).encode()), "status 500"),
    "accepted": (Reply(200, JSON, b"{}"), "status 200"),
    "unavailable": (Reply(503, JSON, json.dumps(GOOD | {"status": 503}).encode()), "without Retry-After"),
    "method": (Reply(405, JSON, json.dumps(GOOD | {"status": 405}).encode()), "405 without Allow"),
    "credential": (Reply(401, JSON, json.dumps(GOOD | {"status": 401}).encode()), "without WWW-Authenticate"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    reply, expected = REFUSALS[name]
    case = Case("X1", "values", "a word", 422, names="$numeric")
    found = contract.wrong(case, [reply], FACTS)
    assert found == [] if expected is None else any(expected in fault for fault in found)


ANSWERS = {
    "right": ([{"id": "1", "prediction": "a"}], None),
    "another answer": ([{"id": "1", "prediction": "b"}], "is due"),
    "none": ([], "no 1 predictions"),
    "two": ([{"prediction": "a"}] * 2, "no 1 predictions"),
    "not an object": (["a"], "is due"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name):
    predictions, expected = ANSWERS[name]
    case = Case("X1", "good", "a row", 200, predictions=1)
    found = contract.wrong(case, [Reply(200, (), json.dumps({"predictions": predictions}).encode())], FACTS)
    assert found == [] if expected is None else any(expected in fault for fault in found)


def test_a_page_is_due_or_may_be():
    page = Reply(422, (("Content-Type", "text/html"),), b"<p>size &lt;b&gt;</p>" * 1000)
    for answers, right in (("page", True), ("either", True), ("", False)):
        case = Case("X1", "form", "a word", 422, answers=answers, names="$numeric", contains="<b>", lacks="<b>")
        assert (contract.wrong(case, [page], FACTS) == []) is right


def test_no_answer_is_right_only_where_the_library_may_refuse():
    assert contract.wrong(Case("X1", "HTTP", "rubbish", 400), [], {}) != []
    assert contract.wrong(Case("X1", "HTTP", "rubbish", 400, library=True), [], {}) == []
    assert contract.wrong(Case("X1", "HTTP", "rubbish", 400, library=True), [Reply(400, (), b"")], {}) == []
    assert contract.wrong(Case("X1", "HTTP", "rubbish", 400, library=True), [Reply(200, (), b"")], {}) != []


def test_headers_and_keys_that_a_case_names():
    case = Case("X1", "HTTP", "x", 200, sends={"Allow": "POST", "Set-Cookie": ""}, has={"live": True})
    assert contract.wrong(case, [Reply(200, (("Allow", "OPTIONS, POST"),), b'{"live": true}')], {}) == []
    wrong = contract.wrong(case, [Reply(200, (("Set-Cookie", "a=b"),), b'{"live": false}')], {})
    assert len(wrong) == 3


REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_replies_are_told_apart():
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    assert [reply.body for reply in wire.parse(interim + REPLY + chunked, "POST")] == [b"{}", b"{}"]
    assert [reply.body for reply in wire.parse(b"HTTP/1.0 200 OK\r\n\r\nall", "GET", ended=True)] == [b"all"]
    for cut in (10, len(REPLY) - 1):
        assert wire.parse(REPLY[:cut], "POST") is None
    assert wire.parse(chunked[:-1], "POST") is None


@pytest.mark.parametrize(
    "data", [b"220 mail\r\n\r\n", b"HTTP/1.1 200 OK\r\nA\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"]
)
def test_what_is_not_http(data):
    with pytest.raises(NotHTTP):
        wire.parse(data, "GET")


SCHEMA = {"target": "y", "columns": [{"name": 'a "b"', "kind": "numeric", "nullable": False}]}
MODEL = Model(SCHEMA, {'a "b"': "1.5"})
KNOWN = Facts({"host": "h", "predict": "/predict", "rows": "rows", **MODEL.facts()})


def written(**fields):
    (piece,) = casefile.request(Case("X1", "values", "x", 200, **fields), MODEL, KNOWN)
    head, _, body = piece.partition(b"\r\n\r\n")
    return head.decode(), body.decode()


BODIES = {
    "good": ({}, '{"rows": [{"a \\"b\\"": 1.5}]}'),
    "set": ({"set": {"$numeric": "true"}}, '{"rows": [{"a \\"b\\"": true}]}'),
    "dropped": ({"drop": ["*"], "set": {"c": "1"}}, '{"rows": [{"c": 1}]}'),
    "twice": ({"twice": {"$numeric": "2"}}, '{"rows": [{"a \\"b\\"": 1.5, "a \\"b\\"": 2}]}'),
    "form": ({"form": True}, "a+%22b%22=1.5"),
    "parts": ({"body": ["[", {"text": "#", "times": 3, "between": ","}, {"base64": "XQ=="}]}, "[0,1,2]"),
    "chunked": ({"body": "abc", "chunked": 2}, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
    "cut": ({"body": "abc", "cut": 1}, "a"),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name):
    fields, expected = BODIES[name]
    assert written(**fields)[1] == expected


def test_heads():
    head, _ = written(
        headers={"Host": None, "Content-Length": ["1", "2"], "X": {"text": "ab", "times": 2}}, path="/a?b"
    )
    assert head.split("\r\n") == [
        *("POST /a?b HTTP/1.1", "Connection: close", "Content-Type: application/json"),
        *("Content-Length: 1", "Content-Length: 2", "X: abab"),
    ]
    assert written(line="BREW / HTCPCP/1.0")[0].startswith("BREW / HTCPCP/1.0\r\n")


def test_what_a_model_does_not_have_is_inapplicable():
    with pytest.raises(Inapplicable, match="text"):
        written(set={"$text": '"a"'})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: x\ncases: [{id: A1, says: a, status: 200, colour: 1}]", "unknown fields"),
        ("kind: x\ncases: [{id: A1, says: a, status: 200}, {id: A1, says: b, status: 200}]", "given twice"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        casefile.load(tmp_path)

import json
import struct

import numpy as np
import pytest

from flask_app.models import model_service
from flask_app.protocols import tensors
from lockstep.data.schema import RowsRefused
from tests.flask_app.standins import ODD, example

DATATYPES = {"size": "FP64", ODD: "FP64", "rooms": "INT64", "place": "BYTES", "day": "BYTES"}


def columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def as_json(rows, shape=lambda n: [n]):
    return [
        {"name": name, "shape": shape(len(rows)), "datatype": DATATYPES[name], "data": values}
        for name, values in columns(rows).items()
    ]


def as_bytes(rows, outputs=True):
    """Return a request whose tensors are binary, and its header."""
    inputs, tail = [], b""
    for name, values in columns(rows).items():
        values = [float("nan") if value is None else value for value in values]
        content = tensors.write(values, DATATYPES[name])
        entry = {"name": name, "shape": [len(rows), 1], "datatype": DATATYPES[name]}
        inputs.append(entry | {"parameters": {"binary_data_size": len(content)}})
        tail += content
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": outputs}}).encode()
    return head + tail, {"Inference-Header-Content-Length": str(len(head))}


def rows_of(app):
    rows = [example(app), example(app) | {"size": 80.5, ODD: None, "rooms": 2}]
    return [row | {"rooms": int(row["rooms"])} for row in rows]


def outputs_of(answer):
    return {output["name"]: output for output in answer["outputs"]}


def expected(app, rows):
    return model_service.default(app).require().predictor.answers(rows)


@pytest.mark.parametrize("shape", [lambda n: [n], lambda n: [n, 1]], ids=["n", "n by 1"])
def test_a_tensor_for_each_column(client, app, shape):
    rows = rows_of(app)
    answer = client.post("/v2/models/demo/infer", json={"id": "a1", "inputs": as_json(rows, shape)}).get_json()
    found = outputs_of(answer)
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a1", "demo", "1")
    assert (found["prediction"]["shape"], found["prediction"]["datatype"]) == ([2], "BYTES")
    assert found["prediction"]["data"] == [one["prediction"] for one in expected(app, rows)]
    assert found["probabilities"]["shape"] == [2, 2]
    assert found["probabilities"]["data"] == [p for one in expected(app, rows) for p in one["probabilities"].values()]
    assert json.loads(found["probabilities"]["parameters"]["labels"]) == list(expected(app, rows)[0]["probabilities"])
    assert len(set(found["id"]["data"])) == 2


def test_binary_tensors_both_ways(client, app):
    rows = rows_of(app)
    body, headers = as_bytes(rows)
    response = client.post("/v2/models/demo/infer", data=body, headers=headers)
    length = int(response.headers["Inference-Header-Content-Length"])
    found = outputs_of(json.loads(response.data[:length]))
    sizes = [output["parameters"]["binary_data_size"] for output in found.values()]
    assert response.mimetype == "application/octet-stream"
    assert length + sum(sizes) == len(response.data)
    tail = response.data[length + sizes[0] :][: sizes[1]]
    shares = [list(one["probabilities"].values()) for one in expected(app, rows)]
    assert np.frombuffer(tail, "<f8").reshape(2, 2).tolist() == shares
    names = response.data[length:][: sizes[0]]
    assert names == b"".join(
        struct.pack("<I", len(n)) + n for n in (one["prediction"].encode() for one in expected(app, rows))
    )


def test_binary_in_and_json_out(client, app):
    body, headers = as_bytes(rows_of(app), outputs=False)
    response = client.post("/v2/models/demo/infer", data=body, headers=headers)
    assert response.mimetype == "application/json"
    assert len(response.get_json()["outputs"]) == 3


def test_null_is_left_out(client, app):
    nothing = {"id": None, "model_name": None, "parameters": None, "outputs": None}
    inputs = [tensor | {"parameters": None} for tensor in as_json(rows_of(app))]
    answer = client.post("/v2/models/demo/infer", json={"inputs": inputs} | nothing).get_json()
    assert set(answer) == {"model_name", "model_version", "outputs"}


def test_some_outputs_in_the_order_asked(client, app):
    wanted = [{"name": "probabilities", "parameters": {"binary_data": False}}, {"name": "prediction"}]
    answer = client.post("/v2/models/demo/infer", json={"inputs": as_json(rows_of(app)), "outputs": wanted}).get_json()
    assert list(outputs_of(answer)) == ["probabilities", "prediction"]


def test_metadata_says_how_to_ask(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    described = client.get("/v2/models/demo").get_json()
    rows = json.loads((bundle / "smoke.json").read_text())["rows"]
    inputs = [
        {
            "name": one["name"],
            "datatype": one["datatype"],
            "shape": [len(rows)],
            "data": [row[one["name"]] for row in rows],
        }
        for one in described["inputs"]
    ]
    answer = client.post("/v2/models/demo/infer", json={"inputs": inputs}).get_json()
    for output, promised in zip(answer["outputs"], described["outputs"], strict=True):
        assert (output["name"], output["datatype"]) == (promised["name"], promised["datatype"])
        assert output["shape"] == [len(rows), *promised["shape"][1:]]


def test_health_and_versions(client):
    assert client.get("/v2/health/live").get_json() == {"live": True}
    assert client.get("/v2/health/ready").get_json() == {"ready": True}
    assert "binary_tensor_data" in client.get("/v2").get_json()["extensions"]
    for path, status in {
        "/v2/": 200,
        "/v2/models/demo/ready": 200,
        "/v2/models/demo/versions/1": 200,
        "/v2/models/demo/versions/1/ready": 200,
        "/v2/models/demo/versions/99": 404,
        "/v2/models/demo/versions/x%2F..": 404,
        "/v2/models/other": 404,
        "/v2/models/other/ready": 404,
    }.items():
        assert client.get(path).status_code == status, path


def test_no_model(empty):
    for path in ("/v2/health/ready", "/v2/models/demo", "/v2/models/demo/ready"):
        assert empty.test_client().get(path).status_code == 503


def test_a_version_in_the_address(serve, bundles, registry):
    app = serve(bundles["binary"])
    registry.add("2", bundles["tree"], promote=False)
    answer = app.test_client().post("/v2/models/demo/versions/2/infer", json={"inputs": as_json(rows_of(app))})
    assert answer.get_json()["model_version"] == "2"


def change(**changes):
    """Return what changes the first tensor."""
    return lambda inputs: [inputs[0] | changes, *inputs[1:]]


WRONG = {
    "shape of another length": (change(shape=[3]), "the shape says 3"),
    "shape beyond memory": (change(shape=[10**12, 10**12]), "the shape says"),
    "shape negative": (change(shape=[-2]), "at least 1"),
    "shape true": (change(shape=[True]), "at least 1"),
    "shape of no rows": (change(shape=[0], data=[]), "at least 1"),
    "shape of three dimensions": (change(shape=[2, 1, 1]), "[rows]"),
    "shape a text": (change(shape="2"), "[rows]"),
    "two values a row": (change(shape=[2, 2], data=[1, 2, 3, 4]), "one column"),
    "unknown datatype": (change(datatype="FP9"), "datatype must be one of"),
    "datatype a list": (change(datatype=[]), "datatype must be one of"),
    "a text for a float": (change(data=["1", 2]), "expected FP64"),
    "true for a float": (change(data=[True, 2]), "expected FP64"),
    "a float for an integer": (change(datatype="INT8", data=[1.5, 2]), "expected INT8"),
    "beyond the datatype": (change(datatype="UINT8", data=[256, 2]), "expected UINT8"),
    "a list for a value": (change(data=[[1], [2]]), "expected FP64"),
    "rows of other lengths": (change(shape=[2, 1], data=[[1], [2, 3]]), "2 rows of 1 values"),
    "booleans for numbers": (change(datatype="BOOL", data=[True, False]), "expected a number"),
    "texts for numbers": (change(datatype="BYTES", data=["1", "2"]), "expected a number"),
    "no data": (lambda inputs: [{k: v for k, v in inputs[0].items() if k != "data"}, *inputs[1:]], "must be a list"),
    "null where none was": (change(data=[1, None]), "null"),
    "too large": (change(data=[1, 1e999]), "finite"),
    "base64": (change(parameters={"content_type": "base64"}), "content_type must be one of"),
    "bytes and data": (change(parameters={"binary_data_size": 0}), "in place of data"),
    "missing": (lambda inputs: inputs[1:], "missing column"),
    "twice": (lambda inputs: [*inputs, inputs[0]], "there twice"),
    "another length": (lambda inputs: [*inputs[1:], inputs[0] | {"shape": [1], "data": [1]}], "1 values, but"),
}


@pytest.mark.parametrize("case", WRONG)
def test_tensors_refused(client, app, case):
    spoil, says = WRONG[case]
    body = json.dumps({"inputs": spoil(as_json(rows_of(app)))}).replace("Infinity", "1e999")
    response = client.post("/v2/models/demo/infer", data=body, content_type="application/json")
    content = response.get_json()
    assert (response.status_code, content["errors"][0]["column"]) == (422, "size")
    assert says in content["errors"][0]["problem"]
    assert says in content["error"]


BODIES = {
    "not JSON": (b"{", {}, 400),
    "NaN": (b'{"inputs": [NaN]}', {}, 400),
    "a list": (b"[]", {}, 422),
    "no inputs": (b"{}", {}, 422),
    "inputs empty": (b'{"inputs": []}', {}, 422),
    "inputs an object": (b'{"inputs": {}}', {}, 422),
    "an input that is a number": (b'{"inputs": [1]}', {}, 422),
    "no name": (b'{"inputs": [{"shape": [1], "datatype": "FP64", "data": [1]}]}', {}, 422),
    "id a number": (b'{"id": 1, "inputs": [1]}', {}, 422),
    "id too long": (b'{"id": "' + b"x" * 201 + b'", "inputs": [1]}', {}, 422),
    "another key": (b'{"inputs": [1], "input": 1}', {}, 422),
    "another parameter": (b'{"inputs": [1], "parameters": {"sequence_id": 1}}', {}, 422),
    "a parameter of another type": (b'{"inputs": [1], "parameters": {"binary_data_output": 1}}', {}, 422),
    "parameters a list": (b'{"inputs": [1], "parameters": []}', {}, 422),
    "parameters false": (b'{"inputs": [1], "parameters": false}', {}, 422),
    "header too long": (b"{}", {"Inference-Header-Content-Length": "3"}, 400),
    "header negative": (b"{}", {"Inference-Header-Content-Length": "-1"}, 400),
    "header empty": (b"{}", {"Inference-Header-Content-Length": ""}, 400),
    "header in another script": (b"{}", {"Inference-Header-Content-Length": "²"}, 400),
    "header within the JSON": (b"{}", {"Inference-Header-Content-Length": "1"}, 400),
    "csv": (b"{}", {"Content-Type": "text/csv"}, 415),
    "gzip": (b"{}", {"Content-Encoding": "gzip"}, 400),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_refused(client, case):
    body, headers, status = BODIES[case]
    response = client.post("/v2/models/demo/infer", data=body, headers={"Content-Type": "application/json"} | headers)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert response.get_json()["error"]


@pytest.mark.parametrize(("name", "status"), [("demo", 200), ("other", 422), (1, 422)])
def test_a_name_in_the_body_is_that_of_the_address(client, app, name, status):
    body = {"model_name": name, "inputs": as_json(rows_of(app))}
    assert client.post("/v2/models/demo/infer", json=body).status_code == status


OUTPUTS = [{}, [1], [{}], [{"name": "colour"}], [{"name": "id"}, {"name": "id"}], [{"name": "id", "parameters": 1}]]


@pytest.mark.parametrize("outputs", [*OUTPUTS, [{"name": "id", "parameters": {"classification": 2}}]])
def test_outputs_refused(client, app, outputs):
    body = {"inputs": as_json(rows_of(app)), "outputs": outputs}
    assert client.post("/v2/models/demo/infer", json=body).status_code == 422


BYTES = {
    "cut off": (lambda body: body[:-1], 422),
    "too long": (lambda body: body + b"\0", 422),
    "not UTF-8": (lambda body: body[:-1] + b"\xff", 422),
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_refused(client, app, case):
    spoil, status = BYTES[case]
    body, headers = as_bytes(rows_of(app))
    assert client.post("/v2/models/demo/infer", data=spoil(body), headers=headers).status_code == status


def test_nan_in_bytes_is_missing(client, app):
    rows = [row | {"size": None} for row in rows_of(app)]
    body, headers = as_bytes(rows)
    errors = client.post("/v2/models/demo/infer", data=body, headers=headers).get_json()["errors"]
    assert [(error["row"], error["column"]) for error in errors] == [(0, "size"), (1, "size")]
    assert "null" in errors[0]["problem"]


def test_too_many_rows(client):
    size = {"name": "size", "shape": [10_001], "datatype": "FP64", "data": [1] * 10_001}
    inputs = [size | {"name": name} for name in DATATYPES]
    assert client.post("/v2/models/demo/infer", json={"inputs": inputs}).status_code == 413


@pytest.mark.parametrize("datatype", tensors.WIDTHS)
def test_every_datatype_as_bytes_and_as_json(datatype):
    values = [True, False] if datatype == "BOOL" else [1, 0]
    content = tensors.write(values, datatype)
    entry = {"name": "a", "shape": [2], "datatype": datatype}
    (binary,) = tensors.read([entry | {"parameters": {"binary_data_size": len(content)}}], content)
    (plain,) = tensors.read([entry | {"data": values}], b"")
    assert binary.values == plain.values == values


TAILS = {
    "more than the texts": ("BYTES", b"\1\0\0\0ab", "expected 1 texts"),
    "a length cut off": ("BYTES", b"\1\0", "expected 1 texts"),
    "a length beyond the end": ("BYTES", b"\xff\xff\xff\xffa", "expected 1 texts"),
    "a byte that is no BOOL": ("BOOL", b"\2", "0 or 1"),
    "fewer bytes than a float": ("FP64", b"1234567", "are 8"),
}


@pytest.mark.parametrize("case", TAILS)
def test_a_tail_is_what_its_datatype_says(case):
    datatype, tail, says = TAILS[case]
    entry = {"name": "a", "shape": [1], "datatype": datatype, "parameters": {"binary_data_size": len(tail)}}
    with pytest.raises(RowsRefused, match=says):
        tensors.read([entry], tail)


@pytest.mark.parametrize("size", [-1, 2, 1.0, "1", True, 10**30])
def test_a_size_is_a_number_of_bytes_that_are_there(size):
    entry = {"name": "a", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": size}}
    with pytest.raises(RowsRefused, match="binary_data_size"):
        tensors.read([entry], b"1")

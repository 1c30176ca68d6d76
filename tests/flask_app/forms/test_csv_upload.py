import csv
import html
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnprocessableEntity

from flask_app.forms import csv_upload
from lockstep.config.params import CellFormat, Reader
from lockstep.data.schema import Column, RowsRefused, Schema
from lockstep.inference.predictor import Predictions
from tests.flask_app.standins import ODD, example

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
COLUMNS = (
    Column("n", "numeric", nullable=True, example=3.0),
    Column("c", "categorical", False, "true", categories=("false", "true"), unknown="refuse"),
    Column("t", "text", False, "hello"),
)
SCHEMA = Schema("binary", "outcome", ("no", "yes"), COLUMNS)


def checked(content, schema=SCHEMA, most=10):
    return csv_upload.check(csv_upload.read(content, schema, most), schema)


READ = {
    "plain": (b"n,c,t\n1,true,hi\n", [(1.0, "true", "hi")]),
    "other order": (b"t,n,c\nhi,1,true\n", [(1.0, "true", "hi")]),
    "byte order mark": (b"\xef\xbb\xbfn,c,t\n1,true,hi\n", [(1.0, "true", "hi")]),
    "CR LF": (b"n,c,t\r\n1,true,hi\r\n", [(1.0, "true", "hi")]),
    "CR": (b"n,c,t\r1,true,hi\r", [(1.0, "true", "hi")]),
    "no line end": (b"n,c,t\n1,true,hi", [(1.0, "true", "hi")]),
    "quotes": (b'"n","c","t"\n"1","true","a ""b"", c\nd"\n', [(1.0, "true", 'a "b", c\nd')]),
    "line end in quotes": (b'n,c,t\r\n1,true,"a\r\nb"\r\n', [(1.0, "true", "a\nb")]),
    "semicolon": (b"n;c;t\n1;true;a,b\n", [(1.0, "true", "a,b")]),
    "tab": (b"n\tc\tt\n1\ttrue\thi\n", [(1.0, "true", "hi")]),
    "spaces in the header": (b"n, c, t\n 1 ,true,hi\n", [(1.0, "true", "hi")]),
    "missing": (b"n,c,t\n,true,\n", [(None, "true", "")]),
    "empty lines": (b"n,c,t\n\n1,true,hi\n\n", [(1.0, "true", "hi")]),
    "as spreadsheets spell": (b"n,c,t\n1e2,TRUE,hi\n", [(100.0, "true", "hi")]),
    "next line sign": ("n,c,t\n1,true,a\x85b\n".encode(), [(1.0, "true", "a\x85b")]),
    "long cell": (b"n,c,t\n1,true," + b"x" * 200_000 + b"\n", [(1.0, "true", "x" * 200_000)]),
}


@pytest.mark.parametrize("case", READ)
def test_files_are_read(case):
    content, rows = READ[case]
    assert checked(content) == rows


HEADERS = {
    "missing": (b"n,c\n1,true\n", "t", "missing column"),
    "unknown": (b"n,c,t,more\n1,true,hi,2\n", "more", "unknown column"),
    "misspelt": (b"n,c,t,texts\n1,true,hi,2\n", "texts", "unknown column"),
    "twice": (b"n,c,t,n\n1,true,hi,2\n", "n", "there twice"),
    "without a name": (b",n,c,t\n0,1,true,hi\n", "", "unknown column"),
    "the target": (b"n,c,t,outcome\n1,true,hi,no\n", "outcome", "what the model predicts"),
    "no header": (b"1,true,hi\n", "n", "missing column"),
    "empty": (b"\n\n", "t", "missing column"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_refused(case):
    content, column, problem = HEADERS[case]
    with pytest.raises(RowsRefused) as caught:
        checked(content)
    assert any(one.row == 1 and one.column == column and problem in one.problem for one in caught.value.faults)


CELLS = {
    "no number": (b"n,c,t\n1,true,hi\nx,true,hi\n", 3, "n", "expected a number"),
    "decimal comma": (b'n,c,t\n"1,5",true,hi\n', 2, "n", "expected a number"),
    "infinity": (b"n,c,t\ninf,true,hi\n", 2, "n", "finite"),
    "unknown category": (b"n,c,t\n1,perhaps,hi\n", 2, "c", "unknown category"),
    "empty where none was": (b"n,c,t\n1,,hi\n", 2, "c", "empty, but"),
    "after an empty line": (b"n,c,t\n\n1,true,hi\nx,true,hi\n", 4, "n", "expected a number"),
    "after a line end in quotes": (b'n,c,t\n1,true,"a\nb"\nx,true,hi\n', 3, "n", "expected a number"),
    "short row": (b"n,c,t\n1,true\n", 2, "", "2 cells, but the header has 3"),
    "long row": (b"n,c,t\n1,true,hi,\n", 2, "", "4 cells, but the header has 3"),
}


@pytest.mark.parametrize("case", CELLS)
def test_cells_refused_by_row_and_column(case):
    content, row, column, problem = CELLS[case]
    with pytest.raises(RowsRefused) as caught:
        checked(content)
    (fault,) = caught.value.faults
    assert (fault.row, fault.column) == (row, column)
    assert problem in fault.problem


@pytest.mark.parametrize(
    ("head", "made_up"), [(b",n,c,t,", ("Unnamed: 0", "column_5")), (b",n,c,t,", ("column_1", "column_5"))]
)
def test_columns_without_a_name_are_those_of_the_training_file(head, made_up):
    """As in files that end every line with a separator."""
    columns = dict.fromkeys(("n", "c", "t", *made_up), CellFormat())
    schema = replace(SCHEMA, reader=Reader(columns=columns | {"n": CellFormat(kind="number")}))
    assert checked(head + b"\n7,1,true,hi,\n", schema) == [(1.0, "true", "hi")]
    with pytest.raises(RowsRefused):
        checked(b"n,c,t,\n1,true,hi,\n", schema)


def test_a_flood_of_unknown_columns_is_refused_at_once():
    with pytest.raises(RowsRefused) as caught:
        checked(b",".join(b"c%d" % number for number in range(300_000)) + b"\n")
    assert len(caught.value.faults) < 200


UNREADABLE = {
    "open quote": (b'n,c,t\n1,true,"hi\n', BadRequest),
    "stray quote": (b'n,c,t\n1,true,"hi"x\n', BadRequest),
    "Latin-1": ("n,c,t\n1,true,é\n".encode("latin-1"), BadRequest),
    "UTF-16": ("n,c,t\n1,true,hi\n".encode("utf-16"), BadRequest),
    "NUL": (b"n,c,t\n1,true,a\0b\n", BadRequest),
    "zip": (b"PK\x03\x04" + bytes(range(256)), BadRequest),
    "header only": (b"n,c,t\n", UnprocessableEntity),
    "too many rows": (b"n,c,t\n" + b"1,true,hi\n" * 11, RequestEntityTooLarge),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_files_refused(case):
    content, error = UNREADABLE[case]
    with pytest.raises(error):
        checked(content)


CATEGORIES = [
    (("false", "true"), "True", "true"),
    (("1", "2"), "2.0", "2"),
    (("1", "2"), "2.5", "2.5"),
    (("2.0",), "2.0", "2.0"),
    (("True",), "TRUE", "TRUE"),
    (("north",), "North", "North"),
    (("north",), "", None),
]


@pytest.mark.parametrize(("categories", "text", "value"), CATEGORIES)
def test_categories_as_spreadsheets_spell_them(categories, text, value):
    assert csv_upload.meant(text, Column("c", "categorical", True, None, categories=categories)) == value


FORMULAS = [
    ("=1+1", "'=1+1"),
    ("+cmd", "'+cmd"),
    ("-2+3", "'-2+3"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("＝1+1", "'＝1+1"),
    ("-", "'-"),
    ("-5", "-5"),
    ("+1.5e-3", "+1.5e-3"),
    ("-.5", "-.5"),
    ("-1e5+cmd", "'-1e5+cmd"),
    ("a=b", "a=b"),
    ("", ""),
    ("1", "1"),
]


@pytest.mark.parametrize(("text", "harmless"), FORMULAS)
def test_s21_no_cell_is_a_formula(text, harmless):
    assert csv_upload.harmless(text) == harmless


def test_s21_neither_names_nor_labels_nor_cells_are_formulas():
    schema = Schema("binary", "outcome", ("=no", "yes"), (Column("=t", "text", False, "=x"),))
    table = csv_upload.read(b"=t\n=1+1\n", schema, 10)
    text = csv_upload.write(table, Predictions(["=no"], np.array([[0.75, 0.25]])), ["=no", "yes"])
    assert text == "'=t,prediction,probability_=no,probability_yes\r\n'=1+1,'=no,0.75,0.25\r\n"
    assert csv_upload.template(schema) == "'=t\r\nx\r\n"


def test_the_answer_is_spelled_as_the_file_was():
    table = csv_upload.read(b"\xef\xbb\xbfn;c;t\n1;true;a,b\n", SCHEMA, 10)
    assert csv_upload.write(table, Predictions(["yes"], np.array([[0.25, 0.75]])), ["no", "yes"]) == (
        "\ufeffn;c;t;prediction;probability_no;probability_yes\r\n1;true;a,b;yes;0.25;0.75\r\n"
    )


def test_a_column_called_prediction_is_kept():
    schema = Schema("regression", "outcome", (), (replace(COLUMNS[0], name="prediction"),))
    table = csv_upload.read(b"prediction\n1\n", schema, 10)
    assert csv_upload.write(table, Predictions([-2.5], None), ()) == "prediction,prediction_\r\n1,-2.5\r\n"


def post(client, content, headers=None, field="file", **more):
    return client.post("/predict/file", data={field: (io.BytesIO(content), "a.csv"), **more}, headers=headers)


def file_of(rows):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def test_a_file_and_json_agree(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    rows = json.loads((bundle / "smoke.json").read_text())["rows"]
    response = post(client, file_of(rows))
    assert (response.status_code, response.mimetype) == (200, "text/csv")
    assert response.headers["Content-Disposition"] == "attachment; filename=predictions.csv"
    assert response.headers["Lockstep-Model-Version"] == "1"
    answers = client.post("/predict", json={"rows": rows}).get_json()["predictions"]
    for line, row, answer in zip(csv.DictReader(io.StringIO(response.text, newline="")), rows, answers, strict=True):
        assert {name: line.pop(name) for name in row} == {
            name: csv_upload.harmless("" if value is None else str(value)) for name, value in row.items()
        }
        assert line.pop("prediction") == str(answer["prediction"])
        assert line == {f"probability_{name}": str(own) for name, own in answer.get("probabilities", {}).items()}


def test_the_template_can_be_sent_as_it_is(serve, bundle):
    client = serve(bundle).test_client()
    template = client.get("/predict/template.csv")
    assert (template.status_code, template.mimetype) == (200, "text/csv")
    assert "attachment" in template.headers["Content-Disposition"]
    assert post(client, template.data).status_code == 200


def test_every_answer_of_a_file_is_counted(client, app):
    assert post(client, file_of([example(app)] * 3)).status_code == 200
    counts = re.findall(r"^model_prediction_count_total\S+ (\S+)$", client.get("/metrics").text, re.M)
    assert sum(map(float, counts)) == 3


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_a_wrong_file_is_answered_with_its_wrong_cells(client, app, headers):
    data = {}
    if headers:
        page = client.get("/", headers=headers).text
        data = {"csrf_token": page.split('name="csrf_token" value="')[1].split('"')[0]}
    attack = '<script>"'
    response = post(client, file_of([example(app), example(app) | {"size": attack, ODD: "x"}]), headers, **data)
    assert response.status_code == 422
    if headers:
        assert "row 3, <b>size</b>: expected a number" in response.text
        assert html.escape(ODD, quote=False).replace('"', "&#34;") in response.text
        assert "<script>" not in response.text
    else:
        errors = response.get_json()["errors"]
        assert {(error["row"], error["column"]) for error in errors} == {(3, "size"), (3, ODD)}


def test_many_faults_stay_short(client):
    response = post(client, file_of([dict.fromkeys(("size", ODD, "rooms", "place", "day"), "")] * 2000))
    assert len(response.data) < 8192
    content = response.get_json()
    assert len(content["errors"]) + content["more_errors"] == 2000 * 4


REQUESTS = {
    "no file": ({}, 422),
    "a field": ({"file": "size\n1\n"}, 422),
    "another name": ({"csv": (io.BytesIO(b"size\n1\n"), "a.csv")}, 422),
    "two files": ({"file": [(io.BytesIO(b"size\n1\n"), "a.csv"), (io.BytesIO(b"size\n1\n"), "b.csv")]}, 422),
    "empty file": ({"file": (io.BytesIO(b""), "a.csv")}, 422),
    "no CSV": ({"file": (io.BytesIO(b"\xff\xfe"), "a.csv")}, 400),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_requests_refused(client, case):
    data, status = REQUESTS[case]
    response = client.post("/predict/file", data=data, content_type="multipart/form-data")
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")


@pytest.mark.parametrize("media", ["application/json", "text/csv", "application/x-www-form-urlencoded", ""])
def test_other_media_are_refused(client, media):
    assert client.post("/predict/file", data=b"size\n1\n", content_type=media).status_code == 415


def test_too_many_rows_are_413(client, app):
    app.config["MAX_ROWS"] = 3
    assert post(client, file_of([example(app)] * 3)).status_code == 200
    assert post(client, file_of([example(app)] * 4)).status_code == 413


def raw(client, content):
    """Send a large file as bytes, since the client's own form would go through a file."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + content + b"\r\n--x--\r\n"
    return client.post("/predict/file", data=body, content_type="multipart/form-data; boundary=x")


def test_files_stay_in_memory(client, app, monkeypatch):
    for place in ("tempfile.TemporaryFile", "werkzeug.formparser.SpooledTemporaryFile"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("a file was written"))
    content = file_of([example(app)] * 9000) + b"\r\n" * 100_000
    assert len(content) > 500 * 1024
    assert raw(client, content).status_code == 200


def test_larger_files_are_413(client):
    assert raw(client, b"x" * (8 * 1024 * 1024)).status_code == 413


def test_no_model_is_503(empty):
    client = empty.test_client()
    assert client.get("/predict/template.csv").status_code == 503
    assert post(client, b"size\n1\n").status_code == 503


NAMES = [
    "=a",
    "'=a",
    "-1",
    "+b",
    "@c",
    "a;b",
    "a,b",
    "a\tb",
    'a "b"',
    " a ",
    "a\nb",
    "a\r\nb",
    "é",
    "\ufeffa",
    "prediction",
]
NAMES += ["", "'", "＝a", "\ta", "csrf_token", "1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_of_any_column_names_can_be_sent_filled_in(name):
    names = ("x;y", "=a b", name)
    kinds = [("numeric", 2.5), ("categorical", "-low"), ("text", "=1+1")]
    columns = [
        Column(name, kind, False, value, categories=("-low", "'x") if kind == "categorical" else (), unknown="refuse")
        for name, (kind, value) in zip(names, kinds, strict=True)
    ]
    schema = Schema("binary", "outcome", ("no", "yes"), tuple(columns))
    template = csv_upload.template(schema).encode()
    table = csv_upload.read(template, schema, 10)
    assert table.header == list(names)
    assert csv_upload.check(table, schema) == [(2.5, "-low", "1+1")]
    answered = csv_upload.write(table, Predictions(["yes"], np.array([[0.25, 0.75]])), ["no", "yes"])
    again = list(csv.reader(io.StringIO(answered.removeprefix("\ufeff"), newline="")))
    assert len(again[0]) == len(set(again[0])) == 6


def test_cells_are_escaped_so_that_taking_the_escape_away_gives_them_back():
    for text in ("=a", "'=a", "''=a", "'a", "a", "-1", "-a", ""):
        assert csv_upload.unescaped(csv_upload.harmless(text)) == text or csv_upload.NUMBER.fullmatch(text)


def test_columns_called_prediction_and_with_an_underscore_are_kept():
    columns = tuple(replace(COLUMNS[0], name=name) for name in ("prediction", "prediction_"))
    table = csv_upload.read(b"prediction,prediction_\n1,2\n", Schema("regression", "outcome", (), columns), 10)
    assert (
        csv_upload.write(table, Predictions([-2.5], None), ()).splitlines()[0] == "prediction,prediction_,prediction__"
    )

import html
import json
import re
import shlex
from dataclasses import replace
from io import BytesIO

import pytest
from werkzeug.datastructures import MultiDict

from flask_app import create_app
from flask_app.forms import controls as form
from flask_app.models import model_service
from flask_app.views import pages
from lockstep.config.params import CellFormat, Reader
from lockstep.data.schema import Column, FieldError, RowsRefused, Schema
from tests.flask_app.standins import ODD, example, make_bundle


def schema_of(*columns):
    return Schema("binary", "outcome", ("no", "yes"), columns)


NUMBER = Column("n", "numeric", nullable=False, example=3.0, minimum=1.0, maximum=9.5)
WHOLE = Column("w", "numeric", nullable=True, example=2.0, minimum=0.0, maximum=8.0, step=1.0)
CATEGORY = Column("c", "categorical", False, "<1H OCEAN", categories=("<1H OCEAN", "a\r\nb"), unknown="refuse")
MAYBE = Column("m", "categorical", True, "x", categories=("x",))
TEXT = Column("t", "text", False, "hello")
DAY = Column("d", "date", True, "2026-01-31")
SWITCH = Column("s", "categorical", False, "Yes", categories=("No", "Yes"))
ZERO_ONE = Column("z", "numeric", False, 1.0, minimum=0.0, maximum=1.0, step=1.0)

PARSED = [
    (NUMBER, "1.5", 1.5),
    (NUMBER, " 7 ", 7.0),
    (NUMBER, "-1e-3", -0.001),
    (NUMBER, "", None),
    (NUMBER, "1_000", "1_000"),
    (NUMBER, "١٢", "١٢"),
    (NUMBER, "1,5", "1,5"),
    (NUMBER, "abc", "abc"),
    (CATEGORY, "<1H OCEAN", "<1H OCEAN"),
    (CATEGORY, "a\r\nb", "a\r\nb"),
    (CATEGORY, "a\nb", "a\r\nb"),
    (CATEGORY, "other", "other"),
    (CATEGORY, "", None),
    (MAYBE, "", None),
    (TEXT, "one\r\ntwo", "one\ntwo"),
    (TEXT, "", ""),
    (Column("t", "text", True, None), "", None),
    (DAY, " 2026-02-01 ", "2026-02-01"),
    (DAY, "", None),
]


@pytest.mark.parametrize(("column", "typed", "value"), PARSED)
def test_parse_gives_what_json_would(column, typed, value):
    assert form.parse(MultiDict({column.name: typed}), schema_of(column)) == {column.name: value}


@pytest.mark.parametrize("typed", ["nan", "inf", "-Infinity", "1e999", "0x10", "1 000"])
def test_numbers_that_are_none_are_refused(typed):
    schema = schema_of(NUMBER)
    (fault,) = schema.faults(form.parse(MultiDict({"n": typed}), schema))
    assert "number" in fault.problem


def test_a_part_without_a_name_is_an_unknown_column(client):
    part = b"--limit\r\nContent-Disposition: form-data\r\n\r\n1\r\n"
    media = "multipart/form-data; boundary=limit"
    for parts in (1, 2):
        assert client.post("/predict", data=part * parts + b"--limit--\r\n", content_type=media).status_code == 422


def test_a_field_sent_twice_is_refused():
    with pytest.raises(RowsRefused, match="more than once"):
        form.parse(MultiDict([("n", "1"), ("n", "2")]), schema_of(NUMBER))


LEGACY = [
    (("t",), {"text": "hi"}, {"t": "hi"}),
    (("t",), {"t": "own", "text": "hi"}, {"t": "own", "text": "hi"}),
    (("t", "u"), {"text": "hi"}, {"text": "hi"}),
    (("text", "n"), {"text": "hi"}, {"text": "hi"}),
    ((), {"text": "hi"}, {"text": "hi"}),
]


@pytest.mark.parametrize(("texts", "sent", "row"), LEGACY)
def test_the_one_text_column_may_be_sent_as_text(texts, sent, row):
    schema = schema_of(*(Column(name, "text", False, "") for name in texts))
    assert form.parse(MultiDict(sent), schema) == row


CONTROLS = [
    (NUMBER, "number", "any", "1 to 9.5"),
    (WHOLE, "number", "1", "0 to 8, may be empty"),
    (
        Column("width (cm)", "numeric", False, 1.0, minimum=1.00004, maximum=20_000.5),
        "number",
        "any",
        "1 to 20000.5 cm",
    ),
    (Column("tiny", "numeric", False, 1e-5, minimum=1.23456e-6, maximum=0.5), "number", "any", "1.235e-06 to 0.5"),
    (CATEGORY, "select", "", ""),
    (Column("c", "categorical", False, "1", categories=tuple(map(str, range(501)))), "text", "", "as in 1"),
    (SWITCH, "checkbox", "", ""),
    (replace(SWITCH, nullable=True), "select", "", "may be empty"),
    (replace(SWITCH, categories=("No", "maybe")), "select", "", ""),
    (ZERO_ONE, "checkbox", "", ""),
    (replace(ZERO_ONE, maximum=2.0), "number", "1", "0 to 2"),
    (TEXT, "textarea", "", "any length"),
    (DAY, "date", "", "may be empty"),
    (Column("d", "date", False, "2026-01-31T10:00"), "datetime-local", "", ""),
    (Column("d", "date", False, "2026-01-31T10:00:05"), "datetime-local", "1", ""),
    (Column("d", "date", False, "2026-01-31T10:00:00+02:00"), "text", "", "as in 2026-01-31T10:00:00+02:00"),
    (Column("d", "date", True, None), "text", "", "may be empty"),
]


@pytest.mark.parametrize(("column", "control", "step", "hint"), CONTROLS)
def test_each_kind_has_its_control(column, control, step, hint):
    (field,) = form.fields(schema_of(column))
    assert (field.control.kind, field.control.step, field.hint) == (control, step, hint)


UNITS = [("length_cm", "cm"), ("petal width (mm)", "mm"), ("share [%]", "%"), ("age years", "years"), ("rooms", "")]


@pytest.mark.parametrize(("name", "unit"), UNITS)
def test_units_are_read_from_names(name, unit):
    assert form.unit(name) == unit


UNITS_OF_CELLS = {
    "money": (CellFormat(kind="number", units={"$": 1.0, "k": 1000.0}), "$"),
    "percent": (CellFormat(kind="number", units={"%": 1.0}), "%"),
    "distance": (CellFormat(kind="number", units={"km": 1.0}), "km"),
    "time of day": (CellFormat(kind="time"), "h"),
    "duration": (CellFormat(kind="duration"), "s"),
}


@pytest.mark.parametrize("name", UNITS_OF_CELLS)
def test_the_unit_of_the_training_file_stands_beside_the_control(name):
    described, unit = UNITS_OF_CELLS[name]
    schema = replace(schema_of(NUMBER, TEXT), reader=Reader(columns={"n": described, "t": described}))
    number, text = form.fields(schema)
    assert (number.unit, number.hint) == (unit, f"1 to 9.5 {unit}")
    assert text.unit == ""


SWITCHED = [
    ([("s", "No")], {"s": "No"}),
    ([("s", "No"), ("s", "Yes")], {"s": "Yes"}),
    ([("s", "Yes")], {"s": "Yes"}),
]


@pytest.mark.parametrize(("sent", "row"), SWITCHED)
def test_a_checkbox_sends_what_it_shows(sent, row):
    assert form.parse(MultiDict(sent), schema_of(SWITCH)) == row


@pytest.mark.parametrize("sent", [("Yes", "No"), ("Yes", "Yes"), ("No", "Yes", "Yes")])
def test_a_checkbox_sent_otherwise_is_refused(sent):
    with pytest.raises(RowsRefused, match="more than once"):
        form.parse(MultiDict([("s", value) for value in sent]), schema_of(SWITCH))


def test_a_value_that_a_checkbox_cannot_show_is_shown_as_text():
    (field,) = form.fields(schema_of(SWITCH), {"s": "perhaps"})
    assert (field.control.kind, field.value) == ("text", "perhaps")


REMARKS = [
    (NUMBER, "9.5", False),
    (NUMBER, "9.6", True),
    (NUMBER, "0", True),
    (NUMBER, "abc", False),
    (TEXT, "1", False),
]


@pytest.mark.parametrize(("column", "typed", "remarked"), REMARKS)
def test_numbers_outside_the_training_range_are_remarked(column, typed, remarked):
    (field,) = form.fields(schema_of(column), {column.name: typed})
    assert bool(field.remark) is remarked


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.1, "0.1"), (1e300, "1e+300"), (None, ""), ("x", "x")])
def test_examples_read_as_people_write(value, text):
    (field,) = form.fields(schema_of(Column("n", "numeric", True, value)))
    assert field.value == text


def test_a_wrong_value_stays_visible():
    fields = form.fields(schema_of(NUMBER, DAY), {"n": "abc"}, [FieldError(0, "n", "bad"), FieldError(0, "d", "null")])
    assert [(field.control.kind, field.value, field.problem) for field in fields] == [
        ("text", "abc", "bad"),
        ("text", "", "a value is needed here"),
    ]


def test_the_form_binds_labels_and_escapes_names(client):
    page = client.get("/").text
    assert ODD not in page
    assert html.escape(ODD, quote=False).replace('"', "&#34;") in page
    controls = re.findall(r'<(?:input|select|textarea) id="([^"]+)"', page)
    assert controls == re.findall(r'<label for="([^"]+)"', page)
    assert len(controls) == 6
    assert page.count(" autofocus") == 1
    described = re.findall(r'aria-describedby="([^"]+)"', page)
    assert described
    for ids in described:
        assert all(f'id="{one}"' in page for one in ids.split())
    assert '<option value="&lt;1H OCEAN"' in page
    assert not re.search(r"style=|<script[^>]*>[^<]|javascript:|https?://(?!www\.w3\.org)", page)


def test_the_untouched_form_predicts(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    page = client.get("/").text
    typed = {}
    for field in form.fields(model_service.default(app).require().predictor.schema):
        assert html.escape(field.value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in page
        typed[field.name] = field.value
    response = client.post("/predict", data=typed)
    assert response.status_code == 200
    assert '<section class="card result"' in response.text


def test_the_form_keeps_what_was_typed(client, app):
    typed = {name: str(value) for name, value in example(app).items()} | {"size": "41.250", ODD: "", "place": "INLAND"}
    page = client.post("/predict", data=typed).text
    assert 'value="41.250"' in page
    assert '<option value="INLAND" selected>' in page


def test_faults_stand_beside_their_fields(client, app):
    attack = '"><script>alert(1)</script>'
    typed = {name: str(value) for name, value in example(app).items()}
    typed |= {"size": attack, "place": attack, attack: attack, "day": ""}
    response = client.post("/predict", data=typed)
    assert response.status_code == 422
    assert attack not in response.text
    assert not re.search(r"<script[^>]*>[^<]", response.text)
    assert "Please check 4 values" in response.text
    fields = re.findall(r'<div class="field[^"]*wrong">.*?</div>', response.text, re.S)
    assert len(fields) == 3
    for field in fields:
        (described,) = re.findall(r'aria-describedby="([^" ]+)', field)
        assert f'<p class="problem" id="{described}">' in field
        assert 'aria-invalid="true"' in field
    assert f'value="{html.escape(attack).replace("&quot;", "&#34;")}"' in fields[0]


def test_missing_fields_and_fields_sent_twice_are_refused(client):
    assert client.post("/predict", data={"size": "1"}).status_code == 422
    assert client.post("/predict", data=MultiDict([("size", "1"), ("size", "2")])).status_code == 422
    assert client.post("/predict", data={}, content_type="application/x-www-form-urlencoded").status_code == 422


def test_files_are_not_taken(client):
    response = client.post("/predict", data={"size": (BytesIO(b"1"), "a.csv")}, content_type="multipart/form-data")
    assert response.status_code == 415


def test_the_legacy_field_answers_and_is_kept(serve, bundles):
    response = serve(bundles["text"]).test_client().post("/predict", data={"text": "a wonderful\r\nfilm"})
    assert response.status_code == 200
    assert ">positive</output>" in response.text
    assert "a wonderful\r\nfilm</textarea>" in response.text


def test_a_large_text_is_taken_and_a_larger_one_is_413(serve, bundles):
    client = serve(bundles["text"]).test_client()
    assert client.post("/predict", data={"review": "good film " * 200_000}).status_code == 200
    assert client.post("/predict", data={"review": "good film " * 900_000}).status_code == 413


def test_many_labels_are_folded(client, app, monkeypatch):
    monkeypatch.setattr(pages, "BARS", 1)
    page = client.post("/predict", data={name: str(value) for name, value in example(app).items()}).text
    assert "<summary>1 more labels</summary>" in page


def test_the_code_of_an_answer_gives_the_same_answer(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    typed = {name: "" if value is None else str(value) for name, value in example(app).items()}
    page = client.post("/predict", data=typed).text
    codes = {
        name: html.unescape(text) for name, text in re.findall(r'<pre id="code-(\w+)"[^>]*>(.*?)</pre>', page, re.S)
    }
    words = shlex.split(codes["curl"].replace("\\\n", ""))
    assert words[:2] == ["curl", "http://localhost/predict"]
    assert words[-2:] == ["-d", codes["JSON"]]
    (answer,) = client.post("/predict", data=codes["JSON"], content_type="application/json").get_json()["predictions"]
    assert html.unescape(re.search(r'<output class="label[^"]*">(.*?)</output>', page)[1]) == str(answer["prediction"])
    assert set(json.loads(codes["JSON"])["rows"][0]) == set(example(app))


SHARES = [(0.0, "0.0"), (1.0, "100.0"), (0.0004, "< 0.1"), (0.9996, "> 99.9"), (0.5, "50.0"), (0.9994, "99.9")]


@pytest.mark.parametrize(("share", "text"), SHARES)
def test_only_certainty_reads_as_certain(share, text):
    assert pages.percent(share) == text


def test_the_page_of_an_answer_names_what_lies_outside_of_training(client, app):
    typed = {name: "" if value is None else str(value) for name, value in example(app).items()}
    assert "Take this with care" not in client.post("/predict", data=typed).text
    assert "Take this with care: size lies outside" in client.post("/predict", data=typed | {"size": "1e6"}).text


@pytest.fixture
def pair(settings, registry, bundles):
    """An app that serves two models side by side."""
    app = create_app(replace(settings, model_name="demo,other"), registry.connect)
    for service in model_service.all_of(app):
        registry.name = service.name
        registry.add("1", bundles["text"])
        service.look()
    return app


PLACES = [("/", "/predict", "/predict/file"), ("/models/other", "/models/other/predict", "/models/other/predict/file")]


@pytest.mark.parametrize(("form_at", "sent_to", "files_to"), PLACES)
def test_each_of_several_models_has_its_form(pair, form_at, sent_to, files_to):
    client = pair.test_client()
    page = client.get(form_at).text
    assert [f'action="{place}"' in page for place in (sent_to, files_to)] == [True, True]
    assert f'href="{files_to.removesuffix("file")}template.csv"' in page
    assert page.count('<a href="/models/other"') >= 1
    answered = client.post(sent_to, data={"review": "good"})
    assert answered.status_code == 200
    assert f'action="{sent_to}"' in answered.text
    assert f"http://localhost{sent_to} " in html.unescape(answered.text)
    template = client.get(f"{files_to.removesuffix('file')}template.csv")
    assert template.status_code == 200
    file = {"file": (BytesIO(template.data), "a.csv")}
    assert client.post(files_to, data=file).status_code == 200


def test_a_model_that_is_not_served_has_no_form(pair):
    client = pair.test_client()
    browser = {"Accept": "text/html"}
    assert client.get("/models/third").status_code == 404
    assert client.post("/models/third/predict", data={"review": "good"}, headers=browser).status_code == 404
    assert client.post("/models/third/predict/file", data={"review": "good"}, headers=browser).status_code == 404


@pytest.mark.parametrize(
    "name", ["csrf_token", "explain_answer", "idempotency_key", "column:a", "column:csrf_token", ""]
)
def test_a_column_may_be_called_like_a_field_of_the_form(serve, tmp_path, name):
    app = serve(make_bundle("binary", tmp_path / "bundle", odd=name))
    page = app.test_client().get("/").text
    assert len(re.findall(f'name="{re.escape(form.input_name(name))}"', page)) == 1
    row = {form.input_name(key): str(value) for key, value in example(app).items()}
    hidden = {"csrf_token": "x", "idempotency_key": "y"}
    answer = app.test_client().post("/predict", data=row | hidden | {form.input_name(name): "9.625"})
    assert answer.status_code == 200
    assert 'value="9.625"' in answer.text


@pytest.mark.parametrize("name", ["csrf_token", "explain_answer"])
def test_a_program_may_send_such_a_column_by_its_plain_name(serve, tmp_path, name):
    app = serve(make_bundle("binary", tmp_path / "bundle", odd=name))
    row = {key: str(value) for key, value in example(app).items()} | {name: "9.625"}
    answer = app.test_client().post("/predict", data=row)
    assert (answer.status_code, 'value="9.625"' in answer.text) == (200, True)


@pytest.mark.parametrize(("task", "column", "status"), [("text", "review", 200), ("binary", "size", 422)])
def test_a_form_of_megabytes_is_not_sent_back(serve, bundles, task, column, status):
    app = serve(bundles[task])
    row = {key: str(value) for key, value in example(app).items()} | {column: "<'&\"" * 500_000}
    answer = app.test_client().post("/predict", data=row)
    assert answer.status_code == status
    assert len(answer.data) < 200_000
    assert "2,000,000 characters" in answer.text or status == 422


def test_a_long_text_is_sent_back(serve, bundles):
    text = "a warm film " * 1000
    page = serve(bundles["text"]).test_client().post("/predict", data={"review": text}).text
    assert text in page
    assert "data-left-out" not in page

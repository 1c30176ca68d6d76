import html
import re

import pytest
from werkzeug.datastructures import MultiDict

from flask_app import form, model_service
from lockstep.data.schema import Column, Fault, RowsRefused, Schema
from tests.flask_app.standins import ODD, example


def schema_of(*columns):
    return Schema("binary", "outcome", ("no", "yes"), columns)


NUMBER = Column("n", "numeric", nullable=False, example=3.0, minimum=1.0, maximum=9.5)
WHOLE = Column("w", "numeric", nullable=True, example=2.0, minimum=0.0, maximum=8.0, step=1.0)
CATEGORY = Column("c", "categorical", False, "<1H OCEAN", categories=("<1H OCEAN", "a\r\nb"), unknown="refuse")
MAYBE = Column("m", "categorical", True, "x", categories=("x",))
TEXT = Column("t", "text", False, "hello")
DAY = Column("d", "date", True, "2026-01-31")

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
    (CATEGORY, "select", "", ""),
    (Column("c", "categorical", False, "1", categories=tuple(map(str, range(501)))), "text", "", ""),
    (TEXT, "textarea", "", ""),
    (DAY, "date", "", "may be empty"),
    (Column("d", "date", False, "2026-01-31T10:00"), "datetime-local", "1", ""),
    (Column("d", "date", False, "2026-01-31T10:00:00+02:00"), "text", "", "as in 2026-01-31T10:00:00+02:00"),
    (Column("d", "date", True, None), "text", "", "may be empty"),
]


@pytest.mark.parametrize(("column", "control", "step", "hint"), CONTROLS)
def test_each_kind_has_its_control(column, control, step, hint):
    (field,) = form.fields(schema_of(column))
    assert (field.control, field.step, field.hint) == (control, step, hint)


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.1, "0.1"), (1e300, "1e+300"), (None, ""), ("x", "x")])
def test_examples_read_as_people_write(value, text):
    (field,) = form.fields(schema_of(Column("n", "numeric", True, value)))
    assert field.value == text


def test_a_wrong_value_stays_visible():
    fields = form.fields(schema_of(NUMBER, DAY), {"n": "abc"}, [Fault(0, "n", "bad"), Fault(0, "d", "null")])
    assert [(field.control, field.value, field.problem) for field in fields] == [
        ("text", "abc", "bad"),
        ("text", "", "a value is needed here"),
    ]


def test_the_form_binds_labels_and_escapes_names(client):
    page = client.get("/").text
    assert ODD not in page
    assert html.escape(ODD, quote=False).replace('"', "&#34;") in page
    controls = re.findall(r'<(?:input|select|textarea) id="([^"]+)"', page)
    assert controls == re.findall(r'<label for="([^"]+)"', page)
    assert len(controls) == 5
    described = re.findall(r'aria-describedby="([^"]+)"', page)
    assert described
    for ids in described:
        assert all(f'id="{one}"' in page for one in ids.split())
    assert '<option value="&lt;1H OCEAN"' in page
    assert not re.search(r"style=|<script|javascript:|https?://(?!www\.w3\.org)", page)


def test_the_untouched_form_predicts(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    page = client.get("/").text
    typed = {}
    for field in form.fields(model_service.of(app).require().predictor.schema):
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
    assert "<script" not in response.text
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
    from io import BytesIO

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
    from flask_app.views import pages

    monkeypatch.setattr(pages, "BARS", 1)
    page = client.post("/predict", data={name: str(value) for name, value in example(app).items()}).text
    assert "<summary>1 more labels</summary>" in page

"""What the page of the form says of why."""

import html
import re
import sys

import pytest

from flask_app.forms import controls, explanation_chart
from flask_app.models import model_service
from tests.flask_app.prediction.test_explanation import neighbors  # noqa: F401 - a fixture
from tests.flask_app.standins import ODD, example, make_bundle
from tests.flask_app.views.test_predict import as_form


def sent(app, row=None, **more):
    response = app.test_client().post("/predict", data=as_form(row or example(app)) | more)
    assert response.status_code == 200, response.text
    return response.text


def lines(page):
    """Return what the page says that each column adds, with the place and width of its bar."""
    found = re.findall(
        r'part-name">(.*?)(?: <span class="part-value">(.*?)</span>)?</span>\s*<span class="part-amount">(.*?)</span>'
        r'.*?<rect class="part-(\w+)" x="([\d.]+)" width="([\d.]+)"',
        page,
        re.DOTALL,
    )
    return {html.unescape(name): tuple(map(html.unescape, rest)) for name, *rest in found}


def number(text):
    return float(text.replace("\N{MINUS SIGN}", "-").replace(",", ""))


def test_the_answer_says_why(serve, bundle):
    app = serve(bundle)
    if any(column.kind == "text" for column in model_service.default(app).require().predictor.schema.columns):
        return
    page = sent(app)
    answer = app.test_client().post("/predict", json={"rows": [example(app)], "explain": True}).get_json()
    parts = answer["predictions"][0]["explanation"]["contributions"]
    found = lines(page)
    assert found.keys() == {part["column"] for part in parts} == {"size", ODD, "rooms", "place", "day"}
    largest = max(abs(part["contribution"]) for part in parts)
    zero = float(re.search(r'class="part-zero" x1="([\d.]+)"', page)[1])
    for part in parts:
        value, amount, toward, start, width = found[part["column"]]
        assert value == controls.spelled(part["value"])
        assert number(amount) == pytest.approx(part["contribution"], abs=0.01 * largest)
        assert toward == ("for" if part["contribution"] > 0 else "against" if part["contribution"] < 0 else "none")
        edge = float(start) if toward == "for" else float(start) + float(width)
        assert edge == pytest.approx(zero, abs=0.02)
        assert 0 <= float(start) <= float(start) + float(width) <= 100.02


def test_words_are_marked_in_the_text_itself(serve, bundles):
    app = serve(bundles["text"])
    text = "A BAD film,\n<script>alert(1)</script> wonderful & warm"
    page = sent(app, {"review": text})
    (marked,) = re.findall(r'<p class="marked"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert "<script" not in marked
    assert html.unescape(re.sub(r"</?mark[^>]*>", "", marked)) == text
    sides = {word: side for side, word in re.findall(r'<mark class="(for|against) strength-\d">(\w+)</mark>', marked)}
    assert {"BAD", "wonderful"} <= sides.keys()
    assert sides["BAD"] != sides["wonderful"]
    assert "script" not in sides


def test_a_text_without_a_known_word(serve, bundles):
    page = sent(serve(bundles["text"]), {"review": "zyzzyva"})
    assert lines(page)["review"][:2] == ("no word that the model knows", "0.000")
    assert 'class="marked"' not in page


def test_trees_say_why_where_the_box_is_ticked(serve, bundles):
    app = serve(bundles["tree"])
    plain = sent(app)
    assert f'name="{controls.EXPLAIN}"' in plain
    assert 'class="why"' not in plain
    page = sent(app, **{controls.EXPLAIN: "on"})
    assert "percent of probability" in page
    assert f'name="{controls.EXPLAIN}" value="on" checked' in page
    assert sum(number(amount) for _, amount, *_ in lines(page).values()) > 0


def test_linear_models_need_no_box(serve, bundles):
    assert controls.EXPLAIN not in serve(bundles["binary"]).test_client().get("/").text


def test_what_cannot_be_explained_says_so(serve, neighbors):  # noqa: F811
    page = sent(serve(neighbors))
    assert explanation_chart.NEVER in page
    assert lines(page) == {}


def test_a_missing_package_is_told(serve, bundles, monkeypatch):
    monkeypatch.setattr(explanation_chart.explaining.tree_contributions, "installed", lambda: False)
    monkeypatch.setitem(sys.modules, "shap", None)
    page = sent(serve(bundles["tree"]))
    assert explanation_chart.MISSING in page
    assert controls.EXPLAIN not in page


def test_a_column_with_the_name_of_the_box_is_a_column_beside_the_box(serve, tmp_path):
    app = serve(make_bundle("binary", tmp_path / "bundle", "decision_tree", odd=controls.EXPLAIN))
    row = {controls.input_name(name): value for name, value in example(app).items()}
    assert 'class="why"' not in sent(app, row)
    assert 'class="why"' in sent(app, row, **{controls.EXPLAIN: "on"})


PIECES = [
    ("a Good one", {"good": 1.0}, [("a ", ""), ("Good", "for"), (" one", "")]),
    ("good bad", {"good": 1.0, "bad": -0.3}, [("good", "for"), (" ", ""), ("bad", "against")]),
    ("good meh", {"good": 1.0, "meh": 0.01}, [("good", "for"), (" meh", "")]),
    ("goodness", {"good": 1.0}, [("goodness", "")]),
    ("", {"good": 1.0}, []),
    ("plain", {}, [("plain", "")]),
]


@pytest.mark.parametrize(("text", "amounts", "expected"), PIECES)
def test_texts_are_cut_where_words_count(text, amounts, expected):
    assert [(one.text, one.toward) for one in explanation_chart.pieces(text, amounts, str.lower)] == expected

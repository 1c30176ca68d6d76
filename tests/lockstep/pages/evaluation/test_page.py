import re
from html.parser import HTMLParser

import msgspec
import pytest

from lockstep.evaluation import error_analysis
from lockstep.pages.evaluation import page
from tests.lockstep.pages.evaluation.conftest import content_of
from tests.lockstep.small_models import make

ORDER = ["verdict", "metrics", "champion", "references", "slices", "worst", "importance", "learning", "search", "cost"]


class Outline(HTMLParser):
    """Collect headings by id, and whatever would be fetched."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.fetched = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "h2":
            self.headings.append(given["id"])
        if tag in ("script", "link", "img", "iframe") or "src" in given or "style" in given:
            self.fetched.append((tag, given))


@pytest.fixture(scope="module")
def drawn(made):
    return made, page.html(content_of(made))


def test_sections_come_in_the_order_a_reader_asks_and_nothing_is_fetched(drawn):
    made, text = drawn
    outline = Outline(text)
    wrong = made.predictor.score(made.test)
    shown = [name for name in ORDER if name != "worst" or error_analysis.losses(wrong).any()]
    assert [name for name in outline.headings if name in ORDER] == shown
    assert outline.fetched == []
    assert "http" not in text
    assert len(set(outline.headings)) == len(outline.headings)


def test_each_task_has_its_own_pictures(drawn):
    made, text = drawn
    headings = Outline(text).headings
    classes = bool(made.predictor.schema.labels)
    assert ("confusion" in headings, "curves" in headings, "residuals" in headings) == (classes, classes, not classes)
    assert ("words" in headings) == (made.predictor.schema.task != "multiclass")


def test_refusals_come_first_and_are_said(drawn):
    text = drawn[1]
    assert "The gate refuses this model" in text
    assert text.index("accuracy is 0.7, must be at least 0.9") < text.index("0 of 32 rows are answered")


def test_every_drawing_has_a_label(drawn):
    images = re.findall(r"<svg[^>]*>", drawn[1])
    assert len(images) >= 8
    assert [one for one in images if not re.search(r'aria-label="[^"]+"', one)] == []
    assert re.findall(r"\bnan\b|\binf\b", "".join(re.findall(r'\bd="[^"]*"', drawn[1]))) == []


def test_the_same_content_gives_the_same_bytes(made):
    content = content_of(made)
    assert page.html(content) == page.html(content)


def test_b36_a_leak_is_called_out_on_top():
    content = content_of(make("binary"))
    facts = msgspec.structs.replace(content.facts, leaks={"<b>copy</b>": 0.9991})
    text = page.html(page.ReportContent(**{**vars(content), "facts": facts}))
    assert Outline(text).headings[0] == "leak"
    assert "<b>copy" not in text
    assert "&lt;b&gt;copy" in text
    assert "99.9" in text
    assert 'id="leak"' not in page.html(content)


def test_what_was_left_out_has_no_section():
    content = content_of(make("regression"), note="No version is Production yet.")
    left_out = {"learning_curve": None, "references": None, "importance": None, "words": None, "worst": []}
    weakest = msgspec.structs.replace(content.facts.weakest, slices=[], looked_at=0)
    facts = msgspec.structs.replace(content.facts, **left_out, weakest=weakest)
    text = page.html(page.ReportContent(**{**vars(content), "facts": facts}))
    headings = Outline(text).headings
    assert {"learning", "references", "importance", "words", "worst"} & set(headings) == set()
    assert "No version is Production yet." in text


def test_trials_show_the_chosen_first():
    search = {
        "metric": "rmse",
        "best": 20,
        "trials": [{"estimator": f"e{place}", "params": {}, "scores": [place / 30]} for place in range(30)],
    }
    found = page.trials(search, [{"fit_s": float(place)} for place in range(30)])
    assert len(found) == page.MOST_TRIALS
    assert [one["estimator"] for one in found[:3]] == ["e20", "e0", "e1"]
    assert (found[0]["status"], found[0]["fit_s"]) == ("chosen", 20)
    alone = {"metric": "accuracy", "best": 0, "trials": [{"estimator": "a", "params": {"C": 1}, "scores": []}]}
    assert [(one["mean"], one["params"], one["fit_s"]) for one in page.trials(alone, [])] == [(None, "C 1", None)]

import re
import time
from html.parser import HTMLParser

import msgspec
import pytest

from lockstep.decision import Check, Decision
from lockstep.drift.results import (
    Alert,
    Distribution,
    DriftWindow,
    LogState,
    ModelState,
    Snapshot,
    Traffic,
    VersionInfo,
)
from lockstep.html import templates
from lockstep.pages import monitoring
from tests.lockstep import example_snapshot
from tests.root import ROOT

VOID = ("meta", "link", "img", "input", "br", "path", "rect")


class Balance(HTMLParser):
    """Notes tags that are not closed, ids that stand twice, and attributes that the app's policy forbids."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.fetched = [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [tag] * (tag in ("script", "link", "img"))
        for name, value in attributes:
            self.fetched += [value] * (name in ("src", "href") and not value.startswith("#"))
            if name == "id":
                self.faults += [f"id {value} twice"] * (value in self.ids)
                self.ids.append(value)
            if name == "style" or name.startswith("on"):
                self.faults.append(f"{name} in {tag}")

    def handle_endtag(self, tag):
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.faults.append(f"{tag} closes nothing")


def checked(text):
    balance = Balance()
    balance.feed(text)
    assert (balance.faults, balance.open) == ([], [])
    return balance


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_one_file_needs_nothing_else():
    page = monitoring.html(example_snapshot.snapshot())
    assert checked(page).fetched == []
    assert not re.search(r"url\(|@import", page)
    assert page.count("<h1>") == 2


def test_everything_known_is_shown():
    shown = text_of(monitoring.fragment(example_snapshot.snapshot(), "tumours"))
    for words in (
        "version 11",
        "since 2026-11-15 14:00 UTC , by ana",
        "worst radius",
        "KS 0.48, q 6e-08, two windows in a row",
        "it did not answer for 4 minutes",
        "accuracy 0.91 is below 0.948 of version 11",
        "refused",
        "0.956 (95 % 0.930 to 0.974)",
        "answers 10 % of the requests",
        "0.014 (95 % -0.006 to 0.034)",
        "about 1,900 needed",
        "8 % of the rows are larger than anything in training",
        "29 quiet features",
        "1,204,331",
        "drift: worst radius of version 11",
        "version 13: 0.91 is below 0.948",
        "0.61 ms",
    ):
        assert words in shown, words


def test_names_cannot_become_markup():
    page = str(monitoring.fragment(example_snapshot.snapshot(), "tumours"))
    assert "<img" not in page
    checked(page)
    for name in ('"><script>', "</style>"):
        state = Snapshot(
            0.0, models={name: ModelState(name, "binary")}, alerts=[Alert(1, "log", "", "", name, "page", name, 0)]
        )
        checked(monitoring.html(state))


def test_a_model_that_has_just_begun():
    shown = text_of(monitoring.fragment(example_snapshot.snapshot(), "fresh"))
    for words in (
        "No prediction is logged yet",
        "No prediction has a label yet",
        "No window of predictions is full yet",
    ):
        assert words in shown


def test_an_hour_without_a_prediction():
    quiet = ModelState("m", "binary", traffic=[Traffic(60, [0.0, 60.0], {})], latency={})
    assert "No prediction since 1970-01-01 00:00 UTC" in text_of(
        monitoring.fragment(Snapshot(90.0, models={"m": quiet}), "m")
    )


def default_of(field):
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def stripped(struct):
    """Yield copies of a struct, each with one optional part, at any depth, left out."""
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if not field.required:
            yield msgspec.structs.replace(struct, **{field.name: default_of(field)})
        inner = value[0] if isinstance(value, list) and value else value
        for smaller in stripped(inner) if isinstance(inner, msgspec.Struct) else ():
            yield msgspec.structs.replace(struct, **{field.name: [smaller] if isinstance(value, list) else smaller})


def test_whatever_is_not_known_is_left_out():
    smaller = list(stripped(example_snapshot.model(example_snapshot.AT)))
    for model in smaller:
        checked(str(monitoring.fragment(Snapshot(example_snapshot.AT, models={"tumours": model}), "tumours")))
    assert len(smaller) > 40


def test_an_empty_snapshot():
    assert "No model has been looked at yet" in monitoring.html(Snapshot(0.0))


def test_a_log_that_is_away_is_told():
    state = Snapshot(0.0, LogState(False, "no database at db:5432", lost=3), {"m": ModelState("m", "binary")})
    shown = text_of(monitoring.fragment(state, "m"))
    assert "no database at db:5432" in shown
    assert "out of reach" in shown


def test_open_alerts_come_first_and_only_of_this_model():
    own = [
        Alert(n, "drift", "m", "1", f"a{n}", "page", "", n, closed) for n, closed in ((1, None), (2, 5.0), (3, None))
    ]
    state = Snapshot(
        9.0, models={"m": ModelState("m", "binary")}, alerts=[*own, Alert(4, "drift", "o", "1", "a4", "page", "", 1)]
    )
    page = str(monitoring.fragment(state, "m"))
    assert "a4" not in page
    assert page.index("<b>a3") < page.index("<b>a1") < page.index(">a2")


def test_the_last_hour_counts_predictions_of_the_finest_traffic():
    of = [Traffic(3_600, [0.0], {"1": [900]}), Traffic(60, [0.0, 60.0, 3_540.0], {"1": [1, 2, 3], "2": [10, 20, 30]})]
    assert monitoring.within(of, 30.0) == 55
    assert monitoring.within([], 0.0) == 0


@pytest.mark.parametrize("span", [60, 3_600, 86_400])
def test_traffic_is_shown_by_the_length_that_is_asked_for(span):
    page = str(monitoring.fragment(example_snapshot.snapshot(), "tumours", span, links=True))
    assert re.search(rf'href="\?model=tumours&amp;span={span}" aria-current="true"', page)
    assert (
        text_of(str(monitoring.fragment(example_snapshot.snapshot(), "tumours", 7, links=True))).count("by the minute")
        == 2
    )


def test_drift_is_shown_of_the_versions_in_a_role():
    model = example_snapshot.model(example_snapshot.AT)
    assert [window.version for window in monitoring.latest(model)] == ["11", "12"]
    model.production = model.challenger = None
    assert [window.version for window in monitoring.latest(model)] == ["11"]
    assert monitoring.latest(ModelState("m", "binary", drift=[DriftWindow("4", 0, 1, 9, "quiet")]))[0].version == "4"


def test_many_categories_are_folded():
    window = Distribution([0.1] * 10, labels=list("abcdefghij"))
    shown = monitoring.paired(window, Distribution([1.0], labels=["k"]))
    assert [name for name, _, _ in shown] == ["k", *"abcdefg", "3 more"]
    assert shown[0][1:] == (0.0, 1.0)
    assert shown[-1][1:] == (pytest.approx(0.3), 0.0)


def test_colours_of_the_file_are_those_of_the_app():
    theirs = (ROOT / "flask_app/static/app.css").read_text(encoding="utf-8")
    for name, value in re.findall(r"(--(?!shadow)[a-z-]+): (#\w+);", templates.style("report.css")):
        assert f"{name}: {value};" in theirs


def test_a_day_by_the_minute_is_drawn_fast():
    few, many = example_snapshot.snapshot(), example_snapshot.snapshot()
    many.models["tumours"].traffic = [example_snapshot.traffic(example_snapshot.AT, 60, 1_440)]
    monitoring.fragment(few, "tumours")
    started = time.perf_counter()
    monitoring.fragment(many, "tumours")
    assert time.perf_counter() - started < 1


def gated(forced, passed):
    gate = Decision((Check("calibration", passed, "off by <i>0.2</i>"),), "worse", "7")
    info = VersionInfo("8", forced=forced, forced_reason="the old one <b>harms</b> (ann)" if forced else "", gate=gate)
    return str(monitoring.fragment(Snapshot(0.0, models={"m": ModelState("m", "binary", production=info)}), "m"))


def test_a_version_that_was_forced_cannot_be_missed():
    page = gated(forced=True, passed=False)
    checked(page)
    assert page.index("went live against the gate") < page.index('class="tiles"')
    assert "the old one &lt;b&gt;harms&lt;/b&gt; (ann)" in page
    assert "went live against the gate" not in gated(forced=False, passed=True)


@pytest.mark.parametrize(("passed", "words"), [(True, "all passed"), (False, "1 refused")])
def test_the_answers_of_the_gate_are_shown(passed, words):
    page = gated(forced=False, passed=passed)
    shown = text_of(page)
    assert f"Gate of version 8: 1 check, {words}; worse against version 7" in shown
    assert "calibration" in shown and "off by &lt;i&gt;0.2&lt;/i&gt;" in shown
    assert ("open" in page[page.index('id="gate-1"') : page.index("Gate of version 8")]) != passed

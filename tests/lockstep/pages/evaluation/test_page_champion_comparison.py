"""The page shows the gate's own comparison: made-up pairs of models, and the same numbers and words on both."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from lockstep.decision import Check, Decision
from lockstep.gate import checks
from lockstep.gate.champion import PairedScores
from lockstep.gate.checks import CandidateEvidence, ChampionEvidence, GateRules
from lockstep.metrics.scores import Scored
from lockstep.pages.evaluation import page
from tests.lockstep.pages.evaluation.conftest import content_of
from tests.lockstep.small_models import make

ROWS = 300
PAIRS = [
    (task, gain, known)
    for task in ("binary", "regression")
    for gain in (-0.2, -0.05, 0.0, 0.05, 0.2)
    for known in ("all fair", "champion knows some rows")
]
METRIC = {"binary": "roc_auc", "regression": "rmse"}


def scored(task, truth, noise):
    if task == "regression":
        return Scored(truth, truth + noise)
    chances = 1 / (1 + np.exp(-(2 * truth - 1) * 1.2 - noise))
    return Scored(truth, (chances > 0.5).astype(int), np.column_stack((1 - chances, chances)))


def decision_on(task, gain, known, place):
    """Return the gate's decision; where the champion knows a third of the rows, it is always right there."""
    random = np.random.default_rng(place)
    truth = random.integers(0, 2, ROWS) if task == "binary" else random.normal(size=ROWS)
    own, other = (random.normal(size=ROWS) * (1 + sign * gain) * 1.5 for sign in (-1, 1))
    fair = np.ones(ROWS, bool)
    if known != "all fair":
        fair[::3] = False
        other[::3] = 10 * (2 * truth[::3] - 1) if task == "binary" else 0.0
    schema = make(task).predictor.schema
    pair = PairedScores(scored(task, truth, own), scored(task, truth, other), fair=fair)
    return checks.decide(
        CandidateEvidence(schema), ChampionEvidence("7", schema, pair), GateRules(METRIC[task], resamples=100)
    )


@pytest.fixture(scope="module")
def contents():
    return {task: content_of(make(task)) for task in METRIC}


def section(text):
    (found,) = re.findall(r'<section class="card" aria-labelledby="champion">.*?</section>', text, re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found)).split())


@pytest.mark.parametrize(("place", "pair"), list(enumerate(PAIRS)), ids=str)
def test_page_and_gate_say_the_same_of_each_pair(contents, place, pair):
    task, _, known = pair
    decision = decision_on(*pair, place)
    (check,) = [one for one in decision.checks if one.name.endswith("than the champion")]
    told = re.fullmatch(
        r"(\w+) is (\S+) against the champion on the same (\d+) rows, 95 % between (\S+) and ([^:]+): ([^;]+)(;.*)?",
        check.reason,
    )
    _, difference, rows, low, high, verdict, _ = told.groups()
    text = section(page.html(replace(contents[task], decision=Decision.from_json(decision.to_json()))))
    assert f"Verdict of the gate: {verdict}." in text
    assert f"is {difference} against version 7 on the same {rows} test rows, 95 % between {low} and {high}." in text
    assert re.search(rf"{re.escape(difference)} {re.escape(low)} to {re.escape(high)} {verdict}\b", text)
    assert int(rows) == (ROWS if known == "all fair" else 200)
    assert ("100 test rows are left out" in text) == (known != "all fair")


def test_the_pairs_have_every_verdict():
    verdicts = {decision_on(*pair, place).verdict for place, pair in enumerate(PAIRS)}
    assert verdicts == {"better", "the same within noise", "worse"}


@pytest.mark.parametrize(
    ("decision", "note", "shown"),
    [
        (None, "", "lockstep promote --dry-run"),
        (None, "Not compared with Production: it is away.", "it is away"),
        (Decision(()), "", "no champion to compare with"),
        (Decision((Check("clients of the champion", False, "column 'a' is gone"),), "", "7"), "", "column 'a' is gone"),
        (
            Decision((Check("not worse than the champion", False, "no roc_auc here"),), "not measurable", "7"),
            "",
            "no roc_auc here",
        ),
    ],
)
def test_why_there_is_no_comparison_is_shown(contents, decision, note, shown):
    assert shown in section(page.html(replace(contents["binary"], decision=decision, note=note)))

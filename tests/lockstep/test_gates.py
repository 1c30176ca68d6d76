import dataclasses
import json

import numpy as np
import pytest

from lockstep import gates
from lockstep.data.schema import Column, Schema
from lockstep.gates import Check, Decision
from lockstep.modeling.metrics import Scored

SCHEMA = Schema(
    "binary", "y", ("no", "yes"), (Column("age", "numeric", False, 1.0), Column("town", "categorical", True, "Bonn"))
)


def scored(right, rows=400):
    """Return rows of which a share is answered right, spread evenly."""
    truth = np.arange(rows) % 2
    wrong = np.arange(rows) % 100 >= right * 100
    predicted = np.where(wrong, 1 - truth, truth)
    return Scored(truth, predicted, np.eye(2)[predicted] * 0.8 + 0.1)


@pytest.mark.parametrize(
    ("name", "value", "bound", "passed", "reason"),
    [
        ("accuracy", 0.9, 0.9, True, "accuracy is 0.9, must be at least 0.9"),
        ("accuracy", 0.89, 0.9, False, "accuracy is 0.89, must be at least 0.9"),
        ("rmse", 3.0, 3.0, True, "rmse is 3, must be at most 3"),
        ("rmse", 3.1, 3.0, False, "rmse is 3.1, must be at most 3"),
        ("r2", float("nan"), 0.1, False, "r2 is nan, must be at least 0.1"),
        ("log_loss", float("nan"), 0.1, False, "log_loss is nan, must be at most 0.1"),
    ],
)
def test_floors(name, value, bound, passed, reason):
    assert list(gates.floors({name: value, "f1": 0.0}, {name: bound})) == [Check(f"floor of {name}", passed, reason)]


@pytest.mark.parametrize(
    ("candidate", "constant", "name", "passed"),
    [
        (0.7, 0.5, "accuracy", True),
        (0.5, 0.5, "accuracy", False),
        (0.7, 0.5, "log_loss", True),
        (0.5, 0.7, "log_loss", False),
    ],
)
def test_better_than_a_constant(candidate, constant, name, passed):
    assert gates.better_than_constant(scored(candidate), scored(constant), name).passed == passed


@pytest.mark.parametrize(("differing", "passed"), [(0, True), (1, False)])
def test_no_skew(differing, passed):
    check = gates.no_skew(differing, 200)
    assert (check.passed, check.reason) == (
        passed,
        f"{differing} of 200 rows are answered differently when sent as JSON",
    )


@pytest.mark.parametrize(("refused", "rows", "passed"), [(0, 5, True), (1, 100, True), (1, 99, False), (2, 100, False)])
def test_rows_accepted(refused, rows, passed):
    assert gates.rows_accepted(refused, rows).passed == passed


@pytest.mark.parametrize(
    ("candidate", "champion", "name", "passed"),
    [
        pytest.param(0.9, 0.9, "accuracy", True, id="equal"),
        pytest.param(0.9, 0.6, "accuracy", True, id="better"),
        pytest.param(0.9, 0.92, "accuracy", False, id="worse-on-the-same-rows"),
        pytest.param(0.6, 0.9, "accuracy", False, id="far-worse"),
        pytest.param(0.6, 0.9, "log_loss", False, id="far-worse-where-less-is-better"),
        pytest.param(0.9, 0.6, "log_loss", True, id="better-where-less-is-better"),
    ],
)
def test_not_worse_than_the_champion(candidate, champion, name, passed):
    check = gates.not_worse(scored(candidate), scored(champion), name, 200, seed=1)
    assert check.passed == passed, check.reason
    assert check.reason.startswith(f"{name} is {'+' if candidate >= champion else '-'}")
    assert "on the same 400 rows" in check.reason


def test_worse_within_noise_passes():
    random = np.random.default_rng(0)
    truth = np.arange(100) % 2
    one, other = (np.where(random.random(100) < share, truth, 1 - truth) for share in (0.78, 0.82))
    candidate, champion = (Scored(truth, answers, np.eye(2)[answers]) for answers in (one, other))
    assert (one == truth).sum() < (other == truth).sum()
    assert gates.not_worse(candidate, champion, "accuracy", 500, seed=1).passed


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        pytest.param(SCHEMA, None, id="same"),
        pytest.param(dataclasses.replace(SCHEMA, columns=SCHEMA.columns[::-1]), None, id="other-order"),
        pytest.param(
            dataclasses.replace(SCHEMA, columns=(*SCHEMA.columns, Column("size", "numeric", True, None))),
            "column 'size' is new",
            id="B41-new-column",
        ),
        pytest.param(
            dataclasses.replace(SCHEMA, columns=SCHEMA.columns[:1]), "column 'town' is gone", id="B41-column-gone"
        ),
        pytest.param(
            dataclasses.replace(SCHEMA, columns=(SCHEMA.columns[0], Column("town", "text", True, None))),
            "column 'town' is text, was categorical",
            id="B41-other-kind",
        ),
        pytest.param(
            dataclasses.replace(SCHEMA, labels=("no", "oui")),
            "it answers binary ['no', 'oui'], not binary ['no', 'yes']",
            id="other-labels",
        ),
        pytest.param(
            dataclasses.replace(SCHEMA, task="regression", labels=()),
            "it answers regression [], not binary ['no', 'yes']",
            id="other-task",
        ),
    ],
)
def test_same_clients(changed, problem):
    check = gates.same_clients(changed, SCHEMA)
    assert check == Check(
        "clients of the champion", problem is None, problem or "takes and answers what the champion does"
    )


def test_a_decision_passes_if_every_check_does():
    good, bad = Check("a", True, "fine"), Check("b", False, "b is poor")
    assert Decision((good, good)).passed
    decision = Decision((good, bad))
    assert (decision.passed, decision.refusals) == (False, ["b is poor"])
    content = json.loads(json.dumps(decision.to_json()))
    assert content["passed"] is False
    assert Decision.from_json(content) == decision

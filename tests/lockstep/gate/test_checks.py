import dataclasses
import math

import numpy as np
import pytest

from lockstep.config.params import Gate, ModelEvaluation
from lockstep.data.schema import Column, Schema
from lockstep.decision import Check
from lockstep.errors import ConfigError
from lockstep.gate import checks
from lockstep.gate.checks import CandidateEvidence, ChampionEvidence, Cost, GateRules, HoldoutEvidence, PairedScores
from lockstep.metrics.scores import Scored
from lockstep.metrics.slices import Slice

ROWS = 400
AGE, TOWN = Column("age", "numeric", False, 1.0, 0.0, 90.0), Column("town", "categorical", True, "Bonn")
SCHEMA = Schema("binary", "y", ("no", "yes"), (AGE, TOWN))


def with_columns(*columns):
    return dataclasses.replace(SCHEMA, columns=columns)


def town(*categories, **changes):
    return with_columns(AGE, dataclasses.replace(TOWN, categories=categories, **changes))


def classes(right=0.9, rows=ROWS, sure=0.9, wrong_at=None):
    """Return rows of which a share is answered right, spread evenly, and `sure` of every answer."""
    truth = np.arange(rows) % 2
    wrong = np.arange(rows) % 100 >= right * 100 if wrong_at is None else wrong_at
    predicted = np.where(wrong, 1 - truth, truth)
    return Scored(truth, predicted, np.where(np.eye(2)[predicted] == 1, sure, 1 - sure))


def values(error, rows=ROWS, more_at=None, more=0.0):
    """Return values that are off by an error that alternates, and by more at some rows."""
    truth = np.arange(rows, dtype=float)
    own = np.full(rows, float(error)) + (0.0 if more_at is None else more * more_at)
    return Scored(truth, truth + own * np.where(np.arange(rows) % 2, 1, -1) * (1 + 0.2 * np.sin(truth)))


NAN = Scored(np.zeros(ROWS, dtype=int), np.zeros(ROWS, dtype=int), np.full((ROWS, 2), 0.5))
"""Rows of one label, so that there is no ROC."""

HALF = np.arange(ROWS) < ROWS // 2
SOME = np.arange(ROWS) < 40


def alone(own=None, constant=None, metric="accuracy", floors=None, **facts):
    """Let the gate decide on what the evaluation finds out."""
    own, rest = own or classes(), {"differing": 0, "refused": 0, "alone": {}, "trusted": (), "calibration": 0.1}
    rest |= facts
    examined = HoldoutEvidence(own, constant or classes(0.5), rest["differing"], 200, rest["refused"], rest["alone"])
    rules = GateRules(metric, floors or {}, rest["trusted"], Gate(calibration=rest["calibration"]), 200, 1)
    return checks.decide(CandidateEvidence(SCHEMA, examined), None, rules)


def serving(rolled_back="", recorded=()):
    """Let the gate decide on a version whose evaluation is on record."""
    return checks.decide(
        CandidateEvidence(SCHEMA, None, recorded, Cost(1.0, 1.0), rolled_back), None, GateRules("accuracy")
    )


def budget(latency_ms=1.0, size_mb=1.0, latency=None, size=None):
    """Let the gate decide on what serving costs, beside a budget."""
    candidate = CandidateEvidence(SCHEMA, cost=Cost(latency_ms, size_mb))
    return checks.decide(candidate, None, GateRules("accuracy", gate=Gate(latency_ms=latency, size_mb=size)))


def beside(own, other, metric="accuracy", slices=(), fair="all", late=None, **asked):
    """Let the gate decide on a candidate beside a champion."""
    fair = np.ones(own.rows, dtype=bool) if isinstance(fair, str) else fair
    origins = () if late is None else (Slice("origin", "source", ~late), Slice("origin", "feedback", late))
    paired = PairedScores(own, other, tuple(Slice("town", name, rows) for name, rows in slices), fair, origins)
    rules = GateRules(metric, gate=Gate(**asked), resamples=200, seed=1)
    schema = SCHEMA if own.classes else dataclasses.replace(SCHEMA, task="regression", labels=())
    return checks.decide(CandidateEvidence(schema), ChampionEvidence("7", schema, paired), rules)


def clients(candidate, champion=SCHEMA):
    """Let the gate decide on schemas alone."""
    return checks.decide(CandidateEvidence(candidate), ChampionEvidence("7", champion), GateRules("accuracy"))


def row(name, decision, passed, *words):
    return pytest.param(decision, passed, words, id=name)


ALONE = [
    row("floor-reached", lambda: alone(floors={"accuracy": 0.9}), True, "accuracy is 0.9, must be at least 0.9"),
    row("floor-missed", lambda: alone(floors={"accuracy": 0.9001}), False, "accuracy is 0.9, must be at least 0.9001"),
    row("one-floor-of-two", lambda: alone(floors={"accuracy": 0.8, "f1": 0.95}), False, "f1 is 0.9, must be at"),
    row("ceiling-kept", lambda: alone(values(3), values(9), "rmse", {"mae": 3.1}), True, "must be at most 3.1"),
    row("ceiling-broken", lambda: alone(values(3), values(9), "rmse", {"mae": 2.9}), False, "must be at most 2.9"),
    row("nan-misses-a-floor", lambda: alone(NAN, floors={"roc_auc": 0.1}, calibration=None), False, "roc_auc is nan"),
    row(
        "b35-no-better-than-constant", lambda: alone(classes(0.5), calibration=None), False, "constant answer gives 0.5"
    ),
    row("better-than-constant", lambda: alone(classes(0.51), calibration=None), True, "accuracy is 0.51"),
    row("constant-error", lambda: alone(values(9), values(9), "rmse"), False, "the best constant answer gives"),
    row("less-error-than-constant", lambda: alone(values(8.9), values(9), "rmse"), True, "the best constant"),
    row(
        "nan-is-no-better-than-constant", lambda: alone(NAN, NAN, "roc_auc", calibration=None), False, "roc_auc is nan"
    ),
    row("no-skew", lambda: alone(differing=0), True, "0 of 200 rows are answered differently"),
    row("skew-of-one-row", lambda: alone(differing=1), False, "1 of 200 rows are answered differently when sent as"),
    row("one-row-in-a-hundred-refused", lambda: alone(refused=4), True, "4 of 400 test rows do not fit"),
    row("more-rows-refused", lambda: alone(refused=5), False, "5 of 400 test rows do not fit the schema"),
    row("b36-leak", lambda: alone(alone={"votes": 1.0}), False, "leakage by 'votes' (1)", "columns.ignore"),
    row("leak-trusted", lambda: alone(alone={"votes": 1.0}, trusted=("votes",)), True, "no column leaks"),
    row("one-leak-of-two-trusted", lambda: alone(alone={"a": 1.0, "b": 1.0}, trusted=("b",)), False, "'a' (1)"),
    row("calibrated", lambda: alone(classes(0.9, sure=0.9)), True, "off by 0.0000 on average"),
    row("too-sure", lambda: alone(classes(0.7, sure=0.9)), False, "off by 0.2000 on average", "at most 0.1 more"),
    row("too-sure-but-few-rows", lambda: alone(classes(0.7, 20, sure=0.9)), True, "may be chance in 20 rows"),
    row("too-modest", lambda: alone(classes(0.95, sure=0.7)), False, "off by 0.2500 on average"),
    row("calibration-not-asked", lambda: alone(classes(0.7, sure=0.9), calibration=None), True),
    row("calibration-of-values-not-asked", lambda: alone(values(3), values(9), "rmse"), True),
]

SERVING = [
    row("no-budget", lambda: serving(), True, "1 ms for one row; no budget is set", "1 MB; no budget is set"),
    row("fast-enough", lambda: budget(5.0, latency=5.0), True, "5 ms"),
    row("too-slow", lambda: budget(5.01, latency=5.0), False, "5.01 ms for one row, may be at most 5"),
    row("small-enough", lambda: budget(size_mb=20.0, size=20.0), True, "20 MB, may be at most 20"),
    row("too-large", lambda: budget(size_mb=20.5, size=20.0), False, "20.5 MB, may be at most 20"),
    row("rolled-back", lambda: serving(rolled_back="version 3 was rolled back"), False, "version 3 was rolled back"),
    row("recorded", lambda: serving(recorded=(Check("no skew", True, "none"),)), True, "none"),
    row("refused-before", lambda: serving(recorded=(Check("evaluation", False, "f1 is 0"),)), False, "f1 is 0"),
]


BESIDE = [
    row("equal", lambda: beside(classes(), classes()), True, "+0 against the champion on the same 400 rows", "same wi"),
    row("better", lambda: beside(classes(0.9), classes(0.6)), True, "accuracy is +0.3", ": better"),
    row("worse", lambda: beside(classes(0.8), classes(0.9)), False, "accuracy is -0.1", ": worse"),
    row("little-worse", lambda: beside(classes(0.88), classes(0.9)), False, "accuracy is -0.02", ": worse"),
    row("within-noise", lambda: beside(classes(0.89), classes(wrong_at=swapped(40))), True, "the same within noise"),
    row("less-loss", lambda: beside(classes(0.9), classes(0.6), "log_loss"), True, "log_loss is +", ": better"),
    row("more-loss", lambda: beside(classes(0.6), classes(0.9), "log_loss"), False, "log_loss is -", ": worse"),
    row("less-error", lambda: beside(values(3), values(4), "rmse"), True, "rmse is +", ": better"),
    row("more-error", lambda: beside(values(4), values(3), "rmse"), False, "rmse is -", ": worse"),
    row("must-be-better", lambda: beside(classes(), classes(), require="better"), False, "the same within noise"),
    row("must-be-better-is", lambda: beside(classes(), classes(0.6), require="better"), True, ": better"),
    row("must-be-better-is-worse", lambda: beside(classes(0.6), classes(), require="better"), False, ": worse"),
    row("nan-beside", lambda: beside(NAN, NAN, "roc_auc"), False, "roc_auc cannot be measured on these 400 rows"),
    row("data-changed", lambda: beside(classes(), classes(), fair=None), True, "the data changed since", "flatters"),
    row("rows-left-out", lambda: beside(classes(), classes(), fair=~SOME), True, "same 360 rows", "40 rows are left o"),
    row("flattered", lambda: beside(classes(), classes(), fair=SOME), True, "same 400 rows", "on 360 of these rows, w"),
    row("worse-on-unfair-rows-alone", lambda: beside(worse_at(SOME), classes(), fair=~SOME), True, "same within noise"),
    row("worse-on-fair-rows", lambda: beside(worse_at(HALF), classes(), fair=HALF), False, ": worse"),
]


def swapped(count):
    """Mark as many rows as `classes(0.9)` gets wrong, others at that."""
    return np.isin(np.arange(ROWS), np.arange(0, ROWS, 10)[:count])


def worse_at(rows):
    return classes(wrong_at=(np.arange(ROWS) % 100 >= 90) | (rows & (np.arange(ROWS) % 5 == 0)))


PARTS = (("Bonn", SOME), ("Rome", ~SOME))
BETTER_BUT_SOME = classes(wrong_at=SOME & (np.arange(ROWS) % 2 == 0))
"""Right everywhere but on half of forty rows: better in all than nine of ten right, and worse on these."""

TENTH, TEN = np.arange(ROWS) % 10 == 0, np.arange(ROWS) < 19
ONE_CLASS = (np.arange(ROWS) < 80) & (np.arange(ROWS) % 2 == 0)
SLICES = [
    row("slices-hold", lambda: beside(classes(), classes(), slices=PARTS), True, "none of 2 slices is worse by more"),
    row(
        "slice-worse-though-better-in-all",
        lambda: beside(BETTER_BUT_SOME, classes(0.9), slices=PARTS),
        False,
        "1 of 2 slices are worse by more than 0.02 beyond noise",
        "town Bonn (40 rows): accuracy 0.5, was 1",
    ),
    row("slice-within-margin", lambda: beside(BETTER_BUT_SOME, classes(), slices=PARTS, slice_margin=0.6), True),
    row("slice-too-small", lambda: beside(BETTER_BUT_SOME, classes(), slices=(("Ulm", SOME & TEN),)), True, "of 0 sl"),
    row("slice-noise", lambda: beside(one_more_wrong(), classes(), slices=PARTS, slice_margin=0), True, "none of 2"),
    row(
        "slice-of-values",
        lambda: beside(values(3, more_at=SOME, more=3), values(4), "mae", slices=PARTS),
        False,
        "worse by more than 2 % beyond noise: town Bonn (40 rows): mean absolute error",
    ),
    row(
        "both-origins",
        lambda: beside(classes(), classes(), late=SOME),
        True,
        "the same",
        "on the 40 test rows of the feed",
    ),
    row(
        "source-lost-for-feedback",
        lambda: beside(classes(wrong_at=~SOME & TENTH), classes(wrong_at=SOME), late=SOME),
        False,
        "is -0.1 on the 360 test rows of the source",
    ),
    row(
        "feedback-lost-for-source",
        lambda: beside(classes(wrong_at=SOME), classes(wrong_at=~SOME & TENTH), late=SOME),
        False,
        "is -1 on the 40 test rows of the feedback",
    ),
    row(
        "labels-of-one-class",
        lambda: beside(classes(wrong_at=ONE_CLASS), classes(), "roc_auc", late=ONE_CLASS),
        False,
        "accuracy is -1 on the 40 test rows of the feedback",
    ),
    row("too-few-labels", lambda: beside(classes(wrong_at=TEN), classes(wrong_at=TEN), late=TEN), True, "the 381 test"),
    row("slice-unfair-rows", lambda: beside(BETTER_BUT_SOME, classes(), slices=PARTS, fair=~SOME), True, "none of 1"),
]


def one_more_wrong():
    return classes(wrong_at=(np.arange(ROWS) % 100 >= 90) | np.isin(np.arange(ROWS), [3, 7]))


MORE = Column("size", "numeric", True, None)
FAR = dataclasses.replace(AGE, maximum=1e300)
CLIENTS = [
    row("same-clients", lambda: clients(SCHEMA), True, "takes and answers what the champion does"),
    row("other-order", lambda: clients(with_columns(TOWN, AGE)), True),
    row(
        "b41-new-column", lambda: clients(with_columns(AGE, TOWN, Column("x", "text", True, None))), False, "'x' is new"
    ),
    row("b41-column-gone", lambda: clients(with_columns(AGE)), False, "column 'town' is gone"),
    row(
        "b41-other-kind",
        lambda: clients(with_columns(AGE, Column("town", "text", True, None))),
        False,
        "column 'town' is text, was categorical",
    ),
    row(
        "other-labels",
        lambda: clients(dataclasses.replace(SCHEMA, labels=("no", "oui"))),
        False,
        "it answers binary ['no', 'oui'], not binary ['no', 'yes']",
    ),
    row(
        "other-task",
        lambda: clients(dataclasses.replace(SCHEMA, task="regression", labels=())),
        False,
        "it answers regression [], not binary ['no', 'yes']",
    ),
    row("null-refused", lambda: clients(town(nullable=False)), False, "column 'town' takes no null any more"),
    row("null-taken", lambda: clients(SCHEMA, town(nullable=False)), True),
    row("numbers-refused", lambda: clients(SCHEMA, with_columns(FAR, TOWN)), False, "'age' takes numbers up to 1e+30"),
    row("numbers-taken", lambda: clients(with_columns(FAR, TOWN)), True),
    row(
        "category-gone",
        lambda: clients(town("Bonn", unknown="refuse"), town("Bonn", "Ulm", unknown="refuse")),
        False,
        "column 'town' refuses 'Ulm', which the champion takes",
    ),
    row("category-gone-but-welcome", lambda: clients(town("Bonn"), town("Bonn", "Ulm", unknown="refuse")), True),
    row("category-new", lambda: clients(town("a", "b", unknown="refuse"), town("a", unknown="refuse")), True),
    row(
        "unknown-categories-refused",
        lambda: clients(town("Bonn", unknown="refuse"), town("Bonn")),
        False,
        "column 'town' refuses unknown categories, which the champion takes",
    ),
]


@pytest.mark.parametrize(("decision", "passed", "words"), [*ALONE, *SERVING, *BESIDE, *SLICES, *CLIENTS])
def test_facts_pass_or_are_refused_for_a_reason(decision, passed, words):
    decided = decision()
    told = "; ".join(check.reason for check in decided.checks if passed or not check.passed)
    assert decided.passed == passed, told
    assert [word for word in words if word not in told] == [], told
    assert len(decided.refusals) == (not passed), decided.refusals


def test_the_table_is_long_enough_to_mean_something():
    assert len([*ALONE, *SERVING, *BESIDE, *SLICES, *CLIENTS]) >= 40


def test_every_check_passes_somewhere_and_refuses_somewhere():
    seen = {True: set(), False: set()}
    for case in [*ALONE, *SERVING, *BESIDE, *SLICES, *CLIENTS]:
        for check in case.values[0]().checks:
            seen[check.passed].add(check.name.split(" of ")[0])
    assert seen[False] - {"not rolled back", "evaluation"} == seen[True]
    assert len(seen[True]) == 14


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        (classes(0.9), classes(0.6), "better"),
        (classes(0.9), classes(0.9), "the same within noise"),
        (classes(0.6), classes(0.9), "worse"),
    ],
)
def test_the_verdict_is_one_of_three(own, other, verdict):
    decided = beside(own, other)
    assert (decided.verdict, decided.against) == (verdict, "7")


def test_without_a_champion_there_is_no_verdict():
    assert (alone().verdict, alone().against) == ("", "")


def test_a_champion_of_other_columns_is_not_compared():
    decided = clients(with_columns(AGE))
    assert [check.name for check in decided.checks] == ["clients of the champion"]
    assert (decided.verdict, decided.against) == ("", "7")


def test_slices_of_values_are_measured_in_the_unit_of_the_target():
    (refusal,) = beside(values(3, more_at=SOME, more=3), values(4), "mae", slices=PARTS).refusals
    own, was = (float(text.split()[-1]) for text in refusal.split("error")[1].split(", was"))
    assert math.isclose(own, 6, rel_tol=0.05) and math.isclose(was, 4, rel_tol=0.05)


def test_a_floor_for_another_task_is_refused():
    with pytest.raises(ConfigError, match=r"model_evaluation\.floors: 'acuracy' is no metric"):
        GateRules.of("accuracy", "binary", ModelEvaluation(floors={"acuracy": 1}))


@pytest.mark.parametrize(
    ("name", "value", "bound", "passed"),
    [
        ("accuracy", 0.9, 0.9, True),
        ("accuracy", 0.89, 0.9, False),
        ("rmse", 3.0, 3.0, True),
        ("rmse", 3.1, 3.0, False),
        ("r2", math.nan, 0.1, False),
        ("log_loss", math.nan, 0.1, False),
    ],
)
def test_a_floor_holds_at_its_very_value(name, value, bound, passed):
    (check,) = checks.floors({name: value, "f1": 0.0}, {name: bound})
    assert (check.name, check.passed) == (f"floor of {name}", passed)

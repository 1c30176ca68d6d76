import numpy as np
import pandas as pd
import pytest

from lockstep.data_report.association import (
    Relation,
    auc,
    correlation_ratio,
    information_share,
    relation,
)

CLASSES = pd.Series(["no", "no", "yes", "yes", "no", "yes"])


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 2, 5, 6, 3, 7], 1.0), ([7, 6, 2, 1, 5, 3], 0.0), ([1, 1, 1, 2, 1, 1], 2 / 3)]
)
def test_auc_orders_two_classes_ties_counting_half(values, expected):
    found = relation(pd.Series(values, dtype=float), "numeric", CLASSES, "binary")
    assert (found.measure, found.value) == ("AUC", pytest.approx(expected))


def test_auc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(1)
    labels, scores = random.random(200) < 0.3, random.integers(0, 12, 200).astype(float)
    assert auc(pd.Series(scores).rank().to_numpy(), labels) == pytest.approx(roc_auc_score(labels, scores))


def test_information_is_all_for_a_copy_and_none_for_chance():
    random = np.random.default_rng(2)
    labels = random.integers(0, 3, 4000)
    assert information_share(labels, labels) == pytest.approx(1, abs=0.001)
    assert information_share(random.integers(0, 5, 4000), labels) < 0.01
    assert information_share(np.arange(4000), labels) < 0.15


def test_one_telling_class_of_three_is_not_all():
    target = pd.Series(np.repeat(["a", "b", "c"], 60))
    found = relation(pd.Series(np.repeat([0.0, 1.0, 1.0], 60)), "numeric", target, "multiclass")
    assert found.measure == "share of information"
    assert 0.5 < found.value < 0.7
    assert relation(pd.Series(np.repeat([2.0, 0.0, 1.0], 60)), "numeric", target, "multiclass").value > 0.98


def test_numbers_and_a_numeric_target_are_compared_by_rank():
    target = pd.Series(np.arange(20.0))
    found = relation(np.exp(-target), "numeric", target, "regression")
    assert (found.measure, found.value) == ("Spearman correlation", pytest.approx(-1))


def test_categories_and_a_numeric_target():
    target = np.array([1.0, 1.1, 5.0, 5.1, 9.0, 9.1])
    codes = np.array([0, 0, 1, 1, 2, 2])
    assert correlation_ratio(codes, 3, target) > 0.99
    assert correlation_ratio(np.array([0, 1, 0, 1, 0, 1]), 2, np.array([1.0, 1, 5, 5, 9, 9])) == 0
    assert correlation_ratio(np.arange(6), 6, target) == 0, "an identifier tells nothing"


def test_missing_values_are_left_out():
    values = pd.Series([1, 2, 5, 6, np.nan, np.nan])
    assert relation(values, "numeric", CLASSES, "binary").value == 1.0


@pytest.mark.parametrize("values", [[np.nan] * 6, [1.0] * 6, [1, 2] + [np.nan] * 4])
def test_too_little_says_nothing(values):
    assert relation(pd.Series(values, dtype=float), "numeric", CLASSES, "binary") is None


@pytest.mark.parametrize(
    ("measured", "strength"),
    [
        (Relation("AUC", 0.0), 1),
        (Relation("AUC", 0.99), 0.98),
        (Relation("Spearman correlation", -1.0), 1),
        (Relation("correlation ratio", 0.9), 0.9),
    ],
)
def test_strength_has_no_direction(measured, strength):
    assert measured.strength == pytest.approx(strength)

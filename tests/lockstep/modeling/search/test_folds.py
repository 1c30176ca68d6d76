import numpy as np
import pytest

from lockstep.config.params import Candidate, ModelBuilding
from lockstep.errors import DataError
from lockstep.modeling.search import folds, search

RANDOM = np.random.default_rng(5)
CLASSES = np.where(RANDOM.random(120) < 0.3, "yes", "no")
VALUES = RANDOM.normal(size=120)


def params(count=4):
    return ModelBuilding(candidates=(Candidate(estimator="decision_tree"),), folds=count)


@pytest.mark.parametrize(("target", "task"), [(CLASSES, "binary"), (VALUES, "regression")])
def test_no_group_stands_on_both_sides_of_a_fold(target, task):
    groups = RANDOM.integers(0, 25, 120)
    found = folds.build(target, task, params(), {"groups": groups})
    assert len(found) == 4
    assert sorted(place for _, held_out in found for place in held_out) == list(range(120))
    assert all(not set(groups[train]) & set(groups[held_out]) for train, held_out in found)


def test_each_fold_holds_its_share_of_each_class():
    found = folds.build(CLASSES, "binary", params(), {})
    counts = [int((CLASSES[held_out] == "yes").sum()) for _, held_out in found]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == (CLASSES == "yes").sum()


@pytest.mark.parametrize("moments", [120, 30, 6])
def test_what_is_held_out_comes_after_what_teaches(moments):
    times = RANDOM.permutation(np.arange(120) % moments)
    found = folds.build(CLASSES, "binary", params(), {"times": times})
    assert len(found) == 4
    ends = [times[train].max() for train, _ in found]
    assert ends == sorted(set(ends))
    for train, held_out in found:
        assert times[train].max() < times[held_out].min()
        assert set(times[train]) == set(range(times[train].max() + 1))
    assert times[found[-1][1]].max() == moments - 1


def test_moments_of_uneven_weight_still_fill_every_fold():
    times = np.asarray([0, 1, 2, 3] + [4] * 100)
    found = folds.build(np.arange(104.0), "regression", params(), {"times": times})
    assert [len(held_out) for _, held_out in found] == [1, 1, 1, 100]


@pytest.mark.parametrize(
    ("marks", "target", "problem"),
    [
        pytest.param({"groups": np.arange(120) % 3}, CLASSES, "3 groups among the train rows", id="B39-groups"),
        pytest.param({"times": np.arange(120) % 4}, CLASSES, "4 moments among the train", id="B39-moments"),
        pytest.param({"times": np.arange(120)}, np.sort(CLASSES), "fold 1 of 4 holds one class only", id="one-class"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be(marks, target, problem):
    with pytest.raises(DataError, match=problem) as refused:
        folds.build(target, "binary", params(), marks)
    assert "lower model_building.folds" in refused.value.hint


def test_a_class_that_comes_late_has_no_chance_before():
    """The first fold learns of two classes; the third, which it holds out, is simply missed."""
    target = np.asarray(["a", "b"] * 20 + ["a", "b", "c", "c"] * 20)
    matrix = (target[:, None] == np.asarray(["a", "b", "c"])).astype(float)
    two = (Candidate(estimator="logistic_regression", grid={"C": (10.0, 100.0)}),)
    given = ModelBuilding(candidates=two, folds=2, metric="accuracy")
    found = search.choose(matrix, target, "multiclass", given, {"times": np.arange(120) // 2})
    assert found.trials[1].scores == (0.5, 1.0)


def test_groups_are_respected_by_the_search():
    """What tells groups apart teaches nothing about others: only folds that tear groups apart can be misled."""
    groups = np.repeat(np.arange(40), 6)
    target = np.repeat(RANDOM.permutation(["a", "b"] * 20), 6)
    matrix = np.repeat(RANDOM.normal(size=(40, 30)), 6, axis=0)
    nearest = (Candidate(estimator="k_nearest_neighbors", grid={"n_neighbors": (1, 3)}),)
    given = ModelBuilding(candidates=nearest, folds=4, metric="accuracy")
    torn, kept = (search.choose(matrix, target, "binary", given, marks) for marks in ({}, {"groups": groups}))
    assert torn.trials[0].mean == 1
    assert kept.trials[0].mean < 0.75

import pytest

from lockstep.config.params import Between, Candidate, ModelBuilding
from lockstep.errors import ConfigError
from lockstep.modeling import catalog
from lockstep.modeling.search import space

LOGISTIC = Candidate(estimator="logistic_regression")
TREE = Candidate(estimator="decision_tree", params={"max_depth": 2})


def points(*candidates, task="binary", sparse=False, references=False, **search):
    params = ModelBuilding(candidates=candidates, references=references, search={"method": "random"} | search)
    return space.points(params, task, sparse)


def named(found):
    return [(point.candidate.estimator, point.values) for point in found]


def test_a_grid_is_expanded_in_the_order_of_params():
    both = Candidate(estimator="ridge", params={"tol": 1}, grid={"b": (3, 4), "a": (1, 2)})
    found = named(points(TREE, both, method="grid"))
    assert found == [("decision_tree", {}), *(("ridge", {"a": a, "b": b}) for a in (1, 2) for b in (3, 4))]


def test_defaults_come_first_and_then_each_candidate_in_turn():
    found = points(LOGISTIC, TREE, trials=6)
    assert [point.candidate.estimator for point in found] == ["logistic_regression", "decision_tree"] * 3
    assert [point.params for point in found[:2]] == [{}, {"max_depth": 2}]
    assert all(point.values for point in found[2:])


def test_more_trials_only_add_to_the_same_points():
    assert points(LOGISTIC, TREE, trials=20)[:9] == points(LOGISTIC, TREE, trials=9)


def test_another_seed_draws_other_points():
    one, other = (ModelBuilding(candidates=[LOGISTIC], search={"method": "random"}, seed=seed) for seed in (1, 2))
    assert space.points(one, "binary", False)[1:] != space.points(other, "binary", False)[1:]


def test_a_used_up_space_gives_its_points_once_and_others_go_on():
    two = Candidate(estimator="decision_tree", grid={"max_depth": (1, 2)})
    found = named(points(two, LOGISTIC, trials=20))
    depths = [values for name, values in found if name == "decision_tree"]
    assert sorted(depths, key=str) == [{"max_depth": 1}, {"max_depth": 2}, {}]
    assert len(found) == 20


@pytest.mark.parametrize(
    "between",
    [
        Between(low=0.001, high=10, scale="log"),
        Between(low=-2, high=3),
        Between(low=1, high=4, kind="int"),
        Between(low=1.5, high=4.5, scale="log", kind="int"),
    ],
    ids=["log", "linear", "whole", "whole-log"],
)
def test_what_is_drawn_keeps_to_the_bounds_and_reaches_both_ends(between):
    own = Candidate(estimator="logistic_regression", space={"C": between})
    drawn = [point.values["C"] for point in points(own, trials=300)[1:]]
    assert all(between.low <= value <= between.high for value in drawn)
    if between.kind == "int":
        assert set(drawn) == ({1, 2, 3, 4} if between.low == 1 else {2, 3, 4})
        assert all(type(value) is int for value in drawn)
        return
    middle = (between.low + between.high) / 2 if between.scale == "linear" else (between.low * between.high) ** 0.5
    assert 100 < sum(value < middle for value in drawn) < 200
    assert all(float(f"{value:.4g}") == value for value in drawn)


@pytest.mark.parametrize("name", catalog.ESTIMATORS)
def test_each_ready_space_is_of_parameters_that_the_estimator_has(name):
    for task in catalog.ESTIMATORS[name].tasks:
        found = points(Candidate(estimator=name, space="default"), task=task, trials=5)
        assert len(found) == 5
        for point in found:
            catalog.make(point.candidate, point.values, task, 0, False)


def test_a_ready_space_leaves_fixed_params_alone():
    fixed = Candidate(estimator="decision_tree", params={"max_depth": 3})
    assert all(set(point.values) == {"min_samples_leaf"} for point in points(fixed, trials=9)[1:])


@pytest.mark.parametrize(
    ("task", "sparse", "expected"),
    [
        ("binary", False, ["logistic_regression", "hist_gradient_boosting"]),
        ("regression", False, ["ridge", "hist_gradient_boosting"]),
        ("multiclass", True, ["logistic_regression"]),
    ],
)
def test_references_are_added_once(task, sparse, expected):
    other = Candidate(estimator="decision_tree")
    found = points(other, task=task, sparse=sparse, references=True, method="grid")
    assert [point.candidate.estimator for point in found if point.reference] == expected
    same = points(Candidate(estimator=expected[0]), task=task, sparse=sparse, references=True, method="grid")
    assert [point.candidate.estimator for point in same] == [*expected[1:], expected[0]]
    assert all(point.reference for point in same)


@pytest.mark.parametrize(
    ("candidate", "search", "problem"),
    [
        ({"space": "default"}, {"method": "grid"}, "has a space, which method: grid does not draw from"),
        ({}, {"method": "halving", "patience": 3}, "search.patience has no meaning with method: halving"),
        ({"space": {"C": {"low": 3, "high": 1}}}, {}, "low must be below high, not 3 to 1"),
        ({"space": {"C": {"low": 0, "high": 1, "scale": "log"}}}, {}, "a log scale needs low above 0"),
        ({"space": {"C": {"lo": 1, "high": 3}}}, {}, "space.C.low"),
        ({"space": {"C": 3}}, {}, "space.C = 3 is no range"),
        ({"space": "defalt"}, {}, "space = 'defalt' is no space"),
        ({"space": {"C": [1.0]}, "grid": {"tol": (1,)}}, {}, "has a grid and a space"),
    ],
)
def test_space_faults(candidate, search, problem):
    with pytest.raises(ConfigError) as refused:
        points(Candidate.model_validate({"estimator": "logistic_regression"} | candidate), **search)
    assert problem in refused.value.problem
    assert refused.value.hint

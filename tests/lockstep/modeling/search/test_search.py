import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from lockstep.config.params import Candidate, ModelBuilding
from lockstep.errors import ConfigError, DataError
from lockstep.modeling import serialization
from lockstep.modeling.search import search

RANDOM = np.random.default_rng(2)
MATRIX = RANDOM.normal(size=(90, 4))
BINARY = np.where(MATRIX[:, 0] + RANDOM.normal(size=90) / 2 > 0, "yes", "no")
VALUES = MATRIX[:, 0] * 3 + RANDOM.normal(size=90) / 10
LOGISTIC = Candidate(estimator="logistic_regression", grid={"C": (0.001, 1.0)})
TREE = Candidate(estimator="decision_tree", params={"max_depth": 2})


def choose(*candidates, target=BINARY, task="binary", matrix=MATRIX, **params):
    return search.choose(matrix, target, task, ModelBuilding(**{"candidates": candidates, "folds": 3} | params))


def test_scores_are_those_of_scikit_learn_and_the_best_wins():
    found = choose(LOGISTIC, TREE, seed=5)
    folds = StratifiedKFold(3, shuffle=True, random_state=5)
    for trial, c in zip(found.trials[:2], (0.001, 1.0), strict=True):
        expected = cross_val_score(LogisticRegression(C=c, max_iter=1000), MATRIX, BINARY, cv=folds, scoring="roc_auc")
        np.testing.assert_allclose(trial.scores, expected, rtol=1e-12)
    assert found.metric == "roc_auc"
    assert found.best == max(found.trials, key=lambda trial: trial.mean)
    assert found.best.params in ({"C": 0.001}, {"C": 1.0})
    whole = LogisticRegression(max_iter=1000, random_state=5, **found.best.params).fit(MATRIX, BINARY)
    np.testing.assert_array_equal(found.estimator.coef_, whole.coef_)


@pytest.mark.parametrize("positive", [0, 1])
def test_scores_are_of_the_positive_class_that_is_named(positive):
    """Whichever of two classes is rarer."""
    building = ModelBuilding(candidates=(LOGISTIC,), folds=3, seed=5, metric="average_precision")
    found = search.choose(MATRIX, BINARY, "binary", building, {"positive": np.asarray(positive)})
    folds = StratifiedKFold(3, shuffle=True, random_state=5)
    target = (["no", "yes"][positive] == BINARY).astype(int)
    expected = cross_val_score(LogisticRegression(C=0.001), MATRIX, target, cv=folds, scoring="average_precision")
    np.testing.assert_allclose(found.trials[0].scores, expected, rtol=1e-12)


def test_the_record_names_every_trial():
    record = choose(LOGISTIC, TREE).to_json()
    assert [trial["params"] for trial in record["trials"]] == [{"C": 0.001}, {"C": 1.0}, {"max_depth": 2}]
    means = [np.mean(trial["scores"]) for trial in record["trials"]]
    assert record["best"] == int(np.argmax(means))
    assert all(round(score, 6) == score for trial in record["trials"] for score in trial["scores"])


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "auto"])
def test_the_better_wins_whichever_way_the_metric_points(metric):
    good, poor = (
        Candidate(estimator="ridge", params={"alpha": 0.1}),
        Candidate(estimator="ridge", params={"alpha": 1e5}),
    )
    for candidates in ((good, poor), (poor, good)):
        assert choose(*candidates, target=VALUES, task="regression", metric=metric).best.params == {"alpha": 0.1}


def test_among_equals_the_first_wins():
    found = choose(TREE, Candidate(estimator="decision_tree", params={"max_depth": 2}, grid={"min_samples_leaf": (1,)}))
    assert found.trials[0].scores == found.trials[1].scores
    assert found.to_json()["best"] == 0


def test_a_lone_candidate_is_fitted_without_a_comparison():
    found = choose(TREE)
    assert found.best.scores == ()
    assert found.estimator.get_depth() == 2


def test_the_same_search_gives_the_same_bytes():
    candidates = (LOGISTIC, Candidate(estimator="random_forest", params={"n_estimators": 3}))
    found = [choose(*candidates, jobs=jobs) for jobs in (1, 1, 2)]
    assert found[0].to_json() == found[1].to_json() == found[2].to_json()
    assert len({serialization.dumps(one.estimator) for one in found}) == 1


def test_another_seed_makes_other_folds():
    assert choose(LOGISTIC, seed=1).trials != choose(LOGISTIC, seed=2).trials


def test_a_sparse_matrix_gives_the_scores_of_a_dense_one():
    dense, thin = (choose(TREE, LOGISTIC, matrix=kind(MATRIX)) for kind in (np.asarray, sparse.csr_matrix))
    assert [trial.mean for trial in dense.trials] == pytest.approx([trial.mean for trial in thin.trials])


@pytest.mark.parametrize(
    ("candidate", "params", "problem", "hint"),
    [
        pytest.param(
            Candidate(estimator="logistic_regression", params={"max_iter": 1, "C": 1e6}),
            {},
            "LogisticRegression did not converge in 1 rounds",
            "raise max_iter under the candidate's params",
            id="no-convergence",
        ),
        pytest.param(
            Candidate(estimator="logistic_regression", params={"tool": 1}),
            {},
            "has no parameter 'tool'; did you mean 'tol'?",
            "accepted: C",
            id="unknown-param",
        ),
        pytest.param(
            Candidate(estimator="logistic_regression", params={"C": -1}),
            {},
            "LogisticRegression cannot be fitted: The 'C' parameter",
            "check its params",
            id="value-out-of-range",
        ),
        pytest.param(
            Candidate(estimator="hist_gradient_boosting"),
            {"matrix": sparse.csr_matrix(MATRIX)},
            "hist_gradient_boosting takes no sparse matrix",
            "choose logistic_regression",
            id="sparse",
        ),
        pytest.param(TREE, {"metric": "rmse"}, "'rmse' is no metric of binary", "accepted: accuracy", id="metric"),
    ],
)
@pytest.mark.parametrize("among", [(), (TREE,)], ids=["alone", "among-others"])
def test_search_faults(candidate, params, problem, hint, among):
    with pytest.raises(ConfigError) as refused:
        choose(candidate, *among, **params)
    assert problem in refused.value.problem
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("target", "task", "problem"),
    [
        pytest.param(
            np.asarray(["a"] * 88 + ["b"] * 2), "binary", "2 train rows of the smallest class", id="B39-class"
        ),
        pytest.param(VALUES[:2], "regression", "2 train rows cannot fill 3 folds", id="B39-rows"),
    ],
)
def test_fewer_rows_than_folds(target, task, problem):
    with pytest.raises(DataError, match=problem) as refused:
        choose(TREE, target=target, task=task, matrix=MATRIX[: len(target)])
    assert "lower model_building.folds" in refused.value.hint

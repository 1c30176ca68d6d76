import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, roc_auc_score

from lockstep.config.params import ModelEvaluation
from lockstep.evaluation import learning_curve
from lockstep.evaluation.learning_curve import Matrices
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored

PARAMS = ModelEvaluation(resamples=100)
X, Y = make_classification(600, 8, n_informative=4, random_state=0)
BOTH = Matrices(X[:400], Y[:400], X[400:], Y[400:], {})


def scored_by(model):
    shares = model.predict_proba(BOTH.test)
    return Scored(BOTH.test_target, shares.argmax(axis=1), shares)


def test_the_curve_grows_and_its_test_score_is_that_of_scikit_learn():
    found = learning_curve.curve(BOTH, LogisticRegression().fit(X, Y), "roc_auc", PARAMS)
    assert [one.rows for one in found.points] == [32, 64, 128, 224, 320]
    assert found.held_out_rows == 80
    teaching, held_out = learning_curve.parted(BOTH.target, {}, PARAMS.seed, regression=False)
    model = LogisticRegression().fit(BOTH.train[teaching], BOTH.target[teaching])
    last = found.points[-1]
    for name, rows, truth in (
        ("train", BOTH.train[teaching], BOTH.target[teaching]),
        ("held_out", BOTH.train[held_out], BOTH.target[held_out]),
        ("test", BOTH.test, BOTH.test_target),
    ):
        assert getattr(last, name) == pytest.approx(roc_auc_score(truth, model.predict_proba(rows)[:, 1]), abs=1e-5)
    assert found == learning_curve.curve(BOTH, LogisticRegression().fit(X, Y), "roc_auc", PARAMS)


def test_the_curve_takes_the_positive_class_that_is_named():
    """Whichever of two classes is rarer."""
    rare = np.flatnonzero((Y == 0) | (np.arange(600) % 4 == 0))
    rows, target = X[rare], Y[rare]
    for positive in (0, 1):
        whole = Matrices(rows[:250], target[:250], rows[250:], target[250:], {"positive": np.asarray(positive)})
        found = learning_curve.curve(whole, LogisticRegression().fit(rows, target), "average_precision", PARAMS)
        teaching, _ = learning_curve.parted(target[:250], {}, PARAMS.seed, regression=False)
        model = LogisticRegression().fit(rows[teaching], target[teaching])
        expected = average_precision_score(target[250:] == positive, model.predict_proba(rows[250:])[:, positive])
        assert found.points[-1].test == pytest.approx(expected, abs=1e-5)


def test_few_rows_may_teach():
    params = ModelEvaluation.model_validate({"report": {"learning_rows": 100}})
    found = learning_curve.curve(BOTH, LogisticRegression().fit(X, Y), "accuracy", params)
    assert [one.rows for one in found.points] == [20, 40, 70, 100]


def test_a_share_without_one_of_the_classes_gives_no_point():
    target = np.where(np.arange(400) < 3, "rare", np.where(BOTH.target == 1, "a", "b"))
    whole = Matrices(BOTH.train, target, BOTH.test, target[:200], {})
    found = learning_curve.curve(whole, LogisticRegression(max_iter=500).fit(BOTH.train, target), "accuracy", PARAMS)
    assert found.points
    assert found.points[0].rows > 32


def test_sparse_regression_is_learned_too():
    rows, values = make_regression(300, 5, noise=3, random_state=0)
    whole = Matrices(sparse.csr_matrix(rows[:200]), values[:200], sparse.csr_matrix(rows[200:]), values[200:], {})
    found = learning_curve.curve(whole, Ridge(), "r2", PARAMS)
    assert found.points[-1].test > 0.99


def test_every_prefix_holds_the_classes_in_their_shares():
    target = np.repeat([0, 1], [900, 100])
    teaching, held_out = learning_curve.parted(target, {}, 42, regression=False)
    assert sorted([*teaching, *held_out]) == list(range(1000))
    assert target[held_out].sum() == 20
    for rows in (50, 100, 400):
        assert target[teaching[:rows]].mean() == pytest.approx(0.1, abs=0.021)


def test_no_group_stands_on_both_sides_and_groups_join_whole():
    groups = np.repeat(np.arange(50), 4)
    teaching, held_out = learning_curve.parted(np.zeros(200), {"groups": groups}, 1, regression=True)
    assert set(groups[teaching]) & set(groups[held_out]) == set()
    assert len(held_out) >= 40
    assert len(set(groups[teaching[:40]])) == 10


def test_by_time_the_last_rows_are_held_out_and_the_nearest_before_them_teach_first():
    times = np.repeat(np.arange(20), 10)[np.random.default_rng(0).permutation(200)]
    teaching, held_out = learning_curve.parted(np.zeros(200), {"times": times}, 1, regression=True)
    assert times[held_out].min() > times[teaching].max()
    assert (np.diff(times[teaching]) <= 0).all()
    assert len(held_out) == 40


def test_references_are_scikit_learn_s_defaults_on_the_same_rows():
    own = scored_by(learning_curve.fit(HistGradientBoostingClassifier(random_state=42), BOTH.train, BOTH.target))
    found = learning_curve.references(BOTH, "binary", own, "roc_auc", PARAMS)
    assert [one.name for one in found] == ["default LogisticRegression", "default HistGradientBoostingClassifier"]
    plain = scored_by(LogisticRegression(random_state=42).fit(BOTH.train, BOTH.target))
    assert found[0].value == pytest.approx(roc_auc_score(plain.truth, plain.probabilities[:, 1]), abs=1e-6)
    value, low, high = scores.difference(own, plain, "roc_auc", 100, PARAMS.seed)
    assert (found[0].difference, found[0].low, found[0].high) == pytest.approx((value, low, high), abs=1e-5)
    assert (found[1].difference, found[1].verdict) == (0, "as good")


def test_a_model_that_is_worse_than_the_defaults_is_told():
    coin = np.full((200, 2), 0.5) + np.random.default_rng(0).normal(0, 0.01, 200)[:, None] * [1, -1]
    found = learning_curve.references(
        BOTH, "binary", Scored(BOTH.test_target, coin.argmax(axis=1), coin), "roc_auc", PARAMS
    )
    assert {one.verdict for one in found} == {"worse"}


def test_texts_have_no_boosting_as_a_reference():
    whole = Matrices(sparse.csr_matrix(BOTH.train), BOTH.target, sparse.csr_matrix(BOTH.test), BOTH.test_target, {})
    own = scored_by(LogisticRegression().fit(BOTH.train, BOTH.target))
    found = learning_curve.references(whole, "binary", own, "roc_auc", PARAMS)
    assert [one.name for one in found] == ["default LogisticRegression"]

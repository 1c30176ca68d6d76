import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score, roc_auc_score

from lockstep.data.schema import Column, Schema
from lockstep.evaluation import curves
from lockstep.metrics.scores import Scored

BINARY = Schema("binary", "y", ("no", "yes"), (Column("x", "numeric", False, None),))


def scored_of(rows=400, seed=3):
    random = np.random.default_rng(seed)
    chances = random.random(rows).round(2)
    truth = (random.random(rows) < chances).astype(int)
    return Scored(truth, (chances > 0.5).astype(int), np.column_stack((1 - chances, chances)))


def test_calibration_is_that_of_scikit_learn():
    scored = scored_of()
    came, said = calibration_curve(scored.truth, scored.probabilities[:, 1], n_bins=10, strategy="quantile")
    found = curves.calibration(scored, BINARY).bins
    np.testing.assert_allclose([one.came for one in found], came, atol=1e-6)
    np.testing.assert_allclose([one.said for one in found], said, atol=1e-6)
    assert sum(one.rows for one in found) == scored.rows
    assert all(one.low <= one.came <= one.high for one in found)


def test_calibration_of_many_labels_is_that_of_the_answer_given():
    random = np.random.default_rng(1)
    shares = random.dirichlet([1, 1, 1], 300)
    truth = random.integers(0, 3, 300)
    schema = Schema("multiclass", "y", ("a", "b", "c"), BINARY.columns)
    found = curves.calibration(Scored(truth, shares.argmax(axis=1), shares), schema)
    right = sum(one.came * one.rows for one in found.bins) / 300
    assert found.label == "the answer given"
    assert right == pytest.approx((truth == shares.argmax(axis=1)).mean(), abs=1e-5)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_thresholds_are_those_of_scikit_learn(threshold):
    scored = scored_of()
    (found,) = [one for one in curves.thresholds(scored) if one.threshold == threshold]
    told = scored.probabilities[:, 1] >= threshold
    assert found.precision == pytest.approx(precision_score(scored.truth, told), abs=1e-6)
    assert found.recall == pytest.approx(recall_score(scored.truth, told), abs=1e-6)
    assert found.f1 == pytest.approx(f1_score(scored.truth, told), abs=1e-6)
    assert found.accuracy == pytest.approx((told == scored.truth).mean(), abs=1e-6)
    assert found.share == pytest.approx(told.mean(), abs=1e-6)


def test_the_area_under_the_thinned_roc_is_nearly_the_auc():
    scored = scored_of(rows=3000)
    (line,) = curves.roc(scored, BINARY)
    x, y = np.asarray(line.points).T
    assert line.label == "yes"
    assert len(x) <= curves.POINTS + 1
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(scored.truth, scored.probabilities[:, 1]), abs=0.005)


def test_confusion_is_that_of_scikit_learn():
    scored = scored_of()
    found = curves.confusion(scored, BINARY)
    assert found.labels == ["no", "yes"]
    assert found.table == confusion_matrix(scored.truth, scored.predicted).tolist()


def test_rare_labels_become_one():
    truth = np.repeat([0, 1, 2, 3], [5, 1, 4, 1])
    predicted = np.repeat([0, 3, 2, 1, 0], [5, 1, 3, 1, 1])
    schema = Schema("multiclass", "y", ("a", "b", "c", "d"), BINARY.columns)
    found = curves.confusion(Scored(truth, predicted, np.eye(4)[predicted]), schema, most=3)
    assert found.labels == ["a", "c", "(other labels)"]
    assert found.table == [[5, 0, 0], [0, 3, 1], [1, 0, 1]]


def test_a_regression_has_none(made):
    schema = made.predictor.schema
    scored = made.predictor.score(made.test)
    assert (curves.compute(scored, schema) is None) == (schema.task == "regression")
    assert (curves.confusion(scored, schema) is None) == (schema.task == "regression")

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from lockstep.evaluation import plot_data
from lockstep.metrics.scores import Scored


def test_curves_have_points_for_each_label_shown(made):
    schema = made.predictor.schema
    points = plot_data.curves(made.predictor.score(made.test), schema)
    shown = {"binary": ["yes"], "multiclass": ["0", "1", "2"], "regression": []}[schema.task]
    assert list(points.columns) == ["label", "recall", "false_positive_rate", "precision"]
    assert list(dict.fromkeys(points["label"])) == shown
    for _, own in points.groupby("label"):
        assert own["recall"].is_monotonic_increasing
        assert own["false_positive_rate"].is_monotonic_increasing
        assert own[["recall", "false_positive_rate"]].iloc[-1].tolist() == [1, 1]


@pytest.mark.parametrize(("rows", "points"), [(40, 40), (5000, plot_data.POINTS)])
def test_curves_are_those_of_scikit_learn_at_some_thresholds(binary, rows, points):
    random = np.random.default_rng(4)
    chances = random.permutation(np.linspace(0.01, 0.99, rows))
    truth = (random.random(rows) < chances).astype(int)
    scored = Scored(truth, (chances > 0.5).astype(int), np.column_stack((1 - chances, chances)))
    found = plot_data.curves(scored, binary.predictor.schema)
    alarms, recalls, _ = roc_curve(truth, chances, drop_intermediate=False)
    known = set(zip(alarms.round(6).tolist(), recalls.round(6).tolist(), strict=True))
    assert len(found) == points
    assert set(zip(found["false_positive_rate"], found["recall"], strict=True)) <= known

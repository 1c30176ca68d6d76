"""What trees are explained by is what Shapley's formula gives, and adds up to the answer."""

import math
import sys

import numpy as np
import pytest

from lockstep.errors import MissingExtra
from lockstep.inference.predictor import Predictor
from lockstep.modeling import catalog
from lockstep.scoring.tree_contributions import NotAdditive
from tests.lockstep.scoring.test_compiler import FEATURES, fitted
from tests.lockstep.scoring.test_contributions import by_column, close, shapley

NINE = {"n_estimators": 9}
FEW = {
    "decision_tree": {},
    "random_forest": NINE,
    "hist_gradient_boosting": {"max_iter": 5},
    "xgboost": NINE,
    "lightgbm": NINE,
}
TREES = [(task, name) for name, entry in catalog.ESTIMATORS.items() for task in entry.tasks if name in FEW]


def score(predictor, explanation, row):
    """Return the score in the explanation's unit of the answer, from what the predictor answers."""
    found = predictor.scorer.score([row])[0]
    if explanation.unit == "value":
        return found[0]
    own = found[predictor.schema.labels.index(explanation.label)]
    if explanation.unit == "probability":
        return own
    others = np.delete(found, predictor.schema.labels.index(explanation.label))
    return math.log(own) - np.log(others).mean()


@pytest.mark.parametrize(("task", "estimator"), TREES)
def test_contributions_of_trees_add_up_to_the_answer(task, estimator):
    schema, pipeline, rows = fitted(task, estimator, text=False, params=FEATURES["many levels"], **FEW[estimator])
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    rows = [*rows[:3], (None, "Atlantis", None)]
    explained = predictor.explain(rows)
    for row, explanation in zip(rows, explained, strict=True):
        close(explanation.base + math.fsum(one.amount for one in explanation.contributions), explanation.score)
        close(explanation.score, score(predictor, explanation, row), 1e-5 if estimator == "xgboost" else 1e-9)
        assert predictor.explain([row]) == [explanation]
    unit = "probability" if estimator in ("decision_tree", "random_forest") else "log-odds"
    assert {one.unit for one in explained} == {"value" if task == "regression" else unit}


def expected(tree, node, features, held, output):
    """Return what a tree gives where only some features are known: the rest is averaged by the train rows' branches."""
    if tree.children_left[node] < 0:
        own = tree.value[node][0]
        return own[output] / own.sum() if len(own) > 1 else own[0]
    left, right = tree.children_left[node], tree.children_right[node]
    feature = tree.feature[node]
    if feature in held:
        below = np.float32(features[feature]) <= tree.threshold[node]
        return expected(tree, left if below else right, features, held, output)
    sizes = tree.weighted_n_node_samples
    parts = [(sizes[child], expected(tree, child, features, held, output)) for child in (left, right)]
    return sum(size * value for size, value in parts) / sizes[node]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_contributions_of_a_tree_are_its_shapley_values(task):
    schema, pipeline, rows = fitted(task, "decision_tree", text=False, params=FEATURES["few levels"])
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    names = [str(name) for name in pipeline["features"].get_feature_names_out()]
    tree = pipeline["estimator"].tree_
    for row in rows[:2]:
        (explanation,) = predictor.explain([row])
        output = schema.labels.index(explanation.label) if schema.labels else 0
        features = predictor.explainer._matrix([row])[0]
        values = shapley(lambda held, of=features, out=output: expected(tree, 0, of, held, out), len(features))
        found = by_column(explanation)
        close(explanation.base, expected(tree, 0, features, frozenset(), output))
        for column in schema.columns:
            own = math.fsum(value for value, name in zip(values, names, strict=True) if name.startswith(column.name))
            close(found[column.name].amount, own)


@pytest.mark.parametrize("estimator", ["random_forest", "xgboost", "lightgbm"])
def test_trees_over_texts_belong_to_the_text(estimator):
    schema, pipeline, rows = fitted("binary", estimator, params=FEATURES["pairs only"], n_estimators=9)
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    assert predictor.scorer.kind == "pipeline"
    explanation = predictor.explain(rows[:1])[0]
    assert by_column(explanation).keys() == set(schema.kinds)
    assert by_column(explanation)["review"].words is None
    close(explanation.score, score(predictor, explanation, rows[0]), 1e-5)


def test_an_explanation_that_does_not_add_up_is_not_shown():
    schema, pipeline, rows = fitted("regression", "decision_tree", text=False)
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    predictor.explain(rows[:1])
    parts = predictor.explainer._parts
    predictor.explainer._parts = lambda features: parts(features) * 1.001
    with pytest.raises(NotAdditive, match="not shown"):
        predictor.explain(rows[:1])


def test_without_the_package_the_extra_is_named(monkeypatch):
    schema, pipeline, rows = fitted("binary", "decision_tree", text=False)
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(MissingExtra, match="shap is needed to explain these trees") as missing:
        Predictor.from_pipeline(schema, pipeline, rows).explain(rows[:1])
    assert "lockstep-mlops[explain]" in missing.value.hint

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from lockstep.config.params import Gate, ModelEvaluation
from lockstep.data import frames
from lockstep.errors import DataError
from lockstep.evaluation import test_metrics
from lockstep.gate import checks
from lockstep.gate.checks import CandidateEvidence, GateRules
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from tests.lockstep.small_models import make

PARAMS = ModelEvaluation(resamples=100)


def gate(made, predictor=None, params=PARAMS, calibration=None):
    predictor = predictor or made.predictor
    task = predictor.schema.task
    examined = test_metrics.examine(predictor, made.test, predictor.score(made.test), {})
    params = params.model_copy(update={"gate": Gate(calibration=calibration)})
    rules = GateRules.of(scores.primary("auto", task), task, params)
    return checks.decide(CandidateEvidence(predictor.schema, examined), None, rules)


def failed(decision):
    return [check.name for check in decision.checks if not check.passed]


class Pipeline:
    """Answer as another pipeline does, and change the answers."""

    def __init__(self, pipeline, change):
        self.pipeline, self.change = pipeline, change
        if hasattr(pipeline, "classes_"):
            self.classes_ = pipeline.classes_

    def predict(self, frame):
        return self.change(self.pipeline.predict(frame))

    def predict_proba(self, frame):
        return self.change(self.pipeline.predict_proba(frame))


def test_the_report_holds_each_metric_and_its_interval(made):
    scored = made.predictor.score(made.test)
    measured = test_metrics.report(scored, made.predictor.schema, PARAMS)
    names = scores.for_task(made.predictor.schema.task)
    assert set(measured) == {*names, "interval_95", "test_rows"}
    assert measured["test_rows"] == len(made.test)
    for name in names:
        low, high = measured["interval_95"][name]
        assert measured[name] == round(scores.measure(name, scored), 6)
        assert low <= measured[name] <= high
    assert measured == test_metrics.report(scored, made.predictor.schema, PARAMS)


def test_a_metric_without_a_value_is_null_with_a_sentence(binary):
    one_class = binary.predictor.score(binary.test)
    one_class = one_class.take(one_class.truth == 0)
    measured = test_metrics.report(one_class, binary.predictor.schema, PARAMS)
    assert measured["roc_auc"] is None
    assert measured["undefined"]["roc_auc"] == f"no value on these {one_class.rows} test rows"
    assert "roc_auc" not in measured["interval_95"]
    assert "NaN" not in json.dumps(measured)
    with pytest.raises(DataError, match="roc_auc has no value"):
        test_metrics.require(measured, "roc_auc")
    test_metrics.require(measured, "accuracy")


def test_a_good_model_passes(made):
    decision = gate(made)
    assert (decision.passed, failed(decision)) == (True, [])
    names = {"better than a constant", "no skew", "rows accepted", "no leak"}
    assert {check.name for check in decision.checks} == names


def test_a_model_that_is_always_sure_and_often_wrong_is_refused():
    decision = gate(make("multiclass"), calibration=0.15)
    assert failed(decision) == ["calibration"]
    assert "probabilities are off by 0.40" in decision.refusals[0]


def test_a_constant_model_is_refused(made):
    pipeline = made.pipeline
    usual = (pipeline.predict_proba if made.predictor.schema.labels else pipeline.predict)(made.test).mean(axis=0)

    def same(answers):
        return np.asarray([usual] * len(answers))

    constant = Predictor.from_pipeline(made.predictor.schema, Pipeline(pipeline, same))
    assert failed(gate(made, constant)) == ["better than a constant"]


def test_a_floor_that_is_not_reached_refuses(made):
    name = scores.primary("auto", made.predictor.schema.task)
    value = scores.measure(name, made.predictor.score(made.test))
    assert gate(made, params=ModelEvaluation(resamples=100, floors={name: value - 0.01})).passed
    decision = gate(made, params=ModelEvaluation(resamples=100, floors={name: value + 0.01}))
    assert failed(decision) == [f"floor of {name}"]
    assert "must be at least" in decision.refusals[0]


def test_a_planted_skew_is_found(made):
    def by_size(answers):
        """Answer a lone row otherwise than a table."""
        return answers[..., ::-1] + 1.0 * (len(answers) == 1) if len(answers) == 1 else answers

    skewed = Predictor.from_pipeline(made.predictor.schema, Pipeline(made.pipeline, by_size))
    decision = gate(made, skewed)
    assert failed(decision) == ["no skew"]
    assert decision.refusals == [
        f"{len(made.test)} of {len(made.test)} rows are answered differently when sent as JSON"
    ]
    assert test_metrics.skew(made.predictor, made.test, [0, 3]) == (0, 2)
    assert test_metrics.skew(skewed, made.test, [0, 3]) == (2, 2)


def test_test_rows_that_the_schema_refuses_are_told(binary):
    columns = tuple(
        dataclasses.replace(column, categories=("Bonn",)) if column.name == "town" else column
        for column in binary.predictor.schema.columns
    )
    strict = Predictor.from_pipeline(dataclasses.replace(binary.predictor.schema, columns=columns), binary.pipeline)
    decision = gate(binary, strict)
    refused = int((binary.test["town"] != "Bonn").sum())
    assert failed(decision) == ["rows accepted"]
    assert decision.refusals == [f"{refused} of {len(binary.test)} test rows do not fit the schema"]


def test_the_best_constant():
    rows = Scored(np.asarray([1, 1, 0]), np.asarray([0, 0, 0]), np.full((3, 2), 0.5))
    constant = test_metrics.constant(rows)
    assert constant.predicted.tolist() == [1, 1, 1]
    np.testing.assert_allclose(constant.probabilities, [[1 / 3, 2 / 3]] * 3)
    assert test_metrics.constant(Scored(np.asarray([1.0, 2.0, 6.0]), np.zeros(3))).predicted.tolist() == [3.0, 3.0, 3.0]


def test_the_table_of_classes_is_that_of_scikit_learn(made):
    scored = made.predictor.score(made.test)
    table = test_metrics.per_class(scored, made.predictor.schema)
    assert list(table.columns) == ["label", "precision", "recall", "f1", "rows"]
    if not made.predictor.schema.labels:
        assert table.empty
        return
    expected = precision_recall_fscore_support(scored.truth, scored.predicted, zero_division=0)
    assert table["label"].tolist() == [str(label) for label in made.predictor.schema.labels]
    for name, values in zip(["precision", "recall", "f1", "rows"], expected, strict=True):
        np.testing.assert_allclose(table[name], values, atol=5e-7)


def test_predictions_are_those_of_the_api(made):
    scored = made.predictor.score(made.test)
    table = test_metrics.predictions(made.test, scored, made.predictor.schema)
    answers = made.predictor.answers(made.predictor.schema.objects(frames.rows_of(made.test, made.predictor.schema)))
    assert table["row"].tolist() == list(range(len(made.test)))
    assert table["actual"].astype(str).tolist() == made.test["y"].astype(str).tolist()
    assert table["prediction"].astype(str).tolist() == [str(answer["prediction"]) for answer in answers]
    for name in made.predictor.label_names:
        assert table[f"probability_{name}"].tolist() == [answer["probabilities"][name] for answer in answers]

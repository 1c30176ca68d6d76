"""What the report is drawn of, from the small models of the tests of modeling."""

import pytest

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.decision import Check, Decision
from lockstep.evaluation import facts, test_metrics
from lockstep.inference.latency import MeasuredLatency
from lockstep.metrics import scores
from lockstep.pages.evaluation import page
from tests.lockstep.small_models import make

PARAMS = ModelEvaluation(resamples=100)
GATE = Decision(
    (
        Check("floor of accuracy", False, "accuracy is 0.7, must be at least 0.9"),
        Check("no skew", True, "0 of 32 rows are answered differently when sent as JSON"),
    )
)


def facts_of(made):
    """Return the facts about one of the small models, as the evaluation writes them."""
    schema = made.predictor.schema
    scored, metric = made.predictor.score(made.test), scores.primary("auto", schema.task)
    features = made.pipeline.named_steps["features"]
    matrix = facts.TrainMatrix(features.transform(made.train), frames.target_array(made.train, schema), {})
    subject = facts.EvaluatedModel(made.predictor, made.pipeline, made.test, scored, metric, model_bytes=12_345)
    return facts.evaluate(subject, matrix, test_metrics.report(scored, schema, PARAMS), {}, PARAMS)


def content_of(made, **changed):
    """Return all that the page shows."""
    found = facts_of(made)
    search = {
        "metric": found.metric,
        "best": 1,
        "trials": [
            {"estimator": "ridge", "params": {"alpha": 1.0}, "scores": [0.5, 0.7]},
            {"estimator": "random_forest", "params": {}, "scores": [0.7, 0.9]},
        ],
    }
    return page.ReportContent(
        **{"name": "demo", "facts": found, "evaluated": GATE, "search": search}
        | {"latency": MeasuredLatency(0.2, 0.4, 0.01, 1_000), "scorer": "compiled"}
        | changed
    )


@pytest.fixture(scope="session", params=["binary", "multiclass", "regression"])
def made(request):
    return make(request.param)

"""What the report is drawn of, from the small models of the tests of modeling."""

import pytest

from lockstep.config.params import ModelEvaluation
from lockstep.data import frames
from lockstep.evaluation import facts, test_metrics
from lockstep.metrics import scores
from lockstep.pages.evaluation import champion, latency, page
from tests.lockstep.small_models import make

PARAMS = ModelEvaluation(resamples=100)
GATE = {
    "passed": False,
    "checks": [
        {"name": "floor of accuracy", "passed": False, "reason": "accuracy is 0.7, must be at least 0.9"},
        {"name": "no skew", "passed": True, "reason": "0 of 32 rows are answered differently when sent as JSON"},
    ],
}


def facts_of(made):
    """Return the facts about one of the small models, as the evaluation writes them."""
    schema = made.predictor.schema
    scored, metric = made.predictor.score(made.test), scores.primary("auto", schema.task)
    features = made.pipeline.named_steps["features"]
    taught = facts.Taught(features.transform(made.train), frames.target_array(made.train, schema), {})
    subject = facts.Subject(made.predictor, made.pipeline, made.test, scored, metric)
    found = facts.of(subject, taught, test_metrics.report(scored, schema, PARAMS), PARAMS)
    return found | {"leaks": {}, "model_bytes": 12_345}


def content_of(made, **changed):
    """Return all that the page shows."""
    found = facts_of(made)
    schema, scored = made.predictor.schema, made.predictor.score(made.test)
    beside = {"version": "3", **champion.compared(scored, scored, schema, found["metric"], PARAMS)}
    search = {
        "metric": found["metric"],
        "best": 1,
        "trials": [
            {"estimator": "ridge", "params": {"alpha": 1.0}, "scores": [0.5, 0.7]},
            {"estimator": "random_forest", "params": {}, "scores": [0.7, 0.9]},
        ],
    }
    measured = latency.measure(made.predictor, frames.rows_of(made.test, schema))
    return page.Content(
        **{"name": "demo", "facts": found, "gate": GATE, "search": search}
        | {"champion": beside, "timing": measured}
        | changed
    )


@pytest.fixture(scope="session", params=["binary", "multiclass", "regression"])
def made(request):
    return make(request.param)

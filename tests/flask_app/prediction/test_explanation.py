"""Whoever asks why gets it, or is told why not; nobody else pays for it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from flask_app.models import model_service
from flask_app.openapi import document
from flask_app.prediction import explanation, prediction_service
from tests.flask_app.openapi.test_document import schema_of, validator
from tests.flask_app.standins import example, make_bundle


def ask(client, rows, **more):
    return client.post("/predict", json={"rows": rows, "explain": True, **more})


@pytest.fixture(scope="session")
def neighbors(tmp_path_factory):
    """A model that nothing explains."""
    return make_bundle("binary", tmp_path_factory.mktemp("bundles") / "neighbors", "k_nearest_neighbors")


def test_each_row_says_why(serve, bundle):
    app = serve(bundle)
    client = app.test_client()
    rows = json.loads((bundle / "smoke.json").read_text())["rows"][:3]
    answer = ask(client, rows).get_json()
    told = document.from_app(app).content
    validator(told, schema_of(told, "/predict", "200")).validate(answer)
    plain = client.post("/predict", json={"rows": rows, "explain": False}).get_json()
    for row, one, other in zip(rows, answer["predictions"], plain["predictions"], strict=True):
        why = one.pop("explanation")
        assert one | {"id": ""} == other | {"id": ""}
        parts = why["contributions"]
        assert {part["column"] for part in parts} == set(row)
        assert all(part["value"] == row[part["column"]] for part in parts if "words" not in part)
        assert why["score"] == pytest.approx(why["base"] + sum(part["contribution"] for part in parts), rel=1e-5)
        if "probabilities" in one:
            assert why["label"] == one["prediction"]
            shares = dict(one["probabilities"])
            own = shares.pop(str(why["label"]))
            others = [math.log(share) for share in shares.values()]
            assert why["score"] == pytest.approx(math.log(own) - sum(others) / len(others), rel=1e-3, abs=1e-4)
        else:
            assert why["score"] == pytest.approx(one["prediction"], rel=1e-6)
        (alone,) = ask(client, [row]).get_json()["predictions"]
        assert alone["explanation"] == why


def test_the_base_is_the_average_of_the_train_rows(serve, bundles):
    """A standardized number that is as large as its train average adds nothing."""
    app = serve(bundles["binary"])
    scaler = model_service.default(app).require().predictor.scorer.numbers[0].scaling
    row = example(app) | {"size": float(scaler.center[0])}
    (why,) = ask(app.test_client(), [row]).get_json()["predictions"]
    (size,) = [part for part in why["explanation"]["contributions"] if part["column"] == "size"]
    assert abs(size["contribution"]) < 1e-6


def test_trees_are_explained_by_the_pipeline_of_the_bundle(serve, bundles):
    app = serve(bundles["tree"])
    predictor = model_service.default(app).require().predictor
    assert predictor.scorer.kind == "trees"
    response = ask(app.test_client(), [example(app)] * 2)
    assert response.status_code == 200, response.text
    answer = response.get_json()
    first, second = (one["explanation"] for one in answer["predictions"])
    assert first == second
    assert first["unit"] == "probability"
    share = answer["predictions"][0]["probabilities"][first["label"]]
    assert first["score"] == pytest.approx(share, abs=1e-6)


def test_the_log_is_told_what_it_is_told_without(client, app):
    told = []
    prediction_service.from_app(app).subscribers.append(told.append)
    ask(client, [example(app)])
    client.post("/predict", json={"rows": [example(app)]})
    first, second = (structs.replace(one, ids=[], started=0.0) for one in told)
    assert first == second


def test_what_nothing_explains_is_refused(serve, neighbors):
    app = serve(neighbors)
    response = ask(app.test_client(), [example(app)])
    assert response.status_code == 422
    assert "linear models and for trees" in response.get_json()["detail"]
    assert app.test_client().post("/predict", json={"rows": [example(app)]}).status_code == 200


def test_a_missing_package_is_named(serve, bundles, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    app = serve(bundles["tree"])
    response = ask(app.test_client(), [example(app)])
    assert response.status_code == 501
    assert "lockstep-mlops[explain]" in response.get_json()["detail"]


def test_a_version_whose_files_are_gone_says_so(serve, bundles, settings):
    app = serve(bundles["tree"])
    (folder,) = (path.parent for path in (Path(settings.state) / "models").glob("*/model.skops"))
    (folder / "model.skops").write_bytes(b"something else")
    response = ask(app.test_client(), [example(app)])
    assert response.status_code == 503
    assert response.headers["Retry-After"].isdigit()
    assert app.test_client().post("/predict", json={"rows": [example(app)]}).status_code == 200


def test_at_most_so_many_rows_are_explained(client, app):
    rows = [example(app)] * (explanation.MOST_ROWS + 1)
    response = ask(client, rows)
    assert response.status_code == 413
    assert str(explanation.MOST_ROWS) in response.get_json()["detail"]
    assert len(ask(client, rows[1:]).get_json()["predictions"]) == explanation.MOST_ROWS


@pytest.mark.parametrize("wrong", [None, 1, 0, "true", [], {}])
def test_explain_is_true_or_false(client, app, wrong):
    response = client.post("/predict", json={"rows": [example(app)], "explain": wrong})
    assert response.status_code == 422
    assert '"explain" must be true or false' in response.get_json()["detail"]


def test_wrong_rows_are_named_as_ever(client, app):
    response = ask(client, [example(app) | {"size": "wide"}])
    assert [one["column"] for one in response.get_json()["errors"]] == ["size"]


LIGHT = """
import sys, json
from pathlib import Path
from lockstep.inference import compiled_cache as compiled
from lockstep.inference.predictor import digest
folder = Path(sys.argv[1])
predictor = compiled.load(folder, digest(folder), folder)
rows = json.loads((folder / "smoke.json").read_text())["rows"]
print(predictor.explain(predictor.schema.check(rows))[0].unit)
print([name for name in ("pandas", "scipy", "sklearn", "skops", "shap", "pydantic_settings") if name in sys.modules])
"""


def test_linear_models_are_explained_without_scikit_learn(bundles):
    done = subprocess.run([sys.executable, "-c", LIGHT, bundles["binary"]], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["log-odds", "[]"]

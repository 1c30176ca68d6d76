import shutil

import pytest

from flask_app import model_service
from lockstep import card, files, paths
from lockstep.data.schema import Schema
from lockstep.modeling import compiled
from lockstep.modeling.predictor import Predictor, digest

BROWSER = {"Accept": "text/html"}
SLICE = {"column": "place", "name": "<b>INLAND", "rows": 31, "loss": 0.3, "low": 0.2, "high": 0.4, "rest": 0.1}
EVALUATION = {
    "metrics": [{"name": "accuracy", "value": 0.91, "low": 0.88, "high": 0.93, "higher_is_better": True}],
    "references": [{"name": "default LogisticRegression", "verdict": "as good", "difference": -0.001}],
    "weakest": {"slices": [SLICE | {"surely_worse": 0.05}]},
    "importance": {"columns": [{"column": "size", "drop": 0.25, "spread": 0.01}]},
}
SEARCH = {"metric": "accuracy", "best": 0, "trials": [{"estimator": "logistic_regression", "params": {"C": 0.3}}]}
DATA = {"train_rows": 48, "test_rows": 12, "dropped": {"rows_read": 60}}
SOURCE = {"source": "/srv/hunter2/houses.csv", "sha256": "ab" * 32}


@pytest.fixture
def carded(bundles, tmp_path):
    """Return a function that puts a card into a bundle."""

    def make(task):
        bundle = shutil.copytree(bundles[task], tmp_path / task)
        schema = Schema.from_json(files.read_json(bundle / paths.SCHEMA.name))
        made = card.of(schema, card.Facts(EVALUATION, SEARCH, DATA, SOURCE))
        files.write_json(made, bundle / paths.CARD.name)
        predictor = Predictor.load(bundle)
        compiled.save(predictor.scorer, predictor.note, digest(bundle), bundle / compiled.file_name(digest(bundle)))
        return bundle

    return make


@pytest.mark.parametrize("task", ["binary", "regression", "text"])
def test_the_card_of_a_version_is_a_page_and_json(serve, carded, task):
    client = serve(carded(task)).test_client()

    told = client.get("/model").get_json()
    page = client.get("/model", headers=BROWSER)

    assert told["model"]["version"] == "1"
    assert told["card"]["metrics"] == EVALUATION["metrics"]
    assert (page.status_code, page.mimetype) == (200, "text/html")
    words = ("0.91", "0.88 and 0.93", "as good", "houses.csv", "surely worse", "&lt;b&gt;INLAND")
    for said in (*words, *told["limits"][:1]):
        assert said in page.text
    for secret in ("hunter2", "<b>INLAND"):
        assert secret not in page.text
        assert secret not in str(told) or secret == "<b>INLAND"


def test_a_version_without_a_card_tells_what_it_takes(client):
    told, page = client.get("/model").get_json(), client.get("/model", headers=BROWSER).text

    assert (told["card"], told["limits"]) == (None, [])
    assert "without a card" in page
    assert "May be missing" in page


def test_each_model_has_its_card_and_the_form_leads_there(client, app):
    name = model_service.of(app).name

    assert client.get(f"/models/{name}/card").get_json() == client.get("/model").get_json()
    assert client.get("/models/nobody/card").status_code == 404
    assert 'href="/model"' in client.get("/", headers=BROWSER).text


def test_without_a_model_there_is_no_card(empty):
    assert empty.test_client().get("/model").status_code == 503

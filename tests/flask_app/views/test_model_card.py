import shutil
from dataclasses import replace

import msgspec
import pytest

from flask_app.models import model_service
from lockstep import decision, paths
from lockstep.decision import DECISION_TAG, FORCED_TAG, Check, Decision, Forced
from lockstep.inference import compiled_cache
from lockstep.inference.predictor import Predictor, digest
from tests.flask_app.standins import EVALUATION

BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize("task", ["binary", "regression", "text"])
def test_the_card_of_a_version_is_a_page_and_json(serve, bundles, task):
    client = serve(bundles[task]).test_client()

    told = client.get("/model").get_json()
    page = client.get("/model", headers=BROWSER)

    assert told["model"]["version"] == "1"
    assert told["card"]["metrics"] == msgspec.to_builtins(EVALUATION.metrics)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    words = ("0.91", "0.88 and 0.93", "as good", "houses.csv", "surely worse", "&lt;b&gt;INLAND")
    for said in (*words, *told["limits"][:1]):
        assert said in page.text
    for secret in ("hunter2", "<b>INLAND"):
        assert secret not in page.text
        assert secret not in str(told) or secret == "<b>INLAND"


def test_a_version_without_a_card_tells_what_it_takes(serve, bundles, tmp_path):
    old = shutil.copytree(bundles["binary"], tmp_path / "old")
    (old / paths.CARD.name).unlink()
    predictor = Predictor.load(old)
    compiled_cache.save(predictor.scorer, predictor.note, digest(old), old / compiled_cache.file_name(digest(old)))
    client = serve(old).test_client()

    told, page = client.get("/model").get_json(), client.get("/model", headers=BROWSER).text

    assert (told["card"], told["limits"]) == (None, [])
    assert "without a card" in page
    assert "May be missing" in page


def test_each_model_has_its_card_and_the_form_leads_there(client, app):
    name = model_service.default(app).name

    assert client.get(f"/models/{name}/card").get_json() == client.get("/model").get_json()
    assert client.get("/models/nobody/card").status_code == 404
    assert 'href="/model"' in client.get("/", headers=BROWSER).text


def test_without_a_model_there_is_no_card(empty):
    assert empty.test_client().get("/model").status_code == 503


def test_forced_is_shown_for_ever_and_so_is_what_the_gate_said(app, registry):
    refused = Decision((Check("floor of f1", False, "f1 is 0.1, <must> be 0.5"), Check("no skew", True, "0 of 9")))
    forced = Forced("2026-11-21T10:00:00", "ann", "the old one harms", "f1 is 0.1")
    tags = {DECISION_TAG: decision.tag(refused), FORCED_TAG: forced.to_tag()}
    registry.versions["1"] = replace(registry.versions["1"], tags=tags)
    model_service.default(app).look()
    client = app.test_client()

    told, page = client.get("/model").get_json(), client.get("/model", headers=BROWSER).text

    assert told["gate"] == refused.to_json()
    assert told["forced"]["reason"] == "the old one harms"
    for said in ("Forced into Production", "the old one harms", "ann", "2026-11-21", "&lt;must&gt;", "refused"):
        assert said in page

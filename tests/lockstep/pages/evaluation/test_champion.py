import dataclasses

import numpy as np
import pytest

from lockstep import files
from lockstep.config.params import ModelEvaluation
from lockstep.errors import RegistryError
from lockstep.inference import predictor
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from lockstep.modeling import serialization
from lockstep.pages.evaluation import champion
from lockstep.pages.evaluation.champion import Candidate
from lockstep.registry.model_registry import Version
from tests.lockstep.small_models import make

PARAMS = ModelEvaluation(resamples=100)


class Shelf:
    """A registry of one version whose files lie in a folder."""

    def __init__(self, folder, sha256="", version="4"):
        self.folder, self.version = folder, folder and Version("demo", version, "", "", sha256)

    def production(self):
        return self.version

    def download(self, version, to):
        if not (self.folder / "model.skops").exists():
            raise RegistryError("version 4 lacks model.skops", "it was not made here")
        return self.folder


@pytest.fixture
def folder(tmp_path):
    made = make("binary")
    serialization.save(made.pipeline, tmp_path / "model.skops")
    files.write_json(made.predictor.schema.to_json(), tmp_path / "schema.json")
    files.write_json(made.predictor.smoke(made.test.head(5)), tmp_path / "smoke.json")
    return tmp_path


def candidate(made, digest="own"):
    return Candidate(made.predictor, digest, made.test, scores.primary("auto", made.predictor.schema.task))


def test_production_is_asked_about_the_same_rows(folder):
    made = make("binary")
    found = champion.beside(Shelf(folder, predictor.digest(folder)), candidate(made), PARAMS)
    assert (found["version"], found["rows"]) == ("4", len(made.test))
    assert {(one["difference"], one["low"], one["high"]) for one in found["metrics"]} == {(0, 0, 0)}
    assert found["metrics"][0]["name"] == "roc_auc"
    assert (found["candidate_only"]["rows"], found["champion_only"]["rows"]) == (0, 0)
    assert found["alike"] == len(made.test)


def test_why_there_is_no_comparison_is_said(folder):
    made = make("binary")
    digest = predictor.digest(folder)
    other = dataclasses.replace(made.predictor.schema, labels=("no", "perhaps"))
    strange = dataclasses.replace(candidate(made), predictor=predictor.Predictor(other, made.predictor.scorer))
    fewer = dataclasses.replace(candidate(made), test=made.test.drop(columns="town"))
    cases = {
        "No version is Production yet": (Shelf(None), candidate(made)),
        "is Production already, as version 4": (Shelf(folder, "own"), candidate(made)),
        "with other labels": (Shelf(folder, digest), strange),
        "no column 'town'": (Shelf(folder, digest), fewer),
        "could not be asked: the model in": (Shelf(folder, "another digest"), candidate(made)),
    }
    for told, (shelf, own) in cases.items():
        assert told in champion.beside(shelf, own, PARAMS)["note"]
    (folder / "model.skops").unlink()
    assert "lacks model.skops" in champion.beside(Shelf(folder, digest), candidate(made), PARAMS)["note"]


def test_rows_that_one_alone_answers_right_are_counted_and_named(binary_schema):
    truth = np.asarray([0, 0, 1, 1, 1, 0])
    mine = np.asarray([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.3, 0.7], [0.7, 0.3], [0.8, 0.2]])
    other = np.asarray([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.95, 0.05], [0.8, 0.2], [0.8, 0.2]])
    pair = [Scored(truth, shares.argmax(axis=1), shares) for shares in (mine, other)]
    found = champion.compared(*pair, binary_schema, "accuracy", PARAMS)
    assert found["candidate_only"]["rows"] == 2
    assert [one["row"] for one in found["candidate_only"]["examples"]] == [3, 2]
    assert found["champion_only"]["examples"] == [{"row": 1, "truth": "no", "candidate": "yes", "champion": "no"}]
    assert found["alike"] == 3
    value, low, high = scores.difference(*pair, "accuracy", 100, PARAMS.seed)
    first = found["metrics"][0]
    assert (first["difference"], first["low"], first["high"]) == pytest.approx((value, low, high), abs=1e-5)


def test_errors_of_numbers_are_compared_by_their_size():
    schema = make("regression").predictor.schema
    truth = np.arange(40.0)
    errors = np.zeros((2, 40))
    errors[0, :4], errors[1, :4] = [1, -5, 0, 2], [-2, 1, 0, 3]
    pair = Scored(truth, truth + errors[0]), Scored(truth, truth + errors[1])
    found = champion.compared(*pair, schema, "mae", PARAMS)
    assert (found["candidate_only"]["rows"], found["champion_only"]["rows"], found["alike"]) == (2, 1, 37)
    assert found["champion_only"]["examples"] == [{"row": 1, "truth": 1, "candidate": -4, "champion": 2}]


@pytest.fixture
def binary_schema():
    return make("binary").predictor.schema

"""Files that an earlier release wrote: they must load, answer, serve and migrate in every later one.

`tests/fixtures/earlier_release` was written by the commit before the packages were moved (ad1e2dc), and stays as it is:
three exported models with their params.yaml, the prediction log at both revisions of its tables as SQL, a spool file.
"""

import json
import shutil
import sqlite3

import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep.config import params_file
from lockstep.config.settings import Settings
from lockstep.drift import detect
from lockstep.drift.profile import Profile
from lockstep.drift.results import DriftWindow, QualityWindow
from lockstep.errors import TrackingError
from lockstep.inference.predictor import Predictor
from lockstep.lifecycle.retraining import jobs
from lockstep.prediction_log import engine, monitoring_queries
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.shipper import Shipper
from tests.lockstep.logged_answers import find
from tests.root import ROOT

RELEASE = ROOT / "tests" / "fixtures" / "earlier_release"
MODELS = ("binary", "multiclass", "regression")
LOGS = ("log-0001.sql", "log-0002.sql")


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A copy of an exported model, since serving one leaves its compiled form in the folder."""
    return shutil.copytree(RELEASE / request.param, tmp_path_factory.mktemp("exported") / request.param)


@pytest.fixture(scope="module")
def predictor(exported):
    return Predictor.load(exported, json.loads((exported / "registered.json").read_text())["sha256"])


@pytest.fixture
def log(tmp_path):
    """Return a function that restores a prediction log from its SQL and opens it."""
    stores = []

    def restore(name):
        connection = sqlite3.connect(tmp_path / "log.db")
        connection.executescript((RELEASE / name).read_text(encoding="utf-8"))
        connection.close()
        stores.append(Store.open(f"sqlite:///{tmp_path / 'log.db'}"))
        return stores[-1]

    yield restore
    for store in stores:
        store.close()


def unreachable():
    raise TrackingError("no registry in this test")


def test_a_bundle_loads_and_answers_its_smoke_rows(exported, predictor):
    smoke = json.loads((exported / "smoke.json").read_text())
    assert predictor.answers(smoke["rows"]) == smoke["answers"]
    assert predictor.note == "" and predictor.card["rows"]["train"] > 100
    assert len(predictor.explain(predictor.schema.check(smoke["rows"][:2]))) == 2


def test_a_bundle_serves_by_the_api(exported, tmp_path):
    environment = {
        "LOCKSTEP_BAKED_MODEL": str(exported),
        "LOCKSTEP_MODEL_NAME": json.loads((exported / "registered.json").read_text())["model"],
        "LOCKSTEP_STATE": str(tmp_path / "state"),
    }
    app = create_app(Settings.read(environment), unreachable)
    model_service.default(app).look()
    smoke = json.loads((exported / "smoke.json").read_text())
    reply = app.test_client().post("/predict", json={"rows": smoke["rows"]}).get_json()
    assert reply["model"]["version"] == "1"
    assert [{name: row[name] for name in row if name != "id"} for row in reply["predictions"]] == smoke["answers"]


def test_a_profile_still_measures_a_window(exported, predictor):
    profile = Profile.load(exported)
    rows = predictor.schema.check(json.loads((exported / "smoke.json").read_text())["rows"]) * 6
    columns = {column.name: [row[index] for row in rows] for index, column in enumerate(predictor.schema.columns)}
    window = detect.RowWindow("1", 0.0, 1.0, columns, predictor.scorer.score(rows).max(axis=1), None)
    assert detect.measure(profile, window).rows == len(rows)


@pytest.mark.parametrize(
    "path", [RELEASE / "params.yaml", *(RELEASE / name / "params.yaml" for name in MODELS)], ids=str
)
def test_params_still_parse(path):
    assert params_file.load(path).register_model.model_name


@pytest.mark.parametrize("name", LOGS)
def test_a_log_of_each_revision_opens_migrated_with_its_rows(log, name):
    store = log(name)
    with store.reading() as connection:
        assert engine._revision(connection) == engine.REVISION
    found = find(store, "id-1-0")
    assert (found.model, found.version, found.label) == ("binary", "1", "yes")
    assert len(found.row) == 3 and len(found.shares) == 2 and found.value in ("yes", "no")
    assert store.lost() == 3
    assert sum(monitoring_queries.traffic(store, "binary", 0, 60)["1"].values()) == 20


def test_what_the_monitoring_wrote_is_still_read(log):
    store = log("log-0002.sql")
    (drift,) = monitoring_queries.windows(store, DriftWindow, "binary", 5)
    (quality,) = monitoring_queries.windows(store, QualityWindow, "binary", 5)
    (alert,) = monitoring_queries.open_alerts(store)
    (move,) = monitoring_queries.moves(store, "binary", 5)
    (job,) = jobs.newest(store)
    assert {feature.name for feature in drift.features} == {"size", "town", "since"}
    assert (quality.labels, alert.subject, move.version, job.state) == (100, "size", "1", "waiting")


def test_a_spool_file_is_shipped_to_the_log(log, tmp_path):
    store = log("log-0001.sql")
    spool = shutil.copytree(RELEASE / "spool", tmp_path / "spool")
    shipper = Shipper(spool, lambda: Store.open(str(store.engine.url)))
    while shipper.ship():
        pass
    shipper.close()
    assert find(store, "id-10-0").label == "no"
    assert find(store, "id-12-1").latency_us == 912
    assert store.lost() == 5
    assert list(spool.glob("*.jsonl")) == []

import dataclasses

import pytest

from flask_app import create_app
from flask_app.models import model_service
from flask_app.prediction import log as store
from lockstep.errors import ConfigError
from lockstep.lifecycle.retraining import jobs
from lockstep.prediction_log.database import Store

TOKEN = "admin-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def governed(settings, registry, bundles, tmp_path):
    """Return a function that gives a client of an app whose project is a folder."""
    apps = []

    def make(project, **changes):
        registry.add("1", bundles["binary"])
        own = dataclasses.replace(settings, admin_token=TOKEN, project=str(project), **changes)
        app = create_app(own, registry.connect)
        model_service.default(app).look()
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        end(store.from_app(app))


def end(log):
    """Close the app's log and end the process that a job may have started."""
    trainer = log._recorder.trainer if log._recorder else None
    if trainer and trainer._process:
        trainer.stop()
        trainer._process.wait(30)
    log.close()


@pytest.fixture
def project(tmp_path):
    """A folder that has what makes a project, where DVC finds no repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return folder


PARAMS = """
data_ingestion: {source: sklearn:iris}
data_preprocessing: {target: target}
feature_engineering: {}
model_building: {candidates: [{estimator: logistic_regression}]}
model_evaluation: {}
register_model: {model_name: demo}
"""


def waiting(settings, reason="drill"):
    """Put a job in line as another server would, so that no process starts for it here."""
    opened = Store.from_settings(settings)
    job = jobs.ask(opened, "demo", "request", reason).job
    jobs.start(opened, job.id)
    opened.close()
    return job


def test_a_job_is_made_and_can_be_followed(governed, project):
    client = governed(project)
    answer = client.post("/retrain", json={"reason": "drill <1>"}, headers=BEARER)
    job = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/retrain/{job['id']}")
    assert (job["state"], job["trigger"], job["reason"]) == ("waiting", "request", "drill <1>")
    again = client.post("/retrain", json={"reason": "again"}, headers=BEARER)
    assert (again.status_code, again.mimetype) == (409, "application/problem+json")
    assert f"Job {job['id']} is " in again.get_json()["detail"] and "/retrain/" in again.get_json()["detail"]
    found = client.get(answer.headers["Location"], headers=BEARER).get_json()
    assert {name: found[name] for name in ("id", "trigger", "reason", "asked")} == {
        name: job[name] for name in ("id", "trigger", "reason", "asked")
    }


def test_while_one_runs_elsewhere_it_is_named(governed, project, settings):
    job = waiting(settings, "elsewhere")
    answer = governed(project).post("/retrain", json={"reason": "r"}, headers=BEARER)
    assert (answer.status_code, answer.get_json()["detail"]) == (
        409, f"Job {job.id} is running already: follow it at /retrain/{job.id}."
    )  # fmt: skip


def test_without_a_project_it_says_so(governed, tmp_path):
    answer = governed(tmp_path).post("/retrain", json={"reason": "r"}, headers=BEARER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.get_json()["detail"] == "no training here: the folder has no params.yaml and dvc.yaml."


def test_an_unknown_job(governed, tmp_path):
    answer = governed(tmp_path).get("/retrain/nothing", headers=BEARER)
    assert (answer.status_code, answer.get_json()["detail"]) == (404, "No job has this id.")


BODIES = [(b"", 422), (b"{}", 422), (b'{"reason": " "}', 422), (b'{"reason": 1}', 422), (b"{", 400)]


@pytest.mark.parametrize(("body", "status"), [*BODIES, (b'{"reason": "r", "force": true}', 422)])
def test_bodies_refused(governed, project, settings, body, status):
    client = governed(project)
    answer = client.post("/retrain", data=body, headers=BEARER, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    opened = Store.from_settings(settings)
    assert jobs.newest(opened) == []
    opened.close()


@pytest.mark.parametrize(("method", "path"), [("POST", "/retrain"), ("GET", "/retrain/x")])
@pytest.mark.parametrize(("sent", "status"), [("", 401), ("Bearer another-token-0123456789", 401)])
def test_S01_only_with_the_token(governed, project, method, path, sent, status):
    headers = {"Authorization": sent} if sent else {}
    answer = governed(project).open(path, method=method, json={"reason": "r"}, headers=headers)
    assert answer.status_code == status


def test_rules_that_are_none_stop_the_start(settings, registry):
    with pytest.raises(ConfigError, match="LOCKSTEP_RETRAIN_ON names 'drif'"):
        create_app(dataclasses.replace(settings, retrain_on="drif"), registry.connect)


def test_a_database_that_is_away(governed, project):
    client = governed(project, database_url="postgresql://nobody@127.0.0.1:9/none")
    answer = client.post("/retrain", json={"reason": "r"}, headers=BEARER)
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text

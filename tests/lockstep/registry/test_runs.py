import pytest

from lockstep.registry import runs, tracking
from lockstep.registry.runs import LoggedRun
from lockstep.registry.tracking_server import TrackingServer


def log(client, name, **tags):
    return tracking.log_run(client, name, tracking.Run("run", tags=tags))[0]


@pytest.mark.parametrize("settings", ["local", "dagshub without aliases and stages"], indirect=True)
def test_a_run_is_found_by_all_its_tags(client, model_name):
    log(client, model_name, sha256="a", dvc_lock="1")
    other = log(client, model_name, sha256="a", dvc_lock="2")
    newest = log(client, model_name, sha256="a", dvc_lock="2", dvc_exp_name="tried")
    log(client, model_name, sha256="b")

    found = runs.find(client, model_name, {"sha256": "a", "dvc_lock": "2"})
    assert (found.run_id, found.tags["dvc_exp_name"]) == (newest, "tried")
    assert runs.find(client, model_name, {"sha256": "a", "dvc_lock": "3"}) is None
    listed = [run.run_id for run in runs.pipelines(client, model_name)]
    assert listed[:2] == [newest, other]
    assert len(listed) == 3


def test_a_run_that_failed_is_not_found(local_settings):
    client = tracking.connect(local_settings)
    run_id = log(client, "tries", dvc_lock="1")
    client.set_terminated(run_id, "FAILED")

    assert runs.find(client, "tries", {"dvc_lock": "1"}) is None


def test_an_experiment_that_is_not_there_has_no_runs(local_settings):
    assert list(runs.pipelines(tracking.connect(local_settings), "none such")) == []


@pytest.mark.parametrize(
    ("server", "page"),
    [
        (TrackingServer("sqlite:////a/mlflow.db", kind="local"), "http://127.0.0.1:5001/#/experiments/2/runs/f"),
        (TrackingServer("https://u:p@host"), "https://***@host/#/experiments/2/runs/f"),
        (
            TrackingServer("https://dagshub.com/me/x.mlflow", kind="dagshub"),
            "https://dagshub.com/me/x.mlflow/#/experiments/2/runs/f",
        ),
    ],
)
def test_a_run_has_a_page(server, page):
    assert LoggedRun("f", "2", "").page(server) == page

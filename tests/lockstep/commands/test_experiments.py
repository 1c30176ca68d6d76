import json

import pytest

from lockstep.commands import experiments
from lockstep.lifecycle.experiments import Experiment
from lockstep.registry.runs import LoggedRun
from lockstep.registry.tracking_server import TrackingServer

RUN = LoggedRun("0123456789abcdef", "1", "")


@pytest.fixture
def rows(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    (project / "reports").mkdir()
    (project / "reports/search.json").write_text(json.dumps({"metric": "log_loss"}))
    measured = {"log_loss": 0.25, "accuracy": 0.9, "brier": 0.1}
    changed = {"model_building.folds": 3, "model_building.jobs": None}
    return [
        (Experiment("workspace", "workspace", "done", metrics=measured), None),
        (Experiment("three", "c0ffee", "done", params=changed, metrics=measured), RUN),
        (Experiment("[red]waits", "cafe", "queued"), None),
    ]


def test_the_table_shows_what_changed_and_the_metrics_that_count(rows, capsys):
    experiments._show(rows)
    told = capsys.readouterr().out
    titles = told.splitlines()[1]
    assert titles.index("log_loss") < titles.index("accuracy")
    assert "brier" not in titles
    assert "model_building.folds: 3" in told
    assert "model_building.jobs: left out" in told
    assert ("0.2500" in told, "01234567" in told, "[red]waits" in told) == (True, True, True)


def test_a_program_gets_every_metric_and_the_page_of_the_run(rows):
    told = [json.loads(json.dumps(experiments._row(*row, TrackingServer("http://host")))) for row in rows]
    assert told[1]["metrics"]["brier"] == 0.1
    assert told[1]["page"] == f"http://host/#/experiments/1/runs/{RUN.run_id}"
    assert (told[2]["run_id"], told[2]["page"], told[2]["state"]) == (None, None, "queued")


def test_runs_are_looked_for_where_an_experiment_was_told_to_log(rows):
    trial = Experiment("t", "c", "done", params={"register_model.experiment": "trials"})
    assert experiments._where_logged([trial]) == {"lockstep", "trials"}

import csv
import json

import pytest

from lockstep import cli
from lockstep.lifecycle.retraining import jobs
from lockstep.prediction_log.database import Store
from tests import github_like
from tests.github_like import TOKEN
from tests.lockstep.logged_answers import answer, label


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A log with a labelled prediction, in a folder that is no project, as in a pod."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    for name, value in {
        "DATABASE_URL": url,
        "LOCKSTEP_MODEL_NAME": "demo",
        "LOCKSTEP_DISPATCH_REPO": "own/er",
        "LOCKSTEP_DISPATCH_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    opened = Store.open(url)
    opened.add([answer("one", "two"), label("one", "no")])
    yield opened
    opened.close()


def handed(monkeypatch, *statuses, words=()):
    with github_like.serving(*statuses) as github:
        monkeypatch.setenv("LOCKSTEP_DISPATCH_URL", github.url)
        return cli.main(["retrain", "--dispatch", *words]), github.asked


def test_a_job_is_handed_over_and_says_so(store, monkeypatch, capsys):
    code, asked = handed(monkeypatch, words=["--reason", "monthly", "--json"])
    job = json.loads(capsys.readouterr().out)
    assert (code, job["state"]) == (0, "dispatched")
    assert "handed to own/er" in job["outcome"]
    assert asked[0][1]["client_payload"] == {
        "model": "demo",
        "reason": "monthly",
        "trigger": "manual",
        "job": job["id"],
    }
    assert jobs.ask(store, "demo", "request", "next").new


def test_labelled_rows_go_first(store, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCKSTEP_DISPATCH_ROWS", str(tmp_path / "rows.csv"))
    assert handed(monkeypatch)[0] == 0
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        assert [(line["id"], line["label"]) for line in csv.DictReader(file)] == [("one", "no")]
    assert jobs.newest(store)[0].labelled_rows == 1


def test_a_refusal_is_recorded_and_fails(store, monkeypatch, capsys):
    code, _ = handed(monkeypatch, 404)
    (job,) = jobs.newest(store)
    assert (code, job.state) == (1, "failed")
    assert job.outcome == "own/er: GitHub answers 404"
    assert TOKEN not in "".join(capsys.readouterr())


def test_rows_that_cannot_travel_stop_the_order(store, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCKSTEP_DISPATCH_ROWS", str(tmp_path / "rows.xlsx"))
    code, asked = handed(monkeypatch)
    assert (code, asked, jobs.newest(store)[0].state) == (1, [], "failed")


@pytest.mark.parametrize(("missing", "problem"), [("LOCKSTEP_DISPATCH_REPO", "is not set"), ("", "handed over")])
def test_what_cannot_be_handed_over_makes_no_job(store, monkeypatch, missing, problem):
    monkeypatch.delenv(missing or "LOCKSTEP_DISPATCH_URL", raising=False)
    with pytest.raises(Exception, match=problem):
        cli.main(["retrain", "--dispatch", *(() if missing else ("--no-promote",))])
    assert jobs.newest(store) == []

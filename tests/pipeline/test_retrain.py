"""The way back to training: labelled rows join the source, the gate decides, and the record says why."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lockstep.config.settings import Settings
from lockstep.lifecycle.retraining import jobs
from lockstep.prediction_log.database import Store
from tests.pipeline import traffic
from tests.pipeline.project import copy_of
from tests.serving import real

pytestmark = pytest.mark.pipeline


@pytest.fixture
def project(finished, tmp_path):
    """The finished project, with its model in Production as version 1."""
    project = copy_of(finished, tmp_path / "loop")
    project.lockstep("promote")
    return project


def moved(project, count, start=0, scale=1.2):
    """Return rows of the source, as if one feature had come to be measured otherwise."""
    rows = traffic.source_rows(project).iloc[start : start + count].copy()
    rows["worst texture"] *= scale
    return rows


def history(project):
    return json.loads(project.lockstep("history", "--json").stdout)


def retrained(project, *words, ok=True):
    done = project.lockstep("retrain", "--json", *words, ok=ok)
    return json.loads(done.stdout)


def test_labelled_rows_join_and_the_new_version_is_promoted(project):
    rows = moved(project, 200)
    known = traffic.source_rows(project).iloc[300:310]
    traffic.log(project, rows)
    traffic.log(project, known)
    traffic.log(project, moved(project, 50, 400), labelled=False)
    before = json.loads(project.read("reports/data.json"))
    job = retrained(project, "--reason", "the lab changed its scale")
    assert (job["state"], job["trigger"], job["version"], job["labelled_rows"]) == ("promoted", "manual", "2", 210)
    assert job["outcome"] == "version 2 is Production, in place of version 1"
    newest = history(project)["events"][0]
    assert (newest["action"], newest["version"]) == ("promote", "2")
    assert newest["reason"] == "retrained (manual): the lab changed its scale"

    page = json.loads(project.read("data/external/feedback/breast-cancer.json"))
    assert (page["rows"], page["versions"], page["left_out"]) == (210, {"1": 210}, {})
    origin = json.loads(project.read("data/raw/source.json"))
    assert origin["feedback"]["breast-cancer"]["joined"] == 200
    assert origin["feedback"]["breast-cancer"]["there_already"] == 10
    after = json.loads(project.read("reports/data.json"))
    assert after["feedback_rows"] == 200
    assert after["train_rows"] + after["test_rows"] == before["train_rows"] + before["test_rows"] + 200
    assert newest["data_digest"] != history(project)["events"][1]["data_digest"]

    again = retrained(project)
    assert (again["state"], again["version"]) == ("kept", "2")
    assert again["outcome"] == "the pipeline made version 2, which is Production already"


@pytest.mark.long("trains once more to show little more")
def test_a_worse_version_is_kept_back_and_the_record_says_why(project):
    rows = moved(project, 300)
    rows["target"] = ["benign" if label == "malignant" else "malignant" for label in rows["target"]]
    traffic.log(project, rows)
    job = retrained(project, "--reason", "drill")
    assert (job["state"], job["version"]) == ("kept", "2")
    assert "breast-cancer version 2 is refused: " in job["outcome"]
    told = history(project)
    assert (told["production"], told["events"][0]["action"]) == ("1", "refused")


@pytest.mark.long("trains once more to show little more")
def test_no_promote_only_registers(project):
    traffic.log(project, moved(project, 60))
    job = retrained(project, "--no-promote")
    assert (job["state"], job["version"]) == ("kept", "2")
    assert history(project)["production"] == "1"


@pytest.mark.long("trains once more to show little more")
def test_without_labels_or_with_feedback_off_nothing_joins(project):
    assert retrained(project)["labelled_rows"] == 0
    assert not (project.root / "data/external/feedback").exists()
    traffic.log(project, moved(project, 60))
    project.edit("params.yaml", "feedback: true", "feedback: false")
    assert retrained(project)["labelled_rows"] == 0


def test_a_stage_that_fails_is_a_failed_job_with_its_cause(project):
    project.edit("params.yaml", "source: sklearn:breast_cancer", "source: sklearn:breast_cancers")
    done = project.lockstep("retrain", ok=False)
    assert done.returncode == 1
    assert "failed: `dvc repro` ended with code" in done.stderr
    store = Store.from_settings(traffic.settings_of(project))
    assert [job.state for job in jobs.newest(store)] == ["failed"]
    store.close()


@pytest.mark.long("trains once more to show little more")
def test_one_at_a_time_and_sigterm_leaves_nothing_half_written(project):
    traffic.log(project, moved(project, 100))
    command = [sys.executable, "-m", "lockstep", "retrain", "--reason", "first"]
    process = subprocess.Popen(
        command, cwd=project.root, env=project.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    store = Store.from_settings(traffic.settings_of(project))
    try:
        wait_for(lambda: (project.root / "data/external/feedback/breast-cancer.json").exists())
        refused = project.lockstep("retrain", ok=False)
        assert refused.returncode == 1 and "another retraining runs" in refused.stderr
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "stopped by SIGTERM" in told.decode()
    (job,) = jobs.newest(store)
    assert (job.state, job.outcome) == ("failed", "stopped by SIGTERM")
    store.close()
    assert not list(project.root.rglob("*.partial*"))
    assert retrained(project)["state"] == "promoted"


def test_a_job_whose_process_was_killed_does_not_stand_in_the_way(finished, tmp_path):
    project = copy_of(finished, tmp_path / "killed")
    project.lockstep("promote")
    store = Store.from_settings(Settings.read({"LOCKSTEP_STATE": str(project.root / ".lockstep")}))
    dead = subprocess.Popen(["true"])
    dead.wait()
    asked = jobs.ask(store, "breast-cancer", "manual", "killed").job
    jobs.start(store, asked.id)
    with store.writing() as link:
        link.execute(jobs.update(jobs.JOBS).values(owner=f"{os.uname().nodename}:{dead.pid}"))
    assert retrained(project)["state"] == "kept"
    assert [(job.state, job.outcome) for job in jobs.newest(store)][1] == ("failed", "its process died")
    store.close()


def test_a_trial_ends_with_a_promotion_on_record_and_can_be_undone(finished, tmp_path):
    project = copy_of(finished, tmp_path / "trial")
    project.lockstep("promote")
    assert "has no challenger" in project.lockstep("promote", "--from", "challenger", ok=False).stderr
    assert "leave --version" in project.lockstep("promote", "--from", "challenger", "--version", "1", ok=False).stderr
    bundle = shutil.copytree(project.root / "models", tmp_path / "bundle")
    smoke = json.loads((bundle / "smoke.json").read_text())
    (bundle / "smoke.json").write_text(json.dumps({name: each[1:] for name, each in smoke.items()}))
    versions = real.Store(traffic.settings_of(project), "breast-cancer")
    assert versions.register(bundle) == "2"
    assert "is the challenger now" in project.lockstep("promote", "--to", "challenger", "--version", "2").stdout
    assert (versions.registry.challenger().version, history(project)["production"]) == ("2", "1")
    project.lockstep("promote", "--from", "challenger")
    told = history(project)
    assert (told["production"], told["events"][0]["reason"]) == ("2", "it was the challenger")
    assert versions.registry.challenger() is None
    project.lockstep("rollback", "--reason", "drill")
    assert history(project)["production"] == "1"


def wait_for(condition, most_s=30):
    end = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)

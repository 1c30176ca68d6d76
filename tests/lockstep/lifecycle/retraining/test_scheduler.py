import time

import msgspec
import pytest
from sqlalchemy import update

from lockstep.config.settings import Settings
from lockstep.drift.results import Alert, Job
from lockstep.errors import ConfigError
from lockstep.lifecycle.retraining import jobs, scheduler
from lockstep.lifecycle.retraining.github import Repository
from lockstep.lifecycle.retraining.jobs import JobOutcome
from lockstep.lifecycle.retraining.scheduler import Scheduler
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.tables import JOBS
from tests import github_like
from tests.flask_app.views.test_retrain import PARAMS
from tests.lockstep.logged_answers import answer, label
from tests.serving.real import wait_for

PAGE = Alert(1, "drift", "demo", "3", "size", "page", "KS 0.4", 1.0)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'state' / 'lockstep.db'}")
    yield opened
    opened.close()


@pytest.fixture
def made(tmp_path, store):
    """Return a function that makes a trainer on a folder where DVC finds no repository, so that a job soon fails."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    made = []

    def make(**changes):
        own = {"LOCKSTEP_STATE": str(tmp_path / "state"), "LOCKSTEP_PROJECT": str(folder)}
        made.append(Scheduler(Settings.read(own | changes), lambda: store))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        if one._process:
            one._process.wait(20)


@pytest.fixture
def hold(monkeypatch):
    """Let nothing start, so that what is in line can be looked at."""
    monkeypatch.setattr(Scheduler, "_run_waiting", lambda self: None)


def test_a_job_runs_in_a_process_of_its_own_and_leaves_a_log(made, store, tmp_path):
    one = made()
    asked = one.ask("drill")
    assert asked["new"] and asked["job"]["state"] == "waiting"
    assert not one.ask("again")["new"]

    def ended():
        one.look([])
        return one.find(asked["job"]["id"])["ended"]

    wait_for(ended, 60, 0.2)
    found = one.find(asked["job"]["id"])
    assert (found["state"], found["trigger"], found["reason"]) == ("failed", "request", "drill")
    assert "dvc repro" in found["outcome"]
    assert "failed: `dvc repro`" in (tmp_path / "state" / "jobs" / f"{found['id']}.log").read_text()
    assert one.find("other") is None


def test_a_process_that_dies_without_a_word_is_noted(made, store):
    one = made()
    job = one.ask("drill")["job"]["id"]
    one._process.kill()
    one._process.wait()
    one.look([])
    found = jobs.find(store, job)
    assert (found.state, found.outcome) == ("failed", f"its process ended with code -9; its log is jobs/{job}.log")
    assert one.ask("again")["new"]


def test_stop_ends_what_runs(made, store):
    one = made()
    job = one.ask("drill")["job"]["id"]
    wait_for(lambda: jobs.find(store, job).state == "running", 30)
    one.stop()
    assert one._process.wait(30) != 0
    one.look([])
    assert jobs.find(store, job).state == "failed"


def test_an_alert_starts_one_and_then_the_cool_down_holds(made, store, hold):
    one = made(LOCKSTEP_RETRAIN_ON="drift")
    one.look([])
    assert jobs.newest(store) == []
    one.look([PAGE])
    one.look([PAGE])
    (job,) = jobs.newest(store)
    assert (job.trigger, job.reason) == ("drift", "drift of size at version 3: KS 0.4")
    jobs.start(store, job.id)
    jobs.end(store, job.id, JobOutcome("kept", "refused"))
    one.look([PAGE])
    assert len(jobs.newest(store)) == 1


@pytest.mark.parametrize(
    ("changes", "alert"),
    [
        ({}, PAGE),
        ({"LOCKSTEP_RETRAIN_ON": "quality"}, PAGE),
        ({"LOCKSTEP_RETRAIN_ON": "drift", "LOCKSTEP_PROJECT": "/nonexistent"}, PAGE),
        ({"LOCKSTEP_RETRAIN_ON": "drift"}, Alert(1, "drift", "other", "3", "size", "page", "", 1.0)),
    ],
)
def test_nothing_starts_by_itself_that_nobody_asked_for(made, store, hold, caplog, changes, alert):
    one = made(**changes)
    for _ in range(3):
        one.look([alert])
    assert jobs.newest(store) == []
    told = [record for record in caplog.records if record.name == "loop"]
    assert len(told) == ("/nonexistent" in changes.values())


def test_an_alert_after_a_retraining_needs_new_labels_or_a_newer_source(made, store, hold, tmp_path):
    one = made(LOCKSTEP_RETRAIN_ON="drift", LOCKSTEP_RETRAIN_COOLDOWN_H="0")
    one.look([PAGE])
    (first,) = jobs.newest(store)
    jobs.start(store, first.id)
    jobs.end(store, first.id, JobOutcome("kept", "refused"))
    later = msgspec.structs.replace(PAGE, id=2, opened=time.time())
    one.look([later])
    assert one.reasons == {"demo": f"no rows or labels have come since job {first.id}"}
    store.add([answer("a", at_us=time.time_ns() // 1000), label("a", at_us=time.time_ns() // 1000)])
    one.look([later])
    assert one.reasons == {"demo": ""}
    assert len(jobs.newest(store)) == 2


def test_a_file_of_the_source_that_changed_is_new_rows(made, store, hold, tmp_path):
    one = made(LOCKSTEP_RETRAIN_ON="drift")
    source = one.project / "rows.csv"
    source.write_text("a,target\n1,2\n")
    (one.project / "params.yaml").write_text(PARAMS.replace("sklearn:iris", "rows.csv"))
    asked = Job("j", "kept", "drift", "", time.time() + 60, model="demo")
    assert not one._has_new_rows(asked)
    assert one._has_new_rows(msgspec.structs.replace(asked, asked=source.stat().st_mtime - 1))


def test_the_schedule_starts_one(made, store, hold):
    one = made(LOCKSTEP_RETRAIN_EVERY_H="2")
    one.look([])
    assert jobs.newest(store) == []
    one._since -= 2 * 3600
    one.look([])
    assert [job.trigger for job in jobs.newest(store)] == ["schedule"]


def test_a_server_without_a_project_leaves_the_job_to_another(made, store, tmp_path):
    jobs.ask(store, "demo", "request", "")
    one = made(LOCKSTEP_PROJECT=str(tmp_path))
    one.look([])
    assert one._process is None
    assert jobs.newest(store)[0].state == "waiting"
    with pytest.raises(ConfigError, match="no training here"):
        one.ask("x")


def beating(store, job):
    with store.writing() as link:
        link.execute(update(JOBS).where(JOBS.c.id == job).values(beat_us=JOBS.c.beat_us + 1))


def test_c27_a_silent_job_is_buried_by_the_count_of_seconds_not_by_the_clock(made, store, monkeypatch):
    one = made()
    job = jobs.ask(store, "demo", "request", "").job.id
    jobs.start(store, job)
    with store.writing() as link:
        day_us = 86_400 * 1_000_000
        link.execute(update(JOBS).values(beat_us=JOBS.c.beat_us - day_us, owner="elsewhere:1"))
    now = time.monotonic()
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: now)
    one.look([])
    for _ in range(3):
        now += 10
        one.look([])
    beating(store, job)
    for _ in range(7):
        assert jobs.find(store, job).state == "running"
        now += 10
        one.look([])
    now += 10
    one.look([])
    assert jobs.find(store, job).state == "failed"


def test_while_the_database_was_away_no_sign_could_come(made, store, monkeypatch):
    one = made()
    job = jobs.ask(store, "demo", "request", "").job.id
    jobs.start(store, job)
    now = time.monotonic()
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: now)
    one.look([])
    now += 3600
    one.look([])
    assert jobs.find(store, job).state == "running"


def test_old_logs_go(made, store, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "KEPT_LOGS", 2)
    folder = tmp_path / "state" / "jobs"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.log").write_text("old")
    made().ask("drill")
    assert len(list(folder.iterdir())) == 2


def test_without_a_project_a_job_is_handed_to_github(made, store, tmp_path):
    with github_like.serving() as github:
        one = made(
            LOCKSTEP_PROJECT=str(tmp_path),
            LOCKSTEP_MODEL_NAME="demo,other",
            LOCKSTEP_RETRAIN_ON="drift",
        )
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "DATABASE_URL": f"sqlite:///{tmp_path / 'state' / 'lockstep.db'}",
                "LOCKSTEP_DISPATCH_REPO": "own/er",
                "LOCKSTEP_DISPATCH_TOKEN": github_like.TOKEN,
                "LOCKSTEP_DISPATCH_URL": github.url,
            }.items():
                patch.setenv(name, value)
            one.repository = Repository("own/er", github.url, github_like.TOKEN)
            one.look([PAGE])
            wait_for(lambda: jobs.newest(store)[0].ended, 60, 0.2)
    ((_, order),) = github.asked
    assert order["client_payload"]["model"] == "demo"
    assert order["client_payload"]["trigger"] == "drift"
    assert jobs.newest(store)[0].state == "dispatched"


def test_the_end_of_a_process_is_no_end_of_a_job_that_another_machine_runs(made, store):
    one = made()
    job = one.ask("drill")["job"]["id"]
    wait_for(lambda: jobs.find(store, job).state == "running", 30)
    with store.writing() as link:
        link.execute(update(JOBS).where(JOBS.c.id == job).values(owner="elsewhere:7"))
    one._process.kill()
    one._process.wait()
    with one._turn:
        one._note_end()
    assert jobs.find(store, job).state == "running"


@pytest.fixture
def two(made, tmp_path):
    """A trainer of a project with two models."""
    trainer = made(LOCKSTEP_RETRAIN_ON="drift", LOCKSTEP_RETRAIN_EVERY_H="2")
    folder = tmp_path / "project/usecases/churn"
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS.replace("model_name: demo", "model_name: churn"))
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return trainer


def test_an_alert_of_a_model_retrains_that_model(two, store, hold):
    two.look([msgspec.structs.replace(PAGE, model="churn")])
    (job,) = jobs.newest(store)
    assert (job.model, job.trigger) == ("churn", "drift")


@pytest.mark.long("trains two models")
def test_a_job_of_a_model_runs_in_its_folder(two, store, tmp_path):
    job = two.ask("drill", "churn")["job"]["id"]

    def ended():
        two.look([])
        return two.find(job)["ended"]

    wait_for(ended, 60, 0.2)
    assert (two.find(job)["model"], two.find(job)["state"]) == ("churn", "failed")
    assert "`dvc repro`" in two.find(job)["outcome"]
    with pytest.raises(ConfigError, match="no model 'chrun' is trained here; did you mean 'churn'"):
        two.ask("drill", "chrun")


def test_each_model_has_its_own_schedule(two, store, hold):
    two._since -= 2 * 3600
    for expected in ("demo", "churn"):
        two.look([])
        job = jobs.newest(store)[0]
        assert (job.model, job.trigger, job.state) == (expected, "schedule", "waiting")
        jobs.start(store, job.id)
        two.look([])
        assert len([one for one in jobs.newest(store) if one.state == "waiting"]) == 0
        jobs.end(store, job.id, JobOutcome("kept", "as good"))
    two.look([])
    assert len(jobs.newest(store)) == 2

import os
import subprocess
import threading
import time

import pytest
from sqlalchemy import update

from lockstep.lifecycle.retraining import jobs
from lockstep.lifecycle.retraining.jobs import JobOutcome
from lockstep.prediction_log.tables import JOBS


def touch(store, job, **values):
    with store.writing() as link:
        link.execute(update(JOBS).where(JOBS.c.id == job).values(**values))


def test_a_job_from_its_asking_to_its_end(store):
    asked = jobs.ask(store, "demo", "drift", "size moved")
    assert asked.new
    job = asked.job
    assert (job.state, job.trigger, job.reason, job.started, job.ended) == (
        "waiting",
        "drift",
        "size moved",
        None,
        None,
    )
    assert abs(job.asked - time.time()) < 5
    assert jobs.start(store, job.id)
    assert jobs.find(store, job.id).state == "running"
    assert jobs.last_beat(store)[0] == job.id
    assert jobs.beat(store, job.id)
    assert jobs.end(store, job.id, JobOutcome("promoted", "version 2", "2", 40))
    found = jobs.find(store, job.id)
    assert (found.state, found.outcome, found.version, found.labelled_rows) == ("promoted", "version 2", "2", 40)
    assert found.asked <= found.started <= found.ended
    assert jobs.last_beat(store) is None
    assert jobs.find(store, "other") is None


def test_one_at_a_time_and_who_asks_meanwhile_is_told_which(store):
    first = jobs.ask(store, "demo", "manual", "a")
    second = jobs.ask(store, "demo", "request", "b")
    assert (second.new, second.job) == (False, first.job)
    jobs.start(store, first.job.id)
    assert not jobs.ask(store, "other", "request", "b").new
    jobs.end(store, first.job.id, JobOutcome("kept", "no"))
    third = jobs.ask(store, "demo", "request", "b")
    assert third.new
    assert [job.id for job in jobs.newest(store)] == [third.job.id, first.job.id]
    assert [job.id for job in jobs.newest(store, 1)] == [third.job.id]
    assert "waiting already (b): no process has taken it since 20" in jobs.busy(store, third.job).problem


def test_of_many_that_ask_at_once_one_is_new(store):
    found = []
    threads = [threading.Thread(target=lambda: found.append(jobs.ask(store, "demo", "request", ""))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked.new for asked in found) == [False, False, False, True]
    assert len({asked.job.id for asked in found}) == 1


def test_a_job_is_started_once_and_ended_once(store):
    job = jobs.ask(store, "demo", "manual", "").job
    assert not jobs.beat(store, job.id)
    assert not jobs.end(store, job.id, JobOutcome("kept", ""))
    assert [jobs.start(store, job.id) for _ in range(2)] == [True, False]
    assert [jobs.end(store, job.id, JobOutcome("kept", "first")) for _ in range(2)] == [True, False]
    assert not jobs.end(store, job.id, JobOutcome("failed", "late"))
    assert jobs.find(store, job.id).outcome == "first"


OWNERS = {
    "lives": (lambda dead: jobs.own_name(), 0, "running"),
    "died here": (lambda dead: f"{os.uname().nodename}:{dead}", 0, "failed"),
    "runs elsewhere": (lambda dead: f"elsewhere:{dead}", 0, "running"),
    "silent elsewhere": (lambda dead: f"elsewhere:{dead}", 120, "failed"),
}


@pytest.mark.parametrize(("owner", "silent_s", "state"), OWNERS.values(), ids=OWNERS)
def test_who_is_buried(store, owner, silent_s, state):
    process = subprocess.Popen(["true"])
    process.wait()
    job = jobs.ask(store, "demo", "manual", "").job
    jobs.start(store, job.id)
    touch(store, job.id, owner=owner(process.pid), beat_us=int((time.time() - silent_s) * 1e6))
    jobs.bury_dead(store)
    found = jobs.find(store, job.id)
    assert found.state == state
    assert (found.outcome == "its process died") is (state == "failed")
    assert jobs.ask(store, "demo", "manual", "").new is (state == "failed")


@pytest.mark.parametrize(
    ("state", "age_s", "left"), [("waiting", 0, False), ("waiting", 90, True), ("running", 90, False)]
)
def test_a_job_that_nobody_comes_for_is_left_to_who_asks_next(store, state, age_s, left):
    job = jobs.ask(store, "demo", "request", "").job
    touch(store, job.id, state=state, asked_us=int((time.time() - age_s) * 1e6))
    assert jobs.is_left(jobs.find(store, job.id)) is left


def test_nothing_to_bury(store):
    jobs.bury_dead(store)
    jobs.ask(store, "demo", "manual", "")
    jobs.bury_dead(store)
    assert jobs.newest(store)[0].state == "waiting"

import dataclasses

import pytest

from lockstep.config.settings import Settings
from lockstep.drift.results import Alert, Job
from lockstep.errors import ConfigError
from lockstep.lifecycle.retraining.policy import HOUR_S, KINDS, RetrainRules, Trigger, decide

NOW = 1_000_000.0
BOTH = RetrainRules(("drift", "quality"), 0, 24 * HOUR_S)
SCHEDULE = RetrainRules((), 12 * HOUR_S)


def alert(kind="drift", severity="page", closed=None, number=1, opened=NOW - 60):
    return Alert(number, kind, "demo", "3", f"size {number}", severity, "q 0.001", opened, closed)


def job(state="kept", asked=NOW - 30 * HOUR_S, ended=None):
    return Job("j1", state, "manual", "because", asked, asked, ended)


OPEN = alert()
DRIFT = Trigger("drift", "drift of size 1 at version 3: q 0.001")
NOTHING = Trigger("", "no alert asks for it")
TWELVE = Trigger("schedule", "12 h have passed")

CASES = {
    "nothing is asked for": (RetrainRules(), [OPEN], [], NOTHING),
    "no alert": (BOTH, [], [], NOTHING),
    "a page": (BOTH, [OPEN], [], DRIFT),
    "a warning alone": (BOTH, [alert(severity="warning")], [], NOTHING),
    "a closed one": (BOTH, [alert(closed=NOW - 1)], [], NOTHING),
    "of another kind": (RetrainRules(("quality",)), [OPEN], [], NOTHING),
    "of the log": (BOTH, [alert(kind="log")], [], NOTHING),
    "several": (
        BOTH, [alert(number=2), alert("quality", number=1, opened=NOW - 90)], [],
        Trigger("quality", "quality of size 1 at version 3: q 0.001 (and 1 more)"),
    ),
    "one is running": (BOTH, [OPEN], [job("running")], Trigger("", "job j1 is running")),
    "one is waiting": (SCHEDULE, [], [job("waiting")], Trigger("", "job j1 is waiting")),
    "cooling down": (BOTH, [OPEN], [job(ended=NOW - HOUR_S)], Trigger("", "cooling down for 23 h more")),
    "cooling down after a failure": (
        BOTH, [OPEN], [job("failed", ended=NOW - 2 * HOUR_S)], Trigger("", "cooling down for 22 h more")
    ),
    "cooled down": (BOTH, [OPEN], [job(ended=NOW - 25 * HOUR_S)], DRIFT),
    "C27 the clock went back": (BOTH, [OPEN], [job(ended=NOW + HOUR_S)], Trigger("", "cooling down for 24 h more")),
    "the cool-down doubles after each refusal": (
        BOTH, [OPEN], [job(ended=NOW - 25 * HOUR_S), job("failed"), job("promoted"), job()],
        Trigger("", "cooling down for 23 h more"),
    ),
    "a promotion ends the doubling": (BOTH, [OPEN], [job("promoted", ended=NOW - 25 * HOUR_S), job(), job()], DRIFT),
    "the cool-down doubles to a month": (
        BOTH, [OPEN], [job(ended=NOW - 31 * 24 * HOUR_S)] * 20, Trigger("", "cooling down for 24 h more")
    ),
    "an alert that started one": (
        BOTH, [alert(opened=NOW - 31 * HOUR_S)], [job(ended=NOW - 25 * HOUR_S)],
        Trigger("", "the alerts were open when job j1 started, and an alert starts one retraining"),
    ),
    "an alert that started one, and another": (
        BOTH, [alert(opened=NOW - 31 * HOUR_S, number=2), OPEN], [job(ended=NOW - 25 * HOUR_S)], DRIFT
    ),
    "no cool-down": (dataclasses.replace(BOTH, cooldown_s=0), [OPEN], [job(ended=NOW)], DRIFT),
    "schedule not yet due": (SCHEDULE, [], [job(ended=NOW - 11 * HOUR_S)], NOTHING),
    "schedule due": (SCHEDULE, [], [job(ended=NOW - 12 * HOUR_S)], TWELVE),
    "schedule in spite of the cool-down": (
        dataclasses.replace(SCHEDULE, on=("drift",)), [OPEN], [job(ended=NOW - 13 * HOUR_S)], TWELVE
    ),
    "the newest job counts": (SCHEDULE, [], [job(ended=NOW - 99 * HOUR_S), job(ended=NOW - HOUR_S)], NOTHING),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_decide(case):
    rules, alerts, jobs, verdict = CASES[case]
    assert decide(NOW, NOW - HOUR_S, alerts, jobs, rules) == verdict
    assert bool(verdict) is bool(verdict.kind)


def test_no_alert_starts_one_without_new_rows_but_the_schedule_does():
    jobs = [job(ended=NOW - 25 * HOUR_S)]
    nothing_new = decide(NOW, NOW, [OPEN], jobs, BOTH, lambda last: last is not jobs[0])
    assert nothing_new == Trigger("", "no rows or labels have come since job j1")
    assert decide(NOW, NOW, [OPEN], [], BOTH, lambda last: False) == DRIFT
    assert decide(NOW, NOW, [], jobs, SCHEDULE, lambda last: False) == TWELVE


def test_without_any_job_the_schedule_counts_from_the_start_of_watching():
    assert decide(NOW, NOW - 12 * HOUR_S, [], [], SCHEDULE) == TWELVE
    assert not decide(NOW, NOW - 11 * HOUR_S, [], [], SCHEDULE)


ASKED = [("", ()), ("drift", ("drift",)), ("drift, quality,drift", KINDS), ("drift quality", KINDS)]


@pytest.mark.parametrize(("text", "on"), ASKED)
def test_rules_of_settings(text, on):
    settings = Settings.read({"LOCKSTEP_RETRAIN_ON": text, "LOCKSTEP_RETRAIN_EVERY_H": "2"})
    assert RetrainRules.of(settings) == RetrainRules(on, 2 * HOUR_S, 24 * HOUR_S)


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'drift'"):
        RetrainRules.of(Settings.read({"LOCKSTEP_RETRAIN_ON": "drfit"}))

"""Retraining policy: a pure decision from the clock, the open alerts and the past jobs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from lockstep.config.settings import Settings
from lockstep.drift.results import Alert, Job
from lockstep.errors import ConfigError, nearest

HOUR_S = 3600
MOST_DOUBLINGS = 5  # A cool-down of a day grows to a month.
KINDS = ("drift", "quality")
ACTIVE = ("waiting", "running")


@dataclass(frozen=True)
class RetrainRules:
    """What may start a retraining: alerts of some kinds, not sooner than the cool-down, and a schedule (0: none)."""

    on: tuple[str, ...] = ()
    every_s: float = 0
    cooldown_s: float = 24 * HOUR_S

    @classmethod
    def of(cls, settings: Settings) -> "RetrainRules":
        """Read the rules from the settings. Raises ConfigError: `LOCKSTEP_RETRAIN_ON` names no kind of alert."""
        on = tuple(dict.fromkeys(settings.retrain_on.replace(",", " ").split()))
        for kind in on:
            if kind not in KINDS:
                raise ConfigError(
                    f"LOCKSTEP_RETRAIN_ON names {kind!r}{nearest(kind, KINDS)}",
                    f"alerts that start retraining are {' and '.join(KINDS)}",
                )
        return cls(on, settings.retrain_every_h * HOUR_S, settings.retrain_cooldown_h * HOUR_S)


@dataclass(frozen=True)
class Trigger:
    """What starts a retraining (`kind` is empty: nothing does), and the reason for it or against it."""

    kind: str
    reason: str

    def __bool__(self) -> bool:
        return bool(self.kind)


def decide(
    now: float,
    since: float,
    alerts: Iterable[Alert],
    jobs: Sequence[Job],
    rules: RetrainRules,
    has_new_rows: Callable[[Job], bool] = lambda last: True,
) -> Trigger:
    """Decide whether to train now; times in seconds since 1970, `since` being when the watching began.

    `jobs` are the latest of the model, newest first; `has_new_rows` says whether rows or labels have come since one.
    Only an alert that is a page counts, which took two windows in a row: one window in fifty alarms by chance. An alert
    starts one retraining, and none without new rows: the same rows would make the same model. After each retraining
    in a row that ended without a promotion the cool-down doubles.
    """
    if job := busy(jobs):
        return Trigger("", f"job {job.id} is {job.state}")
    last = max((job.ended or job.started or job.asked for job in jobs), default=None)
    if rules.every_s and now - (since if last is None else last) >= rules.every_s:
        return Trigger("schedule", f"{_hours(rules.every_s)} have passed")
    calls = [alert for alert in alerts if alert.closed is None and alert.severity == "page" and alert.kind in rules.on]
    if not calls:
        return Trigger("", "no alert asks for it")
    cooldown_s = rules.cooldown_s * 2 ** min(MOST_DOUBLINGS, max(0, _without_promotion(jobs) - 1))
    if last is not None and now - last < cooldown_s:
        return Trigger("", f"cooling down for {_hours(cooldown_s - max(0.0, now - last))} more")
    calls = [alert for alert in calls if not any(alert.opened <= job.asked for job in jobs)]
    if not calls:
        return Trigger("", f"the alerts were open when job {jobs[0].id} started, and an alert starts one retraining")
    if jobs and not has_new_rows(jobs[0]):
        return Trigger("", f"no rows or labels have come since job {jobs[0].id}")
    first = min(calls, key=lambda alert: (alert.opened, alert.id))
    more = f" (and {len(calls) - 1} more)" if len(calls) > 1 else ""
    return Trigger(first.kind, f"{first.kind} of {first.subject} at version {first.version}: {first.detail}{more}")


def busy(jobs: Iterable[Job]) -> Job | None:
    """Return the job that waits or runs."""
    return next((job for job in jobs if job.state in ACTIVE), None)


def _without_promotion(jobs: Iterable[Job]) -> int:
    """Return how many of the latest jobs ended without a promotion."""
    return len(list(takewhile(lambda job: job.state in ("kept", "failed"), jobs)))


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_S:.3g} h"

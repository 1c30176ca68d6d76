"""Queue of retraining jobs in the prediction log: at most one waits or runs at a time, on all machines together."""

import os
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import select, update

from lockstep.drift.results import Job
from lockstep.errors import AlreadyRunning
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.tables import JOBS, LABELS, PREDICTIONS

ACTIVE = "active"
BEAT_S = 5.0  # How often a running job shows that it lives.
SILENT_S = 60.0  # A job without a sign for so long is dead.


class JobTicket(msgspec.Struct):
    """The job of a request: a new one, or the one that is under way."""

    job: Job
    new: bool


class JobOutcome(msgspec.Struct, frozen=True):
    """Outcome of a job: its last state, and the reason in words."""

    state: str
    outcome: str
    version: str = ""
    labelled_rows: int = 0


def ask(store: Store, model: str, trigger: str, reason: str) -> JobTicket:
    """Queue a job, unless one waits or runs already. Raises StoreError: the database is out of reach."""
    row = {
        "id": secrets.token_hex(8),
        "model": model,
        "state": "waiting",
        "trigger": trigger,
        "reason": reason,
        "asked_us": _now_us(),
        **dict.fromkeys(("owner", "outcome", "version"), ""),
        "labelled_rows": 0,
        "active": ACTIVE,
    }
    statement = store.insert(JOBS).values(row).on_conflict_do_nothing(index_elements=[JOBS.c.active])
    with store.writing() as link:
        link.execute(statement)
        queued = link.execute(select(JOBS).where(JOBS.c.active == ACTIVE)).one()
    return JobTicket(_job(queued), queued.id == row["id"])


def start(store: Store, job: str) -> bool:
    """Claim a waiting job for this process; return whether that succeeded."""
    now = _now_us()
    values = {"state": "running", "started_us": now, "beat_us": now, "owner": own_name()}
    return _update(store, job, "waiting", values)


def beat(store: Store, job: str) -> bool:
    """Write the heartbeat of a job; return whether it counts as running."""
    return _update(store, job, "running", {"beat_us": _now_us()})


def end(store: Store, job: str, ended: JobOutcome, was: str = "running", owner: str = "") -> bool:
    """Write the outcome of a job that was in a state, of this owner if one is named; the next may then be queued."""
    values = {**msgspec.structs.asdict(ended), "ended_us": _now_us(), "active": None}
    return _update(store, job, was, values, owner)


def find(store: Store, job: str) -> Job | None:
    """Return a job by its id."""
    return next(map(_job, store.rows(select(JOBS).where(JOBS.c.id == job))), None)


def newest(store: Store, limit: int = 20, model: str = "") -> list[Job]:
    """Return the latest jobs, of all models or of one, newest first."""
    wanted = select(JOBS).order_by(JOBS.c.asked_us.desc(), JOBS.c.id).limit(limit)
    return [_job(row) for row in store.rows(wanted.where(JOBS.c.model == model) if model else wanted)]


def has_labels_since(store: Store, model: str, moment: float) -> bool:
    """Return whether a prediction of a model got a label since a moment in seconds since 1970."""
    wanted = select(LABELS.c.seq).join(PREDICTIONS, LABELS.c.prediction_id == PREDICTIONS.c.id)
    newer = wanted.where(PREDICTIONS.c.model == model, LABELS.c.at_us > moment * 1e6).limit(1)
    return bool(store.rows(newer))


def last_beat(store: Store) -> tuple[str, int] | None:
    """Return the job that runs and when it last showed that it lives, in microseconds since 1970."""
    row = _running(store)
    return (row.id, row.beat_us) if row else None


def _running(store: Store) -> Any:
    return next(iter(store.rows(select(JOBS).where(JOBS.c.state == "running"))), None)


def bury(store: Store, job: str) -> bool:
    """Note that the process of a running job is gone."""
    return end(store, job, JobOutcome("failed", "its process died"))


def bury_dead(store: Store) -> None:
    """Bury the running job if its process was one of this machine and is gone, or if it has long been silent."""
    row = _running(store)
    if row and (_is_gone(row.owner) or _now_us() - row.beat_us > SILENT_S * 1e6):
        bury(store, row.id)


def is_left(job: Job) -> bool:
    """Return whether a job waits for a server that is long gone, or that has no project."""
    return job.state == "waiting" and time.time() - job.asked > SILENT_S


def own_name() -> str:
    """Return what names this process among all machines."""
    return name_of(os.getpid())


def name_of(process: int) -> str:
    """Return what names a process of this machine among all machines."""
    return f"{socket.gethostname()}:{process}"


def busy(store: Store, job: Job) -> AlreadyRunning:
    """Return the error that names the job which is in the way, and the process that runs it."""
    with store.reading() as link:
        owner = link.execute(select(JOBS.c.owner).where(JOBS.c.id == job.id)).scalar()
    host, _, process = (owner or "").rpartition(":")
    since = datetime.fromtimestamp(job.started or job.asked, UTC).isoformat(timespec="seconds")
    by = f"process {process} on {host}, since {since}" if owner else f"no process has taken it since {since}"
    return AlreadyRunning(
        f"job {job.id} is {job.state} already ({job.reason or job.trigger}): {by}", "wait until it has ended"
    )


def _is_gone(owner: str) -> bool:
    host, _, number = owner.rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(number), 0)  # asks only whether the process is there
    except (ProcessLookupError, PermissionError) as error:
        return isinstance(error, ProcessLookupError)
    return False


def _update(store: Store, job: str, state: str, values: dict[str, Any], owner: str = "") -> bool:
    statement = update(JOBS).where(JOBS.c.id == job, JOBS.c.state == state)
    if owner:
        statement = statement.where(JOBS.c.owner == owner)
    with store.writing() as link:
        return bool(link.execute(statement.values(**values)).rowcount)


def _job(row: Any) -> Job:
    words = ("id", "state", "trigger", "reason", "outcome", "version", "labelled_rows", "model")
    content: dict[str, Any] = {name: getattr(row, name) for name in words}
    for name in ("asked", "started", "ended"):
        us = getattr(row, f"{name}_us")
        content[name] = None if us is None else us / 1e6
    return Job(**content)


def _now_us() -> int:
    return time.time_ns() // 1000

"""Train again with the labelled predictions, and promote the result if the gate lets it.

The log's labelled rows join the source as feedback, the pipeline runs, and the new version is promoted or kept; the
record says why it ran and what came of it. Exits 0 for both, 1 for a fault. With --dispatch, GitHub is asked to do it.

Example: lockstep retrain --reason "new tariffs since May"
"""

import argparse
import sys
from contextlib import closing

import msgspec

from lockstep import paths
from lockstep.config import params_file
from lockstep.config.settings import Settings, model_name
from lockstep.drift.results import Job
from lockstep.errors import ConfigError, StoreError
from lockstep.inference import predictor
from lockstep.lifecycle.retraining import jobs
from lockstep.lifecycle.retraining.jobs import JobOutcome
from lockstep.prediction_log.database import Store
from lockstep.runtime.retry import Backoff

# How often the end of a job is written down while the database is away, and the pause between.
BACKOFF = Backoff(attempts=12, first_s=5.0, factor=1.0)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--reason", default="", help="why, for the record")
    parser.add_argument("--no-promote", action="store_true", help="register the new version and leave Production alone")
    parser.add_argument(
        "--dispatch", action="store_true", help="let the workflow of LOCKSTEP_DISPATCH_REPO do it, not this machine"
    )
    parser.add_argument("--job", metavar="ID", help="run a job that waits in the log, as the server does")
    parser.add_argument("--json", action="store_true", help="print JSON for a program")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Train again, and say what came of it."""
    if arguments.dispatch:
        return _dispatch(arguments, settings)
    from lockstep.commands import report
    from lockstep.lifecycle import promotion
    from lockstep.lifecycle.retraining import run as retraining

    params = params_file.load()
    with closing(Store.from_settings(settings)) as store, retraining.exclusive(settings):
        job = _job(arguments, params.register_model.model_name, store)
        with retraining.heartbeat(store, job.id):
            ended = retraining.run(params, settings, store, job, not arguments.no_promote)
        job = _end(store, job, ended)
    if job.state != "failed":
        report.draw(promotion.last_decision(predictor.digest(paths.MODELS)))
    _tell(job, arguments.json)
    return int(job.state == "failed")


def _dispatch(arguments: argparse.Namespace, settings: Settings) -> int:
    """Hand the job to GitHub, and note whether it was taken.

    Raises ConfigError: no repository is set, or this command was asked to do what the workflow decides.
    """
    from lockstep.lifecycle.retraining import github

    if arguments.no_promote:
        raise ConfigError("--no-promote cannot be handed over", "say so in the workflow, or leave --dispatch out")
    repository = github.Repository.required(settings)
    model = model_name(settings)
    with closing(Store.from_settings(settings)) as store:
        job = _job(arguments, model, store)
        job = _end(store, job, github.dispatch(settings, store, repository, model, job))
    _tell(job, arguments.json)
    return int(job.state == "failed")


def _end(store: Store, job: Job, ended: JobOutcome) -> Job:
    """Note what came of a job, also if the database is away for a minute, and return its record."""
    BACKOFF.call(lambda: jobs.end(store, job.id, ended), (StoreError,))
    return jobs.find(store, job.id) or job


def _job(arguments: argparse.Namespace, model: str, store: Store) -> Job:
    """Return the job to run, which is this process's from now on.

    Raises AlreadyRunning: another one is under way. Raises StoreError: there is no such job.
    """
    if arguments.job:
        job = jobs.find(store, arguments.job)
        if job is None:
            raise StoreError(f"there is no job {arguments.job!r}", "leave --job out to start one")
    else:
        jobs.bury_dead(store)
        ticket = jobs.ask(store, model, "manual", arguments.reason)
        job = ticket.job
        if not ticket.new and not jobs.is_left(job):
            raise jobs.busy(store, job)
    if not jobs.start(store, job.id):
        raise jobs.busy(store, job)
    return job


def _tell(job: Job, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(job).decode())
    else:
        print(f"{job.state}: {job.outcome}", file=sys.stderr if job.state == "failed" else sys.stdout)

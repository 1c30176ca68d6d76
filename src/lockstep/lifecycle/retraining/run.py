"""A retraining: export labelled rows, run the pipeline, and promote the new version if the gate lets it."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from types import FrameType

from lockstep import files, paths
from lockstep.config.params import Params
from lockstep.config.settings import Settings
from lockstep.data.schema import Schema
from lockstep.decision import GateRefused
from lockstep.drift.results import Job
from lockstep.errors import ConfigError, LockstepError, RegistryError, StoreError
from lockstep.lifecycle import promotion, registration
from lockstep.lifecycle.promotion import PromotionRequest
from lockstep.lifecycle.retraining import jobs
from lockstep.lifecycle.retraining.jobs import JobOutcome
from lockstep.prediction_log import label_review, training_rows
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.training_rows import Export
from lockstep.registry import tracking
from lockstep.registry.model_registry import Registry, Version
from lockstep.runtime import file_lock

log = logging.getLogger("retrain")

LOCK = "retrain.lock"
STDERR = 2
STOP_S = 10.0  # Time for the pipeline to end after SIGTERM.
SIGNALS = {signal.SIGTERM, signal.SIGINT}


class RetrainInterrupted(LockstepError):
    """A signal ended the retraining."""


def exclusive(settings: Settings) -> AbstractContextManager[None]:
    """Let one retraining run in a state folder. Raises AlreadyRunning: another does."""
    folder = Path(settings.state).absolute()
    return file_lock.exclusive(folder / LOCK, "another retraining", "wait until it has ended")


@contextmanager
def heartbeat(store: Store, job: str) -> Iterator[None]:
    """Show every few seconds that a job lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(jobs.BEAT_S):
            try:
                jobs.beat(store, job)
            except StoreError as error:
                log.warning("%s", error)

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def run(params: Params, settings: Settings, store: Store, job: Job, promote: bool) -> JobOutcome:
    """Train again, and return what came of it, a fault included; Production moves only if the gate lets it."""
    exported = Export()
    try:
        with _interruptible():
            exported = _export(params, settings, store)
            _repro()
            ended = _decide(params, settings, job, promote)
    except (LockstepError, OSError) as error:
        return JobOutcome("failed", str(error), labelled_rows=exported.rows)
    waiting = f"; {exported.held} labels wait for a review: `lockstep labels`" if exported.held else ""
    return JobOutcome(ended.state, ended.outcome + waiting, ended.version, exported.rows)


def _export(params: Params, settings: Settings, store: Store) -> Export:
    """Export the labelled rows as feedback, if params.yaml includes them."""
    if not params.data_ingestion.feedback:
        log.info("params.yaml says data_ingestion.feedback: false, so no labelled rows join")
        return Export()
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    production = registry.production()
    if production is None:
        log.info("%s has nothing in Production, so no labelled rows are known to fit", registry.name)
        return Export()

    @cache
    def schema_of(number: str) -> Schema | None:
        try:
            return _schema(registry, production if number == production.version else registry.get(number))
        except RegistryError:
            return None

    schema = schema_of(production.version)
    if schema is None:
        raise RegistryError(f"version {production.version} has no schema", "register it again: `dvc repro`")
    with _uninterrupted():
        limits = params.data_ingestion.feedback_review
        rows, _, reasons = label_review.assess_log(store, registry.name, limits, registry.history())
        exported = training_rows.export(rows, reasons, params, schema, schema_of, settings.log_rows == "hashed")
    log.info("%d labelled rows stand beside the source", exported.rows)
    for reason, count in exported.left_out.items():
        log.warning("%d labelled predictions are left out: %s", count, reason)
    return exported


def _schema(registry: Registry, version: Version) -> Schema:
    with tempfile.TemporaryDirectory() as folder:
        registry.fetch(version, paths.SCHEMA.name, Path(folder))
        return Schema.from_json(files.read_json(Path(folder, paths.SCHEMA.name)))


def _repro() -> None:
    """Run the pipeline, its output on standard error. Raises ConfigError: a stage failed and said why."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [sys.executable, "-m", "dvc", "repro"]
    process = subprocess.Popen(command, stdout=STDERR, env={**os.environ, "PATH": path}, start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        _stop(process)
        raise
    if code:
        raise ConfigError(f"`dvc repro` ended with code {code}", "its output names the stage and the cause")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the pipeline with all its stages; they write whole files or none."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _decide(params: Params, settings: Settings, job: Job, promote: bool) -> JobOutcome:
    """Register the model, and promote it if that is wanted and the gate lets it."""
    with _uninterrupted():
        number = registration.register(params.register_model, settings).version
        if not promote:
            return JobOutcome("kept", f"registered as version {number}, and not promoted, as asked", number)
        reason = f"retrained ({job.trigger}): {job.reason}" if job.reason else f"retrained ({job.trigger})"
        try:
            event = promotion.promote(params, settings, PromotionRequest(number, reason=reason))
        except GateRefused as refused:
            return JobOutcome("kept", refused.problem, number)
    if event.action == "refused":
        return JobOutcome("kept", event.reason, event.version)
    if event.version == event.previous:
        return JobOutcome(
            "kept", f"the pipeline made version {event.version}, which is Production already", event.version
        )
    before = f"in place of version {event.previous}" if event.previous else "the first one"
    return JobOutcome("promoted", f"version {event.version} is Production, {before}", event.version)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into an error, so that what runs is stopped and the record says so."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise RetrainInterrupted(
            f"stopped by {signal.Signals(number).name}", "nothing half-written was left; run it again"
        )

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait until files that belong together are written, or a move and its record are made."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

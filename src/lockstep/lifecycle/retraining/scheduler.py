"""Scheduler of retrainings in the recorder: queues jobs by request, schedule or alert, and runs one at a time."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lockstep import paths
from lockstep.config import params_file, use_cases
from lockstep.config.settings import Settings, model_names
from lockstep.drift.results import Alert, Job
from lockstep.errors import ConfigError, nearest
from lockstep.lifecycle.retraining import jobs, policy
from lockstep.lifecycle.retraining.github import Repository
from lockstep.lifecycle.retraining.jobs import JobOutcome
from lockstep.lifecycle.retraining.policy import RetrainRules
from lockstep.prediction_log.database import Store

log = logging.getLogger("loop")

LOGS = "jobs"
KEPT_LOGS = 20
LONGEST_LOOK_S = 15.0
NICE = 10  # Training yields to the server's own processes.


class Scheduler:
    """Scheduler of retrainings of the project that this server was started in, or that LOCKSTEP_PROJECT names.

    Where LOCKSTEP_DISPATCH_REPO is set, the process that it starts hands the job to GitHub and needs no project.
    """

    def __init__(self, settings: Settings, open_store: Callable[[], Store]) -> None:
        self.settings = settings
        self.rules = RetrainRules.of(settings)
        self.project = Path(settings.project or ".").absolute()
        self.repository = Repository.from_settings(settings)
        self._open = open_store
        self.reasons: dict[str, str] = {}  # Why nothing is trained now, by model.
        self._since = time.time()
        self._job = ""
        self._told = False
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._beat: tuple[str, int] | None = None
        self._looked, self._silent_s = time.monotonic(), 0.0

    def models(self) -> tuple[str, ...]:
        """Return the models that are trained here, the default first.

        Raises ConfigError: there is no project here, or its params.yaml is wrong; or nothing says which models GitHub
        is to train.
        """
        if self.repository and self.settings.model_name:
            return model_names(self.settings)
        if not (self.project / paths.PARAMS).is_file() or not (self.project / paths.PIPELINE).is_file():
            raise ConfigError(
                "no training here: the folder has no params.yaml and dvc.yaml", "set LOCKSTEP_PROJECT to a project"
            )
        return use_cases.names(self.project)

    def ask(self, reason: str, model: str = "") -> dict[str, Any]:
        """Put a job in line for a person, or return the one under way. Raises ConfigError: no such model is trained."""
        models = self.models()
        if model and model not in models:
            raise ConfigError(
                f"no model {model!r} is trained here{nearest(model, models)}", f"it is one of {', '.join(models)}"
            )
        ticket = jobs.ask(self._open(), model or models[0], "request", reason)
        if ticket.new:
            with self._turn:
                self._run_waiting()
        return {"new": ticket.new, "job": msgspec.to_builtins(ticket.job)}

    def find(self, job: str) -> dict[str, Any] | None:
        """Return a job by its id."""
        state = jobs.find(self._open(), job)
        return msgspec.to_builtins(state) if state else None

    def newest(self) -> list[Job]:
        """Return the latest jobs, newest first."""
        return jobs.newest(self._open())

    def look(self, alerts: Sequence[Alert]) -> None:
        """Note what has ended, start what is due by schedule or alert, and run what waits."""
        with self._turn:
            self._note_end()
            self._bury_silent()
            self._enqueue_due(alerts)
            self._run_waiting()

    def _enqueue_due(self, alerts: Sequence[Alert]) -> None:
        """Queue a job for the first model for which the policy triggers one, unless any is under way."""
        if not (self._automatic() and self._is_project()) or policy.busy(self.newest()):
            self.reasons = {}
            return
        for model in self.models():
            relevant = [alert for alert in alerts if alert.model == model]
            latest = jobs.newest(self._open(), policy.MOST_DOUBLINGS + 1, model)
            trigger = policy.decide(time.time(), self._since, relevant, latest, self.rules, self._has_new_rows)
            self.reasons[model] = "" if trigger else trigger.reason
            if trigger:
                log.warning("training %s again: %s", model, trigger.reason)
                jobs.ask(self._open(), model, trigger.kind, trigger.reason)
                return

    def _has_new_rows(self, last: Job) -> bool:
        """Return whether labels or a file of the source are newer than a job; of other sources that is not known."""
        if self.repository or jobs.has_labels_since(self._open(), last.model, last.asked):
            return True
        folder = use_cases.folder_of(last.model, self.project)
        sources = params_file.load(folder / paths.PARAMS).data_ingestion.sources
        files = [folder / source for source in sources if not source.startswith("sklearn:")]
        return any(not file.is_file() or file.stat().st_mtime > last.asked for file in files)

    def stop(self) -> None:
        """Terminate the running job; its record says so."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def _automatic(self) -> bool:
        return bool(self.rules.on or self.rules.every_s)

    def _is_project(self) -> bool:
        try:
            self.models()
        except ConfigError as error:
            if not self._told:
                log.warning("nothing is trained by schedule or alert: %s; %s", error, error.hint)
            self._told = True
            return False
        return True

    def _run_waiting(self) -> None:
        """Start a process for the job that waits, if this is a project and none runs."""
        if self._process and self._process.poll() is None:
            return
        waiting = next((job for job in self.newest() if job.state == "waiting"), None)
        if waiting is None or not (self.repository or (self.project / paths.PARAMS).is_file()):
            return
        self._note_end()
        self._job = waiting.id
        self._process = self._start(waiting)

    def _start(self, job: Job) -> "subprocess.Popen[bytes]":
        folder = Path(self.settings.state).absolute() / LOGS
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "lockstep", "retrain", "--job", job.id]
        variables = {"LOCKSTEP_STATE": str(folder.parent), "LOCKSTEP_MODEL_NAME": ""}
        if self.repository:
            command.append("--dispatch")
            variables["LOCKSTEP_MODEL_NAME"] = job.model
        else:
            command += ["--model", job.model]
        with (folder / f"{job.id}.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.project,
                env={**os.environ, **variables},
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=~self.project.stat().st_mode & 0o777,  # the server's is for files of its own
            )
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
            old.unlink(missing_ok=True)
        return process

    def _note_end(self) -> None:
        """See to it that a job whose process has ended does not count as under way."""
        if self._process is None or self._process.poll() is None:
            return
        code = self._process.returncode
        ended = JobOutcome("failed", f"its process ended with code {code}; its log is {LOGS}/{self._job}.log")
        if not jobs.end(self._open(), self._job, ended, owner=jobs.name_of(self._process.pid)):
            jobs.end(self._open(), self._job, ended, "waiting")
        self._process = None

    def _bury_silent(self) -> None:
        """Bury a job, of whichever machine, that shows no life for long, however the clocks stand.

        Time counts only between looks that follow each other: while the database was away, no sign could come.
        """
        beat, now = jobs.last_beat(self._open()), time.monotonic()
        passed_s, self._looked = min(now - self._looked, LONGEST_LOOK_S), now
        self._silent_s = self._silent_s + passed_s if beat == self._beat else 0.0
        self._beat = beat
        if beat and self._silent_s > jobs.SILENT_S:
            log.warning("job %s shows no life", beat[0])
            jobs.bury(self._open(), beat[0])

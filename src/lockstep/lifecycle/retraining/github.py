"""Dispatch of a retraining to GitHub, whose workflow `retrain.yml` has the project that a server in a pod lacks."""

import http.client
import json
import logging
import re
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lockstep.config.settings import Settings
from lockstep.drift.results import Job
from lockstep.errors import ConfigError, DispatchError, LockstepError
from lockstep.runtime.retry import Backoff

if TYPE_CHECKING:
    from lockstep.lifecycle.retraining.jobs import JobOutcome
    from lockstep.prediction_log.database import Store

log = logging.getLogger("retrain")

EVENT = "retrain"
TIMEOUT_S = 10.0
ATTEMPTS, PAUSE_S = 3, 2.0  # How often a request is sent while GitHub is out of reach, and the pause between.
LOCAL = ("127.0.0.1", "localhost", "::1")
HINTS = {
    401: "renew LOCKSTEP_DISPATCH_TOKEN",
    403: "the token needs write access to the repository's contents, or has made too many calls",
    404: "check LOCKSTEP_DISPATCH_REPO; GitHub also says so to a token that may not see the repository",
    422: "GitHub refuses what was sent; the reason may be too long",
}


@dataclass(frozen=True)
class RetrainRequest:
    """Payload for the workflow: the model, the reason, the trigger, and the id of the job in the log."""

    model: str
    reason: str
    trigger: str
    job: str


@dataclass(frozen=True)
class Repository:
    """The repository whose workflow retrains, with the address of the API and a token."""

    repo: str
    url: str
    token: str = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Repository | None":
        """Read the repository from the settings; None where retraining runs on this machine.

        Raises ConfigError: half of it is missing, or the repository or the address is none.
        """
        repo, token, url = settings.dispatch_repo, settings.dispatch_token, settings.dispatch_url.rstrip("/")
        if not repo:
            return None
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
            raise ConfigError(f"LOCKSTEP_DISPATCH_REPO is {repo!r}", "write owner/name")
        if not token:
            raise ConfigError("LOCKSTEP_DISPATCH_REPO is set, and no LOCKSTEP_DISPATCH_TOKEN", "set the token")
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
            raise ConfigError(f"LOCKSTEP_DISPATCH_URL is {url!r}", "a token goes over https:// only")
        return cls(repo, url, token)

    @classmethod
    def required(cls, settings: Settings) -> "Repository":
        """Read the repository from the settings. Raises ConfigError: none is set."""
        repository = cls.from_settings(settings)
        if repository is None:
            raise ConfigError("LOCKSTEP_DISPATCH_REPO is not set", "set it to owner/name of the project on GitHub")
        return repository


def dispatch(settings: Settings, store: "Store", repository: Repository, model: str, job: Job) -> "JobOutcome":
    """Export the labelled rows, send the request for a job, and return the outcome, a fault included."""
    # inside, since a worker reads the repository from this module and loads no database library
    from lockstep.lifecycle.retraining.jobs import JobOutcome
    from lockstep.prediction_log.database import PredictionFilter
    from lockstep.prediction_log.export import export

    rows = 0
    try:
        if address := settings.dispatch_rows.replace("{model}", model):
            rows = export(store, PredictionFilter(model=model, labelled=True), address)
            log.info("%d labelled predictions are in %s", rows, address)
        send(repository, RetrainRequest(model, job.reason, job.trigger, job.id))
    except LockstepError as error:
        return JobOutcome("failed", str(error), labelled_rows=rows)
    outcome = f"handed to {repository.repo}: its workflow trains, and asks the gate there"
    return JobOutcome("dispatched", outcome, labelled_rows=rows)


def send(repository: Repository, request: RetrainRequest, pause_s: float = PAUSE_S) -> None:
    """Send the request, again if GitHub is out of reach or busy; one that came twice is one run of the workflow.

    Raises DispatchError: it was not taken.
    """
    body = json.dumps({"event_type": EVENT, "client_payload": asdict(request)}).encode()
    try:
        Backoff(ATTEMPTS, pause_s, factor=1.0).call(lambda: _post(repository, body), (_Unavailable,))
    except _Unavailable as error:
        hint = "check the network and LOCKSTEP_DISPATCH_URL, and try again"
        raise DispatchError(f"{repository.repo}: {error}", hint) from None


class _Unavailable(Exception):
    """GitHub is out of reach or busy, which may pass."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that was set, and to no other."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def _post(repository: Repository, body: bytes) -> None:
    """Send the request once."""
    request = urllib.request.Request(  # noqa: S310 - https, or this machine: `Repository.from_settings` checks
        f"{repository.url}/repos/{repository.repo}/dispatches",
        data=body,
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {repository.token}",
            "Content-Type": "application/json",
            "User-Agent": "lockstep",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    try:
        urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        error.close()
        if 300 <= error.code < 500 and error.code != http.HTTPStatus.TOO_MANY_REQUESTS:
            hint = HINTS.get(error.code, "check the address")
            raise DispatchError(f"{repository.repo}: GitHub answers {error.code}", hint) from None
        raise _Unavailable(f"GitHub answers {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Unavailable(f"GitHub is out of reach: {getattr(error, 'reason', error)}") from None

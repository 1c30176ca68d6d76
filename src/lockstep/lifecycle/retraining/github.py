"""Hand a retraining to GitHub: a server in a pod has no project to train in, the workflow `retrain.yml` has."""

import http.client
import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError, DispatchError
from lockstep.runtime.retry import Backoff

EVENT = "retrain"
TIMEOUT_S = 10.0
ATTEMPTS, PAUSE_S = 3, 2.0
"""How often an order is given while GitHub is out of reach, and the pause between."""

LOCAL = ("127.0.0.1", "localhost", "::1")
HINTS = {
    401: "renew LOCKSTEP_DISPATCH_TOKEN",
    403: "the token needs write access to the repository's contents, or has made too many calls",
    404: "check LOCKSTEP_DISPATCH_REPO; GitHub also says so to a token that may not see the repository",
    422: "GitHub refuses what was sent; the reason may be too long",
}


@dataclass(frozen=True)
class Order:
    """What the workflow is told: the model, why, what started it, and the job that waits for no answer."""

    model: str
    reason: str
    trigger: str
    job: str


@dataclass(frozen=True)
class Target:
    """The repository whose workflow retrains."""

    repo: str
    url: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Target | None":
        """Read where to, from the settings; None where retraining runs on this machine.

        Raises
        ------
        ConfigError
            Half of it is missing, or the repository or the address is none.
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


def send(target: Target, order: Order, pause_s: float = PAUSE_S) -> None:
    """Give the order, again if GitHub is out of reach or busy; one that came twice is one run of the workflow.

    Raises
    ------
    DispatchError
        It was not taken.
    """
    payload = {"model": order.model, "reason": order.reason, "trigger": order.trigger, "job": order.job}
    body = json.dumps({"event_type": EVENT, "client_payload": payload}).encode()
    try:
        Backoff(ATTEMPTS, pause_s, factor=1.0).call(lambda: _post(target, body), (_Unavailable,))
    except _Unavailable as error:
        hint = "check the network and LOCKSTEP_DISPATCH_URL, and try again"
        raise DispatchError(f"{target.repo}: {error}", hint) from None


class _Unavailable(Exception):
    """GitHub is out of reach or busy, which may pass."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that was set, and to no other."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


def _post(target: Target, body: bytes) -> None:
    """Send the order once."""
    request = urllib.request.Request(  # noqa: S310 - https, or this machine: `Target.of` has looked
        f"{target.url}/repos/{target.repo}/dispatches",
        data=body,
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {target.token}",
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
            raise DispatchError(f"{target.repo}: GitHub answers {error.code}", hint) from None
        raise _Unavailable(f"GitHub answers {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Unavailable(f"GitHub is out of reach: {getattr(error, 'reason', error)}") from None

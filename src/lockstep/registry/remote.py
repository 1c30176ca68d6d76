"""The model registry as a worker sees it: through the keeper, at a Unix socket, and never for longer than its limits.

A question is one line of JSON, and so is its answer.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lockstep import ipc
from lockstep.errors import TrackingError
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Version

LIMITS_S = {
    **dict.fromkeys(("production", "challenger", "history", "get"), 4.0),
    **dict.fromkeys(("promote", "rollback"), 30.0),
    "download": 600.0,
}
"""How long each question waits for the registry."""

START_S = 11.0
"""How much longer a worker waits: a keeper that has just been started loads MLflow first."""

HISTORY = 100


class KeptRegistry:
    """The registry of one model, asked through the keeper."""

    def __init__(self, address: Path, name: str) -> None:
        self.address, self.name = address, name

    def production(self) -> Version | None:
        """Return the version that is Production.

        Raises
        ------
        TrackingError
            The registry or the keeper does not answer.
        """
        found = self._ask("production")
        return Version(**found) if found else None

    def challenger(self) -> Version | None:
        """Return the version that is tried beside Production, if there is one."""
        found = self._ask("challenger")
        return Version(**found) if found else None

    def history(self) -> list[Event]:
        """Return the moves of Production and the refusals, newest first, at most `HISTORY` of them."""
        return [Event(**one) for one in self._ask("history")]

    def get(self, version: str) -> Version:
        """Return one version.

        Raises
        ------
        RegistryError
            There is no such version.
        """
        return Version(**self._ask("get", version=version))

    def download(self, version: Version, to: Path) -> Path:
        """Let the keeper fetch a version's bundle into a folder of this machine."""
        return Path(self._ask("download", version=asdict(version), to=str(to.absolute())))

    def promote(self, version: str, event: Event) -> Event:
        """Make a version Production."""
        return Event(**self._ask("promote", version=version, event=asdict(event)))

    def rollback(self, event: Event) -> Event:
        """Restore the version that served before."""
        return Event(**self._ask("rollback", event=asdict(event)))

    def _ask(self, operation: str, **given: Any) -> Any:
        question = {"ask": operation, "name": self.name, "given": given}
        try:
            return ipc.request(self.address, question, LIMITS_S[operation] + START_S)
        except ipc.NoReply as error:
            raise TrackingError(f"the keeper of the registry does not answer: {error}", "wait a moment") from None

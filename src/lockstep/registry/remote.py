"""Client of the registry sidecar: the model registry as a worker uses it, within time limits.

Request and reply are one line of JSON each, over a Unix socket.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from lockstep import ipc
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.registry import tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry, Version

# How long each request waits for the registry, and the first one before that: it may make the tables of a store.
LIMITS_S = {
    **dict.fromkeys(("production", "challenger", "history", "get"), 4.0),
    **dict.fromkeys(("promote", "rollback"), 30.0),
    "download": 600.0,
    "connect": 10.0,
}
START_S = 21.0  # How much longer a worker waits: a sidecar that has just been started loads MLflow first, and connects.
HISTORY = 100


class RemoteRegistry:
    """The registry of one model, behind the sidecar."""

    def __init__(self, address: Path, name: str) -> None:
        self.address, self.name = address, name

    def production(self) -> Version | None:
        """Return the version that is Production. Raises TrackingError: the registry or the sidecar does not answer."""
        version = self._request("production")
        return Version(**version) if version else None

    def challenger(self) -> Version | None:
        """Return the version that is tried beside Production, if there is one."""
        version = self._request("challenger")
        return Version(**version) if version else None

    def history(self) -> list[Event]:
        """Return the moves of Production and the refusals, newest first, at most `HISTORY` of them."""
        return [Event(**event) for event in self._request("history")]

    def get(self, version: str) -> Version:
        """Return one version. Raises RegistryError: there is no such version."""
        return Version(**self._request("get", version=version))

    def download(self, version: Version, to: Path) -> Path:
        """Let the sidecar fetch a version's bundle into a folder of this machine."""
        return Path(self._request("download", version=asdict(version), to=str(to.absolute())))

    def promote(self, version: str, event: Event) -> Event:
        """Make a version Production."""
        return Event(**self._request("promote", version=version, event=asdict(event)))

    def rollback(self, event: Event) -> Event:
        """Restore the version that served before."""
        return Event(**self._request("rollback", event=asdict(event)))

    def _request(self, operation: str, **arguments: Any) -> Any:
        message = {"ask": operation, "name": self.name, "given": arguments}
        try:
            return ipc.request(self.address, message, LIMITS_S[operation] + START_S)
        except ipc.NoReply as error:
            raise TrackingError(f"the registry sidecar does not answer: {error}", "wait a moment") from None


RegistryClient = Registry | RemoteRegistry


def connect(settings: Settings, name: str) -> RegistryClient:
    """Return the registry of a model: behind the sidecar in a server, else on the tracking server itself."""
    if settings.registry_socket:
        return RemoteRegistry(Path(settings.registry_socket), name)
    return Registry(tracking.connect(settings), name)

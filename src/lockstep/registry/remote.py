"""The model registry as a worker sees it: through the keeper, at a Unix socket, and never for longer than its limits.

A question is one line of JSON, and so is its answer.
"""

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lockstep.errors import ArtifactError, ConfigError, RegistryError, StoreError, TrackingError
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

LONGEST = 64 << 20
HISTORY = 100
KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (TrackingError, RegistryError, ArtifactError, ConfigError, StoreError, OSError)
}
"""The errors that travel from the keeper, or the recorder, to a worker."""


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
            return asked(self.address, question, LIMITS_S[operation] + START_S)
        except Silent as error:
            raise TrackingError(f"the keeper of the registry does not answer: {error}", "wait a moment") from None


class Silent(Exception):
    """Nobody answers at a socket, or not in time."""


def asked(address: Path, question: dict[str, Any], timeout_s: float) -> Any:
    """Ask at a socket, one line of JSON each way, and return the answer or raise the error that it tells.

    Raises
    ------
    Silent
        There is no answer.
    """
    try:
        with connected(address, timeout_s) as link, link.makefile("rwb") as stream:
            stream.write(json.dumps(question).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline(LONGEST))
    except (OSError, ValueError) as error:
        raise Silent(str(error)) from None
    if "error" in answer:
        kind, *arguments = answer["error"]
        raise KINDS[kind](*arguments)
    return answer["answer"]


def listening(address: Path) -> socket.socket:
    """Open a socket to be asked at, which is for this user alone."""
    address.parent.mkdir(parents=True, exist_ok=True)
    opened = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        _at(address, opened.bind)
    finally:
        os.umask(mask)
    opened.listen()
    return opened


def connected(address: Path, timeout_s: float) -> socket.socket:
    """Connect to a keeper."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout_s)
    try:
        _at(address, link.connect)
    except OSError:
        link.close()
        raise
    return link


def _at(address: Path, act: Callable[[str], None]) -> None:
    """Name a socket by its open folder: the kernel takes no path of more than 107 bytes."""
    folder = os.open(address.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{folder}/{address.name}")
    finally:
        os.close(folder)

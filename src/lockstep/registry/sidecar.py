"""Registry sidecar: the one process of a server that imports MLflow and calls the model registry.

`lockstep serve` starts it with a socket that is open already: while it restarts, requests wait there.
"""

import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockstep import ipc
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.registry import remote, tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry, Version
from lockstep.runtime import logger

log = logging.getLogger("registry")

THREADS = 8
HTTP_TIMEOUT_S = "5"
HTTP_RETRIES = "1"
# A call that outlives its limit by this long never ends: the process does, and a fresh one takes its place.
STUCK_S = 60.0


@dataclass(frozen=True)
class RegistryCall:
    """A call to the registry that is under way, or its result."""

    started: float
    limit_s: float
    future: "Future[Any]"

    def finished(self, before_s: float) -> bool:
        """Return whether it has a result and began at least this long ago."""
        return self.future.done() and self.age_s() >= before_s

    def stuck(self) -> bool:
        """Return whether it will never end."""
        return not self.future.done() and self.age_s() > self.limit_s + STUCK_S

    def age_s(self) -> float:
        """Return how long ago it began."""
        return time.monotonic() - self.started


class Sidecar:
    """Request handler of the sidecar; equal requests of several workers share one call to the registry."""

    def __init__(self, connect: Callable[[str], Registry], fresh_s: float) -> None:
        self._connect, self._fresh_s = connect, fresh_s
        self._registries: dict[str, Registry] = {}
        self._unusable: TrackingError | None = None
        self._calls: dict[tuple[str, ...], RegistryCall] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "registry")

    def answer(self, line: bytes) -> bytes:
        """Return the reply to a request, whatever happens."""
        return ipc.reply(lambda: self._dispatch(json.loads(line)), _unexpected)

    def stuck(self) -> bool:
        """Return whether a call to the registry hangs for good."""
        with self._lock:
            return any(call.stuck() for call in self._calls.values())

    def _dispatch(self, message: Mapping[str, Any]) -> Any:
        operation, name, arguments = message["ask"], message["name"], message["given"]
        function = OPERATIONS[operation]
        if self._unusable:  # no module is installed into a process that runs: trying again would only fill the log
            raise self._unusable.with_traceback(None)
        try:
            if name not in self._registries:
                self._result(("connect", name, ""), lambda: self._registry(name))
            return self._result(
                (operation, name, json.dumps(arguments)), lambda: function(self._registry(name), arguments)
            )
        except TrackingError as error:
            self._unusable = error if error.hint == tracking.NEEDS_MLFLOW else None
            self._registries.pop(name, None)
            raise
        finally:
            if operation in MOVES:
                self._forget(name)

    def _result(self, key: tuple[str, ...], function: Callable[[], Any]) -> Any:
        call = self._call(key, function)
        try:
            return call.future.result(max(0.0, call.limit_s - call.age_s()))
        except TimeoutError:
            raise TrackingError(f"the registry does not answer within {call.limit_s:.0f} s: {key[0]}") from None

    def _call(self, key: tuple[str, ...], function: Callable[[], Any]) -> RegistryCall:
        """Join an equal call that is under way, or ended so lately that its result may be out of date; else make it."""
        fresh_s = self._fresh_s if key[0] in POLLED else 0.0
        with self._lock:
            for old in [other for other, call in self._calls.items() if call.finished(self._fresh_s)]:
                del self._calls[old]
            call = self._calls.get(key)
            if call is None or call.finished(fresh_s):
                call = RegistryCall(time.monotonic(), remote.LIMITS_S[key[0]], self._pool.submit(function))
                self._calls[key] = call
            return call

    def _forget(self, name: str) -> None:
        """Drop what moved with Production."""
        with self._lock:
            for operation in POLLED:
                self._calls.pop((operation, name, "{}"), None)

    def _registry(self, name: str) -> Registry:
        if name not in self._registries:
            self._registries[name] = self._connect(name)
        return self._registries[name]


def _plain(version: Version | None) -> dict[str, Any] | None:
    return asdict(version) if version else None


OPERATIONS: dict[str, Callable[[Registry, Mapping[str, Any]], Any]] = {
    "production": lambda registry, arguments: _plain(registry.production()),
    "challenger": lambda registry, arguments: _plain(registry.challenger()),
    "history": lambda registry, arguments: [asdict(event) for event in registry.history()[: remote.HISTORY]],
    "get": lambda registry, arguments: asdict(registry.get(arguments["version"])),
    "download": lambda registry, arguments: str(
        registry.download(Version(**arguments["version"]), Path(arguments["to"]))
    ),
    "promote": lambda registry, arguments: asdict(registry.promote(arguments["version"], Event(**arguments["event"]))),
    "rollback": lambda registry, arguments: asdict(registry.rollback(Event(**arguments["event"]))),
}
POLLED = ("production", "challenger", "history")  # What the workers poll, so that a result is shared for a moment.
MOVES = ("promote", "rollback")


def _unexpected(error: Exception) -> TrackingError:
    log.warning("a call to the registry failed", exc_info=error)
    return TrackingError(f"unexpected {type(error).__name__}: {error}"[:500], "`lockstep doctor` looks")


def main(words: list[str]) -> None:
    """Serve the socket of a file descriptor."""
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", HTTP_TIMEOUT_S)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", HTTP_RETRIES)
    with suppress(TrackingError):  # every request raises it again
        tracking.prepare(settings)
    sidecar = Sidecar(lambda name: Registry(tracking.connect(settings), name), settings.poll_s)
    ipc.Server(socket.socket(fileno=int(words[0])), sidecar.answer, lambda: _end_if_stuck(sidecar)).serve_forever()


def _end_if_stuck(sidecar: Sidecar) -> None:
    if sidecar.stuck():
        log.error("the registry hangs for good: restarting the sidecar")
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])

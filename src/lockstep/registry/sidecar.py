"""The one process of a server that speaks to the model registry, so that no worker needs MLflow.

`lockstep serve` starts it with a socket that is open already: while it is started anew, questions wait there.
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

from lockstep import ipc, processes
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError
from lockstep.registry import remote, tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Registry, Version
from lockstep.runtime import logger

log = logging.getLogger("keeper")

THREADS = 8
HTTP_TIMEOUT_S = "5"
HTTP_RETRIES = "1"
STUCK_S = 60.0
"""A call that outlives its limit by this long never ends: the process does, and a fresh one takes its place."""


@dataclass(frozen=True)
class Flight:
    """A question on its way to the registry, or its answer."""

    started: float
    limit_s: float
    future: "Future[Any]"

    def landed(self, before_s: float) -> bool:
        """Tell whether there is an answer, to a question asked at least this long ago."""
        return self.future.done() and self.age_s() >= before_s

    def stuck(self) -> bool:
        """Tell whether it will never land."""
        return not self.future.done() and self.age_s() > self.limit_s + STUCK_S

    def age_s(self) -> float:
        """Return how long ago it was asked."""
        return time.monotonic() - self.started


class Keeper:
    """Answers the workers; what several of them ask at once, the registry is asked once."""

    def __init__(self, connect: Callable[[str], Registry], fresh_s: float) -> None:
        self._connect, self._fresh_s = connect, fresh_s
        self._registries: dict[str, Registry] = {}
        self._flights: dict[tuple[str, ...], Flight] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "registry")

    def answer(self, line: bytes) -> bytes:
        """Answer a question, whatever happens."""
        return ipc.answered(lambda: self._ask(json.loads(line)), _unforeseen)

    def stuck(self) -> bool:
        """Tell whether a call to the registry hangs for good."""
        with self._lock:
            return any(flight.stuck() for flight in self._flights.values())

    def _ask(self, question: Mapping[str, Any]) -> Any:
        operation, name, given = question["ask"], question["name"], question["given"]
        act = OPERATIONS[operation]
        flight = self._flight((operation, name, json.dumps(given)), lambda: act(self._registry(name), given))
        try:
            return flight.future.result(max(0.0, flight.limit_s - flight.age_s()))
        except TimeoutError:
            raise TrackingError(f"the registry does not answer within {flight.limit_s:.0f} s: {operation}") from None
        except TrackingError:
            self._registries.pop(name, None)
            raise
        finally:
            if operation in MOVES:
                self._forget(name)

    def _flight(self, key: tuple[str, ...], act: Callable[[], Any]) -> Flight:
        """Join a question that is under way, or was answered a moment ago and may be out of date; else ask it."""
        fresh_s = self._fresh_s if key[0] in WATCHED else 0.0
        with self._lock:
            for old in [other for other, flight in self._flights.items() if flight.landed(self._fresh_s)]:
                del self._flights[old]
            flight = self._flights.get(key)
            if flight is None or flight.landed(fresh_s):
                flight = Flight(time.monotonic(), remote.LIMITS_S[key[0]], self._pool.submit(act))
                self._flights[key] = flight
            return flight

    def _forget(self, name: str) -> None:
        """Ask anew what is where, since Production was moved from here."""
        with self._lock:
            for operation in WATCHED:
                self._flights.pop((operation, name, "{}"), None)

    def _registry(self, name: str) -> Registry:
        if name not in self._registries:
            self._registries[name] = self._connect(name)
        return self._registries[name]


def _production(registry: Registry, given: Mapping[str, Any]) -> Any:
    found = registry.production()
    return asdict(found) if found else None


def _challenger(registry: Registry, given: Mapping[str, Any]) -> Any:
    found = registry.challenger()
    return asdict(found) if found else None


def _history(registry: Registry, given: Mapping[str, Any]) -> Any:
    return [asdict(event) for event in registry.history()[: remote.HISTORY]]


def _get(registry: Registry, given: Mapping[str, Any]) -> Any:
    return asdict(registry.get(given["version"]))


def _download(registry: Registry, given: Mapping[str, Any]) -> Any:
    return str(registry.download(Version(**given["version"]), Path(given["to"])))


def _promote(registry: Registry, given: Mapping[str, Any]) -> Any:
    return asdict(registry.promote(given["version"], Event(**given["event"])))


def _rollback(registry: Registry, given: Mapping[str, Any]) -> Any:
    return asdict(registry.rollback(Event(**given["event"])))


OPERATIONS: dict[str, Callable[[Registry, Mapping[str, Any]], Any]] = {
    "production": _production,
    "challenger": _challenger,
    "history": _history,
    "get": _get,
    "download": _download,
    "promote": _promote,
    "rollback": _rollback,
}
WATCHED = ("production", "challenger", "history")
"""What many ask again and again, so that an answer stands for a moment."""

MOVES = ("promote", "rollback")


def _unforeseen(error: Exception) -> TrackingError:
    log.warning("a question to the registry failed", exc_info=error)
    return TrackingError(f"unexpected {type(error).__name__}: {error}"[:500], "`lockstep doctor` looks")


def main(words: list[str]) -> None:
    """Answer at the socket whose number is given, until the parent is gone."""
    processes.end_with_parent()
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", HTTP_TIMEOUT_S)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", HTTP_RETRIES)
    with suppress(TrackingError):  # such settings are the answer to every question
        tracking.prepare(settings)
    keeper = Keeper(lambda name: Registry(tracking.connect(settings), name), settings.poll_s)
    ipc.Server(socket.socket(fileno=int(words[0])), keeper.answer, lambda: _end_if_stuck(keeper)).serve_forever()


def _end_if_stuck(keeper: Keeper) -> None:
    if keeper.stuck():
        log.error("the registry hangs for good: starting anew")
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])

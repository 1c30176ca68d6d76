"""Recorder: the one process of a server that uses the database of the prediction log.

`lockstep serve` starts it with a socket that is open already. It ships what the workers spooled into the database,
serves their queries, and runs monitoring, alerts and retraining.
"""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from lockstep import ipc
from lockstep.config.settings import Settings
from lockstep.drift import results
from lockstep.errors import StoreError
from lockstep.lifecycle.retraining.scheduler import Scheduler
from lockstep.monitoring import monitor, shadow
from lockstep.prediction_log import feedback, retention, url
from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.shipper import Shipper
from lockstep.runtime import logger

log = logging.getLogger("recorder")

SHIP_S = 0.25  # Between two reads of the spool.
AGAIN_S = 1.0  # After a fault of the database.
LAST_S = 5.0  # For the rest of the spool at a stop.
BEHIND = 5  # Niceness of this process and its children: the workers come first.
PRUNE_S = 3600.0  # Between two deletions of what is older than the retention.


class Recorder:
    """Request handler and background work of the recorder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = Path(settings.state).absolute()
        self.shipper = Shipper(url.spool(settings), lambda: Store.from_settings(settings))
        self.stopped = threading.Event()
        self.trainer = Scheduler(settings, self.store)
        self.shadow = shadow.from_settings(settings, self.state)
        if self.shadow:
            self.shipper.more = self.shadow.answers
        self._watcher: monitor.Watcher | None = None

    def store(self) -> Store:
        """Return the store. Raises StoreError: its database is out of reach."""
        return self.shipper.store()

    def ask(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """Return the result of an operation, as JSON can hold it."""
        return OPERATIONS[operation](self, arguments)

    def answer(self, line: bytes) -> bytes:
        """Return the reply to a request, whatever happens."""

        def call() -> Any:
            message = json.loads(line)
            return self.ask(message["ask"], message["given"])

        return ipc.reply(call, _unexpected)

    def ship(self) -> None:
        """Ship until the recorder stops."""
        while not self.stopped.is_set():
            self.stopped.wait(self._ship_once())

    def watch(self) -> None:
        """Monitor until the recorder stops."""
        while not self.stopped.is_set():
            self._guarded(self.look)
            self.stopped.wait(max(1, self.settings.monitor_s))

    def look(self) -> None:
        """Measure what is new, and write the snapshot."""
        if self._watcher is None:
            self._watcher = monitor.start(self.settings, self.store, self.trainer.newest)
        snapshot = self._watcher.look(time.time(), self.shipper.state())
        snapshot.no_retraining = self.trainer.reasons
        results.write(snapshot, self.state / results.FILE)
        self.trainer.look(snapshot.alerts)

    def follow(self) -> None:
        """Score the traffic by the challengers in the shadow until the recorder stops."""
        while self.shadow and not self.stopped.is_set():
            self._guarded(self.shadow.follow)
            self.stopped.wait(max(1, self.settings.poll_s))

    def prune(self) -> None:
        """Delete what is older than the retention of the log until the recorder stops."""
        while self.settings.log_days and not self.stopped.is_set():
            self._guarded(lambda: retention.prune(self.store(), self._oldest_us()))
            self.stopped.wait(PRUNE_S)

    def _oldest_us(self) -> int:
        return time.time_ns() // 1000 - self.settings.log_days * retention.DAY_US

    def finish(self) -> None:
        """Ship what is left and close."""
        self.stopped.set()
        self.trainer.stop()
        self._guarded(lambda: self.shipper.drain(LAST_S))
        self.shipper.close()

    def _ship_once(self) -> float:
        """Ship a batch, and return how long to wait for the next."""
        try:
            return 0.0 if self.shipper.ship() else SHIP_S
        except StoreError:  # noted by the shipper, once
            return AGAIN_S
        except Exception:
            log.exception("shipping failed")
            return AGAIN_S

    def _guarded(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except (StoreError, OSError) as error:  # of the state folder: full, read-only or gone
            log.warning("%s", error)
        except Exception:
            log.exception("monitoring failed")


def _predictions(recorder: Recorder, arguments: Mapping[str, Any]) -> Any:
    return msgspec.to_builtins(recorder.store().predictions(msgspec.convert(arguments, PredictionFilter)))


def _known(recorder: Recorder, arguments: Mapping[str, Any]) -> Any:
    recorder.shipper.ship()  # so that what was answered or labelled a moment ago is known
    return msgspec.to_builtins(feedback.label_states(recorder.store(), arguments["ids"]))


# The operations that a request may name; another package adds its own functions here.
OPERATIONS: dict[str, Callable[[Recorder, Mapping[str, Any]], Any]] = {
    "known": _known,
    "predictions": _predictions,
    "retrain": lambda recorder, arguments: recorder.trainer.ask(arguments["reason"], arguments.get("model", "")),
    "job": lambda recorder, arguments: recorder.trainer.find(arguments["id"]),
}


def _unexpected(error: Exception) -> StoreError:
    log.warning("a query of the prediction log failed", exc_info=error)
    return StoreError(f"unexpected {type(error).__name__}: {error}"[:500], "look into the server's log")


def main(words: list[str]) -> None:
    """Serve the socket of a file descriptor, and ship, until SIGTERM."""
    os.nice(BEHIND)
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    recorder = Recorder(settings)
    server = ipc.Server(socket.socket(fileno=int(words[0])), recorder.answer, lambda: None)

    def stop(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    for work in (recorder.ship, recorder.watch, recorder.follow, recorder.prune):
        threading.Thread(target=work, name=work.__name__, daemon=True).start()
    server.serve_forever()
    recorder.finish()


if __name__ == "__main__":
    main(sys.argv[1:])

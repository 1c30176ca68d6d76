"""The one process of a server that speaks to the prediction log's database, so that no worker does.

`lockstep serve` starts it with a socket that is open already. It carries what the workers spooled into the database,
answers their questions, and looks after drift, quality, alerts and jobs.
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

from lockstep import ipc, logger, processes
from lockstep.config.settings import Settings
from lockstep.drift import results
from lockstep.errors import StoreError
from lockstep.lifecycle.retraining.scheduler import Scheduler
from lockstep.monitoring import monitor, shadow
from lockstep.prediction_log import feedback, retention, url
from lockstep.prediction_log.database import Asked, Store
from lockstep.prediction_log.shipper import Shipper

log = logging.getLogger("recorder")

SHIP_S = 0.25
AGAIN_S = 1.0
LAST_S = 5.0
"""Between two looks into the spool; after a fault of the database; and what a stop allows for what is left."""

BEHIND = 5
"""How far this process and those it starts stand back where processors are short: answers go before."""

PRUNE_S = 3600.0
"""Between two times that what is older than the log keeps is deleted."""


class Recorder:
    """Ships one server's spool, and answers what its workers ask about the log."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = Path(settings.state).absolute()
        self.shipper = Shipper(url.spool(settings), lambda: Store.of(settings))
        self.stopped = threading.Event()
        self.trainer = Scheduler(settings, self.store)
        self.shadow = shadow.of(settings, self.state)
        if self.shadow:
            self.shipper.more = self.shadow.answers
        self._watcher: monitor.Watcher | None = None

    def store(self) -> Store:
        """Return the store.

        Raises
        ------
        StoreError
            Its database is out of reach.
        """
        return self.shipper.store()

    def ask(self, operation: str, given: Mapping[str, Any]) -> Any:
        """Answer a question with what JSON can say."""
        return OPERATIONS[operation](self, given)

    def answer(self, line: bytes) -> bytes:
        """Answer a line with a line, whatever happens."""

        def act() -> Any:
            question = json.loads(line)
            return self.ask(question["ask"], question["given"])

        return ipc.answered(act, _unforeseen)

    def ship(self) -> None:
        """Ship until this is stopped."""
        while not self.stopped.is_set():
            self.stopped.wait(self._ship_once())

    def watch(self) -> None:
        """Look after everything else, again and again, until this is stopped."""
        while not self.stopped.is_set():
            self._guarded(self.look)
            self.stopped.wait(max(1, self.settings.monitor_s))

    def look(self) -> None:
        """Measure what is new, and write down how everything is."""
        if self._watcher is None:
            self._watcher = monitor.start(self.settings, self.store, self.trainer.newest)
        seen = self._watcher.look(time.time(), self.shipper.state())
        results.write(seen, self.state / results.FILE)
        self.trainer.look(seen.alerts)

    def follow(self) -> None:
        """Follow the challengers that run in the shadow until this is stopped."""
        while self.shadow and not self.stopped.is_set():
            self._guarded(self.shadow.follow)
            self.stopped.wait(max(1, self.settings.poll_s))

    def prune(self) -> None:
        """Delete what is older than the log keeps, again and again, until this is stopped."""
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

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except StoreError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("a look failed")


def _find(recorder: Recorder, given: Mapping[str, Any]) -> Any:
    found = recorder.store().find(given["id"])
    return msgspec.to_builtins(found) if found else None


def _predictions(recorder: Recorder, given: Mapping[str, Any]) -> Any:
    return msgspec.to_builtins(recorder.store().predictions(msgspec.convert(given, Asked)))


def _labels(recorder: Recorder, given: Mapping[str, Any]) -> Any:
    return msgspec.to_builtins(recorder.store().labels(given["id"]))


def _known(recorder: Recorder, given: Mapping[str, Any]) -> Any:
    recorder.shipper.ship()  # so that what was answered or labelled a moment ago is known
    return msgspec.to_builtins(feedback.known(recorder.store(), given["ids"]))


OPERATIONS: dict[str, Callable[[Recorder, Mapping[str, Any]], Any]] = {
    "find": _find,
    "known": _known,
    "predictions": _predictions,
    "labels": _labels,
    "retrain": lambda recorder, given: recorder.trainer.ask(given["reason"]),
    "job": lambda recorder, given: recorder.trainer.find(given["id"]),
}
"""What may be asked; another part adds its own functions here."""


def _unforeseen(error: Exception) -> StoreError:
    log.warning("a question about the prediction log failed", exc_info=error)
    return StoreError(f"unexpected {type(error).__name__}: {error}"[:500], "look into the server's log")


def main(words: list[str]) -> None:
    """Answer at the socket whose number is given, and ship, until SIGTERM or until the parent is gone."""
    processes.end_with_parent()
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

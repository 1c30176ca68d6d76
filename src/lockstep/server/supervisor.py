"""Supervisor of the worker and helper processes: replaces each that dies, and drains at SIGTERM."""

import functools
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from granian.server.mp import MPServer

from lockstep import processes

log = logging.getLogger("server")

SETTLED_S = 10.0  # A process that lived this long had started well: when it dies, it is replaced at once.
LONGEST_PAUSE_S = 4.0  # Between the death of a process that never settled and its replacement.
# Between two signals to a worker, and the longest sleep of the master. A worker that is only just starting does not
# listen yet, and the master's handler wakes nobody: `Event.set` takes a lock that the interrupted thread may hold.
SIGNAL_AGAIN_S = 0.2
LOOK_S = 0.2
# Held while a process is started. A worker that is forked between the fork and the exec of another child keeps open
# the pipe at which `Popen` waits for that exec, and `Popen` then waits for as long as the worker lives.
STARTING = threading.Lock()
MOST_FAILURES = 5  # So many exits of workers by themselves, and none that serves, and there is no use in going on.


@dataclass
class Life:
    """When a process was started, and how often in a row it died young."""

    born: float
    early_deaths: int = 0

    def settled(self) -> bool:
        """Tell whether it had started well."""
        return time.monotonic() - self.born > SETTLED_S

    def pause_s(self) -> float:
        """Return how long to wait for its replacement, given that it just died."""
        self.early_deaths = 0 if self.settled() else self.early_deaths + 1
        return 0.0 if self.early_deaths <= 1 else min(LONGEST_PAUSE_S, 0.25 * 2.0**self.early_deaths)


class Workers(MPServer):
    """Granian's master with other habits at a death and at a signal.

    Granian ends the whole server when a worker dies twice within 5.5 seconds, and stops at once on SIGTERM. Here a
    worker that was killed is always replaced; after SIGTERM the workers answer on for `drain_s` seconds, and say that
    they are not ready. A second signal, Ctrl-C or a hang-up stops without draining.
    """

    def __init__(self, drain_s: float, **options: Any) -> None:
        super().__init__(respawn_failed_workers=True, **options)
        self.drain_s = drain_s
        self.failed = False
        self._haste = 0
        self._lives: dict[int, Life] = {}
        self._due: dict[int, float] = {}
        self._failures = 0

    def signal_handler_interrupt(self, number: int, frame: FrameType | None) -> None:
        """Stop in haste: 1 drains first, 2 ends what is under way, 3 leaves nothing running; each signal adds one."""
        self._haste += 1 if self._haste or number == signal.SIGTERM else 2
        self.interrupt_signal = True
        if self._haste > 2:
            for worker in self.wrks:
                worker.kill()

    signal_handler_reload = signal_handler_interrupt

    def _spawn_workers(self, spawn_target: Any, target_loader: Any) -> None:
        with STARTING:
            super()._spawn_workers(spawn_target, target_loader)

    def _serve(self, spawn_target: Any, target_loader: Any) -> None:
        super()._serve(functools.partial(processes.as_child, os.getpid(), spawn_target), target_loader)

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        self._lives = {worker.idx: Life(time.monotonic()) for worker in self.wrks}
        while not self.interrupt_signal and not self.failed:
            self.main_loop_interrupt.wait(self._pause_s())
            self.main_loop_interrupt.clear()
            self._note_deaths()
            self._replace(spawn_target, target_loader)
        if self._haste == 1:
            self._drain()
        self.interrupt_children.clear()

    def _stop_workers(self) -> None:
        """Tell the workers to finish what is under way and end, until they have or their time is up."""
        end = time.monotonic() + (self.workers_kill_timeout or math.inf)
        while time.monotonic() < end and (left := [worker for worker in self.wrks if worker.is_alive()]):
            for worker in left:
                worker.terminate()
            left[0].join(SIGNAL_AGAIN_S)
        super()._stop_workers()

    def _pause_s(self) -> float:
        next_due = min(self._due.values(), default=math.inf)
        return max(0.0, min(LOOK_S, next_due - time.monotonic()))

    def _note_deaths(self) -> None:
        """Plan the replacement of each worker that died since the last look."""
        while self.interrupt_children:
            worker_id = self.interrupt_children.pop()
            pause_s = self._lives[worker_id].pause_s()
            code = self.wrks[worker_id].inner.exitcode or 0
            self._failures = self._failures + 1 if code > 0 and pause_s else 0
            hopeless = code == processes.WRONG_SETTINGS or self._failures >= MOST_FAILURES
            self.failed = hopeless and not self._one_serves()
            self._due[worker_id] = time.monotonic() + pause_s

    def _one_serves(self) -> bool:
        return any(worker.is_alive() and self._lives[worker.idx].settled() for worker in self.wrks)

    def _replace(self, spawn_target: Any, target_loader: Any) -> None:
        if self.failed:
            return
        for worker_id in [worker_id for worker_id, due in self._due.items() if due <= time.monotonic()]:
            del self._due[worker_id]
            self._lives[worker_id].born = time.monotonic()
            self.wrks[worker_id] = self._spawn_worker(idx=worker_id, target=spawn_target, callback_loader=target_loader)
            with STARTING:
                self.wrks[worker_id].start()

    def _drain(self) -> None:
        """Tell the workers to say that they are not ready, and let them answer what still comes."""
        log.info("SIGTERM: answering for another %g s, then stopping", self.drain_s)
        end = time.monotonic() + self.drain_s
        while self._haste == 1 and (left := end - time.monotonic()) > 0:
            for worker in self.wrks:
                with suppress(ProcessLookupError):
                    os.kill(worker.inner.pid, signal.SIGUSR1)
            self.main_loop_interrupt.wait(min(left, SIGNAL_AGAIN_S))
            self.main_loop_interrupt.clear()


class HelperProcess:
    """A child process that is started again whenever it ends, until it is stopped."""

    def __init__(self, name: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self.name = name
        self._start = start
        self._stopped = threading.Event()
        self.process = start()
        threading.Thread(target=self._watch, name=f"{name}-watch", daemon=True).start()

    def stop(self, within_s: float = 0.0) -> None:
        """End the process for good; wait for it so long, since it may have something to finish."""
        self._stopped.set()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within_s)

    def _watch(self) -> None:
        """Restart the process from this one thread: the kernel ends a child with the thread that started it."""
        life = Life(time.monotonic())
        while True:
            code = self.process.wait()
            if self._stopped.wait(life.pause_s()):
                return
            log.warning("the %s process ended with code %s: starting another", self.name, code)
            life.born = time.monotonic()
            with STARTING:
                self.process = self._start()


def start_helper(name: str, module: str, listener: socket.socket) -> HelperProcess:
    """Start a module that answers at an open socket, in a session that Ctrl-C does not reach."""
    number = listener.fileno()
    command = [sys.executable, "-m", "lockstep.processes", str(os.getpid()), module, str(number)]
    return HelperProcess(name, lambda: subprocess.Popen(command, pass_fds=(number,), start_new_session=True))

"""What the processes of a server have in common: a child ends with its parent, and memory stays flat.

As a program it runs the `main` of a module as such a child: `python -m lockstep.processes PARENT MODULE ARGUMENT...`.
"""

import ctypes
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

M_ARENA_MAX = -8
PR_SET_PDEATHSIG = 1
WRONG_SETTINGS = 78  # The exit code of a worker that can never start, so that the master does not try again.
LOOK_S = 0.5
GRACE_S = 1.0
PARENT_DIED = signal.SIGUSR2
# What a forked child calls at its end; `atexit` calls nothing in children of multiprocessing.
EXIT_CALLS: list[Callable[[], None]] = []
FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def keep_memory_flat(arenas: int = 2) -> None:
    """Let the threads of this process share a few heaps, so that memory freed by one serves another.

    The C library makes a heap for nearly every thread otherwise, and each grows to the largest request it ever saw.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, arenas)


def end_with_parent(parent: int) -> None:
    """Let this process end with its parent: at once while it starts, later within a second.

    The kernel sends a signal when the parent dies (Linux). A thread looks too, since the main thread may hang. The
    number of the parent tells whether it died before this call; as its child, nobody else can have its number.
    """
    signal.signal(PARENT_DIED, lambda *_: _end())
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, PARENT_DIED)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    _end()


def _end() -> None:
    """End by SIGTERM, or by the kernel's alarm: Granian's handler may wait and keep the GIL, so that no thread runs."""
    signal.setitimer(signal.ITIMER_REAL, GRACE_S)
    os.kill(os.getpid(), signal.SIGTERM)


def exit_on_signals() -> threading.Event:
    """Let SIGTERM and SIGHUP unwind this process with exit code 0 from now on; return what notes that one came.

    An exception from a handler is lost where Python runs a callback of its own, as of a weak reference.
    """
    stop = threading.Event()

    def unwind(number: int, frame: object) -> None:
        stop.set()
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, unwind)
    return stop


def follow_make() -> None:
    """Hang up this process when the `make` that runs it is interrupted or gone.

    GNU make hands on SIGTERM alone. At a hang-up or an interrupt that was sent to it and not to the terminal's
    processes, it blocks that signal, and waits for its children for ever.
    """
    parent = os.getppid()
    if _blocked(parent) is not None:
        threading.Thread(target=_follow, args=(parent,), name="make-watch", daemon=True).start()


def _follow(parent: int) -> None:
    while os.getppid() == parent and not (_blocked(parent) or 0) & sum(1 << number - 1 for number in FATAL):
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGHUP)


def _blocked(process: int) -> int | None:
    """Return the mask of the signals that a process blocks, None if it is no `make`."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return int(fields["SigBlk"], 16) if fields.get("Name", "").endswith("make") else None


def as_child(parent: int, target: Callable[..., None], *arguments: object) -> None:
    """Run a function in a process that was just forked, as a child that ends with its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the handler of the parent came with the fork
    end_with_parent(parent)
    try:
        target(*arguments)
    finally:
        for call in EXIT_CALLS:
            call()


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))  # before the imports below, which take seconds
    importlib.import_module(sys.argv[2]).main(sys.argv[3:])

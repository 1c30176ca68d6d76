"""What the processes of a server have in common: a child ends when its parent is gone, and memory stays flat."""

import ctypes
import os
import signal
import threading
import time
from contextlib import suppress

M_ARENA_MAX = -8
WRONG_SETTINGS = 78
"""The exit code of a worker that can never start, so that the master does not try again."""

LOOK_S = 0.5
GRACE_S = 1.0


def keep_memory_flat(arenas: int = 2) -> None:
    """Let the threads of this process share a few heaps, so that memory freed by one serves another.

    The C library makes a heap for nearly every thread otherwise, and each grows to the largest request it ever saw.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, arenas)


def end_with_parent() -> None:
    """Watch the parent from now on; when it is gone, finish what is under way within a second and end."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)

"""Lock of the local tracking store: one process at a time registers a version or moves Production."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lockstep.registry.tracking_server import database_of

SUFFIX = ".lock"


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Wait for the lock beside the store's file and hold it; the kernel frees it with the process.

    A server has none: there, the registry checks after each change what became of it. So it is where the folder is
    read-only or knows no locks.
    """
    database = database_of(uri)
    file = -1
    if database is not None:
        with suppress(OSError):
            file = os.open(f"{database}{SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if file >= 0:
            os.close(file)

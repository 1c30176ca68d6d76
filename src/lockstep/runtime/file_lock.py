"""Exclusive lock of a file, whose content names the process that holds it.

The kernel frees the lock with the last process that has the file open, however that ended: a lock file that a dead
process left behind is in nobody's way, which a file with a process number in it would be.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lockstep import files
from lockstep.errors import AlreadyRunning

FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
LONGEST = 500


@contextmanager
def exclusive(path: Path, activity: str, hint: str) -> Iterator[None]:
    """Hold the lock of a file for as long as the block runs.

    Raises AlreadyRunning: another process holds it: the error names the process, the machine and since when.
    """
    files.private_folder(path.parent)
    file = os.open(path, FLAGS | os.O_CREAT, 0o600)
    try:
        if not _locks(file):
            raise AlreadyRunning(f"{activity} runs already: {holder(path)}", hint)
        write_holder(file)
        yield
    finally:
        os.close(file)


def try_lock(path: Path, flags: int = 0) -> int | None:
    """Return an open file with a lock on it, None if another process holds the lock or there is no such file."""
    try:
        file = os.open(path, FLAGS | flags, 0o600)
    except OSError:
        return None
    if _locks(file):
        return file
    os.close(file)
    return None


def _locks(file: int) -> bool:
    """Lock an open file, and return whether that succeeded."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_holder(file: int, subject: str = "") -> None:
    """Write into a lock file who holds it, and what for where one file is not for one thing."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    os.ftruncate(file, 0)
    os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}, since {since}\n{subject}\n".encode(), 0)


def holder(path: Path, subject: str = "") -> str:
    """Return who holds a lock file, as it says itself; empty if it is held for another subject."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            name, _, held_for = file.read(LONGEST).partition("\n")
    except OSError:
        return ""
    return (name or "another process") if held_for.strip() == subject else ""

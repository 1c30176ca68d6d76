"""Runtime folder of one running server, which lasts as long as a lock on it.

The processes of a server share sockets and metric files there. The master locks a file in the folder, and the workers
inherit the lock with the fork. The kernel frees it when the last of them is gone, however they ended, so that the next
server knows a dead one's folder by its free lock: process numbers come again, in a container at once.
"""

import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lockstep.errors import AlreadyRunning
from lockstep.runtime.file_lock import holder, try_lock, write_holder

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of this user alone is made in it
PREFIX = "lockstep-"
LOCK = ".lock"
# What a server makes in its folder; nothing else is ever removed.
REMOVABLE = ("*.sock", "*.db", "*.db.new", "serving.lock")
# Free shared memory below which the state folder is used: a worker's metrics take 0.2 to 1 MiB.
NEEDED_BYTES = 16 << 20


@contextmanager
def runtime_folder(parent: Path, address: str = "") -> Iterator[Path]:
    """Make a locked folder in another one, without those of dead servers, and remove it in the end.

    Raises OSError: the parent cannot be written to. Raises AlreadyRunning: another server that has a folder there is at
    this address.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with _locked(parent / LOCK):  # no other server starts between the making of the folder and its lock
        remove_dead(parent)
        if address and (other := _holder_of(parent, address)):
            raise AlreadyRunning(f"a server at {address} runs already: {other}", "stop it, or choose another --port")
        folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        lock = try_lock(folder / LOCK, os.O_CREAT)
        if lock is not None:
            write_holder(lock, _subject(address))
    try:
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def remove_dead(parent: Path) -> None:
    """Remove the runtime folders whose locks are free."""
    for folder in parent.glob(f"{PREFIX}*"):
        lock = try_lock(folder / LOCK)
        if lock is not None:
            _remove(folder)
            os.close(lock)


def server_at(parent: Path, address: str) -> str:
    """Return the process, machine and start of the server at an address; empty if none has a folder there."""
    with suppress(OSError), _locked(parent / LOCK):
        remove_dead(parent)
        return _holder_of(parent, address)
    return ""


def _holder_of(parent: Path, address: str) -> str:
    subject = _subject(address)
    return next((name for folder in parent.glob(f"{PREFIX}*") if (name := holder(folder / LOCK, subject))), "")


def _subject(address: str) -> str:
    """Return what an address is held as: containers that share a state folder have the same ones."""
    return f"{socket.gethostname()} {address}"


def shared_memory(state: Path) -> Path:
    """Return a folder in shared memory for the runtime folders of this user, else one in the state folder.

    A full disk does not reach it: a mapped file without room kills its process by SIGBUS.
    """
    folder = SHARED_MEMORY / f"lockstep-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status, room = folder.lstat(), os.statvfs(folder)
    except OSError:
        return state / "run"
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    usable = private and os.access(folder, os.W_OK) and room.f_bavail * room.f_frsize > NEEDED_BYTES
    return folder if usable else state / "run"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for a lock and hold it; a file system without locks has one user."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _remove(folder: Path) -> None:
    """Remove what a server made in its folder, and the folder if nothing else is in it."""
    with suppress(OSError):
        for path in [path for pattern in REMOVABLE for path in folder.glob(pattern)]:
            path.unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            folder.rmdir()

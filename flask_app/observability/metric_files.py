"""Mapped files of the metrics that worker processes share, on a disk that may be full, read-only or gone.

prometheus_client maps a sparse file, and the kernel ends a process (SIGBUS) that touches a page for which the disk has
no room. Here the room is reserved first. Without it the values stay in the memory of the process, where nobody else
reads them, and go into the file when there is room again, so that no count is lost.
"""

import logging
import mmap
import os
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

log = logging.getLogger("metrics")

INITIAL_BYTES = 1 << 16
# Value and timestamp, assigned in one step: `pack_into` would let a scrape read zeros in between.
ENTRY = struct.Struct("dd")
HEADER = 8  # Bytes of the used length and its padding, before the first entry.
PARTIAL = ".new"
CHECK_S = 1.0  # Between two looks whether the file is still at its place, or can be made again.


class MetricFile(MmapedDict):
    """A metric file of this process, in place of prometheus_client's."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode:
            super().__init__(filename, read_mode)
            return
        self._fname, self._f = filename, None
        self._file: int | None = None
        self._positions: dict[str, int] = {}
        self._capacity, self._used = INITIAL_BYTES, HEADER
        self._m = mmap.mmap(-1, self._capacity)
        self._m[0:4] = self._used.to_bytes(4, sys.byteorder)
        self._check_at = 0.0
        self._fault = ""
        self._check()

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Set a value; the lock of prometheus_client is held. The base method is repeated, which spares two calls."""
        if time.monotonic() > self._check_at:
            self._check()
        if key not in self._positions:
            self._init_value(key)
        position = self._positions[key]
        self._m[position : position + ENTRY.size] = ENTRY.pack(value, timestamp)

    def _init_value(self, key: str) -> None:
        """Make an entry, after there is room for it: twice the longest key that JSON may need, and the numbers."""
        while self._used + 2 * len(key.encode()) + 64 > self._capacity:
            self._grow()
        super()._init_value(key)

    def close(self) -> None:
        """Leave the file."""
        if self._m is not None:
            self._m.close()
            self._m = None
        self._leave()

    def _grow(self) -> None:
        """Double the room, in the file if the disk gives it."""
        content, self._capacity = self._m[: self._used], 2 * self._capacity
        if self._file is not None:
            try:
                self._m = _reserved(self._file, self._capacity)
                return
            except OSError as error:
                self._note(error)
                self._leave()
        self._m = mmap.mmap(-1, self._capacity)
        self._m[: self._used] = content

    def _check(self) -> None:
        """Move the values into a file, unless there is one at its place."""
        self._check_at = time.monotonic() + CHECK_S
        if self._file is not None and _is_at(self._file, self._fname):
            return
        self._leave()
        try:
            if self._used > HEADER or not self._adopt():
                self._replace()
        except OSError as error:
            self._note(error)
            self._leave()
        else:
            self._note(None)

    def _adopt(self) -> bool:
        """Go on from the values of a dead process that had the same number, if there was one."""
        try:
            self._file = file = os.open(self._fname, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._capacity = max(self._capacity, os.fstat(file).st_size)
        self._m = _reserved(file, self._capacity)
        self._used = int.from_bytes(self._m[0:4], sys.byteorder)
        self._positions = {key: position for key, _, _, position in self._read_all_values()}
        return True

    def _replace(self) -> None:
        """Make the file under another name first, so that a scrape never reads half of it."""
        partial = Path(f"{self._fname}{PARTIAL}")
        partial.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            mapped = _reserved(file, self._capacity)
            mapped[: self._used] = self._m[: self._used]
            partial.rename(self._fname)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        self._m = mapped

    def _leave(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
        self._file = None

    def _note(self, error: OSError | None) -> None:
        fault = (error.strerror or str(error)) if error else ""
        if fault and not self._fault:
            log.warning("%s: %s: the metrics of this process stay in its memory for now", self._fname, fault)
        elif self._fault and not fault:
            log.info("%s: the metrics of this process are shared again", self._fname)
        self._fault = fault


def _reserved(file: int, size: int) -> mmap.mmap:
    """Return a map of a file, for all of which the disk has given its room. Raises OSError: there is none."""
    os.posix_fallocate(file, 0, size)
    return mmap.mmap(file, size)


def _is_at(file: int, name: str) -> bool:
    """Return whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(name))  # noqa: PTH116 - asked once a second for each file
    except OSError:
        return False

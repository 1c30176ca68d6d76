"""Where predictions wait on disk for the database: files of JSON lines, each written by one process.

A writer holds a lock on its file for as long as it writes there. So a file that nobody has locked is complete, whatever
became of its writer, and may go once its lines are in the database. Nothing is flushed to the disk itself on the way:
what is written survives the death of every process, and the last moments do not survive that of the machine.
"""

import errno
import fcntl
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from lockstep.prediction_log.records import Answer, Label, Lost, Record

log = logging.getLogger("log")

SUFFIX = ".jsonl"
OPENING = ".new"
# A file is closed at this size or age, so that it can be removed, and little is read twice after a restart.
MOST_BYTES = 1 << 20
OLDEST_S = 60.0
MEMORY_BYTES = 4 << 20  # So much waits in this process' memory while the disk takes nothing.
RETRY_S = 0.25  # Between two attempts to write while the disk takes nothing.
# Between two checks whether somebody removed the file: a system call for every line would cost as much as its text.
CHECK_S = 1.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Writer:
    """Appends records to files of its own in a folder; it never raises for want of room, and never waits for it."""

    def __init__(self, folder: Path, most_bytes: int, on_lost: Callable[[int], None] = lambda count: None) -> None:
        self.folder, self.most_bytes, self.on_lost = folder, most_bytes, on_lost
        self._lock = threading.Lock()
        self._file: int | None = None
        self._written, self._opened, self._tried, self._checked = 0, 0.0, 0.0, 0.0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._torn = False
        self._lost = 0
        self._later: threading.Timer | None = None

    def write(self, record: Record) -> None:
        """Write a record down before this returns; if the disk takes nothing, it waits in memory."""
        line = line_of(record)
        with self._lock:
            if time.monotonic() - self._checked >= CHECK_S:
                self._rescue()
            if self._waiting:
                self._keep(line, record)
                self._catch_up()
            elif not self._append(line):
                self._keep(line, record)
                self._try_later()

    def waiting(self) -> int:
        """Return how many records wait in memory."""
        return len(self._waiting)

    def close(self) -> None:
        """Write what waits, as far as there is room, count the rest as lost, and leave the file to its reader."""
        with self._lock:
            self._tried = 0.0
            self._rescue()
            self._catch_up()
            self._leave()
            if self._later:
                self._later.cancel()
            if lost := sum(map(_predictions, self._waiting)):
                self.on_lost(lost)
                log.error("%s takes nothing: %d predictions are lost", self.folder, lost)

    def _rescue(self) -> None:
        """Write the lines of a file anew that somebody removed; a line that was stored already is stored once."""
        self._checked = time.monotonic()
        if self._file is None or os.fstat(self._file).st_nlink:
            return
        content = os.pread(self._file, self._written, 0)
        self._leave()
        self._waiting.extendleft(reversed(content.splitlines(keepends=True)))
        self._waiting_bytes += len(content)
        self._tried = 0.0

    def _append(self, line: bytes) -> bool:
        """Write a line; tell whether the disk took it, of which the rest may come first of what waits."""
        try:
            written = os.write(self._ready(), line)
        except OSError as error:
            if error.errno not in NO_ROOM and not self._torn:
                self._leave()
            return False
        self._written += written
        self._torn = written < len(line)
        if self._torn:
            self._waiting.appendleft(line[written:])
            self._waiting_bytes += len(line) - written
            self._try_later()
        return True

    def _keep(self, line: bytes, record: Record) -> None:
        """Let a line wait in memory, unless too much does already."""
        if self._waiting_bytes + len(line) <= MEMORY_BYTES:
            self._waiting.append(line)
            self._waiting_bytes += len(line)
        elif isinstance(record, Answer):
            self._lost += len(record.ids)
            self.on_lost(len(record.ids))

    def _catch_up(self) -> None:
        """Write what waits, if the disk takes it again."""
        if time.monotonic() - self._tried < RETRY_S:
            return
        while self._waiting:
            line = self._waiting.popleft()
            self._waiting_bytes -= len(line)
            if not self._append(line):
                self._waiting.appendleft(line)
                self._waiting_bytes += len(line)
                break
        self._tried = time.monotonic() if self._waiting else 0.0
        if not self._waiting and self._lost:
            lost, self._lost = self._lost, 0
            self._append(line_of(Lost(time.time_ns() // 1000, secrets.token_hex(16), lost)))

    def _try_later(self) -> None:
        """Try again soon, even if nothing more is asked for."""
        if self._later is None:
            self._tried = time.monotonic()
            self._later = threading.Timer(2 * RETRY_S, self._try_now)
            self._later.daemon = True
            self._later.start()

    def _try_now(self) -> None:
        with self._lock:
            self._later = None
            self._tried = 0.0
            self._catch_up()
            if self._waiting:
                self._try_later()

    def _ready(self) -> int:
        """Return a file to write to: the present one, or a new one where that is full or old and ends with a line."""
        old = self._written >= MOST_BYTES or time.monotonic() - self._opened > OLDEST_S
        if self._file is not None and old and not self._torn:
            self._leave()
        if self._file is None:
            self._file = self._open()
            self._written, self._opened = 0, time.monotonic()
        return self._file

    def _open(self) -> int:
        """Open a file, and lock it before its reader can see it. Raises OSError: there is no room."""
        if folder_bytes(self.folder) >= self.most_bytes:
            raise OSError(errno.ENOSPC, "as much waits on disk as may")
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        opening = self.folder / f"{name}{OPENING}"
        file = os.open(opening, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            opening.rename(self.folder / name)
        except OSError:
            os.close(file)
            opening.unlink(missing_ok=True)
            raise
        return file

    def _leave(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file, self._torn = None, False


class Batch(msgspec.Struct):
    """Records that came from files, up to which byte of each, and which of the files are at their end."""

    records: list[Record] = []
    ends: dict[Path, int] = {}
    complete: list[Path] = []

    def oldest_us(self) -> int | None:
        """Return when the oldest of the predictions was answered."""
        return min((record.at_us for record in self.records), default=None)


class SpoolReader:
    """Reads what the writers wrote, each line once unless it is told that a batch was not dealt with."""

    def __init__(self, folder: Path, on_torn: Callable[[Path, bytes], None]) -> None:
        self.folder, self.on_torn = folder, on_torn
        self._offsets: dict[Path, int] = {}

    def read(self, most_bytes: int = MOST_BYTES) -> Batch:
        """Return the oldest lines that were not dealt with, about so many bytes of them."""
        batch, read = Batch(), 0
        for path in self.files():
            if read >= most_bytes:
                break
            try:
                read += self._read(path, most_bytes - read, batch)
            except FileNotFoundError:  # another reader was faster
                self._offsets.pop(path, None)
        return batch

    def done(self, batch: Batch) -> None:
        """Note that a batch is dealt with, and remove the files that it completes."""
        self._offsets.update(batch.ends)
        for path in batch.complete:
            path.unlink(missing_ok=True)
            self._offsets.pop(path, None)

    def files(self) -> list[Path]:
        """Return the files that are there, the oldest first."""
        try:
            return sorted(path for path in self.folder.iterdir() if path.suffix == SUFFIX)
        except FileNotFoundError:
            return []

    def unread(self) -> tuple[int, int]:
        """Return how many files there are, and how many of their bytes were not dealt with."""
        paths = self.files()
        return len(paths), sum(max(0, size_of(path) - self._offsets.get(path, 0)) for path in paths)

    def _read(self, path: Path, most_bytes: int, batch: Batch) -> int:
        """Add a file's next whole lines to a batch, and return how many bytes were looked at."""
        offset = self._offsets.get(path, 0)
        with path.open("rb") as file:
            complete = _is_left(file.fileno())  # first: what comes after is all there will be
            file.seek(offset)
            content = file.read(most_bytes)
            while b"\n" not in content and (more := file.read(MOST_BYTES)):
                content += more
            at_end = complete and file.tell() == os.fstat(file.fileno()).st_size
        whole = len(content) if at_end else content.rfind(b"\n") + 1
        batch.records += self._decode(path, content[:whole])
        batch.ends[path] = offset + whole
        if at_end:
            batch.complete.append(path)
        return len(content)

    def _decode(self, path: Path, content: bytes) -> list[Record]:
        records = []
        for line in content.split(b"\n"):
            if line:
                try:
                    records.append(DECODER.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError):  # its writer was killed in the middle of it
                    self.on_torn(path, line)
        return records


DECODER = msgspec.json.Decoder(Answer | Label | Lost)
ENCODER = msgspec.json.Encoder()


def line_of(record: Record) -> bytes:
    """Return a record as a line; what is no text in UTF-8, half a surrogate pair, becomes a question mark."""
    try:
        return ENCODER.encode(record) + b"\n"
    except UnicodeEncodeError:
        return ENCODER.encode(_readable(msgspec.to_builtins(record))) + b"\n"


def _readable(content: object) -> object:
    if isinstance(content, str):
        return content.encode("utf-8", "replace").decode()
    if isinstance(content, list | tuple):
        return [_readable(item) for item in content]
    if isinstance(content, dict):
        return {key: _readable(item) for key, item in content.items()}
    return content


def _predictions(line: bytes) -> int:
    """Return how many predictions a line holds, none if it is the rest of one."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        record = DECODER.decode(line)
        return len(record.ids) if isinstance(record, Answer) else 0
    return 0


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    try:
        return sum(size_of(path) for path in folder.iterdir())
    except FileNotFoundError:
        return 0


def size_of(path: Path) -> int:
    """Return the size of a file, 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_left(file: int) -> bool:
    """Tell whether nobody writes to an open file any more."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

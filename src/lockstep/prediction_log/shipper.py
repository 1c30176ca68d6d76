"""Carries what the workers spooled into the database, each record once, whatever fails on the way."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError, StatementError

from lockstep.drift.results import LogState
from lockstep.errors import StoreError
from lockstep.prediction_log import spool
from lockstep.prediction_log.database import Store
from lockstep.prediction_log.records import Record
from lockstep.prediction_log.spool import Batch, SpoolReader

log = logging.getLogger("log")

REFUSED = "refused"
LOCK = ".shipping"
OPENING_S = 60.0  # A file that was being opened this long ago never was: its writer died.
REFUSALS = (DataError, IntegrityError, OverflowError, UnicodeError)


class Shipper:
    """Ships one folder; of several that ship the same folder, one works and the others stand by.

    `more` gives records that follow from those of a batch; the same ones if the batch is carried again.
    """

    def __init__(self, folder: Path, open_store: Callable[[], Store]) -> None:
        self.folder = folder
        self.fault = ""
        self.more: Callable[[Sequence[Record]], Sequence[Record]] = lambda records: ()
        self._open_store = open_store
        self._store: Store | None = None
        self._reader = SpoolReader(folder, self._refuse)
        self._turn, self._opening = threading.Lock(), threading.Lock()
        self._lock: int | None = None
        self._oldest_us: int | None = None

    def store(self) -> Store:
        """Return the store, opened. Raises StoreError: its database is out of reach."""
        with self._opening:
            if self._store is None:
                self._store = self._open_store()
            return self._store

    def ship(self) -> bool:
        """Carry one batch over; tell whether there may be more.

        Raises StoreError: the database or the spool is out of reach: the batch stays where it is.
        """
        with self._turn:
            try:
                return self._is_ours() and self._ship_batch()
            except OSError as error:  # full, read-only or removed
                fault = f"the spool {self.folder} cannot be used: {error.strerror or error}"
                self._note(fault)
                raise StoreError(fault, "free or mount its disk") from None

    def drain(self, within_s: float) -> None:
        """Ship until nothing is left, as far as the time goes."""
        end = time.monotonic() + within_s
        while self.ship() and time.monotonic() < end:
            pass

    def state(self) -> LogState:
        """Return what waits, since when, and what is wrong with the database; nothing here asks it."""
        files, size = self._reader.unread()
        oldest_us = self._oldest_us
        lag_s = max(0.0, time.time() - oldest_us / 1e6) if oldest_us else 0.0
        return LogState(
            reachable=not self.fault, fault=self.fault, spool_files=files, spool_bytes=size, lag_s=round(lag_s, 3)
        )

    def close(self) -> None:
        """Close the database, and let another ship."""
        if self._store:
            self._store.close()
        if self._lock is not None:
            os.close(self._lock)
        self._store = self._lock = None

    def _ship_batch(self) -> bool:
        batch = self._reader.read()
        self._oldest_us = batch.oldest_us()
        self._carry(batch)
        self._oldest_us = None
        return bool(batch.records)

    def _carry(self, batch: Batch) -> None:
        try:
            if batch.records:
                self._add([*batch.records, *self.more(batch.records)])
            self._reader.done(batch)
        except StoreError as error:
            self._note(str(error))
            raise
        if batch.records:
            self._note("")

    def _add(self, records: Sequence[Record]) -> None:
        """Add records; one that the database refuses for what it says is set aside, so that the others go on."""
        try:
            self.store().add(records)
        except (StoreError, *REFUSALS) as error:
            if not _is_refusal(error):
                raise
            if len(records) == 1:
                log.error("the database refuses a record: %s", error)
                self._refuse(self.folder, spool.line_of(records[0]).rstrip(b"\n"))
                return
            half = len(records) // 2
            self._add(records[:half])
            self._add(records[half:])

    def _refuse(self, path: Path, line: bytes) -> None:
        """Set a line aside, for people to look at."""
        log.warning("%s: a line of %d bytes cannot be stored, and is set aside", path.name, len(line))
        with (self.folder / REFUSED).open("ab") as file:
            file.write(line + b"\n")

    def _is_ours(self) -> bool:
        """Tell whether this process ships the folder, as it does if no other has begun to."""
        if self._lock is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        self._forget_unopened()
        return True

    def _forget_unopened(self) -> None:
        """Remove files whose writers died while they opened them, which are empty."""
        for path in self.folder.glob(f"*{spool.OPENING}"):
            if time.time() - path.stat().st_mtime > OPENING_S:
                path.unlink(missing_ok=True)

    def _note(self, fault: str) -> None:
        if fault != self.fault:
            log.warning("%s", fault) if fault else log.info("the database takes predictions again")
        self.fault = fault


def _is_refusal(error: BaseException) -> bool:
    """Tell whether the database objects to what a record says, and not to work at all."""
    cause = error.__cause__ if isinstance(error, StoreError) else error
    plain = type(cause) is StatementError  # no error of the database: the driver could not even send it
    return plain or isinstance(cause, REFUSALS)

"""How often a client may ask, whichever worker it meets, and how much is under way in one worker at a time."""

import fcntl
import hashlib
import ipaddress
import math
import mmap
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from lockstep.errors import ConfigError

SECONDS = {"s": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
SLOTS = 2**17
SALT_BYTES = 16
SLOT_BYTES = 8
LOCKS = 64
FILE = "limits.bin"

LARGE_ROWS = 200
LARGE_BYTES = 100_000
LARGE_PERMITS = 1
LARGE_QUEUE = 64
BUSY_S = 1  # After this long a light request may find room again.


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds: all of them at once, then evenly as they come back."""

    requests: int
    period_s: int

    @classmethod
    def parse(cls, text: str) -> "Rate | None":
        """Read a rate such as 100/s, 600/m or 5000/h; None where there is no limit."""
        if not text.strip():
            return None
        match = re.fullmatch(r"\s*([1-9]\d{0,8})\s*/\s*([a-z]+)\s*", text, re.ASCII)
        if not match or match[2] not in SECONDS:
            raise ConfigError(f"LOCKSTEP_RATE_LIMIT = {text!r} is not a rate", "write it as 100/s, 600/m or 5000/h")
        return cls(int(match[1]), SECONDS[match[2]])


class RateLimited(TooManyRequests):
    """A client asked more often than its rate."""

    def __init__(self, rate: Rate, wait_s: float) -> None:
        self.rate, self.wait_s = rate, max(1, math.ceil(wait_s))
        super().__init__(
            f"At most {rate.requests} requests in {rate.period_s} s; try again in {self.wait_s} s.",
            retry_after=self.wait_s,
        )

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Add what the limit is and when there is room again."""
        policy = f'"client";q={self.rate.requests};w={self.rate.period_s}'
        limit = f'"client";r=0;t={self.wait_s}'
        return [*super().get_headers(*args, **kwargs), ("RateLimit-Policy", policy), ("RateLimit", limit)]


class RateLimit:
    """The generic cell rate algorithm, exact over all processes that share a folder.

    A file holds, for each client, the moment at which everything it asked would be paid off at its rate. Its place is
    a keyed hash of its name, so that nobody can aim at the place of another. The kernel's lock on the eight bytes makes
    a change whole, and a process that is killed leaves none behind. The clock is the monotonic one, which all processes
    of a machine share and nobody sets.
    """

    def __init__(self, rate: Rate, folder: Path) -> None:
        self.rate = rate
        self._step_s = rate.period_s / rate.requests
        self._slack_s = (rate.requests - 1 + 1e-3) * self._step_s
        self._file = _opened(folder)
        self._memory = memoryview(mmap.mmap(self._file, SALT_BYTES + SLOTS * SLOT_BYTES))
        self._hash = hashlib.blake2b(digest_size=8, key=bytes(self._memory[:SALT_BYTES]))
        self._paid_off = self._memory[SALT_BYTES:].cast("d")
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._place = lru_cache(maxsize=4096)(self._place_of)

    def allow(self, client: str) -> float:
        """Return how many seconds a client has to wait; at 0 its request is let in and counted."""
        now, slot = time.monotonic(), self._place(client)
        wait_s = self._wait_s(slot, now)
        if wait_s:
            return wait_s
        offset = SALT_BYTES + slot * SLOT_BYTES
        with self._locks[slot % LOCKS]:
            fcntl.lockf(self._file, fcntl.LOCK_EX, SLOT_BYTES, offset)
            try:
                wait_s = self._wait_s(slot, now)
                if not wait_s:
                    self._paid_off[slot] = max(self._known(slot, now), now) + self._step_s
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, SLOT_BYTES, offset)
        return wait_s

    def check(self, client: str) -> None:
        """Count a request. Raises RateLimited: the client has to wait."""
        wait_s = self.allow(client)
        if wait_s:
            raise RateLimited(self.rate, wait_s)

    def _place_of(self, client: str) -> int:
        digest = self._hash.copy()
        digest.update(client.encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "big") % SLOTS

    def _wait_s(self, slot: int, now: float) -> float:
        return max(0.0, self._known(slot, now) - self._slack_s - now)

    def _known(self, slot: int, now: float) -> float:
        """Return the moment in a place, unless it is of an earlier boot or of another rate."""
        moment = self._paid_off[slot]
        return moment if moment <= now + self.rate.period_s + self._step_s else now


def _opened(folder: Path) -> int:
    """Open the shared file, made by whoever comes first. Raises ConfigError: the folder cannot be written."""
    path = folder / FILE
    size = SALT_BYTES + SLOTS * SLOT_BYTES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.stat().st_size != size:
            draft = folder / f".{FILE}.{secrets.token_hex(8)}"
            draft.write_bytes(os.urandom(SALT_BYTES))
            os.truncate(draft, size)
            draft.chmod(0o600)
            _place_first(draft, path, size)
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be kept: {error.strerror}", "set LOCKSTEP_STATE to a folder of yours"
        ) from None


def _place_first(draft: Path, path: Path, size: int) -> None:
    """Give a file its name, unless another process was first; one of another size makes way."""
    if path.exists() and path.stat().st_size != size:
        path.unlink(missing_ok=True)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def address(environ: Mapping[str, Any], hops: int) -> str:
    """Return where a request comes from, as the last of so many proxies that are trusted says; none is by default.

    What stands before the trusted entries of X-Forwarded-For was sent by the client, and counts for nothing.
    """
    direct: str = environ.get("REMOTE_ADDR") or ""
    if hops:
        entries = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        client = network(entries[-hops].strip()) if len(entries) >= hops else ""
        return client or network(direct) or direct
    return network(direct) or direct


@lru_cache(maxsize=4096)
def network(text: str) -> str:
    """Return an address without its port, of IPv6 the /64 that one customer has; nothing if it is none."""
    bare = re.sub(r"^\[([^\]]*)\](:\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$", r"\1\3", text)
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))


class Overloaded(ServiceUnavailable):
    """Too much is under way in this worker."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many requests are under way. Try again in a moment.", retry_after=retry_after)


class ConcurrencyLimiter:
    """Bounds the concurrent requests of a process, and those that are large, for which it has fewer permits."""

    def __init__(self, most: int, queue_s: float, large: int = LARGE_PERMITS, waiting: int = LARGE_QUEUE) -> None:
        self.queue_s = queue_s
        self._slots = [None] * most
        self._waiting_slots = [None] * waiting
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(large):
            self._permits.put(None)
        self._held = threading.local()
        self.count: Callable[[int], None] = lambda change: None

    def acquire(self) -> None:
        """Take a slot, to be given back by `release`. Raises Overloaded: there is none."""
        try:
            self._slots.pop()
        except IndexError:
            raise Overloaded(BUSY_S) from None
        self.count(1)

    def release(self) -> None:
        """Give the slot back."""
        self.count(-1)
        self._slots.append(None)

    @contextmanager
    def large_request(self) -> Iterator[None]:
        """Hold a permit for a large request, one a thread however deep the calls are nested.

        Raises Overloaded: too many wait already, or it took too long.
        """
        if getattr(self._held, "permit", False):
            yield
            return
        self.acquire_permit()
        try:
            yield
        finally:
            self.release_permit()

    def acquire_permit(self) -> None:
        """Wait for a permit, to be given back by the same thread."""
        try:
            self._waiting_slots.pop()
        except IndexError:
            raise Overloaded(self._retry_after_s()) from None
        try:
            self._permits.get(timeout=self.queue_s)
        except Empty:
            raise Overloaded(self._retry_after_s()) from None
        finally:
            self._waiting_slots.append(None)
        self._held.permit = True

    def release_permit(self) -> None:
        """Give back the permit that this thread holds, if it holds one."""
        if getattr(self._held, "permit", False):
            self._held.permit = False
            self._permits.put(None)

    def _retry_after_s(self) -> int:
        return max(1, math.ceil(self.queue_s))


def is_large(rows: int, size: int = 0) -> bool:
    """Return whether a request of so many rows or bytes is large, so that it needs a permit."""
    return rows > LARGE_ROWS or size > LARGE_BYTES

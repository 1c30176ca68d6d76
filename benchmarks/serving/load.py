"""Closed-loop load generator: connections send a request after each response, and record responses for the check.

One thread with epoll and raw sockets. During the measurement it only detects the end of each response; JSON is parsed
afterwards. `Load.client_cpu_s` is the cost of the generator itself.
"""

import gc
import re
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Address = tuple[str, int]
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
CLOSE = b"\r\nconnection: close"
READ = 1 << 18
GAP_S = 0.003
LONG_S = 300.0
DRAIN_S = 60.0
"""How long the last answers may take once nothing more is sent."""


@dataclass(frozen=True)
class Plan:
    """How hard to ask: for a time after a warm-up, or a number of requests."""

    connections: int
    seconds: float = 0.0
    warm_s: float = 0.0
    count: int = 0
    reconnect: bool = True
    """Whether a connection that the server closes is opened anew."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request: its number, the status line and headers, the body as it was sent."""

    request: int
    head: bytes
    body: bytes
    latency_s: float
    counted: bool

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.head[9:12])

    @property
    def content(self) -> bytes:
        """The body without the frame of chunks, if it has one."""
        return dechunked(self.head, self.body)


@dataclass
class Load:
    """What one measurement saw; `elapsed_s` is the time in which the counted answers came."""

    answers: list[Answer] = field(default_factory=list)
    lost: int = 0
    elapsed_s: float = 0.0
    client_cpu_s: float = 0.0

    @property
    def counted(self) -> list[Answer]:
        """The answers that came while the clock ran."""
        return [answer for answer in self.answers if answer.counted]


def post(path: str, body: bytes) -> bytes:
    """Return a request as its bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def answer_end(data: bytes | bytearray) -> tuple[int, int] | None:
    """Return where the head of an answer ends and where its body ends, or None while some of it is missing."""
    head = data.find(HEAD_END)
    if head < 0:
        return None
    length = LENGTH.search(data, 0, head + 2)
    if length:
        end = head + 4 + int(length[1])
        return (head + 4, end) if len(data) >= end else None
    return (head + 4, len(data)) if data.endswith(b"0\r\n\r\n") else None


def dechunked(head: bytes, body: bytes) -> bytes:
    """Return the body without the frame of chunks, if it has one."""
    if b"chunked" not in head.lower():
        return body
    parts, place = [], 0
    while size := int(body[place : (end := body.index(b"\r\n", place))].partition(b";")[0], 16):
        parts.append(body[end + 2 : end + 2 + size])
        place = end + 4 + size
    return b"".join(parts)


class _Connection:
    """A socket with what it still has to send and what has come so far."""

    __slots__ = ("received", "request", "sent_at", "socket", "unsent")

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.received = bytearray()
        self.unsent = memoryview(b"")
        self.request, self.sent_at = -1, 0.0

    def send(self) -> None:
        """Send what is left as far as the socket takes it."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def read(self) -> bool:
        """Read what has come, and return whether the connection still stands."""
        try:
            data = self.socket.recv(READ)
        except BlockingIOError:
            return True
        self.received += data
        return bool(data)


class Driver:
    """Drives one server according to a plan; `edge` is called as the clock starts and as it stops."""

    def __init__(self, address: Address, requests: Sequence[bytes], plan: Plan, first: int = 0) -> None:
        self._address, self._requests, self._plan = address, requests, plan
        self._next = first
        self._issued = 0
        self._load = Load()
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._counting = False

    def run(self, edge: Callable[[], None] = lambda: None) -> Load:
        """Ask until the plan is done, wait for the last answers, and return what was seen."""
        gc.collect()
        gc.disable()
        try:
            if not self._plan.count:
                self._open_all()
                self._until(time.perf_counter() + self._plan.warm_s)
            edge()
            self._count()
            edge()
            self._drain()
        finally:
            gc.enable()
            self._close()
        return self._load

    def _count(self) -> None:
        """Let the clock run: for the plan's time, or from the first of its requests to the last answer."""
        began, cpu = time.perf_counter(), time.process_time()
        self._counting = True
        if self._plan.count:
            self._open_all()
        self._until(began + (self._plan.seconds or LONG_S))
        self._load.elapsed_s, self._load.client_cpu_s = time.perf_counter() - began, time.process_time() - cpu
        self._counting = False

    def _open_all(self) -> None:
        """Open one connection after the other, so that workers which share a socket both come to accept some."""
        for _ in range(self._plan.connections):
            self._ask(self._connect())
            self._until(time.perf_counter() + GAP_S)

    def _connect(self) -> _Connection:
        connection = _Connection(self._address)
        self._open[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLIN)
        return connection

    def _until(self, end: float) -> None:
        """Answer each answer with the next request until a time, or until the plan's number is asked and answered."""
        while self._open and (left := end - time.perf_counter()) > 0 and not self._finished():
            for place, events in self._epoll.poll(min(left, 0.05)):
                self._turn(self._open[place], events, asking=True)

    def _drain(self) -> None:
        end = time.perf_counter() + DRAIN_S
        while self._waiting() and time.perf_counter() < end:
            for place, events in self._epoll.poll(0.05):
                self._turn(self._open[place], events, asking=False)
        self._load.lost += self._waiting()

    def _waiting(self) -> int:
        return sum(connection.request >= 0 for connection in self._open.values())

    def _finished(self) -> bool:
        return bool(self._plan.count) and self._issued >= self._plan.count and not self._waiting()

    def _turn(self, connection: _Connection, events: int, asking: bool) -> None:
        """Go on with one connection that can be read or written."""
        if events & select.EPOLLOUT and not events & select.EPOLLIN:
            self._send(connection)
            return
        try:
            stands = connection.read()
        except ConnectionError:
            stands = False
        ends = answer_end(connection.received)
        if ends:
            stands &= self._keep(connection, *ends)
        if not stands:
            self._drop(connection)
            asking &= self._plan.reconnect
            connection = self._connect() if asking else connection
        if asking and connection.request < 0:
            self._ask(connection)

    def _keep(self, connection: _Connection, head: int, end: int) -> bool:
        """Keep a whole answer for the check, and return whether the server leaves the connection open."""
        data = bytes(connection.received)
        del connection.received[:]
        latency_s = time.perf_counter() - connection.sent_at
        answer = Answer(connection.request, data[:head], data[head:end], latency_s, self._counting)
        self._load.answers.append(answer)
        connection.request = -1
        return CLOSE not in answer.head.lower()

    def _ask(self, connection: _Connection) -> None:
        """Send the next request of the row, round and round."""
        if self._plan.count and self._issued >= self._plan.count:
            return
        connection.request = self._next % len(self._requests)
        connection.unsent = memoryview(self._requests[connection.request])
        self._next += 1
        self._issued += 1
        connection.sent_at = time.perf_counter()
        self._send(connection)

    def _send(self, connection: _Connection) -> None:
        waited = bool(connection.unsent)
        try:
            connection.send()
        except ConnectionError:
            return  # the read that follows sees the same and counts it
        if connection.unsent or waited:
            events = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
            self._epoll.modify(connection.socket.fileno(), events)

    def _drop(self, connection: _Connection) -> None:
        """Forget a connection that the server has closed; what it had not answered is lost."""
        self._load.lost += connection.request >= 0
        connection.request = -1
        del self._open[connection.socket.fileno()]
        self._epoll.unregister(connection.socket.fileno())
        connection.socket.close()

    def _close(self) -> None:
        for connection in self._open.values():
            connection.socket.close()
        self._epoll.close()


def ask(address: Address, request: bytes, timeout_s: float = 10.0) -> Answer:
    """Send one request on a connection of its own and return the answer.

    Raises
    ------
    OSError
        Nobody listens, or the answer does not come whole.
    """
    began = time.perf_counter()
    with socket.create_connection(address, timeout=timeout_s) as link:
        link.sendall(request)
        data = bytearray()
        while not (ends := answer_end(data)):
            part = link.recv(READ)
            if not part:
                raise ConnectionResetError("closed before the answer was whole")
            data += part
    return Answer(0, bytes(data[: ends[0]]), bytes(data[ends[0] : ends[1]]), time.perf_counter() - began, True)

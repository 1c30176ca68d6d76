"""Raw HTTP/1.1 over a socket, so that what no client library would send can be sent."""

import contextlib
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

Pieces = Sequence[bytes | float]
"""Bytes to send, and between them seconds to wait."""

STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")
HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\r\n")
QUIET_S = 0.1


class NotHTTP(Exception):
    """What the server sent is not a reply of HTTP/1.1."""


@dataclass(frozen=True)
class Reply:
    """A status, the headers in their order, and the body as they delimit it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def media_type(self) -> str:
        """The media type without its parameters."""
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


def exchange(
    address: tuple[str, int], pieces: Pieces, method: str = "POST", close: bool = False, timeout_s: float = 20
) -> list[Reply]:
    """Send pieces, with `close` end our side then, and return the replies up to the peer's end or to silence.

    Raises
    ------
    TimeoutError
        The server neither answers in full nor closes.
    NotHTTP
        It answers with something else.
    """
    with socket.create_connection(address, timeout_s) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent: the reply says
            _send(peer, pieces)
            if close:
                peer.shutdown(socket.SHUT_WR)
        return _receive(peer, method, timeout_s)


def _send(peer: socket.socket, pieces: Pieces) -> None:
    for piece in pieces:
        if isinstance(piece, bytes):
            peer.sendall(piece)
        else:
            time.sleep(piece)


def _receive(peer: socket.socket, method: str, timeout_s: float) -> list[Reply]:
    data = b""
    while True:
        replies = parse(data, method)
        peer.settimeout(QUIET_S if replies is not None and replies else timeout_s)
        try:
            more = peer.recv(1 << 16)
        except TimeoutError:
            if replies:
                return replies
            raise
        except ConnectionResetError:
            more = b""
        if not more:
            return parse(data, method, ended=True) or []
        data += more


def parse(data: bytes, method: str, ended: bool = False) -> list[Reply] | None:
    """Return the replies in the bytes without interim ones, or None where the last is not complete."""
    replies = []
    while data:
        found = _one(data, method, ended)
        if found is None:
            return None
        reply, data = found
        if reply.status >= 200:
            replies.append(reply)
    return replies


def _one(data: bytes, method: str, ended: bool) -> tuple[Reply, bytes] | None:
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        if ended:
            raise NotHTTP(data[:100])
        return None
    status, headers = _head(head + b"\r\n")
    bare = method == "HEAD" or status < 200 or status in (204, 304)
    taken = (b"", rest) if bare else _take(headers, rest, ended)
    return None if taken is None else (Reply(status, headers, taken[0]), taken[1])


def _head(head: bytes) -> tuple[int, tuple[tuple[str, str], ...]]:
    line = STATUS_LINE.match(head)
    if line is None:
        raise NotHTTP(head[:100])
    headers, place = [], line.end()
    while place < len(head):
        found = HEADER_LINE.match(head, place)
        if found is None:
            raise NotHTTP(head[place : place + 100])
        headers.append((found[1].decode("latin-1"), found[2].decode("latin-1")))
        place = found.end()
    return int(line[1]), tuple(headers)


def _take(headers: tuple[tuple[str, str], ...], rest: bytes, ended: bool) -> tuple[bytes, bytes] | None:
    """Split a body from what follows it, or return None while it is not complete."""
    named = {name.lower(): value for name, value in headers}
    if named.get("transfer-encoding", "").lower() == "chunked":
        return _dechunk(rest)
    if "content-length" not in named:
        return (rest, b"") if ended else None
    length = int(named["content-length"])
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _dechunk(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16) if line_end else 0
        if not line_end or len(rest) < length + 2:
            return None
        body, rest = body + rest[:length], rest[length + 2 :]
        if length == 0:
            return body, rest

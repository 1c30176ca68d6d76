"""Inter-process calls over a Unix socket: one line of JSON each way, an error as its kind and arguments."""

import json
import os
import socket
import socketserver
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockstep.errors import ArtifactError, ConfigError, LockstepError, RegistryError, StoreError, TrackingError

REQUEST_S = 10.0
MAX_BYTES = 64 << 20
# The errors that travel from the server of a socket to its client.
KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (TrackingError, RegistryError, ArtifactError, ConfigError, StoreError, OSError)
}


def reply(call: Callable[[], Any], unexpected: Callable[[Exception], LockstepError]) -> bytes:
    """Return the result of a call as a line, or its error; an error that is none of `KINDS` is converted first."""
    try:
        content = {"answer": call()}
    except Exception as error:  # noqa: BLE001 - the boundary of a process: the client raises it again
        content = {"error": _error(error, unexpected)}
    return json.dumps(content).encode() + b"\n"


def _error(error: Exception, unexpected: Callable[[Exception], LockstepError]) -> list[Any]:
    """Return the kind of an error and its arguments."""
    if isinstance(error, OSError):
        return ["OSError", error.errno or 0, error.strerror or type(error).__name__]
    if not (isinstance(error, LockstepError) and type(error).__name__ in KINDS):
        error = unexpected(error)
    return [type(error).__name__, error.problem, error.hint]


class Server(socketserver.ThreadingUnixStreamServer):
    """Threaded server of an open socket; `check` is called twice a second."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, answer: Callable[[bytes], bytes], check: Callable[[], None]) -> None:
        super().__init__("", _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.answer, self.check = listener, answer, check

    def service_actions(self) -> None:
        """Run the check between two requests."""
        self.check()


class _Handler(socketserver.StreamRequestHandler):
    timeout = REQUEST_S
    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client was killed, or is slow
            if line := self.rfile.readline(MAX_BYTES):
                self.wfile.write(self.server.answer(line))


class NoReply(Exception):
    """No server replies at a socket, or not in time."""


def request(address: Path, message: dict[str, Any], timeout_s: float) -> Any:
    """Send a line of JSON, and return or raise what the reply holds. Raises NoReply: there is no reply."""
    try:
        with connect(address, timeout_s) as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()
            response = json.loads(stream.readline(MAX_BYTES))
    except (OSError, ValueError) as error:
        raise NoReply(str(error)) from None
    if "error" in response:
        kind, *arguments = response["error"]
        raise KINDS[kind](*arguments)
    return response["answer"]


def listen(address: Path) -> socket.socket:
    """Open a socket for requests of this user alone."""
    address.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        _bind_or_connect(address, listener.bind)
    finally:
        os.umask(mask)
    listener.listen()
    return listener


def connect(address: Path, timeout_s: float) -> socket.socket:
    """Connect to a server's socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        _bind_or_connect(address, connection.connect)
    except OSError:
        connection.close()
        raise
    return connection


def _bind_or_connect(address: Path, call: Callable[[str], None]) -> None:
    """Name a socket by its open folder: the kernel takes no path of more than 107 bytes."""
    folder = os.open(address.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        call(f"/proc/self/fd/{folder}/{address.name}")
    finally:
        os.close(folder)

"""Inter-process calls over a Unix socket: one line of JSON each way, an error as its kind and arguments."""

import json
import os
import socket
import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockstep.errors import ArtifactError, ConfigError, LockstepError, RegistryError, StoreError, TrackingError

QUESTION_S = 10.0
LONGEST = 64 << 20
KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (TrackingError, RegistryError, ArtifactError, ConfigError, StoreError, OSError)
}
"""The errors that travel from the server of a socket to its client."""


def answered(ask: Callable[[], Any], unforeseen: Callable[[Exception], LockstepError]) -> bytes:
    """Return what a question gives as a line, whatever happens; an error that nobody foresaw is told as another."""
    try:
        content = {"answer": ask()}
    except Exception as error:  # noqa: BLE001 - the rim of a process: the worker raises it again
        content = {"error": _told(error, unforeseen)}
    return json.dumps(content).encode() + b"\n"


def _told(error: Exception, unforeseen: Callable[[Exception], LockstepError]) -> list[Any]:
    """Return the kind of an error and its arguments."""
    if isinstance(error, OSError):
        return ["OSError", error.errno or 0, error.strerror or type(error).__name__]
    if not (isinstance(error, LockstepError) and type(error).__name__ in KINDS):
        error = unforeseen(error)
    return [type(error).__name__, error.problem, error.hint]


class Server(socketserver.ThreadingUnixStreamServer):
    """Answers each question that comes to an open socket in a thread; `look` is called twice a second."""

    daemon_threads = True

    def __init__(self, opened: socket.socket, answer: Callable[[bytes], bytes], look: Callable[[], None]) -> None:
        super().__init__("", _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.answer, self.look = opened, answer, look

    def service_actions(self) -> None:
        """Do what is to be done between two questions."""
        self.look()


class _Handler(socketserver.StreamRequestHandler):
    timeout = QUESTION_S
    server: Server

    def handle(self) -> None:
        if line := self.rfile.readline(LONGEST):
            self.wfile.write(self.server.answer(line))


class NoReply(Exception):
    """Nobody answers at a socket, or not in time."""


def request(address: Path, question: dict[str, Any], timeout_s: float) -> Any:
    """Ask at a socket, one line of JSON each way, and return the answer or raise the error that it tells.

    Raises
    ------
    NoReply
        There is no answer.
    """
    try:
        with connected(address, timeout_s) as link, link.makefile("rwb") as stream:
            stream.write(json.dumps(question).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline(LONGEST))
    except (OSError, ValueError) as error:
        raise NoReply(str(error)) from None
    if "error" in answer:
        kind, *arguments = answer["error"]
        raise KINDS[kind](*arguments)
    return answer["answer"]


def listening(address: Path) -> socket.socket:
    """Open a socket to be asked at, which is for this user alone."""
    address.parent.mkdir(parents=True, exist_ok=True)
    opened = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        _at(address, opened.bind)
    finally:
        os.umask(mask)
    opened.listen()
    return opened


def connected(address: Path, timeout_s: float) -> socket.socket:
    """Connect to a keeper."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout_s)
    try:
        _at(address, link.connect)
    except OSError:
        link.close()
        raise
    return link


def _at(address: Path, act: Callable[[str], None]) -> None:
    """Name a socket by its open folder: the kernel takes no path of more than 107 bytes."""
    folder = os.open(address.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{folder}/{address.name}")
    finally:
        os.close(folder)

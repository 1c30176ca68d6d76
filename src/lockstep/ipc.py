"""The side of a Unix socket that answers: one line of JSON each way, an error as its kind and arguments."""

import json
import socket
import socketserver
from collections.abc import Callable
from typing import Any

from lockstep.errors import LockstepError
from lockstep.registry import remote

QUESTION_S = 10.0


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
    if not (isinstance(error, LockstepError) and type(error).__name__ in remote.KINDS):
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
        if line := self.rfile.readline(remote.LONGEST):
            self.wfile.write(self.server.answer(line))

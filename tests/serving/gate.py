"""What stands between a server and the rest of the world: a gate that fails in many ways, and a load balancer."""

import contextlib
import socket
import threading
import time
from multiprocessing.connection import wait  # where `select` takes no descriptor from 1,024 on

from tests.serving.load import ask

ANSWERS = {
    "error": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}",
    "page": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Type: text/html\r\n\r\n<html></html>",
    "nonsense": b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Type: application/json\r\n\r\n{"a": [1',
    "other": b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Type: application/json\r\n\r\n[1,"x"]',
    "garbage": b"\x00\xff\r\n\r\n",
}


class Gate:
    """A TCP proxy; `mode` is open, shut (refuses), hangs (takes and says nothing), or one of the wrong answers."""

    def __init__(self, upstream=None):
        self.upstream, self.mode = upstream, "open"
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        self._links = set()
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        """Change the mode, for connections that are open too."""
        self.mode = mode
        self.cut()

    def cut(self):
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._stopped = True
        self._listening.close()
        self.cut()

    def _accept(self):
        while not self._stopped:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(link,), daemon=True).start()

    def _target(self):
        return self.upstream

    def _handle(self, link):
        self._links.add(link)
        try:
            with link:
                self._treat(link)
        except OSError:
            pass
        finally:
            self._links.discard(link)

    def _treat(self, link):
        if self.mode == "shut":
            return
        if self.mode == "hangs":
            while link.recv(65536):
                pass
        elif self.mode in ANSWERS:
            link.recv(65536)
            link.sendall(ANSWERS[self.mode])
        else:
            self._pass_on(link)

    def _pass_on(self, link):
        with socket.create_connection(("127.0.0.1", self._target()), timeout=5) as other:
            self._links.add(other)
            try:
                pump(link, other)
            finally:
                self._links.discard(other)


def pump(one, other):
    """Carry bytes both ways until a side has closed."""
    while True:
        for source in wait([one, other], 30):
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


class SlowGate(Gate):
    """A TCP proxy that holds whatever a client sends for `delay_s` before it passes it on: each query takes longer."""

    delay_s = 0.0

    def _pass_on(self, link):
        with socket.create_connection(("127.0.0.1", self._target()), timeout=5) as other:
            while True:
                for source in wait([link, other], 30):
                    data = source.recv(65536)
                    if not data:
                        return
                    time.sleep(self.delay_s if source is link else 0)
                    (other if source is link else link).sendall(data)


class Balancer(Gate):
    """Sends each new connection to the next server that says it is ready, as asked ten times a second."""

    def __init__(self, ports):
        self.ports, self._ready, self._turn = list(ports), [], 0
        self._look()
        super().__init__()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while not self._stopped:
            self._look()
            time.sleep(0.1)

    def _look(self):
        found = []
        for port in self.ports:
            with contextlib.suppress(OSError, ValueError):
                if ask(port, "GET", "/readyz", timeout_s=1)[0] == 200:
                    found.append(port)
        self._ready = found or self._ready  # on a busy machine the one that is left may not answer in time

    def _target(self):
        self._turn += 1
        return self._ready[self._turn % len(self._ready)]

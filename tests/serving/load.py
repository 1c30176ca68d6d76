"""Clients that ask over several connections at once and check every answer."""

import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


def ask(port, method, path, content=None, headers=None, timeout_s=10.0):
    """Ask once over a connection of its own; return status, headers and what the JSON says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        return _exchange(connection, method, path, content, headers)
    finally:
        connection.close()


def _exchange(connection, method, path, content=None, headers=None):
    body = None if content is None else json.dumps(content)
    sent = (
        {"Content-Type": "application/json", "Accept": "application/json"} if body else {"Accept": "application/json"}
    )
    connection.request(method, path, body, sent | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    json_sent = "json" in answer.headers.get("Content-Type", "")
    return answer.status, answer.headers, json.loads(text) if json_sent else text.decode()


@dataclass(frozen=True)
class Seen:
    """One answer: when it came, how long it took, and what it was."""

    at: float
    seconds: float
    status: int
    version: str
    fault: str = ""


class Clients:
    """Threads that send requests from the beginning of a block to its end."""

    clients = 2
    ending_s = 30.0

    def __enter__(self):
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *fault):
        self._stop.set()
        for thread in self._threads:
            thread.join(self.ending_s)
            assert not thread.is_alive()

    def _run(self):
        raise NotImplementedError


@dataclass
class Load(Clients):
    """Steady requests over keep-alive connections; a connection that the server closed politely is opened anew."""

    port: int
    rows: list
    expected: dict
    clients: int = 4
    pause_s: float = 0.02
    timeout_s: float = 10.0
    seen: list = field(default_factory=list)

    def __post_init__(self):
        self.ending_s = self.timeout_s + 5

    def _run(self):
        connection = None
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
                status, headers, content = _exchange(connection, "POST", "/predict", {"rows": self.rows})
                seen = self._judge(began, status, content, headers.get("Retry-After"))
                if headers.get("Connection") == "close":
                    connection = _closed(connection)
            except (OSError, http.client.HTTPException, ValueError) as error:
                seen = Seen(time.monotonic(), time.monotonic() - began, 0, "", f"{type(error).__name__}: {error}")
                connection = _closed(connection)
            self.seen.append(seen)
            self._stop.wait(self.pause_s)
        _closed(connection)

    def _judge(self, began, status, content, retry_after):
        """Check that an answer is right, and of one version."""
        now = time.monotonic()
        if status != 200:
            return Seen(now, now - began, status, "", f"Retry-After: {retry_after}, {str(content)[:200]}")
        version = content["model"]["version"]
        answers = [{key: one[key] for key in one if key != "id"} for one in content["predictions"]]
        right = answers == self.expected.get(version)
        return Seen(now, now - began, status, version, "" if right else f"not what version {version} answers")

    def failed(self):
        """Return what was not answered, or not rightly."""
        return [seen for seen in self.seen if seen.fault]

    def versions(self):
        return Counter(seen.version for seen in self.seen if not seen.fault)


def _closed(connection):
    if connection is not None:
        connection.close()

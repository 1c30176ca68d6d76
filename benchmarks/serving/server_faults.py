"""Fault tests of HTTP servers: slow clients, SIGTERM under load, and a killed worker."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

from benchmarks.serving import load
from benchmarks.serving.load import Address, Driver, Plan
from benchmarks.serving.processes import Server

HALF_SENT = 200
GOOD = 20
PATIENCE_S = 5.0
STOP_AFTER_S = 1.0
STOP_PLAN = Plan(connections=16, seconds=5.0, warm_s=0.1, reconnect=False)
REPLACED_S = 30.0
"""A worker that has not come back after this long counts as not replaced."""

SETTLE_S = 1.0
"""How long the second worker may take to come up after the first has answered."""

ASKED = 40
"""Connections that are opened to meet every worker, which the system chooses at random."""


def good_answered(address: Address, request: bytes, path: str) -> int:
    """Count the good requests that are answered within 5 s while 200 connections hold half a request."""
    half = load.post(path, b"x" * 1000)[:-500]
    with ExitStack() as held, ThreadPoolExecutor(GOOD) as clients:
        for _ in range(HALF_SENT):
            link = held.enter_context(socket.create_connection(address, timeout=PATIENCE_S))
            link.sendall(half)
        time.sleep(0.5)
        return sum(clients.map(lambda _: _answered(address, request), range(GOOD)))


def _answered(address: Address, request: bytes) -> bool:
    try:
        return load.ask(address, request, PATIENCE_S).status == 200
    except OSError:
        return False


def stopped(server: Server, address: Address, request: bytes) -> tuple[int, int]:
    """Send SIGTERM under load; return how many requests were answered, and how many sent ones never were."""
    timer = threading.Timer(STOP_AFTER_S, os.kill, (server.process.pid, signal.SIGTERM))
    timer.start()
    responses = Driver(address, [request], STOP_PLAN).run()
    timer.join()
    refused = sum(answer.status != 200 for answer in responses.answers)
    return len(responses.answers) - refused, responses.lost + refused


def replaced_s(server: Server, address: Address, request: bytes) -> float | None:
    """Kill the busiest worker; return the seconds until a new one answers, or None if none does."""
    time.sleep(SETTLE_S)
    workers = server.tree()[1:]
    if not workers:
        return None
    before = {_process(address, request) for _ in range(ASKED)} | {worker.pid for worker in workers}
    busiest = max(workers, key=lambda worker: sum(worker.cpu_times()[:2]))
    busiest.kill()
    began = time.perf_counter()
    while (waited := time.perf_counter() - began) < REPLACED_S:
        with suppress(OSError):
            if _new(server, _process(address, request), before):
                return round(waited, 2)
        time.sleep(0.01)
    return None


def _process(address: Address, request: bytes) -> int | None:
    """Return the number of the process that answers, where the application tells it."""
    content = json.loads(load.ask(address, request, timeout_s=1.0).content)
    return content.get("process") if isinstance(content, dict) else None


def _new(server: Server, answering: int | None, before: set[int | None]) -> bool:
    """Return whether a process answers that was not there before; of one that does not tell, whether it stands."""
    if answering is not None:
        return answering not in before
    return any(process.pid not in before for process in server.tree()[1:])

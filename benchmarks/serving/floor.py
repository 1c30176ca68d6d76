"""Lower bound: Lockstep's HTTP server and route with a constant response and no model.

python -m benchmarks.serving.floor PORT WORKERS
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

THREADS = 512
ANSWER = b'{"model":{"name":"floor","version":"1"},"predictions":[{"id":"0","prediction":0,"probabilities":{"0":1.0}}]}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read the request and answer the constant."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", HEADERS)
    return [ANSWER]


def main(port: int, workers: int) -> None:
    """Serve the constant until SIGTERM."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "benchmarks.serving.floor:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=THREADS,
        websockets=False,
        log_level=LogLevels.error,
    ).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

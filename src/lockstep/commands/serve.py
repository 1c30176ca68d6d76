"""Serve predictions on this machine with the production server.

Example: lockstep serve --port 8000
"""

import argparse
import os
from pathlib import Path

from lockstep import config, logger
from lockstep.config import Settings
from lockstep.errors import ConfigError

THREADS = 512
"""Most Python threads of a worker. They are made as needed and idle without the GIL: a body that trickles in holds one,
so this many senders of half a request are borne, as measured with 400 of them and two workers."""

STOP_S = 20
"""Seconds that requests under way get to end after SIGTERM."""

EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", help="address to listen on (default: the setting HOST)")
    parser.add_argument("--port", type=int, help="port to listen on (default: the setting PORT)")
    parser.add_argument("--workers", type=int, help="server processes (default: the setting LOCKSTEP_WORKERS)")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; a worker that dies is replaced."""
    host, port = arguments.host or settings.host, arguments.port or settings.port
    workers = arguments.workers or settings.workers
    if not 0 < port < 65536 or workers < 1:
        raise ConfigError(
            f"port {port} and workers {workers}: one is out of range", "ports are 1 to 65535, workers 1 up"
        )
    metrics = Path(settings.metrics_dir or Path(settings.state) / "metrics").absolute()
    empty_metrics(metrics)
    tell_workers(settings, metrics)
    logger.start(settings.log_level)
    print(f"Lockstep serves on {address(host, port)} - stop it with Ctrl-C", flush=True)
    _serve(host, port, workers)
    return 0


def address(host: str, port: int) -> str:
    """Return the address that people open."""
    name = "127.0.0.1" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def empty_metrics(folder: Path) -> None:
    """Remove the counts of workers of an earlier start, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)


def tell_workers(settings: Settings, metrics: Path) -> None:
    """Put into the environment what the workers read from it, and pin numeric libraries to one thread each."""
    name = config.model_name(settings)
    os.environ.update(LOCKSTEP_MODEL_NAME=name, PROMETHEUS_MULTIPROC_DIR=str(metrics), OMP_NUM_THREADS="1")


def _serve(host: str, port: int, workers: int) -> None:
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "flask_app.wsgi:build",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_S,
        websockets=False,
        log_level=LogLevels.error,
    ).serve()

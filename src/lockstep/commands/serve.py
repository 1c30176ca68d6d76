"""Serve predictions on this machine with the production server.

Example: lockstep serve --port 8000
"""

import argparse
import errno
import importlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lockstep import processes
from lockstep.config.settings import Settings, model_names
from lockstep.errors import ConfigError
from lockstep.runtime import logger
from lockstep.server import instance, slow_clients

# The app of the project in this folder, and that of the installed wheel, whose name no other package has.
PROJECT_APP, LIBRARY_APP = "flask_app.wsgi", "lockstep_app.wsgi"
# Processes beside the workers: the name of the socket and the module.
HELPERS = {"registry": "lockstep.registry.sidecar", "recorder": "lockstep.server.recorder"}
# Most open connections of a worker; beyond, they wait unaccepted. One that sends no whole header needs no thread.
CONNECTIONS = 8192
# A connection that brings no whole header for so long is closed, also between two requests: load balancers keep theirs
# for 60 seconds, and must be the ones to close.
HEADERS_MS = 75_000
HEADER_BYTES = 64 * 1024  # A longer header is answered with 431.
# Seconds that requests under way get to end after draining; and that the log gets to be stored after that.
STOP_S = 20
LAST_S = 6.0
BUSY_S = 3.0  # How long a start waits for the port, which the workers of a killed server leave within 2 seconds.
PRIVATE = 0o077  # The files of the server hold what people have sent: they are for its user alone.
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", help="address to listen on (default: the setting HOST)")
    parser.add_argument("--port", type=int, help="port to listen on (default: the setting PORT)")
    parser.add_argument("--workers", type=int, help="server processes (default: the setting LOCKSTEP_WORKERS)")


@dataclass(frozen=True)
class Options:
    """How the server runs; `stop` is set by a signal that came before the workers were started."""

    host: str
    port: int
    workers: int
    drain_s: float
    stop: threading.Event


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; a worker that dies is replaced."""
    host, port = arguments.host or settings.host, arguments.port or settings.port
    workers = arguments.workers or settings.workers
    if not 0 < port < 65536 or workers < 1:
        raise ConfigError(
            f"port {port} and workers {workers}: one is out of range", "ports are 1 to 65535, workers 1 up"
        )
    os.umask(PRIVATE)
    options = Options(host, port, workers, settings.drain_s, processes.exit_on_signals())
    processes.follow_make()
    wait_for_port(host, port, instance.shared_memory(Path(settings.state).absolute()))
    with runtime_folders(settings, address(host, port)) as (sockets, metrics):
        set_environment(settings, metrics, sockets)
        logger.start(settings.log_level)
        print(f"Lockstep serves on {address(host, port)} - stop it with Ctrl-C", flush=True)
        return _serve(options, sockets)


@contextmanager
def runtime_folders(settings: Settings, shown: str) -> Iterator[tuple[dict[str, Path], Path]]:
    """Yield the sockets and the metrics' folder of this server, in runtime folders that no other server uses.

    Raises ConfigError: they cannot be made. Raises AlreadyRunning: another server is at the address that is shown.
    """
    parent = instance.shared_memory(Path(settings.state).absolute())
    with ExitStack() as folders:
        try:
            runtime = folders.enter_context(instance.runtime_folder(parent, shown))
            parent = Path(settings.metrics_dir).absolute()
            metrics = folders.enter_context(instance.runtime_folder(parent)) if settings.metrics_dir else runtime
        except OSError as error:
            raise ConfigError(
                f"cannot make the server's folder in {parent}: {error.strerror or error}",
                "let this user write there; PROMETHEUS_MULTIPROC_DIR and LOCKSTEP_STATE name other folders",
            ) from None
        yield {name: runtime / f"{name}.sock" for name in HELPERS}, metrics


def address(host: str, port: int) -> str:
    """Return the address that people open."""
    name = "127.0.0.1" if host in EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def wait_for_port(host: str, port: int, folders: Path) -> None:
    """Return when nobody listens at the port any more; who does may have a runtime folder, which names it.

    Raises ConfigError: another server stays there, with which this one would share the requests; or there is no such
    address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    end = time.monotonic() + BUSY_S
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                    server = instance.server_at(folders, address(host, port))
                    raise ConfigError(
                        f"cannot listen on {address(host, port)}: {error.strerror or error}"
                        + (f" by {server}" if server else ""),
                        "choose another --port or --host",
                    ) from None
            else:
                if not instance.server_at(folders, address(host, port)) or time.monotonic() > end:
                    return
        time.sleep(0.1)


def app_module() -> str:
    """Return the module whose `build` makes the app: that of the project in this folder, else of the library."""
    if Path("flask_app/wsgi.py").is_file():
        sys.path.insert(0, str(Path.cwd()))  # a console script does not look into the current folder
        return PROJECT_APP
    return (
        LIBRARY_APP if find_spec("lockstep_app") else PROJECT_APP
    )  # an editable install has it as the folder is called


def set_environment(settings: Settings, metrics: Path, sockets: Mapping[str, Path]) -> None:
    """Put into the environment what the workers read from it."""
    os.environ.update(
        LOCKSTEP_MODEL_NAME=",".join(model_names(settings)),
        LOCKSTEP_STATE=settings.state,
        LOCKSTEP_REGISTRY_SOCKET=str(sockets["registry"]),
        LOCKSTEP_RECORDER_SOCKET=str(sockets["recorder"]),
        PROMETHEUS_MULTIPROC_DIR=str(metrics),
    )


@contextmanager
def _helper(name: str, address: Path) -> Iterator[None]:
    """Run a helper process that answers at a socket for as long as the server runs."""
    from lockstep import ipc
    from lockstep.server.supervisor import start_helper

    with ipc.listen(address) as listener:
        process = start_helper(name, HELPERS[name], listener)
        try:
            yield
        finally:
            process.stop(LAST_S)


def _serve(options: Options, sockets: Mapping[str, Path]) -> int:
    with ExitStack() as helpers:
        for name, path in sockets.items():
            helpers.enter_context(_helper(name, path))
        return _serve_with_workers(options)


def _serve_with_workers(options: Options) -> int:
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels

    from lockstep.server.supervisor import Workers

    app = app_module()
    importlib.import_module(app)  # once, before the workers are forked from here
    server = Workers(
        options.drain_s,
        target=f"{app}:build",
        factory=True,
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=options.workers,
        blocking_threads=slow_clients.THREADS,
        backpressure=CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_MS, max_buffer_size=HEADER_BYTES),
        workers_kill_timeout=STOP_S,
        websockets=False,
        log_level=LogLevels.error,
    )
    if options.stop.is_set():
        return 0
    server.serve()
    return int(server.failed)

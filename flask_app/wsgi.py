"""What the server calls in each of its processes; the one place of the app that reads the environment."""

import gc
import logging
import os
import signal
from pathlib import Path
from wsgiref.types import WSGIApplication

from flask_app import create_app
from flask_app.admission import drain
from flask_app.admission.drain import Drain
from flask_app.fast_path import FastPath
from flask_app.models import model_service, standby
from flask_app.models.model_service import ModelService
from flask_app.prediction.log import from_app as log_of
from lockstep import numeric_pins, processes
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError
from lockstep.runtime import logger
from lockstep.server import slow_clients

log = logging.getLogger("app")

NEEDED = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_", "LD_", "TZ", "PYTHON", "PROMETHEUS_", "COVERAGE_"),
    *numeric_pins.PREFIXES,  # a model that is loaded later may bring scipy's BLAS with it
)


def build() -> WSGIApplication:
    """Return the app with its logger started, its models watching the registry, and if it can be each with a model."""
    settings = Settings.read(os.environ)
    logger.start(settings.log_level)
    processes.keep_memory_flat()
    try:
        app = create_app(settings)
    except ConfigError as error:
        log.error("%s - %s", error, error.hint)
        raise SystemExit(processes.WRONG_SETTINGS) from None
    leaving = drain.from_app(app)
    if settings.registry_socket:
        _obey_the_master(leaving)
        processes.EXIT_CALLS.append(log_of(app).close)
        forget_environment()
    _start_models(model_service.all_of(app), settings)
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again
    return leaving.wrap(FastPath(app))


def _start_models(services: list[ModelService], settings: Settings) -> None:
    """Return when this worker can answer, or when it is likely that no worker of the server soon will."""
    runtime = Path(settings.registry_socket).parent if settings.registry_socket else None
    if runtime:
        standby.follow(services[0], runtime)
    for service in services:
        service.start()
    for service in services:
        service.wait()
    if runtime:
        standby.wait(services[0], runtime)


def _obey_the_master(leaving: Drain) -> None:
    """Drain when the master says so, end when it is gone, and leave Ctrl-C to it."""
    signal.signal(signal.SIGUSR1, leaving.begin)
    os.setpgid(0, 0)
    slow_clients.watch()


def forget_environment() -> None:
    """Leave in the environment only what libraries and child processes need.

    The server puts a copy of it beside every request, where secrets have no place, and each variable costs time.
    """
    for name in [name for name in os.environ if not name.startswith(NEEDED)]:
        os.environ.pop(name)

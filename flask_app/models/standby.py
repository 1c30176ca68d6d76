"""Standby of a worker without a model: it takes no requests while another worker of the server has one.

Each worker with a model holds a shared lock on a file in the server's runtime folder, which the kernel frees with the
worker. So requests, and the probe of readiness among them, go to the workers that can answer.
"""

import fcntl
import logging
import os
import time
from pathlib import Path

from flask_app.models.loading import Serving
from flask_app.models.model_service import ModelService
from lockstep.runtime import file_lock

log = logging.getLogger("model")

FILE = "serving.lock"
LOOK_S = 0.5


def follow(service: ModelService, folder: Path) -> None:
    """Hold the shared lock from the first model on."""

    def share(before: Serving | None, serving: Serving) -> None:
        if before is None:
            _share(folder / FILE)

    service.swapped.append(share)


def wait(service: ModelService, folder: Path) -> None:
    """Return when this worker has a model, or when no other worker has one."""
    noted = False
    while service.serving() is None and _is_shared(folder / FILE):
        if not noted:
            log.warning("no model yet (%s): requests go to the other workers", service.fault)
        noted = True
        time.sleep(LOOK_S)


def _share(path: Path) -> None:
    """Hold a shared lock for as long as this process lives."""
    file = os.open(path, file_lock.FLAGS | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_SH)


def _is_shared(path: Path) -> bool:
    file = file_lock.try_lock(path)
    if file is None:
        return path.exists()
    os.close(file)
    return False

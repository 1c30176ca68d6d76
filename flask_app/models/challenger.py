"""The challenger in a worker: a version that is tried beside Production by a share of the requests."""

import hashlib
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace

from flask_app.models.cache import Identity
from flask_app.models.loading import Loader, Serving, explain
from lockstep.errors import ConfigError, TrackingError
from lockstep.registry.remote import RegistryClient

log = logging.getLogger("model")

PLACES = 100


class Challenger:
    """Follows the alias `challenger` of one model; no fault of it touches Production."""

    def __init__(self, share: int, loader: Loader, connect: Callable[[], RegistryClient]) -> None:
        if share > PLACES:
            raise ConfigError(f"LOCKSTEP_CHALLENGER_SHARE = {share} is not a percentage", "set it to 0 to 100")
        self.share = share
        self.version = ""
        self.fault: str | None = None
        self._loader, self._connect = loader, connect
        self._serving: Serving | None = None
        self._looking = threading.Lock()

    def serving(self) -> Serving | None:
        """Return the version that answers a share of the requests, if there is one."""
        return self._serving

    def choose(self, production: Serving, key: str) -> Serving:
        """Return who answers a request; the same key gets the same answer as long as the challenger is the same."""
        serving = self._serving
        if serving is None or serving.version == production.version:
            return production
        return serving if place(key, serving.version) < self.share else production

    def look(self) -> None:
        """Look at the registry once; whatever it does not answer or cannot load is noted, and Production answers."""
        with self._looking:
            try:
                self._follow()
            except TrackingError:
                return  # Production says so too, and what is loaded goes on
            except Exception as error:  # noqa: BLE001 - the watch outlives every fault; it is noted and shown
                self._serving = None
                self._note(explain(error))
            else:
                self._note(None)

    def _follow(self) -> None:
        """Load the version that the alias names; in the shadow no worker needs it."""
        registry = self._connect()
        wanted = registry.challenger()
        self.version = wanted.version if wanted else ""
        if wanted is None or not self.share:
            self._serving = None
        elif self._serving is None or self._serving.identity != Identity(wanted.name, wanted.version, wanted.sha256):
            self._serving = replace(self._loader.load(wanted, registry), role="challenger")
            log.info("%s version %s answers %d %% of the requests", wanted.name, wanted.version, self.share)

    def _note(self, fault: str | None) -> None:
        if fault and fault != self.fault:
            log.warning("the challenger cannot answer: %s", fault)
        self.fault = fault


def place(key: str, version: str) -> float:
    """Return a place from 0 to 100 for a request: from its key and the challenger's version, or by chance."""
    if not key:
        return random.random() * PLACES  # noqa: S311 - a share of traffic, no secret
    digest = hashlib.blake2b(f"{version}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % PLACES

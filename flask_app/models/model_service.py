"""The model that answers: follows Production, swaps in one step, and keeps what serves on any fault."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flask import Flask
from werkzeug.exceptions import NotFound

from flask_app.admission import drain
from flask_app.admission.drain import Leaving
from flask_app.errors import NoModel
from flask_app.models.cache import Identity, ModelCache
from flask_app.models.challenger import Challenger
from flask_app.models.loading import SHA256, Loader, PinnedVersions, Serving, explain, load_baked
from lockstep import decision
from lockstep.config import use_cases
from lockstep.config.settings import Settings, model_name, model_names
from lockstep.decision import GateRecord
from lockstep.errors import ArtifactError, RegistryError
from lockstep.registry import remote, tracking_server
from lockstep.registry.remote import RegistryClient

log = logging.getLogger("model")

PATIENCE_S = 5.0  # How long a start waits for the registry before a model on this disk serves.
START_S = 15.0  # How long a worker waits for its first model before it takes requests without one.
SILENT_S = 15.0  # After this long without an answer the registry counts as silent.
SIDECAR_POLL_S = 0.5  # Seconds between two polls of the sidecar, which cost the registry nothing.
Connect = Callable[[], RegistryClient]


class ModelService:
    """Serves one registered model; `start` lets a thread look at the registry, `look` does it once."""

    def __init__(self, settings: Settings, name: str, connect: Connect) -> None:
        self.name = name
        self.fault: str | None = None
        self.swapped: list[Callable[[Serving | None, Serving], None]] = []
        self.looked: list[Callable[[bool], None]] = []
        self._cache = ModelCache(Path(settings.state).absolute() / "models")
        self._baked = use_cases.bundle_folder(Path(settings.baked_model), name) if settings.baked_model else None
        self._loader = Loader(self._cache, self._baked)
        self._pinned = PinnedVersions(name, self._loader, self._connected, settings.pinned)
        self.challenger = Challenger(settings.challenger_share, self._loader, self._connected)
        self._connect = connect
        self._patience_s = patience_s(settings)
        self._poll_s = SIDECAR_POLL_S if settings.registry_socket else max(1, settings.poll_s)
        self._registry: RegistryClient | None = None
        self._reachable: bool | None = None
        self._answered = time.monotonic()
        self._serving: Serving | None = None
        self._recorded: tuple[Identity, GateRecord] | None = None
        self._fell_back = False
        self._lock, self._looking = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._settled = threading.Event()

    @classmethod
    def from_settings(cls, settings: Settings, connect: Connect) -> "ModelService":
        """Return the service of the default model."""
        return cls(settings, model_name(settings), connect)

    def serving(self) -> Serving | None:
        """Return the model that answers now, if there is one."""
        return self._serving

    def recorded(self) -> GateRecord:
        """Return what the registry says of how the version that answers came to do so, as far as that is known."""
        serving, record = self._serving, self._recorded
        return record[1] if serving and record and record[0] == serving.identity else GateRecord()

    def require(self) -> Serving:
        """Return the model that answers now. Raises NoModel: none is loaded yet."""
        if self._serving is None:
            raise NoModel
        return self._serving

    def pinned(self, version: str) -> Serving:
        """Return a version of this model: the one that answers now, or another that is loaded beside it."""
        return self.loaded(version) or self._pinned.get(version)

    def choose(self, key: str) -> Serving | None:
        """Return who answers a request that names no version: Production, or for some keys its challenger."""
        serving = self._serving
        return self.challenger.choose(serving, key) if serving else None

    def loaded(self, version: str) -> Serving | None:
        """Return the version that a request names if it answers others anyway."""
        for serving in (self._serving, self.challenger.serving()):
            if serving and serving.version == version:
                return replace(serving, role="pinned")
        return None

    def registry(self) -> RegistryClient:
        """Return the registry, connected."""
        return self._connected()

    def registry_state(self) -> str:
        """Say in a word how the registry is."""
        if time.monotonic() - self._answered > SILENT_S + self._poll_s:
            return "silent"
        return {None: "not asked yet", True: "reachable", False: "out of reach"}[self._reachable]

    def start(self) -> None:
        """Watch the registry from now on; if it has not answered soon, a model on this disk serves."""
        for look in (self.look, self.challenger.look):
            threading.Thread(target=self._watch, args=(look,), name="model-watch", daemon=True).start()
        patience = threading.Timer(self._patience_s, self._fall_back)
        patience.daemon = True
        patience.start()

    def wait(self) -> None:
        """Return when a model serves, or when it is known or likely that none will soon.

        A worker that replaces a dead one takes no request before, so those go to the workers that can answer.
        """
        self._settled.wait(START_S)

    def stop(self) -> None:
        """Let the watching thread end after the look it is at."""
        self._stopped.set()

    def look(self) -> None:
        """Look at the registry once and follow Production; on any fault keep what serves and note why."""
        try:
            with self._looking:  # else one that was slow to look could bring back what another has replaced
                self._follow()
        except Exception as error:  # noqa: BLE001 - the watch outlives every fault; it is noted and shown
            self._note(error)
            self._fall_back()
        else:
            self._note(None)
        self._settled.set()

    def _watch(self, look: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            look()
            self._stopped.wait(self._poll_s)

    def _connected(self) -> RegistryClient:
        if self._registry is None:
            self._registry = self._connect()
        return self._registry

    def _follow(self) -> None:
        registry = self._connected()
        production = registry.production()
        if production is None:
            raise RegistryError(f"no version of {self.name} is Production", "run `lockstep promote`")
        wanted = Identity(production.name, production.version, production.sha256)
        self._recorded = (wanted, decision.gate_record(production.tags))
        if self._serving is None or self._serving.identity != wanted:
            self._swap(self._loader.load(production, registry))
            self._cache.remember(wanted)

    def _swap(self, serving: Serving) -> None:
        with self._lock:
            self._set(serving)

    def _set(self, serving: Serving) -> None:
        before, self._serving = self._serving, serving
        self._settled.set()
        log.info("%s version %s serves (%s)", serving.name, serving.version, serving.identity.sha256[:12])
        for tell in self.swapped:
            tell(before, serving)

    def _fall_back(self) -> None:
        """Once, if nothing serves: take the model that served last here, else the baked one."""
        with self._lock:
            if self._serving is not None or self._fell_back:
                return
            self._fell_back = True
            fallback = self._last_here() or self._baked_here()
            if fallback:
                self._set(fallback)

    def _last_here(self) -> Serving | None:
        last = self._cache.remembered(self.name)
        predictor = self._cache.load(last.sha256) if last and SHA256.fullmatch(last.sha256) else None
        return Serving(last, predictor, datetime.now(UTC)) if last and predictor else None

    def _baked_here(self) -> Serving | None:
        if self._baked is None:
            return None
        try:
            return load_baked(self._baked, self.name, self._cache.folder)
        except ArtifactError as error:
            log.warning("the baked model cannot serve: %s", error)
            return None

    def _note(self, error: Exception | None) -> None:
        """Remember the fault in words that may be shown, and log it once."""
        self._answered = time.monotonic()
        self._reachable = error is None or isinstance(error, RegistryError | ArtifactError)
        if not self._reachable:
            self._registry = None
        for tell in self.looked:
            tell(self._reachable)
        fault = explain(error) if error else None
        if fault != self.fault:
            self.fault = fault
            log.warning("%s: %s", fault, error) if fault else log.info("following Production again")


def patience_s(settings: Settings) -> float:
    """Return how long a start waits for the registry: not at all where a model came along and no registry is there."""
    named = settings.tracking_uri or (settings.dagshub_repo and settings.dagshub_token)
    if named or not settings.baked_model:
        return PATIENCE_S
    database = tracking_server.database_of(tracking_server.resolve(settings).uri)
    return PATIENCE_S if database and database.exists() else 0.0


def init_app(app: Flask, settings: Settings, connect: Connect | None) -> list[ModelService]:
    """Give the app a service for each model of the settings; the first is the default."""
    services = {
        name: ModelService(settings, name, connect or partial(remote.connect, settings, name))
        for name in model_names(settings)
    }
    app.extensions["model_services"] = services
    return list(services.values())


def default(app: Flask) -> ModelService:
    """Return the default model service of an app."""
    return all_of(app)[0]


def all_of(app: Flask) -> list[ModelService]:
    """Return the model services of an app."""
    return list(app.extensions["model_services"].values())


def named(app: Flask, name: str) -> ModelService:
    """Return the service of one model. Raises NotFound: it is not served here."""
    service: ModelService | None = app.extensions["model_services"].get(name)
    if service is None:
        raise NotFound("No model of this name is served here.")
    return service


def ready(app: Flask) -> Serving:
    """Return the default model if this server should be sent requests: each of its models is loaded.

    Raises Leaving: it is about to stop.
    Raises NoModel: one is not loaded yet.
    """
    if drain.from_app(app).on:
        raise Leaving
    for service in all_of(app):
        service.require()
    return default(app).require()

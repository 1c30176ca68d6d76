"""The model that answers: follows Production, swaps in one step, and keeps what serves on any fault."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from flask import Flask

from flask_app.errors import NoModel
from flask_app.model_cache import Identity, ModelCache
from lockstep import config, files, paths, tracking
from lockstep.config import Settings
from lockstep.errors import ArtifactError, LockstepError, RegistryError, TrackingError
from lockstep.modeling import compiled
from lockstep.modeling import predictor as bundles
from lockstep.modeling.predictor import Predictor
from lockstep.registry import Registry, Version

log = logging.getLogger("model")

SHA256 = re.compile(r"[0-9a-f]{64}")
PATIENCE_S = 5.0
"""How long a start waits for the registry before a model on this disk serves."""

START_S = 15.0
"""How long a worker waits for its first model before it takes requests without one."""

SILENT_S = 15.0
"""After this long without an answer the registry counts as silent."""

REFUSED_S = 300.0
"""A refused version is fetched again after this long: its download may have been cut off."""


class ModelRegistry(Protocol):
    """What the service asks a registry."""

    def production(self) -> Version | None:
        """Return the version that is Production."""

    def download(self, version: Version, to: Path) -> Path:
        """Fetch a version's bundle into a folder."""


Connect = Callable[[], ModelRegistry]


@dataclass(frozen=True)
class Serving:
    """A loaded model and what it is; requests hold on to one from start to end."""

    identity: Identity
    predictor: Predictor
    loaded_at: datetime

    @property
    def name(self) -> str:
        """The model's name."""
        return self.identity.name

    @property
    def version(self) -> str:
        """The version's number, as text."""
        return self.identity.version


class ModelService:
    """Serves one registered model; `start` lets a thread look at the registry, `look` does it once."""

    def __init__(self, name: str, cache: ModelCache, connect: Connect, baked: Path | None, poll_s: float) -> None:
        self.name = name
        self.fault: str | None = None
        self.swapped: list[Callable[[Serving | None, Serving], None]] = []
        self.looked: list[Callable[[bool], None]] = []
        self._cache, self._connect, self._baked, self._poll_s = cache, connect, baked, poll_s
        self._registry: ModelRegistry | None = None
        self._reachable: bool | None = None
        self._answered = time.monotonic()
        self._serving: Serving | None = None
        self._refused: tuple[Identity, str, float] | None = None
        self._fell_back = False
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._settled = threading.Event()

    @classmethod
    def of(cls, settings: Settings, connect: Connect) -> "ModelService":
        """Return the service that the settings describe."""
        cache = ModelCache(Path(settings.state).absolute() / "models")
        baked = Path(settings.baked_model) if settings.baked_model else None
        return cls(config.model_name(settings), cache, connect, baked, max(1, settings.poll_s))

    def serving(self) -> Serving | None:
        """Return the model that answers now, if there is one."""
        return self._serving

    def require(self) -> Serving:
        """Return the model that answers now.

        Raises
        ------
        NoModel
            None is loaded yet.
        """
        if self._serving is None:
            raise NoModel
        return self._serving

    def registry_state(self) -> str:
        """Say in a word how the registry is."""
        if time.monotonic() - self._answered > SILENT_S + self._poll_s:
            return "silent"
        return {None: "not asked yet", True: "reachable", False: "out of reach"}[self._reachable]

    def start(self) -> None:
        """Watch the registry from now on; if it has not answered soon, a model on this disk serves."""
        threading.Thread(target=self._watch, name="model-watch", daemon=True).start()
        patience = threading.Timer(PATIENCE_S, self._fall_back)
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
            self._follow()
        except Exception as error:  # noqa: BLE001 - the watch outlives every fault; it is noted and shown
            self._note(error)
            self._fall_back()
        else:
            self._note(None)
        self._settled.set()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._poll_s)

    def _follow(self) -> None:
        if self._registry is None:
            self._registry = self._connect()
        production = self._registry.production()
        if production is None:
            raise RegistryError(f"no version of {self.name} is Production", "run `lockstep promote`")
        wanted = Identity(production.name, production.version, production.sha256)
        if self._serving is None or self._serving.identity != wanted:
            self._swap(Serving(wanted, self._load(wanted, production, self._registry), datetime.now(UTC)))
            self._cache.remember(wanted)

    def _load(self, wanted: Identity, version: Version, registry: ModelRegistry) -> Predictor:
        """Load a version from the cache or the registry, unless it was refused a moment ago."""
        if self._refused and self._refused[0] == wanted and time.monotonic() < self._refused[2]:
            raise ArtifactError(self._refused[1])
        try:
            if not SHA256.fullmatch(wanted.sha256):
                raise ArtifactError("it carries no sha256", "register it with `dvc repro`")
            return self._cache.load(wanted.sha256) or self._cache.fetch(
                wanted.sha256, lambda folder: registry.download(version, folder)
            )
        except (ArtifactError, RegistryError) as error:
            refusal = f"version {wanted.version} was refused: {error.problem}"
            self._refused = (wanted, refusal, time.monotonic() + REFUSED_S)
            raise ArtifactError(refusal, error.hint) from error

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
            found = self._last_here() or self._baked_here()
            if found:
                self._set(found)

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


def explain(error: Exception) -> str:
    """Say what is wrong without a path, an address or anything else of the inside."""
    if isinstance(error, TrackingError):
        return "the model registry is out of reach"
    if isinstance(error, LockstepError):
        return re.sub(r"(?<![\w<])/[^\s:,;'\"]+", "its file", error.problem)
    if isinstance(error, OSError):
        return f"this machine fails: {error.strerror or type(error).__name__}"
    return f"unexpected {type(error).__name__} while looking at the registry"


def load_baked(folder: Path, name: str, spare: Path) -> Serving:
    """Load a bundle that came with the image, which may be read-only.

    Its `registered.json` names the version if it is of these very bytes.
    """
    sha256 = bundles.digest(folder)
    predictor = compiled.load(folder, sha256, spare)
    try:
        origin = files.read_json(folder / paths.REGISTERED.name)
    except (FileNotFoundError, ValueError):
        origin = {}
    same = isinstance(origin, dict) and origin.get("sha256") == sha256
    version = str(origin.get("version", "baked")) if same else "baked"
    return Serving(Identity(name, version, sha256), predictor, datetime.now(UTC))


def registry_of(settings: Settings) -> Connect:
    """Return what connects to the registry that the settings name; MLflow is imported only then."""

    def connect() -> ModelRegistry:
        return Registry(tracking.connect(settings), config.model_name(settings))

    return connect


def of(app: Flask) -> ModelService:
    """Return the model service of an app."""
    service: ModelService = app.extensions["model_service"]
    return service

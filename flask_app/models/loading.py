"""Load versions of a model: from this disk or through the registry, and not at once again what was refused."""

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from werkzeug.exceptions import ServiceUnavailable, UnprocessableEntity

from flask_app.models.cache import Identity, ModelCache
from lockstep import files, paths
from lockstep.errors import ArtifactError, LockstepError, RegistryError, TrackingError
from lockstep.inference import compiled_cache
from lockstep.inference import predictor as bundles
from lockstep.inference.predictor import Predictor
from lockstep.prediction_log.records import Variant
from lockstep.registry.model_registry import Version
from lockstep.registry.remote import RegistryClient

log = logging.getLogger("model")

SHA256 = re.compile(r"[0-9a-f]{64}")
NUMBER = re.compile(r"[1-9][0-9]{0,9}")
REFUSED_S = 300.0  # A refused version is fetched again after this long: its download may have been cut off.
UNKNOWN_S = 10.0  # The registry is asked again after this long for a version, or files of it, that it did not have.
MOST_REMEMBERED = 1000
QUEUE_S = 5.0
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Serving:
    """A loaded model, what it is and why it answers; requests hold on to one from start to end."""

    identity: Identity
    predictor: Predictor
    loaded_at: datetime
    role: Variant = "production"

    @property
    def name(self) -> str:
        """The model's name."""
        return self.identity.name

    @property
    def version(self) -> str:
        """The version's number, as text."""
        return self.identity.version


class ExpiringTexts:
    """Texts that stay for a while, a bounded number of them."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[str, float]] = {}

    def put(self, key: str, text: str, seconds: float) -> None:
        """Remember a text for so long from now on."""
        if len(self._until) >= MOST_REMEMBERED:
            self._until.clear()
        self._until[key] = (text, time.monotonic() + seconds)

    def get(self, key: str) -> str | None:
        """Return the text if it still stands."""
        text, until = self._until.get(key, ("", 0.0))
        return text if time.monotonic() < until else None


class Loader:
    """Loads versions into this process."""

    def __init__(self, cache: ModelCache, baked: Path | None = None) -> None:
        self._cache = cache
        self._baked = baked
        self._refused = ExpiringTexts()

    def load(self, version: Version, registry: RegistryClient) -> Serving:
        """Load a version from cache, image or registry. Raises ArtifactError: it is refused, or was a moment ago."""
        wanted = Identity(version.name, version.version, version.sha256)
        if refusal := self._refused.get(repr(wanted)):
            raise ArtifactError(refusal)
        try:
            return Serving(wanted, self._load(wanted.sha256, version, registry), datetime.now(UTC))
        except (ArtifactError, RegistryError) as error:
            refusal = f"version {wanted.version} was refused: {error.problem}"
            seconds = UNKNOWN_S if isinstance(error, RegistryError) else REFUSED_S  # files that are gone may be back
            self._refused.put(repr(wanted), refusal, seconds)
            raise ArtifactError(refusal, error.hint) from error

    def _load(self, sha256: str, version: Version, registry: RegistryClient) -> Predictor:
        if not SHA256.fullmatch(sha256):
            raise ArtifactError("it carries no sha256", "register it with `dvc repro`")
        return (
            self._cache.load(sha256)
            or self._load_baked(sha256)
            or self._cache.fetch(sha256, lambda folder: registry.download(version, folder))
        )

    def _load_baked(self, sha256: str) -> Predictor | None:
        """Load what came with the image if it is this very bundle, which then need not be fetched."""
        try:
            if self._baked is None or bundles.digest(self._baked) != sha256:
                return None
            return compiled_cache.load(self._baked, sha256, self._cache.folder)
        except ArtifactError as error:
            log.warning("the baked model cannot serve, so it is fetched: %s", error)
            return None


class PinnedVersions:
    """The versions that requests named last, loaded beside Production."""

    def __init__(self, name: str, loader: Loader, connect: Callable[[], RegistryClient], most: int) -> None:
        self._name, self._loader, self._connect, self._most = name, loader, connect, most
        self._kept: OrderedDict[str, Serving] = OrderedDict()
        self._known: dict[str, Version] = {}
        self._unknown = ExpiringTexts()
        self._turn, self._lock = threading.Lock(), threading.Lock()

    def get(self, number: str) -> Serving:
        """Return a version, loaded now if need be, by one request at a time.

        Raises UnprocessableEntity: there is no such version, or it is refused.
        Raises ServiceUnavailable: the registry does not say, or too many wait for other versions.
        """
        if serving := self._found(number):
            return serving
        if not self._most or not NUMBER.fullmatch(number):
            raise UnprocessableEntity(f'"version": {self._name} has no version {number[:20]!r} to answer with.')
        if not self._turn.acquire(timeout=QUEUE_S):
            raise ServiceUnavailable("Other versions are being loaded.", retry_after=RETRY_AFTER_S)
        try:
            return self._found(number) or self._keep(number, self._load(number))
        finally:
            self._turn.release()

    def _found(self, number: str) -> Serving | None:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
            return self._kept.get(number)

    def _keep(self, number: str, serving: Serving) -> Serving:
        with self._lock:
            self._kept[number] = serving
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return serving

    def _load(self, number: str) -> Serving:
        if refusal := self._unknown.get(number):
            raise UnprocessableEntity(refusal)
        try:
            registry = self._connect()
            version = self._known.get(number) or registry.get(number)
            serving = replace(self._loader.load(version, registry), role="pinned")
        except (RegistryError, ArtifactError) as error:
            self._unknown.put(number, f'"version": {explain(error)}.', UNKNOWN_S)
            raise UnprocessableEntity(f'"version": {explain(error)}.') from error
        except (TrackingError, OSError) as error:
            raise ServiceUnavailable(f"{explain(error)}.", retry_after=RETRY_AFTER_S) from error
        self._known[number] = version
        return serving


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

    Raises ArtifactError: it is of another model, or damaged.
    """
    try:
        origin = files.read_json(folder / paths.REGISTERED.name)
    except (FileNotFoundError, ValueError):
        origin = {}
    origin = origin if isinstance(origin, dict) else {}
    if origin.get("model", name) != name:
        raise ArtifactError(f"it is of the model {origin['model']!r} and not of {name!r}")
    sha256 = bundles.digest(folder)
    predictor = compiled_cache.load(folder, sha256, spare)
    version = str(origin.get("version", "baked")) if origin.get("sha256") == sha256 else "baked"
    return Serving(Identity(name, version, sha256), predictor, datetime.now(UTC))

"""What the registry says of the models: which version is in which role since when, and what a version was made from.

While the registry is out of reach, what was known last stands.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from lockstep import decision as decisions
from lockstep import files, paths
from lockstep.data.schema import Schema, label_name
from lockstep.drift.profile import Profile
from lockstep.drift.results import ModelState, Move, Snapshot, VersionInfo
from lockstep.errors import ArtifactError, RegistryError, TrackingError
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Version
from lockstep.registry.remote import RegistryClient

log = logging.getLogger("monitor")

# Folders of the state: the bundles that workers load, and those that are fetched for their profile alone.
BUNDLES, FETCHED = "models", "profiles"
COMMIT_TAG = "git_commit"
AGAIN_S = 60.0  # A version whose files could not be read is tried again after so long.


@dataclass
class ModelVersions:
    """One model: the versions in a role, and the moves, newest first."""

    production: VersionInfo | None = None
    challenger: VersionInfo | None = None
    moves: list[Event] = field(default_factory=list)

    def versions(self) -> list[str]:
        """Return the versions in a role."""
        return [info.version for info in (self.production, self.challenger) if info]


@dataclass(frozen=True)
class BundleFiles:
    """What a version answers, and its profile; versions made before there were profiles have none."""

    task: str = ""
    labels: tuple[str, ...] = ()
    profile: Profile | None = None


class RegistryView:
    """Asks the registry about models and remembers what it said; `before` is what an earlier process knew."""

    def __init__(self, connect: Callable[[str], RegistryClient], state: Path, before: Snapshot | None = None) -> None:
        self._connect, self._state = connect, state
        self._known = {
            name: _remembered(model_state) for name, model_state in (before.models if before else {}).items()
        }
        self._made: dict[str, BundleFiles] = {}
        self._refused: dict[str, float] = {}
        self._digests: dict[tuple[str, str], str] = {}
        self._faults: dict[str, str] = {}

    def look(self, model: str) -> ModelVersions:
        """Ask who is in which role; without an answer return what was known."""
        registry = self._connect(model)
        try:
            production, challenger, moves = registry.production(), registry.challenger(), registry.history()
        except (TrackingError, RegistryError, OSError) as error:
            if self._faults.get(model) != str(error):  # once, and not at each look
                log.info("%s: the registry does not say who serves: %s", model, error)
            self._faults[model] = str(error)
            return self._known.setdefault(model, ModelVersions())
        self._faults.pop(model, None)
        for version in (production, challenger):
            if version:
                self._digests[model, version.version] = version.sha256
        self._known[model] = ModelVersions(_info(production, moves), _info(challenger, []), moves)
        return self._known[model]

    def made(self, model: str, version: str) -> BundleFiles:
        """Return what a version was made from, as far as that is known."""
        sha256 = self._digest(model, version)
        if not sha256 or time.monotonic() - self._refused.get(sha256, -AGAIN_S) < AGAIN_S:
            return BundleFiles()
        if sha256 not in self._made:
            try:
                self._made[sha256] = _read(self._folder(model, version, sha256))
            except (TrackingError, RegistryError) as error:
                log.info("%s version %s: no profile yet: %s", model, version, error)
                return BundleFiles()
            except (ArtifactError, OSError) as error:
                log.warning("%s version %s cannot be watched: %s", model, version, error)
                self._refused[sha256] = time.monotonic()
                return BundleFiles()
        return self._made[sha256]

    def _digest(self, model: str, version: str) -> str:
        versions = self._known.get(model, ModelVersions())
        for info in (versions.production, versions.challenger):
            if info and info.version == version and info.sha256:
                return info.sha256
        if (model, version) not in self._digests:
            try:
                self._digests[model, version] = self._connect(model).get(version).sha256
            except RegistryError:
                self._digests[model, version] = ""
            except (TrackingError, OSError):
                return ""
        return self._digests[model, version]

    def _folder(self, model: str, version: str, sha256: str) -> Path:
        """Return where the files of a version are on this machine, fetched if no worker has done so."""
        from lockstep.inference.predictor import digest

        for folder in (self._state / BUNDLES / sha256, self._state / FETCHED / sha256):
            if (folder / paths.SCHEMA.name).is_file():
                return folder
        registry = self._connect(model)
        fetched = registry.download(registry.get(version), self._state / FETCHED / sha256)
        if digest(fetched) != sha256:
            raise ArtifactError(f"what came as version {version} of {model} is not what was registered")
        for file in fetched.iterdir():
            if file.name not in (paths.SCHEMA.name, paths.PROFILE.name):
                file.unlink()
        return fetched


def history_of(versions: ModelVersions, most: int) -> list[Move]:
    """Return the newest moves and refusals as the snapshot shows them."""
    names = ("at", "action", "version", "previous", "actor", "reason", "forced")
    return [Move(**{name: getattr(event, name) for name in names}) for event in versions.moves[:most]]


def _read(folder: Path) -> BundleFiles:
    try:
        schema = Schema.from_json(files.read_json(folder / paths.SCHEMA.name))
    except ValueError as error:
        raise ArtifactError(f"{paths.SCHEMA.name} is damaged: {error}", "register the model again") from None
    return BundleFiles(schema.task, tuple(map(label_name, schema.labels)), Profile.load(folder))


def _remembered(state: ModelState) -> ModelVersions:
    moves = [Event(**{name: getattr(move, name) for name in move.__struct_fields__}) for move in state.history]
    return ModelVersions(state.production, state.challenger, moves)


def _info(version: Version | None, moves: Sequence[Event]) -> VersionInfo | None:
    """Return a version with the move that brought it where it is."""
    if version is None:
        return None
    info = VersionInfo(version.version, sha256=version.sha256, git_commit=version.tags.get(COMMIT_TAG, ""))
    for move in moves:
        if move.action != "refused" and move.version == version.version:
            info.since, info.actor, info.reason = _seconds(move.at), move.actor, move.reason
            info.forced, info.git_commit = move.forced, move.git_commit or info.git_commit
            break
    record = decisions.gate_record(version.tags)
    if record.forced:
        info.forced, info.forced_reason = True, f"{record.forced.reason} ({record.forced.actor})"
    info.gate = replace(record.decision, comparison=None) if record.decision else None
    return info


def _seconds(at: str) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:  # another program may have written the tag
        return None

"""The model registry: versions found by their digest, and one Production whose every move is on record."""

import filecmp
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lockstep import compat, decision
from lockstep.errors import RegistryError, TrackingError
from lockstep.registry import history as events
from lockstep.registry import tracking
from lockstep.registry.bundle import BUNDLE, OPTIONAL, contents
from lockstep.registry.history import Event
from lockstep.registry.local_lock import exclusive

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

PRODUCTION = "production"
CHALLENGER = "challenger"
STAGE = "Production"
TAG_PREFIX = "lockstep."
DIGEST_TAG = "sha256"
FILES_TAG = "files"
TRAINED_ON_TAG = "trained_on"
# Asking to move it changes nothing and tells whether a server has stages, also before the first version.
NO_VERSION = "0"
NO_SUCH = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Version:
    """One registered model: where its files are, and what identifies it."""

    name: str
    version: str
    run_id: str
    source: str
    sha256: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files."""
        return *BUNDLE, *(name for name in OPTIONAL if name in self.tags.get(FILES_TAG, "").split())


@dataclass(frozen=True)
class Capabilities:
    """What the server's registry can do."""

    registry: bool
    aliases: bool
    stages: bool


class Registry:
    """The versions of one model on one server."""

    def __init__(self, client: "MlflowClient", name: str) -> None:
        self.client = client
        self.name = name
        self._capabilities: Capabilities | None = None

    def capabilities(self) -> Capabilities:
        """Ask once, without changing anything, what the server supports."""
        if self._capabilities is None:
            self._capabilities = self._probe()
        return self._capabilities

    def _require_registry(self) -> Capabilities:
        """Return what the server supports, if it has a registry at all."""
        capabilities = self.capabilities()
        if not capabilities.registry:
            raise TrackingError(
                "the tracking server has no model registry, so nothing can be registered or promoted",
                "set MLFLOW_TRACKING_URI to a server with one, or unset it to use a local store",
            )
        return capabilities

    def _probe(self) -> Capabilities:
        client = self.client
        if not _is_supported(lambda: client.search_registered_models(max_results=1)):
            return Capabilities(registry=False, aliases=False, stages=False)
        move = compat.stage_transition(client)
        return Capabilities(
            registry=True,
            aliases=_is_supported(lambda: client.get_model_version_by_alias(self.name, PRODUCTION)),
            stages=_is_supported(lambda: move(self.name, NO_VERSION, STAGE, archive_existing_versions=False)),
        )

    def versions(self) -> list[Version]:
        """Return every version, newest first."""
        self._require_registry()
        with tracking.translated_errors(f"list the versions of {self.name}"):
            return sorted(map(_from_mlflow, self._search()), key=lambda version: -int(version.version))

    def _search(self) -> "Iterator[ModelVersion]":
        token = None
        while True:
            page = self.client.search_model_versions(f"name='{self.name}'", max_results=200, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def find(self, sha256: str) -> Version | None:
        """Return the oldest version with this digest, or None."""
        return next((version for version in reversed(self.versions()) if version.sha256 == sha256), None)

    def get(self, version: str) -> Version:
        """Return one version. Raises RegistryError: there is no such version, or no more."""
        match = self._lookup(version)
        if match is None:
            raise RegistryError(f"{self.name} has no version {version!r}", "`lockstep history` names those that served")
        return match

    def _lookup(self, number: str) -> Version | None:
        operation = f"read version {number} of {self.name}"
        entity = self._call_or_none(operation, self.client.get_model_version, self.name, number)
        return _from_mlflow(entity) if entity else None

    def create(self, run_id: str, artifact_uri: str, tags: Mapping[str, str]) -> Version:
        """Register the model that a run logged; the same digest gives the version that is there already.

        Of two processes that register it on a server at once, the later one removes its version again.
        """
        with exclusive(self.client.tracking_uri):
            existing = self.find(tags[DIGEST_TAG])
            if existing:
                return existing
            self._ensure_model()
            source = f"{artifact_uri.rstrip('/')}/{tracking.MODEL_FOLDER}"
            with tracking.translated_errors(f"register a version of {self.name}"):
                created = _from_mlflow(
                    self.client.create_model_version(self.name, source, run_id=run_id, tags=dict(tags))
                )
            first = self.find(tags[DIGEST_TAG]) or created
            if first.version != created.version:
                with tracking.translated_errors(f"remove the second version {created.version} of the same model"):
                    self.client.delete_model_version(self.name, created.version)
            return first

    def tag(self, version: Version, tags: Mapping[str, str]) -> Version:
        """Give a version these tags, in place of what it had under their names."""
        for name, value in tags.items():
            if version.tags.get(name) != value:
                with tracking.translated_errors(f"tag version {version.version} of {self.name}"):
                    self.client.set_model_version_tag(self.name, version.version, name, value)
        return replace(version, tags={**version.tags, **tags})

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        with tracking.translated_errors(f"create the registered model {self.name}"):
            try:
                self.client.create_registered_model(self.name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def production(self) -> Version | None:
        """Return the version that serves; None if none was promoted or it was deleted, never the newest instead.

        Raises TrackingError: the server is out of reach, so that nobody knows.
        """
        capabilities = self._require_registry()
        if capabilities.stages and not capabilities.aliases:
            with tracking.translated_errors(f"read the Production of {self.name}"):
                staged = [entity for entity in self._search() if entity.current_stage == STAGE]
            return max(map(_from_mlflow, staged), key=lambda version: int(version.version), default=None)
        return self.at(PRODUCTION)

    def at(self, alias: str) -> Version | None:
        """Return the version that an alias names, or the tag in its place on a server without aliases."""
        if self._require_registry().aliases:
            operation = f"read the alias {alias!r} of {self.name}"
            entity = self._call_or_none(operation, self.client.get_model_version_by_alias, self.name, alias)
            return _from_mlflow(entity) if entity else None
        number = self._tags().get(TAG_PREFIX + alias)
        return self._lookup(number) if number else None

    def set_alias(self, alias: str, version: str) -> None:
        """Let an alias name a version; on a server without aliases a tag stands in."""
        self._set_alias(alias, self.get(version).version)

    def challenger(self) -> Version | None:
        """Return the version that is tried beside Production, if there is one."""
        return self.at(CHALLENGER)

    def clear_alias(self, alias: str) -> None:
        """Let an alias name nothing any more; one that names nothing already stays so."""
        calls = self.client.delete_registered_model_alias, self.client.delete_registered_model_tag
        aliases = self._require_registry().aliases
        doing, name = f"clear the alias {alias!r} of {self.name}", alias if aliases else TAG_PREFIX + alias
        self._call_or_none(doing, calls[0] if aliases else calls[1], self.name, name)

    def _set_alias(self, alias: str, number: str) -> None:
        with tracking.translated_errors(f"set the alias {alias!r} of {self.name}"):
            if self.capabilities().aliases:
                self.client.set_registered_model_alias(self.name, alias, number)
            else:
                self.client.set_registered_model_tag(self.name, TAG_PREFIX + alias, number)

    def promote(self, version: str, event: Event, champion: str | None = None) -> Event:
        """Make a version Production and record the move; the pointer comes first, so the record never lies.

        `champion` is the Production that the gate compared with, empty for none. Where another process has promoted
        the same version since, there is nothing left to move, and `previous` is the version too.

        Raises RegistryError: another process has moved Production since the gate read it, or at the same time.
        """
        self._require_registry()
        with exclusive(self.client.tracking_uri):
            target = self.get(version)
            current = self._current()
            if champion is not None and current != champion:
                if current == target.version:
                    return replace(event, version=current, previous=current)
                raise self._overtaken(version)
            move = replace(event, action="promote", version=target.version, previous=current)
            move = replace(move, forced=event.forced or self.was_forced(target))
            self._set_production(target.version)
            return self._settle(self._record_event(move))

    def _settle(self, move: Event) -> Event:
        """Let Production name the version of the latest move, whatever two processes wrote in which order."""
        latest = self._latest_move()
        if latest is not None and latest.version != self._current():
            self._set_production(latest.version)
        latest = self._latest_move()
        if latest is not None and latest.version != move.version:
            self._set_production(latest.version)
            raise self._overtaken(move.version)
        return move

    def _latest_move(self) -> Event | None:
        return next((event for event in self.history() if event.action != "refused"), None)

    def _overtaken(self, version: str) -> RegistryError:
        latest = self._latest_move() or Event()
        return RegistryError(
            f"version {version} of {self.name} is not Production: {latest.actor or 'another process'} moved it to "
            f"version {latest.version or 'none'} at {latest.at or 'the same time'}",
            "`lockstep history` shows the moves; promote again to be compared with the new Production",
        )

    def rollback(self, event: Event) -> Event:
        """Restore the version that served before, one step further each time.

        The record comes first: repeated after an interruption, a rollback ends at the same version.

        Raises RegistryError: nothing served before, or it was deleted.
        """
        with exclusive(self.client.tracking_uri):
            return self._rollback(event)

    def _rollback(self, event: Event) -> Event:
        current = self._current()
        number = events.restorable(self.history(), current)
        if number is None:
            raise RegistryError(
                f"{self.name} has no earlier Production to go back to", "promote one: `lockstep promote --version N`"
            )
        try:
            target = self.get(number)
        except RegistryError:
            raise RegistryError(
                f"version {number} of {self.name}, which served before, was deleted",
                "promote another one: `lockstep promote --version N`",
            ) from None
        move = replace(event, action="rollback", version=target.version, previous=current)
        recorded = self._record_event(replace(move, forced=self.was_forced(target)))
        self._set_production(target.version)
        return self._settle(recorded)

    def was_forced(self, version: Version) -> bool:
        """Tell whether a version once went live against the gate, by its own record or by the history."""
        return decision.gate_record(version.tags).forced is not None or any(
            event.forced and event.action == "promote" and event.version == version.version for event in self.history()
        )

    def record_refusal(self, version: str, event: Event) -> Event:
        """Record that a version was not let through, and why."""
        self._ensure_model()
        return self._record_event(replace(event, action="refused", version=version, previous=self._current()))

    def history(self) -> list[Event]:
        """Return the moves of Production and the refusals, newest first."""
        return events.read(self._tags())

    def download(self, version: Version, to: Path) -> Path:
        """Fetch the files of a version into the folder `to`, which appears whole or not at all.

        Raises RegistryError: the version lacks one of the files: it was not made here, or they are gone.
        """
        to.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{to.name}.", suffix=".partial", dir=to.parent))
        try:
            for name in version.files:
                self.fetch(version, name, partial)
            _replace_folder(partial, to)
        except TrackingError:
            self.require_files(version)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return to

    def missing_files(self, version: Version) -> list[str]:
        """Return the names of the files of a version that are not where it says."""
        from mlflow.artifacts import list_artifacts

        with tracking.translated_errors(f"list the files of {self.name} version {version.version}"):
            entries = list_artifacts(artifact_uri=version.source, tracking_uri=self.client.tracking_uri)
        present = {PurePosixPath(entry.path).name for entry in entries}
        return [name for name in version.files if name not in present]

    def require_files(self, version: Version) -> None:
        """Check that all files of a version are there. Raises RegistryError: some are gone."""
        if missing := self.missing_files(version):
            raise RegistryError(
                f"files of {self.name} version {version.version} are gone from {version.source}: {', '.join(missing)}",
                f"`lockstep promote --version {version.version}` uploads them again where models/ holds this version: "
                "`git checkout` its commit and `dvc checkout`",
            )

    def fetch(self, version: Version, name: str, folder: Path) -> None:
        """Fetch one file of a version into a folder. Raises RegistryError: the version has no such file."""
        from mlflow.artifacts import download_artifacts

        uri = f"{version.source.rstrip('/')}/{name}"
        doing = f"download {name} of {self.name} version {version.version}"
        with tracking.translated_errors(doing):
            fetched = Path(
                download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self.client.tracking_uri)
            )
        if fetched != folder / name or not fetched.is_file():
            raise RegistryError(f"cannot {doing}: it came as {fetched.name!r}", "register the model again: `dvc repro`")

    def _current(self) -> str:
        production = self.production()
        return production.version if production else ""

    def _set_production(self, number: str) -> None:
        """Let Production name a version, in every way the server knows."""
        capabilities = self.capabilities()
        self._set_alias(PRODUCTION, number)
        if capabilities.stages:
            with tracking.translated_errors(f"set the stage of {self.name}"), _stage_warnings():
                self.client.transition_model_version_stage(self.name, number, STAGE, archive_existing_versions=True)

    def _record_event(self, event: Event) -> Event:
        """Append an event, later than any other whatever the clocks say."""
        last = [events.milliseconds(tag) for tag in events.tags_in_order(self._tags())[-1:]]
        now_ms = max([int(time.time() * 1000), *(ms + 1 for ms in last)])
        event = replace(event, at=events.moment(now_ms))
        with tracking.translated_errors(f"record the {event.action} of {self.name}"):
            self.client.set_registered_model_tag(self.name, events.key(now_ms, event.version), events.encode(event))
        return event

    def _tags(self) -> Mapping[str, str]:
        model = self._call_or_none(f"read the history of {self.name}", self.client.get_registered_model, self.name)
        return dict(model.tags) if model else {}

    def _call_or_none(self, operation: str, call: Callable[..., Any], *arguments: str) -> Any:
        """Return the answer, or None where the server says that there is no such thing."""
        from mlflow.exceptions import MlflowException

        with tracking.translated_errors(operation):
            try:
                return call(*arguments)
            except MlflowException as error:
                if error.error_code in NO_SUCH and not tracking.is_unsupported(error):
                    return None
                raise


def _is_supported(call: Callable[[], Any]) -> bool:
    """Tell whether the server knows a call, whatever it finds."""
    from mlflow.exceptions import MlflowException

    with tracking.translated_errors("ask what the registry supports"):
        try:
            call()
        except MlflowException as error:
            if tracking.is_unsupported(error):
                return False
            if error.error_code not in (*NO_SUCH, "PERMISSION_DENIED"):
                raise
    return True


def _from_mlflow(entity: "ModelVersion") -> Version:
    tags = dict(entity.tags)
    return Version(
        name=entity.name,
        version=str(entity.version),
        run_id=entity.run_id or "",
        source=entity.source or "",
        sha256=tags.get(DIGEST_TAG, ""),
        tags=tags,
    )


def _replace_folder(partial: Path, to: Path) -> None:
    """Move a finished folder to its name; what is there already stays if it is the same."""
    if _hold_same_files(partial, to):
        return
    with suppress(FileNotFoundError):
        to.rename(partial.with_suffix(".old"))
    try:
        partial.rename(to)
    except OSError:
        if not _hold_same_files(partial, to):  # else another process finished at the same moment
            raise
    finally:
        shutil.rmtree(partial.with_suffix(".old"), ignore_errors=True)


def _hold_same_files(first: Path, second: Path) -> bool:
    """Tell whether two folders hold the same files of a version."""
    names = contents(first)
    if not second.is_dir() or contents(second) != names:
        return False
    return all((second / name).is_file() and filecmp.cmp(first / name, second / name, shallow=False) for name in names)


@contextmanager
def _stage_warnings() -> Iterator[None]:
    """Keep quiet that stages are deprecated: they are only mirrored for those who still read them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*is deprecated since 2\.9", category=FutureWarning)
        yield

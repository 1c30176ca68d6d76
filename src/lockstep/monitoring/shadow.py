"""A challenger in the shadow: it answers what Production was asked, after the answer, in the recorder and for the log.

No request waits for it: rows are scored as they come from the spool, and what one batch leaves no time for is left out.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from lockstep.config.settings import Settings, model_names
from lockstep.data.schema import Row, RowsRefused, Schema
from lockstep.errors import ArtifactError, LockstepError, RegistryError
from lockstep.inference import compiled_cache
from lockstep.inference import predictor as bundles
from lockstep.inference.predictor import Predictor
from lockstep.monitoring.label_windows import shadow_id
from lockstep.paths import SCHEMA
from lockstep.prediction_log.privacy import HASHED
from lockstep.prediction_log.records import Answer, Record
from lockstep.registry import remote
from lockstep.registry.model_registry import Version
from lockstep.registry.remote import RegistryClient

log = logging.getLogger("shadow")

FOLDER = "shadow"
BATCH_S = 0.5  # Seconds that the rows of one batch may take, so that the log does not fall behind.
PIECE = 1000


@dataclass(frozen=True)
class Pair:
    """The version that answers, with the columns of its rows, and the one that answers the same in the shadow."""

    production: Version
    columns: Schema
    challenger: Version
    predictor: Predictor

    def matches(self, record: Record) -> bool:
        """Tell whether the rows of a record are for the challenger too."""
        if not isinstance(record, Answer) or record.rows is None or record.variant != "production":
            return False
        return (record.model, record.version) == (self.production.name, self.production.version)

    def rows(self, record: Answer) -> list[tuple[str, Row]]:
        """Return the rows that the challenger takes, each with the id of the shadow of its prediction."""
        schema, answerable = self.predictor.schema, []
        for prediction_id, row in zip(record.ids, record.rows or [], strict=True):
            named = dict(zip(self.columns.kinds, row, strict=True))
            try:
                (checked,) = schema.check([{name: named[name] for name in schema.kinds}])
            except (RowsRefused, KeyError):
                continue
            answerable.append((shadow_id(prediction_id, self.challenger.version), checked))
        return answerable

    def answer(self, record: Answer) -> Answer | None:
        """Return what the challenger says to a record; None if it takes none of the rows."""
        started = time.perf_counter()
        rows = self.rows(record)
        if not rows:
            return None
        answers = self.predictor.predict([row for _, row in rows])
        return Answer(
            at_us=record.at_us,
            model=record.model,
            version=self.challenger.version,
            variant="shadow",
            key=record.key,
            latency_us=int((time.perf_counter() - started) * 1e6),
            ids=[prediction_id for prediction_id, _ in rows],
            rows=None,
            values=answers.values,
            shares=answers.shares,
        )


class Shadow:
    """Follows the challengers of some models, and answers in their name; a fault of one is noted and hurts nobody."""

    def __init__(
        self, state: Path, models: Sequence[str], connect: Callable[[str], RegistryClient], hashed: bool
    ) -> None:
        self.folder, self.models, self.hashed = state / FOLDER, models, hashed
        self.left_out = 0
        self._models = state / "models"
        self._connect = connect
        self._pairs: dict[str, Pair] = {}
        self._faults: dict[str, str] = {}
        self._unanswered: dict[str, str] = {}
        self._refused: set[str] = set()
        self._lock = threading.Lock()

    def follow(self) -> None:
        """Look once which versions are challengers, and load what is new; while nobody knows, all stays as it is."""
        for model in self.models:
            try:
                pair = self._pair(model)
            except (ArtifactError, RegistryError) as error:
                self._note(model, error.problem)
                pair = None
            except (LockstepError, OSError) as error:
                if self._unanswered.get(model) != str(error):  # once, and not at each look
                    log.info("%s: the registry does not say who is the challenger: %s", model, error)
                self._unanswered[model] = str(error)
                continue
            self._unanswered.pop(model, None)
            with self._lock:
                self._pairs.pop(model, None)
                if pair:
                    self._pairs[model] = pair
        self._forget()

    def answers(self, records: Sequence[Record]) -> list[Record]:
        """Return what the challengers say to the records of a batch, as far as the time goes."""
        with self._lock:
            pairs = dict(self._pairs)
        shadow_answers: list[Record] = []
        end = time.monotonic() + BATCH_S
        for record in records if pairs else ():
            pair = pairs.get(record.model) if isinstance(record, Answer) else None
            if pair is None or not pair.matches(record):
                continue
            if time.monotonic() > end:
                self.left_out += 1
                continue
            shadow_answers += self._answers(pair, record)
        return shadow_answers

    def _answers(self, pair: Pair, record: Record) -> Iterable[Record]:
        try:
            return [answer for piece in _pieces(record) if (answer := pair.answer(piece))]
        except Exception as error:  # noqa: BLE001 - whatever a model does, the log goes on
            self._note(pair.challenger.name, f"version {pair.challenger.version} fails on a row: {error!r}")
            return []

    def _pair(self, model: str) -> Pair | None:
        registry = self._connect(model)
        production, challenger = registry.production(), registry.challenger()
        if production is None or challenger is None or production.version == challenger.version:
            return None
        if challenger.sha256 in self._refused:
            return None
        before = self._pairs.get(model)
        if before and (before.production, before.challenger) == (production, challenger):
            return before
        columns = Schema.from_json(bundles.read_json(self._bundle(production, registry) / SCHEMA.name))
        if self.hashed and any(kind in HASHED for kind in columns.kinds.values()):
            raise ArtifactError("the log holds hashes, which no model can answer", "set LOCKSTEP_LOG_ROWS=plain")
        return Pair(production, columns, challenger, self._load(challenger, registry))

    def _load(self, version: Version, registry: RegistryClient) -> Predictor:
        try:
            predictor = compiled_cache.load(self._bundle(version, registry), version.sha256, self.folder)
        except ArtifactError:
            self._refused.add(version.sha256)
            raise
        log.info("%s version %s answers in the shadow", version.name, version.version)
        return predictor

    def _bundle(self, version: Version, registry: RegistryClient) -> Path:
        """Return a folder with a version's files: the workers' own, or one fetched for this."""
        for folder in (self._models / version.sha256, self.folder / version.sha256):
            if folder.is_dir():
                return folder
        return registry.download(version, self.folder / version.sha256)

    def _forget(self) -> None:
        """Remove what was fetched for challengers of before."""
        needed = {version.sha256 for pair in self._pairs.values() for version in (pair.production, pair.challenger)}
        for folder in self.folder.glob("?" * 64):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _note(self, model: str, fault: str) -> None:
        if self._faults.get(model) != fault:
            log.warning("the challenger of %s cannot answer in the shadow: %s", model, fault)
        self._faults[model] = fault


def _pieces(record: Record) -> Iterable[Answer]:
    """Divide the rows of a large request."""
    if not isinstance(record, Answer) or record.rows is None:
        return
    for start in range(0, len(record.rows), PIECE):
        rows = slice(start, start + PIECE)
        yield msgspec.structs.replace(
            record, ids=record.ids[rows], rows=record.rows[rows], values=record.values[rows], shares=None
        )


def from_settings(settings: Settings, state: Path) -> Shadow | None:
    """Return what answers in the shadow, if the settings leave the challenger there and rows are logged."""
    if settings.challenger_share or settings.log_rows in ("none", "off"):
        return None
    connect = partial(remote.connect, settings)
    return Shadow(state, model_names(settings), connect, settings.log_rows == "hashed")

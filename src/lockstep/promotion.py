"""Decide whether a version may go live, and move it there, on the record."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from lockstep import gates, paths, provenance, tracking
from lockstep.config import Settings
from lockstep.data import cleaning, tables
from lockstep.errors import DataError, GateRefused, RegistryError
from lockstep.events import Event
from lockstep.gates import Check, Decision
from lockstep.modeling import metrics
from lockstep.modeling.metrics import Scored
from lockstep.modeling.predictor import Predictor
from lockstep.registration import register
from lockstep.registry import CHALLENGER, Registry, Version
from lockstep.sections import Params


@dataclass(frozen=True)
class Wish:
    """Which version is to go where (without a number, the model in models/), whatever the gate says or not, and why."""

    number: str | None = None
    to: str = "production"
    force: bool = False
    reason: str = ""


def promote(params: Params, settings: Settings, wish: Wish) -> Event:
    """Make a version Production (or challenger) if the gate lets it.

    Raises
    ------
    GateRefused
        The gate said no; the refusal and its reasons are on the record.
    """
    name = params.register_model.model_name
    version = None if wish.number else register(params.register_model, settings)
    registry = Registry(tracking.connect(settings), name)
    version = version or registry.get(str(wish.number))
    champion = registry.production()
    event = _event(version, settings, wish.reason)
    if wish.to == "production" and champion and champion.version == version.version:
        return replace(event, version=version.version, previous=version.version)
    decision = decide(registry, version, champion, params)
    if not decision.passed and not wish.force:
        registry.record_refusal(version.version, replace(event, reason="; ".join(decision.refusals)))
        raise GateRefused(
            f"{name} version {version.version} is refused: {'; '.join(decision.refusals)}",
            "improve it, change model_evaluation.floors, or `lockstep promote --force --reason WHY`",
        )
    if not decision.passed:
        event = replace(event, forced=True, reason=f"{wish.reason} (forced against: {'; '.join(decision.refusals)})")
    if wish.to == CHALLENGER:
        registry.set_alias(CHALLENGER, version.version)
        return replace(event, version=version.version)
    return registry.promote(version.version, event)


def promote_challenger(params: Params, settings: Settings, wish: Wish) -> Event:
    """Promote the version that is tried beside Production through the gate, and end its trial.

    Raises
    ------
    RegistryError
        None is tried.
    GateRefused
        The gate said no; it stays the challenger.
    """
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    version = registry.challenger()
    if version is None:
        raise RegistryError(f"{registry.name} has no challenger", "`lockstep promote --to challenger` starts a trial")
    tried = replace(wish, number=version.version, reason=wish.reason or "it was the challenger")
    event = promote(params, settings, tried)
    registry.clear_alias(CHALLENGER)
    return event


def decide(registry: Registry, version: Version, champion: Version | None, params: Params) -> Decision:
    """Ask the gate: what the evaluation found, and how the version stands beside the champion on the same rows."""
    recorded = version.tags.get("gate_reasons") or "the evaluation refused it"
    checks = [Check("evaluation", version.tags.get("gate") == "passed", recorded)]
    if champion:
        checks += _beside_champion(registry, version, champion, params)
    return Decision(tuple(checks))


def _beside_champion(registry: Registry, version: Version, champion: Version, params: Params) -> list[Check]:
    with tempfile.TemporaryDirectory() as folder:
        own, other = (
            Predictor.load(registry.download(each, Path(folder, each.version)), each.sha256)
            for each in (version, champion)
        )
    clients = gates.same_clients(own.schema, other.schema)
    if not clients.passed:
        return [clients]
    metric = metrics.primary(params.model_building.metric, own.schema.task)
    evaluation = params.model_evaluation
    mine, theirs = score(own), score(other)
    return [clients, gates.not_worse(mine, theirs, metric, evaluation.resamples, evaluation.seed)]


def score(predictor: Predictor) -> Scored:
    """Score the pipeline's test rows.

    Raises
    ------
    DataError
        The test rows are not here, or are those of another data set.
    """
    test = tables.read(paths.TEST)
    needed = {*predictor.schema.kinds, predictor.schema.target}
    if missing := sorted(needed - set(test.columns)):
        raise DataError(
            f"{paths.TEST} has no column {missing[0]!r}: it belongs to another data set",
            "run `dvc repro` with this model's params.yaml first",
        )
    return predictor.score(cleaning.with_kinds(test, predictor.schema.kinds))


def rollback(params: Params, settings: Settings, reason: str) -> Event:
    """Restore the version that was Production before the present one."""
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    return registry.rollback(Event(actor=settings.actor, reason=reason))


def _event(version: Version, settings: Settings, reason: str) -> Event:
    known = version.tags
    return Event(
        actor=settings.actor,
        reason=reason,
        git_commit=known.get("git_commit", ""),
        dvc_lock=known.get("dvc_lock", provenance.lock_digest()),
        data_digest=known.get("data_sha256", ""),
    )

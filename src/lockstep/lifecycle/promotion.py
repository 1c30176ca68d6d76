"""Decide whether a version may go live, and move it there, on the record."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lockstep import decision as decisions
from lockstep import files, paths
from lockstep.config.params import Params
from lockstep.config.settings import Settings
from lockstep.decision import DECISION_TAG, FORCED_TAG, Check, Decision, Forced, GateRefused
from lockstep.errors import RegistryError, StoreError
from lockstep.inference import predictor
from lockstep.lifecycle.evidence import gate_decision
from lockstep.lifecycle.registration import register, restore_files
from lockstep.monitoring import live
from lockstep.registry import history, provenance, tracking
from lockstep.registry.history import Event
from lockstep.registry.model_registry import CHALLENGER, PRODUCTION, Registry, Version


@dataclass(frozen=True)
class PromotionRequest:
    """Request to promote a version (without a number, the model in models/), with or against the gate, and the reason.

    `again`: a person named this very version, so that with a reason it may come back after a rollback.
    """

    number: str | None = None
    to: str = PRODUCTION
    force: bool = False
    reason: str = ""
    again: bool = False


@dataclass(frozen=True)
class PromotionCase:
    """A promotion: the version, the champion, the event to record, and the request."""

    registry: Registry
    version: Version
    champion: Version | None
    event: Event
    request: PromotionRequest

    @property
    def is_live(self) -> bool:
        """Return whether the version is Production already, so that there is nothing to do."""
        return (
            self.request.to == PRODUCTION
            and self.champion is not None
            and self.champion.version == self.version.version
        )

    def rolled_back(self) -> str:
        """Return who took this version out of Production and why; empty if nobody did, or it is requested again."""
        if self.request.to != PRODUCTION or (self.request.again and self.request.reason):
            return ""
        event = history.rolled_back(self.registry.history(), self.version.version)
        if event is None:
            return ""
        why = event.reason or "no reason given"
        return f"version {self.version.version} was rolled back on {event.at[:10]} by {event.actor or 'unknown'}: {why}"


def open_case(params: Params, settings: Settings, request: PromotionRequest) -> PromotionCase:
    """Find the version that a request is about, registered now if it is the model in models/, and its champion.

    Raises RegistryError: there is no such version, or its files are gone.
    """
    version = None if request.number else register(params.register_model, settings)
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    if version is None:
        version = registry.get(str(request.number))
        restore_files(registry, version)
    return PromotionCase(registry, version, registry.production(), _event(version, settings, request.reason), request)


def promote(params: Params, settings: Settings, request: PromotionRequest, verdict: Check | None = None) -> Event:
    """Make a version Production (or challenger) if the gate, and a check of it on live traffic, let it.

    A version that was rolled back stays out: the event says `refused` and why, and Production stays as it is. Where it
    is Production already, the event's `version` is its `previous`.

    Raises GateRefused: the gate refused; the refusal and its reasons are recorded.
    """
    case = open_case(params, settings, request)
    if case.is_live:
        return replace(case.event, version=case.version.version, previous=case.version.version)
    if (away := case.rolled_back()) and not request.force:
        return _left_out(case, away)
    decision = gate_decision(case.registry, case.version, case.champion, params, away)
    return enact(case, decision.also(verdict) if verdict else decision)


def decide(params: Params, settings: Settings, request: PromotionRequest) -> tuple[PromotionCase, Decision]:
    """Let the gate decide and move nothing; a model that is not registered yet is registered."""
    case = open_case(params, settings, request)
    champion = None if case.is_live else case.champion
    return case, gate_decision(case.registry, case.version, champion, params, case.rolled_back())


def present_decision(params: Params, settings: Settings) -> Decision | None:
    """Return the gate's decision on the model in models/: of now, or the last one if the model is Production already.

    Nothing is registered or moved; None if the model is not registered, or went live before decisions were recorded.
    """
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    version = registry.find(predictor.digest(paths.MODELS))
    if version is None:
        return None
    case = PromotionCase(registry, version, registry.production(), _event(version, settings, ""), PromotionRequest())
    if case.is_live:
        return last_decision(version.sha256) or decisions.gate_record(version.tags).decision
    decision = gate_decision(registry, version, case.champion, params, case.rolled_back())
    write(case, decision)
    return decision


def last_decision(sha256: str) -> Decision | None:
    """Return the decision in reports/decision.json if it is on the model of this digest, else None."""
    try:
        content = files.read_json(paths.DECISION)
    except (FileNotFoundError, ValueError):
        return None
    return decisions.read(content) if isinstance(content, dict) and content.get("sha256") == sha256 else None


def enact(case: PromotionCase, decision: Decision) -> Event:
    """Do what a decision lets be done, and put the decision on the version, into the history and into a file.

    Raises GateRefused: it is a refusal that nobody overrules.
    """
    version, request = case.version, case.request
    event = replace(case.event, decision=decision.to_json())
    forced = bool(decision.refusals) and request.force
    against = "; ".join(decision.refusals)
    if forced:
        event = replace(event, forced=True, reason=f"{request.reason} (forced against: {against})")
    tags = {DECISION_TAG: decisions.tag(decision)}
    if forced and request.to == PRODUCTION:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tags[FORCED_TAG] = Forced(now, event.actor, request.reason, against).to_tag()
    case.registry.tag(version, tags)
    write(case, decision, forced)
    if decision.refusals and not forced:
        case.registry.record_refusal(version.version, replace(event, reason=against))
        raise GateRefused(
            f"{version.name} version {version.version} is refused: {against}",
            "improve it, change model_evaluation, or `lockstep promote --force --reason WHY`; docs/gate.md",
            decision,
        )
    if request.to == CHALLENGER:
        case.registry.set_alias(CHALLENGER, version.version)
        return replace(event, version=version.version)
    return case.registry.promote(version.version, event, case.champion.version if case.champion else "")


def write(case: PromotionCase, decision: Decision, forced: bool = False, to: Path = paths.DECISION) -> None:
    """Write the decision for programs to read; it holds measured times, so it is no output of the pipeline."""
    version = case.version
    content = {"model": version.name, "version": version.version, "sha256": version.sha256, "forced": forced}
    files.write_json(content | {"to": case.request.to, "reason": case.request.reason} | decision.to_json(), to)


def promote_challenger(params: Params, settings: Settings, request: PromotionRequest) -> Event:
    """Promote the challenger through the gate, and end its trial.

    Raises RegistryError: none is tried.
    Raises GateRefused: the gate refused; it stays the challenger.
    """
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    version = registry.challenger()
    if version is None:
        raise RegistryError(f"{registry.name} has no challenger", "`lockstep promote --to challenger` starts a trial")
    reason = request.reason or "it was the challenger"
    verdict = live_verdict(settings, registry.name, version.version)
    event = promote(params, settings, replace(request, number=version.version, reason=reason, again=True), verdict)
    registry.clear_alias(CHALLENGER)
    return event


def live_verdict(settings: Settings, name: str, version: str) -> Check:
    """Check that live labels do not call the challenger worse than Production; it passes where they say nothing yet."""
    check = "not worse on live labels"
    try:
        model = live.look(settings).models.get(name)
    except StoreError as error:
        return Check(check, True, f"not known: {error.problem}")
    challenge = model.challenge if model else None
    if challenge is None or challenge.challenger != version or challenge.difference is None:
        return Check(check, True, "too few labels have come to compare the two")
    difference = challenge.difference
    reason = (
        f"{challenge.metric} is {difference.value:+.4g} against Production on {challenge.labels_challenger} labels, "
        f"95 % between {difference.low:+.4g} and {difference.high:+.4g}: {challenge.verdict}"
    )
    return Check(check, challenge.verdict != "production better", reason)


def rollback(params: Params, settings: Settings, reason: str) -> Event:
    """Restore the version that was Production before the present one."""
    registry = Registry(tracking.connect(settings), params.register_model.model_name)
    return registry.rollback(Event(actor=settings.actor, reason=reason))


def _left_out(case: PromotionCase, away: str) -> Event:
    """Leave Production unchanged, since a person took this version out of it.

    Raises GateRefused: a person named this version, and gave no reason why it should come back.
    """
    if case.request.again:
        number = case.version.version
        raise GateRefused(away, f"`lockstep promote --version {number} --reason WHY` brings it back")
    previous = case.champion.version if case.champion else ""
    return replace(case.event, action="refused", version=case.version.version, previous=previous, reason=away)


def _event(version: Version, settings: Settings, reason: str) -> Event:
    tags = version.tags
    return Event(
        actor=settings.actor,
        reason=reason,
        git_commit=tags.get("git_commit", ""),
        dvc_lock=tags.get("dvc_lock", provenance.lock_digest()),
        data_digest=tags.get("data_sha256", ""),
    )

"""Is the process alive, can it answer predictions, and what is going on."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from flask_app import errors
from flask_app.models import model_service
from flask_app.models.challenger import Challenger
from flask_app.models.model_service import ModelService, Serving
from lockstep.decision import GateRecord

blueprint = Blueprint("health", __name__)

STATUSES = ("ok", "degraded", "unavailable")  # From the best to the worst.


@blueprint.get("/livez")
def live() -> ResponseReturnValue:
    """Answer as long as the process does."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Answer 200 as long as predictions can be answered and should be sent here, else 503."""
    serving = model_service.ready(current_app)
    return {"status": "ready", "model": {"name": serving.name, "version": serving.version}}


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    """Tell people and programs what serves and what is wrong."""
    state = describe()
    return render_template("health.html", state=state) if errors.wants_page() else state


@blueprint.get("/models/info")
def models() -> ResponseReturnValue:
    """List the models that are served here: version, task, columns and state of each."""
    return {"models": {service.name: _describe(service) for service in model_service.all_of(current_app)}}


def describe() -> dict[str, Any]:
    """Return the state of the service as JSON: that of the default model, with all of them where there are several."""
    states = {service.name: _describe(service) for service in model_service.all_of(current_app)}
    default = next(iter(states.values()))
    if len(states) == 1:
        return default
    worst = max((state["status"] for state in states.values()), key=STATUSES.index)
    return default | {"status": worst, "models": states}


def _describe(service: ModelService) -> dict[str, Any]:
    """Return the state of one model."""
    serving, registry = service.serving(), service.registry_state()
    healthy = serving and service.fault is None and registry != "silent"
    return {
        "status": "ok" if healthy else "degraded" if serving else "unavailable",
        "model": _model(serving, service.recorded()) if serving else None,
        "registry": registry,
        "fault": service.fault,
        "challenger": _challenger(service.challenger),
    }


def _challenger(challenger: Challenger) -> dict[str, Any] | None:
    """Return how the version that is tried beside Production is doing, if there is one."""
    serving = challenger.serving()
    if not (challenger.version or challenger.fault):
        return None
    loaded = {"sha256": serving.identity.sha256} if serving else {}
    return {"version": challenger.version, "share": challenger.share, "fault": challenger.fault, **loaded}


def _model(serving: Serving, recorded: GateRecord) -> dict[str, Any]:
    schema = serving.predictor.schema
    scorer = {"scorer": serving.predictor.scorer.kind}
    if serving.predictor.note:
        scorer["scorer_note"] = serving.predictor.note
    return {
        "name": serving.name,
        "version": serving.version,
        "sha256": serving.identity.sha256,
        "task": schema.task,
        "target": schema.target,
        "columns": len(schema.columns),
        **scorer,
        **gated(recorded),
        "loaded_at": serving.loaded_at.isoformat(timespec="seconds"),
        "serving_for_s": max(0, round((datetime.now(UTC) - serving.loaded_at).total_seconds())),
    }


def gated(recorded: GateRecord) -> dict[str, Any]:
    """Return how a version came to answer, as far as its record says: what the gate decided, and how it was forced."""
    promotion: dict[str, Any] = {}
    if recorded.decision:
        promotion["gate"] = {"passed": recorded.decision.passed, "verdict": recorded.decision.verdict}
    if recorded.forced:
        promotion["forced"] = asdict(recorded.forced)
    return promotion

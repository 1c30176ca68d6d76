"""The model card: what answers here, how good it is, and where not to trust it."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from flask_app import errors
from flask_app.models.model_service import Serving
from flask_app.observability import snapshots
from flask_app.views.pages import service_of
from lockstep.data.schema import Column
from lockstep.decision import GateRecord
from lockstep.inference import model_card

blueprint = Blueprint("card", __name__)

MOST_CATEGORIES = 12


@blueprint.get("/model", defaults={"name": ""})
@blueprint.get("/models/<name>/card")
def show(name: str) -> ResponseReturnValue:
    """Tell people and programs what the model in Production is, as a page or as JSON."""
    service = service_of(name)
    serving = service.require()
    content = describe(serving, service.recorded())
    if not errors.wants_page():
        return content
    takes = [(column, _range(column)) for column in serving.predictor.schema.columns]
    error = "Share wrong" if serving.predictor.schema.labels else "Mean error"
    return render_template("card.html", serving=serving, **content, takes=takes, error=error)


def describe(serving: Serving, recorded: GateRecord) -> dict[str, Any]:
    """Return the card of a version with what the registry adds: how it came into Production."""
    card = serving.predictor.card
    forced = asdict(recorded.forced) if recorded.forced else None
    return {
        "model": {"name": serving.name, "version": serving.version, "sha256": serving.identity.sha256},
        "promotion": _promotion(serving),
        "gate": recorded.decision.to_json() if recorded.decision else None,
        "forced": forced,
        "card": card,
        "limits": model_card.limits(card, serving.predictor.schema) if card else [],
    }


def _promotion(serving: Serving) -> dict[str, Any] | None:
    """Return who brought the version into Production, as the recorder last saw it."""
    snapshot = snapshots.from_app(current_app).read().snapshot
    state = snapshot.models.get(serving.name) if snapshot else None
    info = state.production if state else None
    if info is None or info.version != serving.version:
        return None
    return {"since": info.since, "actor": info.actor, "reason": info.reason}


def _range(column: Column) -> str:
    """Return what training has seen of a column, in words."""
    if column.kind == "numeric":
        return f"{column.minimum:.6g} to {column.maximum:.6g}" if column.minimum is not None else ""
    if column.kind == "categorical":
        more = len(column.categories) - MOST_CATEGORIES
        return ", ".join(column.categories[:MOST_CATEGORIES]) + (f" and {more} more" if more > 0 else "")
    return ""

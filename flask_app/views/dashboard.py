"""The monitoring page: what the recorder last saw of a model, for people."""

import hashlib
import time

from flask import Blueprint, Response, current_app, g, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from flask_app.models import model_service
from flask_app.observability import refusals, telemetry
from flask_app.observability import snapshots as dashboard
from flask_app.observability.snapshots import SnapshotState
from lockstep.html import formatting, templates
from lockstep.pages import monitoring

blueprint = Blueprint("dashboard", __name__)

MOST_DIGITS = 7


@blueprint.get("/dashboard")
def show() -> ResponseReturnValue:
    """Show traffic, quality, drift, alerts, versions and the loop of one model, as last looked at."""
    snapshots = dashboard.from_app(current_app)
    state = snapshots.read()
    names = _names(state)
    name = request.args.get("model") or names[0]
    if name not in names:
        raise NotFound("No model of this name is served or logged here.")
    late = snapshots.is_late(state)
    in_flight, outcomes = telemetry.from_app(current_app).summary(name)
    in_flight -= "limiter" in g  # this request
    tag = _tag(state, late, refusals.current().mark(), in_flight, outcomes)
    if request.if_none_match.contains_weak(tag):
        return Response(status=304, headers={"ETag": f'"{tag}"'})
    age = formatting.duration(state.age_s())
    page = render_template(
        "dashboard.html",
        name=name,
        names=names,
        state=state,
        late=age if late else "",
        every_s=snapshots.every_s,
        moment=formatting.moment,
        machine=formatting.machine,
        sections=_sections(state, name),
        in_flight=in_flight,
        outcomes=outcomes,
        refused=refusals.current().recent(name, time.time()),
    )
    response = current_app.make_response(page)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "no-cache, private"
    return response


@blueprint.get("/dashboard/style.css")
def style() -> ResponseReturnValue:
    """Answer the style of the monitoring page, which the report in one file shares."""
    response = Response(templates.style("monitoring.css"), mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache, private"
    response.add_etag()
    return response.make_conditional(request)


def _names(state: SnapshotState) -> list[str]:
    """Return the models that are served here, then the others that the figures know."""
    served = [service.name for service in model_service.all_of(current_app)]
    monitored = sorted(state.snapshot.models) if state.snapshot else []
    return [*served, *(name for name in monitored if name not in served)]


def _sections(state: SnapshotState, name: str) -> Markup | None:
    if state.snapshot is None or name not in state.snapshot.models:
        return None
    span = request.args.get("span", "")
    bucket_s = int(span) if span.isascii() and span.isdigit() and len(span) <= MOST_DIGITS else None
    return monitoring.fragment(state.snapshot, name, bucket_s, links=True)


def _tag(state: SnapshotState, late: bool, *counted: object) -> str:
    """Name the state of the page, so that a browser that has it need not be sent it again."""
    minutes = int(state.age_s() // 60) if late else -1
    return hashlib.blake2b(
        repr((state.mark, state.fault, minutes, counted, request.query_string)).encode(), digest_size=12
    ).hexdigest()

"""Predictions: JSON for programs; a form goes to the view for people."""

import json
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    BadRequest,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from flask_app import answering, model_service
from flask_app.errors import shown
from flask_app.model_service import Serving
from flask_app.views import pages
from flask_app.views.checks import check_transfer, refuse_floods
from lockstep.errors import nearest

blueprint = Blueprint("predict", __name__)

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
KEYS = ("rows", "version")
MAX_ROWS = 10_000
MAX_UNKNOWN = 100


@blueprint.post("/predict")
def predict() -> ResponseReturnValue:
    """Answer a form with a page and JSON with JSON."""
    if request.mimetype in FORMS:
        return pages.answer_form(model_service.of(current_app).require())
    return _answer_json(model_service.of(current_app).require())


@blueprint.post("/models/<name>/predict")
def predict_with(name: str) -> ResponseReturnValue:
    """Answer like /predict, with the model of this name."""
    serving = model_service.named(current_app, name).require()
    return pages.answer_form(serving) if request.mimetype in FORMS else _answer_json(serving)


def _answer_json(serving: Serving) -> ResponseReturnValue:
    rows = serving.predictor.schema.check(_rows(_body(), serving))
    answered = answering.answer(serving, rows, request.headers.get("Idempotency-Key", ""))
    return Response(answered.to_json(), mimetype=JSON)


def _body() -> Any:
    """Return the JSON of the request, which must be strict: no NaN, no key twice, UTF-8."""
    check_transfer()
    if request.mimetype != JSON or request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"Send {JSON} in UTF-8, or a form.")
    try:
        return json.loads(request.get_data().decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not strict JSON: one UTF-8 document, no key twice, no NaN or Infinity.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content


def _rows(body: Any, serving: Serving) -> list[Any]:
    """Return the rows of a request's body after a look at everything around them."""
    if not isinstance(body, dict):
        raise UnprocessableEntity('The body must be an object such as {"rows": [{...}]}.')
    for key in map(shown, body.keys() - set(KEYS)):
        raise UnprocessableEntity(f"Unknown key {key!r}{nearest(key, KEYS)}; accepted: {', '.join(KEYS)}.")
    rows = body.get("rows")
    if not isinstance(rows, list) or not rows:
        raise UnprocessableEntity('"rows" must be a list of at least one row.')
    if len(rows) > MAX_ROWS:
        raise RequestEntityTooLarge(f"At most {MAX_ROWS} rows a request.")
    if "version" in body and body["version"] != serving.version:
        raise UnprocessableEntity(f'"version" must be the text "{serving.version}", the one version served here.')
    refuse_floods(rows, serving)
    return rows

"""Predictions: the form and its answer for people, JSON for programs, from one and the same predictor."""

import json
import uuid
from itertools import islice
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    BadRequest,
    NotFound,
    RequestEntityTooLarge,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from flask_app import form, model_service, telemetry
from flask_app.errors import listing, shown
from flask_app.model_service import Serving
from lockstep.data.schema import Fault, RowsRefused
from lockstep.errors import nearest
from lockstep.modeling.predictor import label_name

blueprint = Blueprint("predict", __name__)

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
KEYS = ("rows", "version")
MAX_ROWS = 10_000
MAX_UNKNOWN = 100
BARS = 10


@blueprint.get("/")
def show_form() -> ResponseReturnValue:
    """Show the form of the model that serves, filled with its examples."""
    serving = model_service.of(current_app).require()
    return render_template("form.html", serving=serving, fields=form.fields(serving.predictor.schema))


@blueprint.post("/predict")
def predict() -> ResponseReturnValue:
    """Answer a form with a page and JSON with JSON."""
    if request.mimetype in FORMS:
        return _answer_form(model_service.of(current_app).require())
    return _answer_json(model_service.of(current_app).require())


@blueprint.post("/models/<name>/predict")
def predict_with(name: str) -> ResponseReturnValue:
    """Answer like /predict, if the named model is the one that serves."""
    serving = model_service.of(current_app).require()
    if name != serving.name:
        raise NotFound("No model of this name is served here.")
    return _answer_form(serving) if request.mimetype in FORMS else _answer_json(serving)


def _answer_json(serving: Serving) -> ResponseReturnValue:
    rows = _rows(_body(), serving)
    return {"model": {"name": serving.name, "version": serving.version}, "predictions": _answers(serving, rows)}


def _answers(serving: Serving, rows: list[Any]) -> list[dict[str, Any]]:
    """Return the answers, each under a name of its own."""
    answers = serving.predictor.answers(rows)
    telemetry.of(current_app).count_predictions(serving, answers)
    return [{"id": uuid.uuid4().hex, **answer} for answer in answers]


def _body() -> Any:
    """Return the JSON of the request, which must be strict: no NaN, no key twice, UTF-8."""
    _check_transfer()
    if request.mimetype != JSON or request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"Send {JSON} in UTF-8, or a form.")
    try:
        return json.loads(request.get_data().decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not strict JSON: one UTF-8 document, no key twice, no NaN or Infinity.") from None


def _check_transfer() -> None:
    """Refuse a body that is compressed, and one of untold length that reaches the limit, where it is cut off."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    if request.content_length is None and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge


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
    _refuse_floods(rows, serving)
    return rows


def _refuse_floods(rows: list[Any], serving: Serving) -> None:
    """Refuse rows with very many unknown columns, before time is spent on finding what each may have meant."""
    known = serving.predictor.schema.kinds.keys()
    unknown: list[Fault] = []
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            names = islice(row.keys() - known, MAX_UNKNOWN + 1)
            unknown += [Fault(number, name, "unknown column") for name in names]
        if len(unknown) > MAX_UNKNOWN:
            raise RowsRefused(unknown)


def _answer_form(serving: Serving) -> ResponseReturnValue:
    """Answer what was typed on the same page, or say beside each control what is wrong."""
    _check_transfer()
    if request.files:
        raise UnsupportedMediaType("This form takes no files.")
    schema = serving.predictor.schema
    typed = form.submitted(request.form, schema)
    try:
        row = form.parse(request.form, schema)
        _refuse_floods([row], serving)
        (answer,) = _answers(serving, [row])
    except RowsRefused as refused:
        fields = form.fields(schema, typed, refused.faults)
        others = listing(form.leftover(schema, refused.faults))
        return render_template("form.html", serving=serving, fields=fields, others=others), 422
    fields = form.fields(schema, typed)
    return render_template("form.html", serving=serving, fields=fields, result=_result(answer, serving))


def _result(answer: dict[str, Any], serving: Serving) -> dict[str, Any]:
    """Return an answer as the page shows it: the label large, the likeliest labels first."""
    bars = sorted(answer.get("probabilities", {}).items(), key=lambda bar: -bar[1])
    label = label_name(answer["prediction"]) if bars else json.dumps(answer["prediction"])
    return {"id": answer["id"], "label": label, "bars": bars[:BARS], "more_bars": bars[BARS:]}

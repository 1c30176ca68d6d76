"""What each route takes and answers; one that is not named here is described by its view's docstring alone."""

from collections.abc import Callable

import msgspec

from flask_app.forms import csv_upload
from flask_app.openapi import json_schema
from flask_app.openapi.component_schemas import ID, TEXT, ServedModel
from flask_app.openapi.json_schema import Json, closed
from flask_app.prediction import feedback
from lockstep.drift.results import Job

PROBLEMS = {
    "400": "The request is not what HTTP or JSON allow.",
    "401": "A key is needed, or it is not known.",
    "403": "This is not allowed.",
    "404": "There is nothing at this address.",
    "409": "What is asked for does not fit the present state.",
    "413": "The body is too large, or holds too many rows.",
    "415": "The body is of another media type.",
    "422": "The request is well written, but does not fit: each wrong column is named.",
    "429": "Too many requests; Retry-After says when to come back.",
    "501": "What is asked for needs a package that is not installed here.",
    "503": "No model is loaded, or there is no room; Retry-After says when to come back.",
}
TRUE: Json = {"const": True}
OBJECT: Json = {"type": "object"}
WORDS: Json = {"type": "string", "minLength": 1, "maxLength": 500, "pattern": r"\S"}
JOB: Json = msgspec.json.schema_components([Job])[1]["Job"]
DEFAULT = "Any other fault."
ASKING = ("400", "413", "415", "422", "429", "503")


def _header(name: str, about: str) -> Json:
    return {"name": name, "in": "header", "description": about, "schema": TEXT}


KEY = _header("Idempotency-Key", "The same request sent again with the same key gets predictions with the same ids.")
STICKY = _header(
    "X-Sticky-Key",
    "Requests with the same key are answered by the same version while another is tried on a share.",
)


def problem(about: str) -> Json:
    """Describe an answer that says what is wrong."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": about, "content": content | {"text/html": {"schema": TEXT}}}


def answer(schema: Json, media: str = "application/json", about: str = "The answer.") -> Json:
    """Describe a good answer."""
    return {"description": about, "content": {media: {"schema": schema}}}


def asking(model: ServedModel, request: str, answer_schema: str) -> Json:
    """Describe a request for predictions."""
    return {
        "parameters": [KEY, STICKY],
        "requestBody": {"required": True, "content": {"application/json": {"schema": model.ref(request)}}},
        "responses": {"200": answer(model.ref(answer_schema)), **refusals(*ASKING)},
    }


def reading(schema: Json, *statuses: str, media: str = "application/json") -> Json:
    """Describe a page or a document."""
    return {"responses": {"200": answer(schema, media), **refusals(*statuses)}}


def _state_or_page(keys: list[str], *statuses: str) -> Json:
    """Describe a state that programs get as JSON, and browsers as a page."""
    described = reading({"type": "object", "required": keys}, *statuses)
    described["responses"]["200"]["content"]["text/html"] = {"schema": TEXT}
    return described


def refusals(*statuses: str) -> Json:
    """Refer to the descriptions of what is answered to faults."""
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _invoke(model: ServedModel) -> Json:
    described = asking(model, "InvocationsRequest", "InvocationsAnswer")
    described["requestBody"]["content"]["text/csv"] = {"schema": _csv(model)}
    return described


def _predict(model: ServedModel) -> Json:
    described = asking(model, "PredictRequest", "PredictAnswer")
    described["responses"] |= refusals("501")
    return described


def _infer(model: ServedModel) -> Json:
    described = asking(model, "InferRequest", "InferAnswer")
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    described["responses"]["200"]["content"] |= binary
    return described


def _csv(model: ServedModel) -> Json:
    """Describe a table by a good one, since no schema says what all of them are."""
    about = (
        "CSV in UTF-8 under a header that names every column once, in any order; here with the example as its one row."
    )
    return {"type": "string", "enum": [csv_upload.template(model.schema)], "description": about}


def _upload(file: Json) -> Json:
    """Describe a form with a file."""
    schema = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    return {"multipart/form-data": {"schema": schema}}


def _table(model: ServedModel) -> Json:
    return {
        "requestBody": {"required": True, "content": _upload(_csv(model) | {"format": "binary"})},
        "responses": {"200": answer(TEXT, "text/csv", "The same file, predictions added."), **refusals(*ASKING)},
    }


def _move(model: ServedModel, properties: Json, *statuses: str) -> Json:
    """Describe an order to those who run the service."""
    names = {"type": "string", "enum": ["", model.name], "description": "Which model; left empty, all or the first."}
    schema = closed(properties, {"model": names})
    return {
        "requestBody": {"required": bool(properties), "content": {"application/json": {"schema": schema}}},
        "responses": {"200": answer(OBJECT), **refusals("400", "415", "422", *statuses)},
    }


def _rollback(model: ServedModel) -> Json:
    described = _move(model, {"reason": WORDS}, "409", "503")
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    schema["properties"]["actor"] = WORDS
    return described


def _predictions(model: ServedModel) -> Json:
    """Describe the pages of the prediction log."""
    moment = {"type": "string", "format": "date-time"}
    parameters: dict[str, Json] = {
        "model": TEXT,
        "version": TEXT,
        "variant": {"type": "string", "enum": ["", "production", "challenger", "shadow", "pinned"]},
        "since": moment,
        "until": moment,
        "labelled": {"type": "boolean"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        "cursor": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$", "description": "`next` of the answer before."},
    }
    described = _state("predictions", {"type": "array", "items": OBJECT}, "422", "503")(model)
    return described | {
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in parameters.items()]
    }


def _feedback(model: ServedModel) -> Json:
    said = {
        "id": ID | {"minLength": 1, "maxLength": feedback.LONGEST_ID},
        "label": json_schema.prediction(model.schema),
    }
    example = {"id": "0123456789abcdef0123456789abcdef", "label": (*model.schema.labels, 1.5)[0]}
    worth: Json = {"value": {"type": "number", "description": "What the outcome was worth, in a unit of yours."}}
    body = {"application/json": {"schema": closed(said, worth) | {"examples": [example]}}}
    outcome = closed(said | {"status": {"enum": ["new", "changed", "unchanged", "waiting"]}}, worth)
    return _labelling(body, outcome, "404")


def _labels(model: ServedModel) -> Json:
    about = "CSV in UTF-8: a line for each label; here without one, as no ids are known beforehand."
    file = {
        "type": "string",
        "format": "binary",
        "enum": [csv_upload.spelled([feedback.COLUMNS])],
        "description": about,
    }
    number: Json = {"type": "integer", "minimum": 0}
    counts = closed({"new": number, "changed": number, "unchanged": number}, {"waiting": number})
    return _labelling(_upload(file), counts)


def _labelling(content: Json, outcome: Json, *statuses: str) -> Json:
    """Describe a request that brings labels: 202 where they wait for the database."""
    answers = {
        "200": answer(outcome),
        "202": answer(outcome, about="Written down; the database is away, and it waits."),
    }
    parameters = [KEY | {"description": "The same label sent again with the same key is stored once."}]
    refused = refusals(*ASKING, "409", *statuses)
    return {
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": answers | refused,
    }


def _retrain(model: ServedModel) -> Json:
    """Describe a request that names a reason, a model, or both."""
    described = _move(model, {}, "404", "409", "503")
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    schema["properties"] |= {"reason": WORDS}
    schema["anyOf"] = [{"required": ["reason"]}, {"required": ["model"], "properties": {"model": {"minLength": 1}}}]
    described["requestBody"]["required"] = True
    described["responses"] = {"202": answer(JOB, about="The job.")} | described["responses"]
    del described["responses"]["200"]
    return described


def _state(key: str, value: Json, *statuses: str) -> Callable[[ServedModel], Json]:
    schema = {"type": "object", "required": [key], "properties": {key: value}}
    return lambda model: reading(schema, *statuses)


def _page(*statuses: str) -> Callable[[ServedModel], Json]:
    return lambda model: reading(TEXT, *statuses, media="text/html")


DESCRIBED: dict[str, Callable[[ServedModel], Json]] = {
    "predict.predict": _predict,
    "predict.predict_with": _predict,
    "predict.predict_by_name": _predict,
    "files.predict_file": _table,
    "files.template": lambda model: reading(TEXT, "503", media="text/csv"),
    "feedback.take": _feedback,
    "feedback.take_file": _labels,
    "capstone.infer": lambda model: asking(model, "InferenceRequest", "InferenceAnswer"),
    "invocations.invoke": _invoke,
    "invocations.ping": _state("status", {"const": "ready"}, "503"),
    "invocations.mlflow_version": lambda model: reading(TEXT, media="text/plain"),
    "open_inference.infer": _infer,
    "open_inference.describe": _state("inputs", {"type": "array", "items": {}}, "503"),
    "open_inference.model_ready": _state("ready", TRUE, "503"),
    "open_inference.server": _state("name", TEXT),
    "open_inference.live": _state("live", TRUE),
    "open_inference.ready": _state("ready", TRUE, "503"),
    "health.live": _state("status", {"const": "alive"}),
    "health.ready": _state("status", {"const": "ready"}, "503"),
    "health.health": lambda model: _state_or_page(["status"]),
    "health.models": _state("models", OBJECT),
    "prometheus_metrics": lambda model: reading(TEXT, media="text/plain"),
    "metrics_alias": lambda model: reading(TEXT, media="text/plain"),
    "pages.show_form": _page("503"),
    "card.show": lambda model: _state_or_page(["model", "card", "limits"], "404", "503"),
    "dashboard.show": _page("404"),
    "feedback.show": _page(),
    "docs.page": _page("503"),
    "docs.openapi": lambda model: reading(OBJECT, "503"),
    "predictions.show": _predictions,
    "predictions.recent": _predictions,
    "admin.reload": lambda model: _move(model, {}),
    "admin.rollback": _rollback,
    "retrain.start": _retrain,
    "retrain.follow": lambda model: reading(JOB, "503"),
}
"""In the order in which they are shown."""

SUMMARIES = dict.fromkeys(("prometheus_metrics", "metrics_alias"), "Show the counts and times, for Prometheus")

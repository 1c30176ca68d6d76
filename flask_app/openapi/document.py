"""The document, from the routes of the app and the models that serve, made once for each set of versions."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, has_request_context, request
from werkzeug.routing import Rule

from flask_app.admission import authentication, guard
from flask_app.models import model_service
from flask_app.openapi.json_schema import Json
from flask_app.openapi.served_model import ServedModel, specification

HIDDEN = ("static", "dashboard.style")  # Endpoints that are no part of the API.
MOST_DOCUMENTS = 4  # Documents that stay: one for each URL prefix, as a trusted proxy names it.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NAME = "<name>"
ARGUMENT = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")


@dataclass(frozen=True)
class Document:
    """A description of the API, as JSON and for the page that shows it."""

    content: Json
    text: bytes
    etag: str


def from_app(app: Flask) -> Document:
    """Return the description of an app as it serves now. Raises NoModel: there is no model to describe."""
    model_service.default(app).require()
    serving = [loaded for service in model_service.all_of(app) if (loaded := service.serving())]
    documents: dict[Any, Document] = app.extensions.setdefault("openapi", {})
    root = request.script_root if has_request_context() else ""
    key = (root, *(model.identity for model in serving))
    document = documents.get(key)
    if document is None:
        most = app.config["MAX_ROWS"]
        models = [
            ServedModel(
                model.name, model.version, model.predictor.schema, most, f"-{model.name}" if model_index else ""
            )
            for model_index, model in enumerate(serving)
        ]
        document = _built(app, models, root)
        if len(documents) >= MOST_DOCUMENTS:
            documents.clear()
        documents[key] = document
    return document


def _built(app: Flask, models: list[ServedModel], root: str) -> Document:
    content = describe(app, models, root)
    text = app.json.dumps(content).encode()
    return Document(content, text, hashlib.blake2b(text, digest_size=16).hexdigest())


def describe(app: Flask, models: list[ServedModel], root: str = "") -> Json:
    """Describe the routes of an app and its models; the first is the default."""
    first = models[0]
    paths: dict[str, Json] = {}
    for rule in _ordered(app.url_map.iter_rules()):
        for path, operations in _path(app, rule, models):
            paths.setdefault(path, {}).update(operations)
    spec = specification()
    schemas = {name: part for model in models for name, part in model.schemas().items()}
    schemes = {name: scheme for need in _needs(app) for name, scheme in spec["security"][need]["schemes"].items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Lockstep: {first.name}", "version": first.version, "description": _about(models)},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": spec["problem_schema"], **schemas},
            "responses": {status: _problem(about) for status, about in spec["problems"].items()},
            "securitySchemes": schemes,
        },
    }


def _about(models: list[ServedModel]) -> str:
    sentences = [
        f"{model.name} version {model.version} predicts {model.schema.target} from {len(model.schema.columns)} "
        f"column{'s' if len(model.schema.columns) > 1 else ''}."
        for model in models
    ]
    return " ".join([*sentences, "Faults are answered as problem details; nothing that is sent is silently converted."])


def _ordered(rules: Iterable[Rule]) -> list[Rule]:
    """Put what is named in the table first and in its order."""
    ranks = {endpoint: rank for rank, endpoint in enumerate(specification()["operations"])}
    shown = [rule for rule in rules if rule.endpoint not in HIDDEN]
    return sorted(shown, key=lambda rule: (ranks.get(rule.endpoint, len(ranks)), len(rule.rule), rule.rule))


def _path(app: Flask, rule: Rule, models: list[ServedModel]) -> Iterator[tuple[str, Json]]:
    """Yield a route's addresses, one for each model where its name is part of them."""
    for model in models if NAME in rule.rule else models[:1]:
        path = rule.rule.replace(NAME, model.name)
        path = ARGUMENT.sub(r"{\1}", path)
        operations = {
            method.lower(): _operation(app, rule, method, model) for method in METHODS if method in (rule.methods or ())
        }
        yield path, operations


def _operation(app: Flask, rule: Rule, method: str, model: ServedModel) -> Json:
    spec = specification()
    described = model.fill(spec["operations"].get(rule.endpoint, {"responses": {"2XX": {"description": "Done."}}}))
    blueprint, _, view = rule.endpoint.rpartition(".")
    open_parts = [name for name in ARGUMENT.findall(rule.rule) if name != "name"]
    model_name = [model.name] if NAME in rule.rule else []
    operation = {
        "operationId": "-".join([*filter(None, (blueprint, view)), *open_parts, *model_name]),
        "tags": [spec["tags"].get(blueprint or view, "Other")],
        "summary": (app.view_functions[rule.endpoint].__doc__ or "").strip().partition("\n")[0].rstrip("."),
        **described,
    }
    schemas = {name: model.fill(spec["arguments"].get(name, {"type": "string"})) for name in open_parts}
    arguments = [{"name": name, "in": "path", "required": True, "schema": part} for name, part in schemas.items()]
    if arguments or "parameters" in operation:
        operation["parameters"] = [*arguments, *operation.get("parameters", [])]
    return _guarded(app, rule, operation)


def _guarded(app: Flask, rule: Rule, operation: Json) -> Json:
    """Say what a route needs, and what else may go wrong."""
    need = authentication.need_of(rule.rule)
    statuses = (["404"] if "<" in rule.rule else []) + (["401", "403"] if need == "admin" else [])
    if need in _needs(app):
        operation["security"] = specification()["security"][need]["needs"]
        statuses.append("401")
    statuses += operation.pop("refusals", ())
    responses = operation["responses"] | {status: _response(status) for status in statuses}
    return operation | {"responses": dict(sorted(responses.items())) | {"default": _response("default")}}


def _response(status: str) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _problem(about: str) -> Json:
    """Describe an answer that says what is wrong."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}, "text/html": {"schema": {"type": "string"}}}
    return {"description": about, "content": content}


def _needs(app: Flask) -> list[str]:
    """Return what must be shown to come in, as far as it is set."""
    door = guard.from_app(app).access
    return ["key"] * door.keyed + ["admin"] * door.governed

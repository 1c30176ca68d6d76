"""The description of the API as a page shows it: operations by subject, schemas as rows of a table."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from flask_app.openapi.json_schema import ROW_FORMATS, Json

DEEPEST = 6
MOST_LINES = 60


@dataclass(frozen=True)
class SchemaRow:
    """A property of a schema, how deep it lies, and what is said of it."""

    depth: int
    name: str
    kind: str
    needed: bool
    about: str


@dataclass(frozen=True)
class RowFormat:
    """How a model's rows are spelled, and for objects the columns with their examples."""

    id: str
    name: str
    about: str
    columns: list[tuple[SchemaRow, str]]


@dataclass(frozen=True)
class OperationView:
    """An operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    parameters: list[SchemaRow]
    takes: list[SchemaRow]
    gives: list[SchemaRow]
    media: str
    others: list[str]
    example: str
    curl: str
    statuses: list[tuple[str, str]]
    locked: bool
    variables: list[tuple[str, str]]
    sendable: bool


def groups(document: Json) -> list[tuple[str, list[OperationView]]]:
    """Return the operations in the order of the document, by subject."""
    by_tag: dict[str, list[OperationView]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_shown(document, path, method, operation))
    return list(by_tag.items())


def spellings(document: Json) -> list[RowFormat]:
    """Return how rows are spelled, for each model that serves."""
    schemas = document["components"]["schemas"]
    return [
        RowFormat(
            name.lower(), name, schema["description"], _columns(document, schema) if _plain(name) == "Row" else []
        )
        for name, schema in schemas.items()
        if _plain(name) in ROW_FORMATS
    ]


def _columns(document: Json, row: Json) -> list[tuple[SchemaRow, str]]:
    rows = list(lines(document, row))
    examples = [row["properties"][line.name]["examples"][0] for line in rows]
    return [(line, json.dumps(example, ensure_ascii=False)[:80]) for line, example in zip(rows, examples, strict=True)]


def _plain(name: str) -> str:
    return name.partition("-")[0]


def _shown(document: Json, path: str, method: str, operation: Json) -> OperationView:
    body = operation.get("requestBody", {}).get("content", {})
    schema = resolved(document, body.get("application/json", {}).get("schema", {}))
    media, answer_schema = _answer(document, operation)
    parameters = operation.get("parameters", [])
    example = _example(schema)
    return OperationView(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        parameters=[_parameter(entry) for entry in parameters],
        takes=_few(lines(document, schema)),
        gives=_few(lines(document, answer_schema)),
        media=media,
        others=[other for other in body if other != "application/json"],
        example=example,
        curl=curl(method.upper(), path, example, next(iter(body), "")),
        statuses=[
            (status, resolved(document, entry)["description"]) for status, entry in operation["responses"].items()
        ],
        locked="security" in operation,
        variables=[(entry["name"], _first(entry["schema"])) for entry in parameters if entry["in"] == "path"],
        sendable=not body or "application/json" in body,
    )


def _example(schema: Json) -> str:
    if not schema:
        return ""
    examples = schema.get("examples") or [dict.fromkeys(schema.get("required", ()), "")]
    return json.dumps(examples[0], indent=2, ensure_ascii=False)


def _few(rows: Iterator[SchemaRow]) -> list[SchemaRow]:
    """Return lines once each, and not too many."""
    return list(islice(dict.fromkeys(rows), MOST_LINES))


def _answer(document: Json, operation: Json) -> tuple[str, Json]:
    for status, response in operation["responses"].items():
        content = resolved(document, response).get("content", {})
        if status.startswith("2") and content:
            media = next(iter(content))
            return media, resolved(document, content[media].get("schema", {}))
    return "", {}


def _parameter(parameter: Json) -> SchemaRow:
    about = parameter.get("description") or parameter["schema"].get("description", "")
    return SchemaRow(0, parameter["name"], f"in the {parameter['in']}", parameter.get("required", False), about)


def _first(schema: Json) -> str:
    return str(schema.get("enum", [""])[0])


def resolved(document: Json, schema: Json) -> Json:
    """Follow a reference."""
    while "$ref" in schema:
        node: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def lines(document: Json, schema: Json, depth: int = 0) -> Iterator[SchemaRow]:
    """Yield the properties of a schema from top to bottom; rows are only named."""
    if depth > DEEPEST or named(schema):
        return
    schema = resolved(document, schema)
    for choice in schema.get("anyOf", ()):
        yield from (replace(line, needed=False) for line in lines(document, choice, depth))
    needed = schema.get("required", ())
    for name, property_schema in schema.get("properties", {}).items():
        yield SchemaRow(
            depth, name, kind(document, property_schema), name in needed, _about(resolved(document, property_schema))
        )
        yield from lines(document, property_schema, depth + 1)
    if isinstance(schema.get("items"), dict):
        yield from lines(document, schema["items"], depth)


def named(schema: Json) -> str:
    """Return the name of a spelling of rows that a schema refers to, else nothing."""
    name: str = schema.get("$ref", "").rpartition("/")[2]
    return name if _plain(name) in ROW_FORMATS else ""


def kind(document: Json, schema: Json) -> str:
    """Say in words what values a schema takes."""
    if named(schema):
        return named(schema)
    schema = resolved(document, schema)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(document, choice) for choice in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}"
    if isinstance(schema.get("items"), dict):
        return f"list of {kind(document, schema['items'])}"
    types = schema.get("type", "any")
    return " or ".join(types) if isinstance(types, list) else str(types)


def _about(schema: Json) -> str:
    about = [schema["description"]] if "description" in schema else []
    if "enum" in schema:
        about.append(f"One of {', '.join(json.dumps(value, ensure_ascii=False) for value in schema['enum'][:30])}.")
    return " ".join(about)


def curl(method: str, path: str, example: str, media: str) -> str:
    """Return a line for a shell that sends an example to an address, which stands as $URL."""
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    if example:
        content = json.dumps(json.loads(example), ensure_ascii=False)
        words += ["-H", shlex.quote("Content-Type: application/json"), "-d", shlex.quote(content)]
    elif media == "multipart/form-data":
        words += ["-F", "file=@rows.csv"]
    return " ".join([*words, f'"$URL{path}"'])

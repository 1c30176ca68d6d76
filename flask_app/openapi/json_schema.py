"""What a model takes and gives, as JSON Schema that refuses what the app refuses."""

from collections.abc import Callable
from typing import Any

from flask_app.protocols import open_inference
from lockstep.config.params import Kind
from lockstep.data.schema import Column, Schema, is_boolean, label_name

Json = dict[str, Any]

DAY = (
    r"(?!0000)[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{3}|\.[0-9]{6})?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?"
# The days of every year, and the hours of a day; the app also takes the shorter spellings of ISO 8601.
DATE = f"^{DAY}(T{TIME})?$"
TYPES: dict[Kind, Json] = {
    "numeric": {"type": "number"},
    "categorical": {"type": "string"},
    "text": {"type": "string"},
    "date": {"type": "string", "pattern": DATE},
}
ALL_LABELS = 100  # A model with more labels than this has them described, not listed.


def value(column: Column) -> Json:
    """Describe the values of a column."""
    described = dict(TYPES[column.kind])
    if column.kind == "numeric":
        described |= {"minimum": -column.largest, "maximum": column.largest}
    if column.kind == "categorical" and column.unknown == "refuse":
        described["enum"] = list(column.categories)
    if is_boolean(column):
        described["type"] = ["string", "boolean"]
        if "enum" in described:
            described["enum"] += [name == "true" for name in column.categories]
    if column.separator:
        described = {"type": ["string", "array"], "items": {"type": "string"}}
    if column.nullable:
        kinds = described["type"]
        described["type"] = [*([kinds] if isinstance(kinds, str) else kinds), "null"]
        if "enum" in described:
            described["enum"] = [*described["enum"], None]
    about = _about(column)
    return described | ({"description": about} if about else {}) | {"examples": [column.example]}


def _about(column: Column) -> str:
    """Say what a column held in training."""
    parts = []
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"In training from {column.minimum:g} to {column.maximum:g}.")
    if column.kind == "categorical" and column.unknown == "ignore" and column.categories:
        parts.append(f"In training one of {', '.join(column.categories[:20])}; others are answered as unknown.")
    if column.kind == "date":
        parts.append("A day or a moment by ISO 8601.")
    if column.separator:
        parts.append(f"Several values, as a list or separated by {column.separator}.")
    if column.nullable:
        parts.append("May be missing: null.")
    return " ".join(parts)


def example(schema: Schema) -> Json:
    """Return the row that the form shows at first."""
    return {column.name: column.example for column in schema.columns}


def row(schema: Schema) -> Json:
    """Describe a row of names and values."""
    return closed({column.name: value(column) for column in schema.columns}) | {"examples": [example(schema)]}


def places(schema: Schema) -> Json:
    """Describe a row of values in the order of the columns."""
    return exactly([value(column) for column in schema.columns]) | {"examples": [list(example(schema).values())]}


def lists(schema: Schema) -> Json:
    """Describe one row as lists under column names."""
    return closed({column.name: exactly([value(column)]) for column in schema.columns})


def tensors(schema: Schema) -> Json:
    """Describe one row as tensors."""
    return exactly(
        [
            closed(
                {
                    "name": {"const": column.name},
                    "shape": exactly([{"const": 1}]),
                    "datatype": {"const": open_inference.DATATYPES[column.kind]},
                    "data": exactly([value(column)]),
                }
            )
            for column in schema.columns
        ]
    )


def rows(items: Json, most: int) -> Json:
    """Describe a list of rows; too many are no fault of shape but of size, answered with 413."""
    return {"type": "array", "items": items, "minItems": 1, "description": f"At most {most} rows."}


def prediction(schema: Schema) -> Json:
    """Describe what the model predicts."""
    if not schema.labels:
        return {"type": "number"}
    kinds = {str: "string", bool: "boolean", int: "integer"}
    listed = {"enum": list(schema.labels)} if len(schema.labels) <= ALL_LABELS else {}
    return {"type": kinds[type(schema.labels[0])]} | listed


def share() -> Json:
    """Describe a probability."""
    return {"type": "number", "minimum": 0, "maximum": 1}


def probabilities(schema: Schema) -> Json:
    """Describe the probability of each label."""
    return closed({label_name(label): share() for label in schema.labels})


def shares(schema: Schema) -> Json:
    """Describe the probabilities of a row in the order of the labels."""
    return {"type": "array", "items": share(), "minItems": len(schema.labels), "maxItems": len(schema.labels)}


def closed(properties: Json, optional: Json | None = None, about: str = "") -> Json:
    """Describe an object with these properties and no others."""
    described: Json = {"type": "object", "properties": properties | (optional or {}), "additionalProperties": False}
    return (
        described | ({"required": list(properties)} if properties else {}) | ({"description": about} if about else {})
    )


def exactly(items: list[Json]) -> Json:
    """Describe a list with these items and no others; `items: false` would say it too, and generators refuse it."""
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


# The spellings of rows: what the page shows once, and then calls by name.
ROW_FORMATS: dict[str, tuple[Callable[[Schema], Json], str]] = {
    "Row": (row, "A row: the name of each column, and its value."),
    "Values": (places, "A row: its values in the order of the columns."),
    "Columns": (lists, "A list of values under the name of each column, described here for one row."),
    "Tensors": (
        tensors,
        "A tensor for each column, in any order, described here for one row; of n rows the shape is [n] or [n, 1]. "
        "Numbers may come in any datatype of the protocol, and a model of numbers takes one tensor [n, columns] too.",
    ),
}

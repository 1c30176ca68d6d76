"""The named schemas of a model: what each protocol takes and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask_app.openapi import json_schema
from flask_app.openapi.json_schema import Json, closed
from flask_app.prediction import explanation
from flask_app.protocols import invocations, open_inference
from flask_app.protocols.tensors import BYTES
from lockstep.data.schema import Schema

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
EXPLAIN: Json = {"type": "boolean", "description": f"Say why, of at most {explanation.MOST_ROWS} rows; not by default."}
ID: Json = {"type": "string", "description": "The name of one prediction, to give feedback by."}
PROBLEM: Json = {
    "type": "object",
    "description": "Problem details by RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, in a sentence."},
        "errors": {
            "type": "array",
            "description": "What is wrong with each column of each row.",
            "items": {
                "type": "object",
                "required": ["row", "column", "problem"],
                "properties": {"row": {"type": "integer"}, "column": TEXT, "problem": TEXT},
            },
        },
        "more_errors": {"type": "integer", "description": "How many more there are."},
        "error": {"type": "string", "description": "All of it in one text, for the Open Inference Protocol."},
    },
}


@dataclass(frozen=True)
class ServedModel:
    """A model that serves, and how many rows a request may have."""

    name: str
    version: str
    schema: Schema
    most: int
    suffix: str = ""

    def ref(self, part: str) -> Json:
        """Refer to one of this model's schemas."""
        return {"$ref": f"#/components/schemas/{part}{self.suffix}"}

    def parts(self) -> Json:
        """Return this model's schemas by name."""
        return {f"{name}{self.suffix}": make(self) for name, make in PARTS.items()}

    @property
    def asked(self) -> Json:
        """Describe a version that may be asked for: the one in Production is known, others may be there too."""
        about = "The version to answer by. Any registered version may be named; this one is in Production."
        return {"type": "string", "enum": [self.version], "description": about}

    @property
    def perhaps(self) -> Json:
        """Describe a version that may also be left open."""
        return self.asked | {"type": ["string", "null"], "enum": [self.version, None]}

    @property
    def row(self) -> Json:
        """Return a good row."""
        return json_schema.example(self.schema)


def _request(model: ServedModel) -> Json:
    rows = json_schema.rows(model.ref("Row"), model.most)
    examples = [{"rows": [model.row]}, {"rows": [model.row], "explain": True}]
    return closed({"rows": rows}, {"version": model.perhaps, "explain": EXPLAIN}) | {"examples": examples}


def _answer(model: ServedModel) -> Json:
    required = {"id": ID, "prediction": json_schema.prediction(model.schema)}
    if model.schema.labels:
        required |= {"probabilities": json_schema.probabilities(model.schema)}
    answered = closed(required, {"explanation": model.ref("Explanation"), "warnings": _warnings(model, rows=False)})
    return closed({"model": closed({"name": TEXT, "version": TEXT}), "predictions": _list(answered)})


def _warnings(model: ServedModel, rows: bool = True) -> Json:
    """Describe the warnings of an answer, by row where all rows share one list."""
    described = ({"row": {"type": "integer"}} if rows else {}) | {"column": {"enum": list(model.schema.kinds)}}
    about = "Values that were predicted from although the model does not know them. Only where there are any."
    return _list(closed(described | {"problem": TEXT}), about)


def _explanation(model: ServedModel) -> Json:
    """Describe why a row is answered as it is."""
    required = {
        "unit": {"enum": ["log-odds", "probability", "value"], "description": "What base and contributions count."},
        "base": NUMBER | {"description": "The score of a usual row."},
        "score": NUMBER | {"description": "The score of this row: the base and all contributions."},
        "contributions": _list(_contribution(model), "What each column adds, the largest first."),
    }
    if model.schema.labels:
        about = "The label that the score speaks for."
        required["label"] = json_schema.prediction(model.schema) | {"description": about}
    counts = {"columns": {"type": "integer"}, "contribution": NUMBER}
    optional = {"other": closed(counts, about="The columns that are not listed.")}
    return closed(required, optional, "Why: what each column adds to the score. Only where it was asked for.")


def _contribution(model: ServedModel) -> Json:
    about = "The words of a text that add most, and what the others add together."
    optional = {
        "value": {"type": ["number", "string", "null"], "description": "The value in the row; texts are left out."},
        "words": _list(closed({"word": TEXT, "contribution": NUMBER}), about),
        "other_words": NUMBER,
    }
    return closed({"column": {"enum": list(model.schema.kinds)}, "contribution": NUMBER}, optional)


def _invocation(model: ServedModel) -> Json:
    """Describe the four shapes of rows, each by a schema with a name, as generators of clients make a class of each."""
    names = list(model.schema.kinds)
    return {
        "anyOf": [model.ref(shape_name(shape)) for shape in invocations.SHAPES],
        "examples": [{"dataframe_split": {"columns": names, "data": [list(model.row.values())]}}],
    }


def _shapes(model: ServedModel) -> dict[str, Json]:
    named, placed = json_schema.rows(model.ref("Row"), model.most), json_schema.rows(model.ref("Values"), model.most)
    bare = [json_schema.rows(json_schema.value(column), model.most) for column in model.schema.columns]
    listed = [named, placed, *(bare if len(bare) == 1 else [])]
    return {
        "dataframe_split": model.ref("Split"),
        "dataframe_records": named,
        "instances": {"anyOf": listed},
        "inputs": {"anyOf": [*listed, model.ref("Columns")]},
    }


def shape_name(shape: str) -> str:
    """Return the name of the schema of one shape of rows."""
    return f"InvocationsBy{shape.title().replace('_', '')}"


def _shape(shape: str) -> Callable[[ServedModel], Json]:
    def make(model: ServedModel) -> Json:
        return closed({shape: _one_of_four(_shapes(model)[shape])}, {"params": model.ref("InvocationsParams")})

    return make


def _split(model: ServedModel) -> Json:
    columns = json_schema.exactly([{"const": name} for name in model.schema.kinds])
    required = {"columns": columns, "data": json_schema.rows(model.ref("Values"), model.most)}
    return closed(required, about="The columns may stand in any order; an index is taken and not looked at.")


def _one_of_four(rows: Json) -> Json:
    return rows | {"description": f"Exactly one of the four shapes is sent. {rows.get('description', '')}".strip()}


def _params(model: ServedModel) -> Json:
    methods = invocations.METHODS if model.schema.labels else invocations.METHODS[:1]
    ids = {"type": "boolean", "description": "Answer the ids of the predictions too."}
    properties = {"version": model.perhaps, "predict_method": {"type": "string", "enum": list(methods)}, "ids": ids}
    return closed({}, properties) | {"type": ["object", "null"]}


def _invoked(model: ServedModel) -> Json:
    forms = [json_schema.prediction(model.schema)] + ([json_schema.shares(model.schema)] if model.schema.labels else [])
    return closed({"predictions": _list({"anyOf": forms})}, {"ids": _list(ID), "warnings": _warnings(model)})


def _inference(model: ServedModel) -> Json:
    names = [output.name for output in open_inference.outputs(model.schema)]
    wanted = {"type": ["array", "null"], "items": closed({"name": {"enum": names}}), "uniqueItems": True}
    optional = {
        "id": {"type": ["string", "null"], "maxLength": open_inference.MAX_ID},
        "parameters": closed({}, {"binary_data_output": {"type": "boolean"}}) | {"type": ["object", "null"]},
        "outputs": wanted,
        "model_name": {
            "type": ["string", "null"],
            "enum": [model.name, None],
            "description": "The name in the address.",
        },
    }
    example = {"inputs": [_tensor(name, kind, model.row[name]) for name, kind in model.schema.kinds.items()]}
    return closed({"inputs": model.ref("Tensors")}, optional) | {"examples": [example]}


def _tensor(name: str, kind: Any, value: Any) -> Json:
    return {"name": name, "shape": [1], "datatype": open_inference.DATATYPES[kind], "data": [value]}


def _inferred(model: ServedModel) -> Json:
    datatypes = sorted({output.datatype for output in open_inference.outputs(model.schema)} | {BYTES})
    output = closed(
        {"name": TEXT, "shape": _list({"type": "integer"}), "datatype": {"enum": datatypes}},
        {"parameters": {"type": "object"}, "data": {"type": "array", "items": {}}},
    )
    parameters = {"type": "object", "description": "`warnings`, as a JSON text, where there are any."}
    optional = {"id": TEXT, "parameters": parameters}
    return closed({"model_name": TEXT, "model_version": TEXT, "outputs": _list(output)}, optional)


def _capstone(model: ServedModel) -> Json:
    rows = json_schema.rows(model.ref("Values"), model.most)
    example = {"data": [list(model.row.values())], "model_version": model.version}
    return closed({"data": rows}, {"model_version": model.perhaps}) | {"examples": [example]}


def _capstone_answer(model: ServedModel) -> Json:
    required = {"predictions": _list(json_schema.prediction(model.schema))}
    if model.schema.labels:
        required |= {"probabilities": _list(json_schema.probabilities(model.schema))}
    return closed(required | {"ids": _list(ID), "model": TEXT, "model_version": TEXT}, {"warnings": _warnings(model)})


def _list(items: Json, about: str = "") -> Json:
    return {"type": "array", "items": items} | ({"description": about} if about else {})


PLAIN: dict[str, tuple[Callable[[Schema], Json], str]] = {
    "Row": (json_schema.row, "A row: the name of each column, and its value."),
    "Values": (json_schema.places, "A row: its values in the order of the columns."),
    "Columns": (json_schema.lists, "A list of values under the name of each column, described here for one row."),
    "Tensors": (
        json_schema.tensors,
        "A tensor for each column, in any order, described here for one row; of n rows the shape is [n] or [n, 1]. "
        "Numbers may come in any datatype of the protocol, and a model of numbers takes one tensor [n, columns] too.",
    ),
}
"""The spellings of rows: what the page shows once, and then calls by name."""


def _plain(name: str) -> Callable[[ServedModel], Json]:
    make, about = PLAIN[name]
    return lambda model: make(model.schema) | {"description": about}


PARTS: dict[str, Callable[[ServedModel], Json]] = {
    **{name: _plain(name) for name in PLAIN},
    "PredictRequest": _request,
    "PredictAnswer": _answer,
    "Explanation": _explanation,
    "InvocationsRequest": _invocation,
    **{shape_name(shape): _shape(shape) for shape in invocations.SHAPES},
    "InvocationsParams": _params,
    "Split": _split,
    "InvocationsAnswer": _invoked,
    "InferRequest": _inference,
    "InferAnswer": _inferred,
    "InferenceRequest": _capstone,
    "InferenceAnswer": _capstone_answer,
}

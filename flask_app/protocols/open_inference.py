"""The Open Inference Protocol, version 2: a tensor for each column, with the extension for binary data."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.exceptions import BadRequest, UnprocessableEntity

from flask_app.prediction.prediction_service import PredictionResult
from flask_app.protocols import strict_json, tensors
from flask_app.protocols.strict_json import Call, RowLimits
from flask_app.protocols.tensors import BYTES, Tensor
from lockstep.config.params import Kind
from lockstep.data.schema import FieldError, Label, Row, RowsRefused, Schema, label_name

KEYS = ("id", "inputs", "outputs", "parameters", "model_name")
HINTS = ("content_type", "priority", "timeout")  # Parameters that clients send along and that change no answer.
MAX_ID = 200
DATATYPES: dict[Kind, str] = {"numeric": "FP64", "categorical": BYTES, "text": BYTES, "date": BYTES}
LABELS: dict[type, str] = {str: BYTES, bool: "BOOL", int: "INT64"}


@dataclass(frozen=True)
class OutputTensor:
    """An output of a model: its tensor's name, datatype and values a row."""

    name: str
    datatype: str
    labels: tuple[Label, ...] | None = None


@dataclass(frozen=True)
class Inference(Call):
    """What a request asks; `wanted` maps the outputs to whether they are to be binary, None means all as `binary`."""

    id: str | None = None
    model_name: str | None = None
    wanted: dict[str, bool] | None = None
    binary: bool = False


def decode(body: bytes, header: str | None = None) -> Inference:
    """Return what a body asks; `header` is the length of its JSON if binary data follow.

    Raises BadRequest: it is not strict JSON, or not as long as `header` says.
    Raises UnprocessableEntity: it is not what the protocol describes.
    Raises RowsRefused: naming a tensor that is not as its shape and datatype say.
    """
    length = _length(header, len(body))
    content = strict_json.fields(strict_json.document(body[:length]), KEYS, "The body")
    parameters = strict_json.options(content.get("parameters"), ("binary_data_output", *HINTS), '"parameters"')
    binary = _flag(parameters, "binary_data_output")
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise UnprocessableEntity('"inputs" must be a list of tensors, one for each column.')
    inputs_read = tensors.read(inputs, body[length:])
    wanted, request_id, model_name = (
        _wanted(content.get("outputs"), binary),
        _text(content, "id"),
        _text(content, "model_name"),
    )
    return Inference(_rows(inputs_read), wanted=wanted, binary=binary, id=request_id, model_name=model_name)


def addressed(call: Inference, name: str, version: str | None) -> Inference:
    """Return a call to the version that an address names, if it does, whose outputs are checked with its rows."""

    def rows(terms: RowLimits) -> list[Row]:
        check(call, name, terms.schema)
        return call.rows(terms)

    return replace(call, rows=rows, version=version)


def _text(content: dict[str, Any], key: str) -> str | None:
    text = content.get(key)
    if text is not None and not (isinstance(text, str) and len(text) <= MAX_ID):
        raise UnprocessableEntity(f'"{key}" must be a text of at most {MAX_ID} characters.')
    return text


def _length(header: str | None, whole: int) -> int:
    if header is None:
        return whole
    if not (header.isascii() and header.isdecimal()) or len(header) > 10 or int(header) > whole:
        raise BadRequest("Inference-Header-Content-Length must be the length of the JSON that begins the body.")
    return int(header)


def _flag(parameters: dict[str, Any], name: str, default: bool = False) -> bool:
    flag = parameters.get(name, default)
    if not isinstance(flag, bool):
        raise UnprocessableEntity(f'"{name}" must be true or false.')
    return flag


def _wanted(outputs: Any, binary: bool) -> dict[str, bool] | None:
    """Return the outputs asked for, in their order."""
    if outputs is None or outputs == []:
        return None
    if not isinstance(outputs, list):
        raise UnprocessableEntity('"outputs" must be a list.')
    wanted: dict[str, bool] = {}
    for output in outputs:
        content = strict_json.fields(output, ("name", "parameters"), "An output")
        if not isinstance(content.get("name"), str) or content["name"] in wanted:
            raise UnprocessableEntity('An output must have a "name" that is a text and stands once.')
        parameters = strict_json.options(content.get("parameters"), ("binary_data", "content_type"), "Its parameters")
        wanted[content["name"]] = _flag(parameters, "binary_data", binary)
    return wanted


def _rows(input_tensors: list[Tensor]) -> Callable[[RowLimits], list[Row]]:
    """Return what checks tensors of one column each, or one tensor of all the columns of a numeric model."""

    def rows(terms: RowLimits) -> list[Row]:
        schema = terms.schema
        (first, *others), count = input_tensors, len(schema.columns)
        whole = len(first.shape) == 2 and first.width == count and first.name not in schema.kinds and not others
        if whole and set(schema.kinds.values()) == {"numeric"}:
            return strict_json.by_place(first.rows(), terms, '"inputs"')
        for tensor in input_tensors:
            if tensor.width != 1 and tensor.name in schema.kinds:
                problem = "the shape must be [rows] or [rows, 1]: a tensor holds one column"
                raise RowsRefused([FieldError(0, tensor.name, problem)])
        return strict_json.by_column([(tensor.name, tensor.values) for tensor in input_tensors], terms)

    return rows


def outputs(schema: Schema) -> list[OutputTensor]:
    """Return the outputs of a model in their order."""
    kind = LABELS[type(schema.labels[0])] if schema.labels else "FP64"
    shares = [OutputTensor("probabilities", "FP64", schema.labels)] if schema.labels else []
    return [OutputTensor("prediction", kind), *shares, OutputTensor("id", BYTES)]


def describe(name: str, version: str, schema: Schema) -> dict[str, Any]:
    """Return a model's metadata."""
    inputs = [
        {"name": column.name, "datatype": datatype, "shape": [-1], "parameters": _spelling(datatype)}
        for column, datatype in ((column, DATATYPES[column.kind]) for column in schema.columns)
    ]
    described = [
        {"name": output.name, "datatype": output.datatype, "shape": [-1, *_width(output)], "parameters": _facts(output)}
        for output in outputs(schema)
    ]
    return {"name": name, "versions": [version], "platform": "lockstep", "inputs": inputs, "outputs": described}


def _spelling(datatype: str) -> dict[str, str]:
    return {"content_type": "str"} if datatype == BYTES else {}


def _width(output: OutputTensor) -> list[int]:
    return [] if output.labels is None else [len(output.labels)]


def _facts(output: OutputTensor) -> dict[str, str]:
    """Return what a client should know of an output: the labels stand in a JSON text, as parameters are no lists."""
    labels = {} if output.labels is None else {"labels": json.dumps([label_name(label) for label in output.labels])}
    return _spelling(output.datatype) | labels


def check(call: Inference, name: str, schema: Schema) -> None:
    """Refuse outputs that the model does not have, and a body that names another model than its address."""
    strict_json.options(call.wanted, [output.name for output in outputs(schema)], '"outputs"')
    if call.model_name not in (None, name):
        raise UnprocessableEntity('"model_name" must be the name in the address, or be left out.')


def encode(answered: PredictionResult, call: Inference) -> tuple[dict[str, Any], bytes]:
    """Return the answer: JSON, and the bytes of its binary outputs."""
    available = {output.name: output for output in outputs(answered.serving.predictor.schema)}
    wanted = dict.fromkeys(available, call.binary) if call.wanted is None else call.wanted
    written = [_written(available[name], answered, binary) for name, binary in wanted.items()]
    answer: dict[str, Any] = {"model_name": answered.serving.name, "model_version": answered.serving.version}
    if call.id is not None:
        answer["id"] = call.id
    if answered.unseen:
        answer["parameters"] = {name: json.dumps(listed) for name, listed in answered.warnings().items()}
    return answer | {"outputs": [entry for entry, _ in written]}, b"".join(tail for _, tail in written)


def _written(output: OutputTensor, answered: PredictionResult, binary: bool) -> tuple[dict[str, Any], bytes]:
    values: list[Any] = answered.ids if output.name == "id" else answered.predictions.values
    if output.labels is not None:
        values = [share for row in answered.predictions.shares or [] for share in row]
    entry = {"name": output.name, "shape": [len(answered.ids), *_width(output)], "datatype": output.datatype}
    if not binary:
        return entry | {"parameters": _facts(output), "data": values}, b""
    tail = tensors.write(values, output.datatype)
    return entry | {"parameters": _facts(output) | {"binary_data_size": len(tail)}}, tail

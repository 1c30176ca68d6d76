"""MLflow's scoring protocol: rows as JSON in any of its four shapes, or as CSV."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import UnprocessableEntity

from flask_app.forms import csv_upload
from flask_app.prediction.prediction_service import PredictionResult
from flask_app.protocols import strict_json
from flask_app.protocols.strict_json import Call, RowLimits
from lockstep.data.schema import Row

PARAMS = ("version", "predict_method", "ids")
METHODS = ("predict", "predict_proba")
SPLIT = ("columns", "data", "index")


@dataclass(frozen=True)
class Invocation(Call):
    """What a request asks, and how it wants to be answered."""

    method: str = "predict"
    ids: bool = False


def decode(body: bytes) -> Invocation:
    """Return what a JSON body asks.

    Raises BadRequest: it is not strict JSON.
    Raises UnprocessableEntity: it is not one shape of rows, with parameters that are known.
    """
    content = strict_json.fields(strict_json.document(body), (*SHAPES, "params"), "The body")
    shapes = [shape for shape in SHAPES if shape in content]
    if len(shapes) != 1:
        raise UnprocessableEntity(f"The body must hold exactly one of {', '.join(SHAPES)}; it holds {len(shapes)}.")
    (shape,) = shapes

    params = _params(content.get("params"))

    def rows(terms: RowLimits) -> list[Row]:
        if params.get("method") == "predict_proba" and not terms.schema.labels:
            raise UnprocessableEntity('"params": this model predicts numbers, so it takes no "predict_proba".')
        return SHAPES[shape](content[shape], terms, f'"{shape}"')

    return Invocation(rows, **params)


def decode_csv(body: bytes) -> Invocation:
    """Return what a CSV body asks: answers for its rows, under a header that names every column."""
    return Invocation(lambda terms: csv_upload.check(csv_upload.read(body, terms.schema, terms.most), terms.schema))


def _params(params: Any) -> dict[str, Any]:
    options = strict_json.options(params, PARAMS, '"params"')
    method, ids = options.get("predict_method", METHODS[0]), options.get("ids", False)
    if method not in METHODS:
        raise UnprocessableEntity(f'"params": "predict_method" must be one of {", ".join(METHODS)}.')
    if not isinstance(ids, bool):
        raise UnprocessableEntity('"params": "ids" must be true or false.')
    return {"version": strict_json.version(options, "version"), "method": method, "ids": ids}


def _split(content: Any, terms: RowLimits, what: str) -> list[Row]:
    content = strict_json.fields(content, SPLIT, what)
    columns, data, index = content.get("columns"), content.get("data"), content.get("index")
    if not isinstance(columns, list) or not isinstance(data, list):
        raise UnprocessableEntity(f'{what} must hold "columns" and "data", both lists.')
    if index is not None and not (isinstance(index, list) and len(index) == len(data)):
        raise UnprocessableEntity(f'{what}: "index" must be a list as long as "data"; it is not looked at.')
    return strict_json.under_header(columns, data, terms, f'{what}: "data"')


def _list(rows: Any, terms: RowLimits, what: str) -> list[Row]:
    """Take objects, lists in the order of the columns, or the bare values of a model's one column."""
    rows = strict_json.sequence(rows, what, terms.most)
    if any(isinstance(row, dict) for row in rows):
        return strict_json.by_name(rows, terms, what)
    if len(terms.schema.columns) == 1 and not all(isinstance(row, list) for row in rows):
        return strict_json.by_column([(terms.schema.columns[0].name, rows)], terms)
    return strict_json.by_place(rows, terms, what)


def _inputs(content: Any, terms: RowLimits, what: str) -> list[Row]:
    """Take what a list may be, or lists of values under column names."""
    return strict_json.by_column(content.items(), terms) if isinstance(content, dict) else _list(content, terms, what)


SHAPES: dict[str, Callable[[Any, RowLimits, str], list[Row]]] = {
    "dataframe_split": _split,
    "dataframe_records": strict_json.by_name,
    "instances": _list,
    "inputs": _inputs,
}


def encode(answered: PredictionResult, call: Invocation) -> dict[str, Any]:
    """Return the answer: labels or values, or with `predict_proba` the probabilities in the order of the labels."""
    predictions = answered.predictions
    answers = predictions.shares if call.method == "predict_proba" else predictions.values
    return {"predictions": answers} | ({"ids": answered.ids} if call.ids else {}) | answered.warnings()

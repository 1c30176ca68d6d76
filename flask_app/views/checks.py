"""Checks of a request that several views share."""

from itertools import islice
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from flask_app.model_service import Serving
from lockstep.data.schema import Fault, RowsRefused

MAX_UNKNOWN = 100


def check_transfer() -> None:
    """Refuse a body that is compressed, and one of untold length that reaches the limit, where it is cut off."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    if request.content_length is None and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge


def refuse_floods(rows: list[Any], serving: Serving) -> None:
    """Refuse rows with very many unknown columns, before time is spent on finding what each may have meant."""
    known = serving.predictor.schema.kinds.keys()
    unknown: list[Fault] = []
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            names = islice(row.keys() - known, MAX_UNKNOWN + 1)
            unknown += [Fault(number, name, "unknown column") for name in names]
        if len(unknown) > MAX_UNKNOWN:
            raise RowsRefused(unknown)

"""The one error handler: problem details (RFC 9457) for programs, a page for browsers, and nothing of the inside."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from lockstep.data.schema import FieldError, RowsRefused

log = logging.getLogger("app")

MAX_FAULTS_BYTES = 6_000
MAX_NAME = 120
RETRY_AFTER_S = 5
JSON_TYPES = ("application/json", "application/problem+json")
DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take this method; the Allow header names those it takes.",
    413: "The request is too large.",
    500: "Something went wrong here, not with the request.",
}


class NoModel(ServiceUnavailable):
    """No model is loaded yet, so nothing can be predicted."""

    def __init__(self) -> None:
        super().__init__(
            "No model is loaded yet. It is fetched as soon as one is Production.", retry_after=RETRY_AFTER_S
        )


def init_app(app: Flask) -> None:
    """Let every fault of a request end here."""
    app.register_error_handler(RowsRefused, on_rows_refused)
    app.register_error_handler(HTTPException, on_http_exception)
    app.register_error_handler(Exception, on_crash)


def on_rows_refused(error: RowsRefused) -> Response:
    """Answer 422 and name every wrong column, as many as fit."""
    g.refused_values = error.faults  # counted when the answer is complete
    return problem(422, "Some values do not fit what the model takes.", faults=error.faults)


def on_http_exception(error: HTTPException) -> Response:
    """Answer with the status of the exception and its headers."""
    status = error.code or 500
    response = problem(status, DETAILS.get(status) if _is_stock(error) else error.description)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def on_crash(error: Exception) -> Response:
    """Log what happened and answer 500 without saying it."""
    log.error("%s %s crashed", request.method, request.url_rule, exc_info=error)
    return on_http_exception(InternalServerError())


def problem(status: int, detail: str | None, faults: Sequence[FieldError] = ()) -> Response:
    """Return problem details, as a page if that is what the client reads best."""
    listed = listing(faults)
    content: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    content |= {"detail": detail or HTTPStatus(status).description or HTTPStatus(status).phrase}
    if faults:
        content |= {"errors": listed}
    if len(faults) > len(listed):
        content |= {"more_errors": len(faults) - len(listed)}
    if request.path.startswith("/v2"):
        content |= {"error": _in_a_line(content)}
    if wants_page():
        return current_app.make_response((render_template("problem.html", problem=content), status))
    return Response(current_app.json.dumps(content), status, mimetype="application/problem+json")


def _in_a_line(content: dict[str, Any]) -> str:
    """Say what is wrong as the Open Inference Protocol wants it: in one text."""
    first = "".join(
        f" Row {fault['row']}, {fault['column']!r}: {fault['problem']}" for fault in content.get("errors", [])[:3]
    )
    return f"{content['detail']}{first}"


def listing(faults: Sequence[FieldError]) -> list[dict[str, Any]]:
    """Return the first faults, as many as keep the answer short."""
    entries: list[dict[str, Any]] = []
    remaining = MAX_FAULTS_BYTES
    for fault in faults:
        entry = {"row": fault.row, "column": shown(fault.column), "problem": shown(fault.problem, 300)}
        remaining -= len(json.dumps(entry)) + 1
        if remaining < 0:
            break
        entries.append(entry)
    return entries


def shown(name: str, most: int = MAX_NAME) -> str:
    """Return text from a request cut short, and without what UTF-8 cannot carry."""
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return text.encode("utf-8", "replace").decode()


def wants_page() -> bool:
    """Tell whether the client would rather read HTML than JSON."""
    return request.accept_mimetypes.best_match([*JSON_TYPES, "text/html"]) == "text/html"


def _is_stock(error: HTTPException) -> bool:
    """Tell whether an exception still carries the description of its class."""
    return error.description == type(error).description

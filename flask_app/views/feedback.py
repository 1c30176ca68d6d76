"""Feedback: what was true after all, for one prediction or for many in a file."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from msgspec import Meta, Struct
from werkzeug.exceptions import BadRequest, UnprocessableEntity, UnsupportedMediaType

from flask_app import errors
from flask_app.forms import controls
from flask_app.prediction import feedback
from flask_app.prediction.feedback import NoSuchPrediction, SubmittedLabel
from flask_app.views import calls, files
from flask_app.views.predict import FORMS
from lockstep.data.schema import FieldError, RowsRefused, label_name

blueprint = Blueprint("feedback", __name__)

FIELDS = ("id", "label")
ABOUT_FILE = "Nothing was taken, as some lines are wrong. Lines are counted as a spreadsheet does: the header is row 1."


class Body(Struct, forbid_unknown_fields=True):
    """A prediction's id, what was true, and what that was worth: revenue, cost."""

    id: Annotated[str, Meta(min_length=1, max_length=feedback.LONGEST_ID)]
    label: str | int | float | bool
    value: float | None = None


@blueprint.get("/feedback")
def show() -> ResponseReturnValue:
    """Show forms for the true answer to one prediction, and to many in a file."""
    return _page()


@blueprint.post("/feedback")
def take() -> ResponseReturnValue:
    """Take the true answer to one prediction; the same one again changes nothing, a later one wins."""
    typed = request.mimetype in FORMS
    try:
        said = _typed() if typed else _sent()
        (taken,) = feedback.take([said], "form" if typed else "api", request.headers.get("Idempotency-Key", ""))
    except RowsRefused as refused:
        return _refused(refused.faults[0])
    status = 202 if taken.outcome == "waiting" else 200
    if typed and errors.wants_page():
        return _page(taken=taken), status
    worth = {} if said.value is None else {"value": said.value}
    return {"id": said.prediction, "label": taken.label, **worth, "status": taken.outcome}, status


@blueprint.post("/feedback/file")
def take_file() -> ResponseReturnValue:
    """Take the true answers in a CSV file with the columns id, label and perhaps value, all or none."""
    if request.mimetype != files.MULTIPART:
        raise UnsupportedMediaType(f"Send {files.MULTIPART} with the CSV in the field {files.FILE!r}.")
    try:
        said = feedback.read(files.content(), current_app.config["MAX_ROWS"])
        taken = feedback.take(said, "file", request.headers.get("Idempotency-Key", ""))
    except RowsRefused as refused:
        return errors.problem(422, ABOUT_FILE, faults=refused.faults)
    totals = feedback.counts(taken)
    status = 202 if totals.get("waiting") else 200
    return (_page(counts=totals), status) if errors.wants_page() else (totals, status)


def _page(**content: Any) -> str:
    """Return the page with what was taken, and the labels of the model if there is one."""
    schemas = list(feedback.schemas(current_app).values())
    names = [label_name(label) for label in schemas[0].labels[: controls.CHOICES_AS_LIST]] if len(schemas) == 1 else []
    return render_template("feedback.html", labels=names, **{"taken": None, "counts": None} | content)


def _sent() -> SubmittedLabel:
    """Return what a program sent.

    Raises BadRequest: it is not JSON.
    Raises UnprocessableEntity: it is something else than an id and a label.
    """
    try:
        body = msgspec.json.decode(calls.body(calls.JSON), type=Body)
    except msgspec.ValidationError as error:
        raise UnprocessableEntity(f"{error}. Send {{'id': ..., 'label': ...}}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    return SubmittedLabel(body.id, body.label, value=body.value)


def _typed() -> SubmittedLabel:
    """Return what a form sent, whose label is a text."""
    calls.check_transfer()
    fields: dict[str, Any] = {name: request.form.getlist(name) for name in FIELDS}
    if request.files or any(len(values) != 1 for values in fields.values()):
        raise UnprocessableEntity("Send an id and a label, each once.")
    (prediction_id,), (text,) = fields.values()
    try:
        value = feedback.amount(request.form.get(feedback.VALUE, ""))
    except ValueError:
        raise RowsRefused([FieldError(0, feedback.VALUE, feedback.NO_NUMBER)]) from None
    return SubmittedLabel(prediction_id.strip(), text.strip(), is_text=True, value=value)


def _refused(fault: FieldError) -> ResponseReturnValue:
    if fault.problem == feedback.UNKNOWN:
        raise NoSuchPrediction
    return errors.problem(422, "Nothing was taken.", faults=[fault])

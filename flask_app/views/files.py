"""Predictions for a CSV file, answered as one."""

from flask import Blueprint, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnprocessableEntity, UnsupportedMediaType

from flask_app import errors
from flask_app.admission.transfer import check_transfer
from flask_app.forms import controls, csv_upload
from flask_app.models.model_service import ModelService, Serving
from flask_app.prediction import prediction_service
from flask_app.views import pages
from lockstep.data.schema import RowsRefused

blueprint = Blueprint("files", __name__)

FILE = "file"
MISFIT = "The file does not fit the model. Rows are counted as a spreadsheet does: the header is row 1."
MULTIPART = "multipart/form-data"


@blueprint.post("/predict/file", defaults={"name": ""})
@blueprint.post("/models/<name>/predict/file")
def predict_file(name: str) -> ResponseReturnValue:
    """Answer the rows of a file with the same file, predictions added; of a wrong file, name the wrong cells."""
    pages.asked(name)
    check_transfer()
    if request.mimetype != MULTIPART:
        raise UnsupportedMediaType(f"Send {MULTIPART} with the CSV in the field {FILE!r}.")
    return _answer(content(), pages.service_of(name))


@blueprint.get("/predict/template.csv", defaults={"name": ""})
@blueprint.get("/models/<name>/predict/template.csv")
def template(name: str) -> ResponseReturnValue:
    """Answer a file to fill in: the header, and the example as its one row."""
    serving = pages.asked(name)
    return _csv(csv_upload.template(serving.predictor.schema), "template.csv", serving)


def content() -> bytes:
    """Return the one file of the request. Raises UnprocessableEntity: there is none, or it is empty."""
    files = request.files.getlist(FILE)
    if len(files) != 1 or len(request.files) != 1:
        raise UnprocessableEntity(f"Send one file, in the field {FILE!r}.")
    content = files[0].read()
    if not content:
        raise UnprocessableEntity("Choose a file first: what was sent is empty.")
    return content


def _answer(content: bytes, service: ModelService) -> Response:
    table = csv_upload.read(content, service.require().predictor.schema, current_app.config["MAX_ROWS"])
    answered = prediction_service.answer_by_chosen(
        service,
        lambda chosen: csv_upload.check(table, chosen.predictor.schema),
        request.form.get(controls.IDEMPOTENCY_KEY, ""),
    )
    predictor = answered.serving.predictor
    text = csv_upload.write(table, answered.predictions, predictor.label_names if predictor.schema.labels else ())
    return _csv(text, "predictions.csv", answered.serving)


@blueprint.errorhandler(RowsRefused)
def refuse(error: RowsRefused) -> ResponseReturnValue:
    """Answer 422 and name the wrong cells, to a browser on the page of the form."""
    g.refused_values = error.faults
    if not errors.wants_page():
        return errors.problem(422, MISFIT, faults=error.faults)
    listed = errors.listing(error.faults)
    serving = pages.asked((request.view_args or {})["name"])
    return pages.page(serving, file_faults=listed, more_faults=len(error.faults) - len(listed)), 422


def _csv(text: str, name: str, serving: Serving) -> Response:
    headers = {"Content-Disposition": f"attachment; filename={name}", "Lockstep-Model-Version": serving.version}
    return Response(text, mimetype="text/csv", headers=headers)

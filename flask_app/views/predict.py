"""Predictions: JSON for programs; a form goes to the view for people."""

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from flask_app import errors
from flask_app.models import model_service
from flask_app.models.model_service import ModelService
from flask_app.protocols import predict as protocol
from flask_app.views import calls, pages
from lockstep.data.schema import RowsRefused

blueprint = Blueprint("predict", __name__)

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@blueprint.post("/predict")
def predict() -> ResponseReturnValue:
    """Answer rows by the default model: JSON with JSON, a form with a page."""
    return _answer(model_service.default(current_app))


@blueprint.post("/models/<name>/predict")
def predict_with(name: str) -> ResponseReturnValue:
    """Answer rows by the model of this name: JSON with JSON, a form with a page."""
    return _answer(model_service.named(current_app, name))


blueprint.add_url_rule("/predict/<name>", "predict_by_name", predict_with, methods=["POST"])  # an alias


@blueprint.errorhandler(RowsRefused)
def refuse(error: RowsRefused) -> ResponseReturnValue:
    """Answer 422: a form with the form again, JSON with problem details."""
    if request.mimetype in FORMS:
        return pages.refuse_form(pages.service_of((request.view_args or {}).get("name", "")), error)
    return errors.on_rows_refused(error)


def _answer(service: ModelService) -> ResponseReturnValue:
    if request.mimetype in FORMS:
        return pages.answer_form(service)
    service.require()
    call = protocol.decode(calls.body(calls.JSON))
    return Response(calls.answer(service, call).to_json(), mimetype=calls.JSON)

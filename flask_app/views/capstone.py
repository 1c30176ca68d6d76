"""The address that copies of the capstone project know."""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from flask_app.models import model_service
from flask_app.protocols import capstone
from flask_app.views import calls

blueprint = Blueprint("capstone", __name__)


@blueprint.post("/inference")
def infer() -> ResponseReturnValue:
    """Answer rows that are lists of values in the order of the columns."""
    call = capstone.decode(calls.body(calls.JSON))
    return capstone.encode(calls.answer(model_service.default(current_app), call))

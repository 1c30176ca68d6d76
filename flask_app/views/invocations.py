"""MLflow's scoring protocol, which SageMaker speaks as well."""

from importlib.metadata import version

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from flask_app.models import model_service
from flask_app.protocols import invocations
from flask_app.views import calls

blueprint = Blueprint("invocations", __name__)

CSV = "text/csv"
MLFLOW = "mlflow-skinny"  # The part of MLflow that an app needs; both parts are of one version.


@blueprint.post("/invocations")
def invoke() -> ResponseReturnValue:
    """Answer rows as MLflow's scoring server does."""
    body = calls.body(calls.JSON, CSV)
    call = invocations.decode_csv(body) if request.mimetype == CSV else invocations.decode(body)
    answered = calls.answer(model_service.default(current_app), call)
    response = current_app.json.response(invocations.encode(answered, call))
    response.headers["Lockstep-Model-Version"] = answered.serving.version
    return response


@blueprint.get("/ping")
def ping() -> ResponseReturnValue:
    """Answer 200 as long as predictions can be answered and should be sent here, else 503."""
    model_service.ready(current_app)
    return {"status": "ready"}


@blueprint.get("/version")
def mlflow_version() -> ResponseReturnValue:
    """Return the version of MLflow, as text; headers tell the model's, and whether it went live against its gate."""
    service = model_service.default(current_app)
    response = Response(version(MLFLOW), mimetype="text/plain")
    if serving := service.serving():
        response.headers["Lockstep-Model-Version"] = serving.version
    if service.recorded().forced:
        response.headers["Lockstep-Model-Forced"] = "true"
    return response

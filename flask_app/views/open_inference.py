"""The Open Inference Protocol, version 2, which KServe and Triton speak."""

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound, UnprocessableEntity

from flask_app.models import model_service
from flask_app.models.model_service import Serving
from flask_app.protocols import open_inference
from flask_app.views import calls
from lockstep.runtime.release import VERSION

blueprint = Blueprint("open_inference", __name__, url_prefix="/v2")

HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"


@blueprint.get("", strict_slashes=False)
def server() -> ResponseReturnValue:
    """Tell which server this is, and which extensions it has."""
    return {"name": "lockstep", "version": VERSION, "extensions": ["binary_tensor_data"]}


@blueprint.get("/health/live")
def live() -> ResponseReturnValue:
    """Answer as long as the process does."""
    return {"live": True}


@blueprint.get("/health/ready")
def ready() -> ResponseReturnValue:
    """Answer 200 as long as predictions can be answered and should be sent here, else 503."""
    model_service.ready(current_app)
    return {"ready": True}


@blueprint.get("/models/<name>")
@blueprint.get("/models/<name>/versions/<version>")
def describe(name: str, version: str | None = None) -> ResponseReturnValue:
    """Describe the inputs and outputs of a model."""
    serving = _serving(name, version)
    return open_inference.describe(serving.name, serving.version, serving.predictor.schema)


@blueprint.get("/models/<name>/ready")
@blueprint.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> ResponseReturnValue:
    """Answer 200 if a model can answer predictions, else 503."""
    return {"name": _serving(name, version).name, "ready": True}


@blueprint.post("/models/<name>/infer")
@blueprint.post("/models/<name>/versions/<version>/infer")
def infer(name: str, version: str | None = None) -> ResponseReturnValue:
    """Answer tensors with tensors."""
    serving = _serving(name, version)
    call = open_inference.decode(calls.body(calls.JSON, BINARY, ""), request.headers.get(HEADER))
    answered = calls.answer(
        model_service.named(current_app, name), open_inference.addressed(call, serving.name, version)
    )
    answer, tail = open_inference.encode(answered, call)
    content = current_app.json.dumps(answer).encode()
    if not tail:
        return Response(content, mimetype=calls.JSON)
    return Response(content + tail, mimetype=BINARY, headers={HEADER: str(len(content))})


def _serving(name: str, version: str | None) -> Serving:
    """Return the model that an address names; a version that is not there is an address that is not."""
    service = model_service.named(current_app, name)
    if version is None:
        return service.require()
    try:
        return service.pinned(version)
    except UnprocessableEntity as error:
        raise NotFound(error.description) from error

"""What the views of the protocols share: the body of a request, and the answer to what it asks."""

from flask import current_app, request
from werkzeug.exceptions import UnsupportedMediaType

from flask_app.admission.transfer import check_transfer
from flask_app.models.model_service import ModelService, Serving
from flask_app.prediction import explanation, prediction_service
from flask_app.prediction.prediction_service import PredictionResult
from flask_app.protocols.strict_json import Call, RowLimits
from lockstep.data.schema import Row

JSON = "application/json"
UTF_8 = ("utf-8", "utf8")


def body(*accepted: str) -> bytes:
    """Return the body of a request in one of the media types, or refuse it with 415; "" accepts one without a type."""
    check_transfer()
    others = request.mimetype_params.keys() - {"charset"}
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in accepted or charset not in UTF_8 or others:
        raise UnsupportedMediaType(f"Send {' or '.join(filter(None, accepted))} in UTF-8.")
    return request.get_data()


def answer(service: ModelService, call: Call) -> PredictionResult:
    """Answer a call by the version that it names, or else by Production or its challenger."""
    key, most = request.headers.get("Idempotency-Key", ""), current_app.config["MAX_ROWS"]

    def rows(serving: Serving) -> list[Row]:
        checked = call.rows(RowLimits(serving.predictor.schema, most))
        if call.explain:
            explanation.check(serving.predictor, checked)
        return checked

    if call.version is None:
        answered = prediction_service.answer_by_chosen(service, rows, key)
    else:
        pinned = service.pinned(call.version)
        answered = prediction_service.answer(pinned, rows(pinned), key)
    return explanation.explained(answered) if call.explain else answered

"""The protocol of the capstone project: rows as lists in the order of the columns."""

from typing import Any

from flask_app.prediction.prediction_service import PredictionResult
from flask_app.protocols import strict_json
from flask_app.protocols.strict_json import Call


def decode(body: bytes) -> Call:
    """Return what a JSON body asks; refusals are those of `strict.enveloped`."""
    return strict_json.enveloped(body, "data", "model_version", strict_json.by_place)


def encode(answered: PredictionResult) -> dict[str, Any]:
    """Return the answer: predictions, their probabilities if there are any, their ids, and which version gave them."""
    answer: dict[str, Any] = {"predictions": answered.predictions.values}
    if answered.predictions.shares is not None:
        names = answered.serving.predictor.label_names
        answer["probabilities"] = [dict(zip(names, shares, strict=True)) for shares in answered.predictions.shares]
    answer |= answered.warnings()
    return answer | {"ids": answered.ids, "model": answered.serving.name, "model_version": answered.serving.version}

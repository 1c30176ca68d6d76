"""Prediction service: scores validated rows of any protocol, gives each prediction an id, counts and publishes them."""

import hashlib
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from flask import Flask, current_app, g, request
from werkzeug.exceptions import HTTPException

from flask_app.models.model_service import ModelService, Serving
from flask_app.observability import telemetry
from flask_app.prediction import response_cache
from flask_app.prediction.response_cache import CachingPredictor
from lockstep.config.settings import Settings
from lockstep.data.schema import Row, RowsRefused, Schema
from lockstep.inference.predictor import Predictions
from lockstep.prediction_log.records import Variant
from lockstep.scoring.contributions import Explanation

log = logging.getLogger("prediction")

STICKY = "X-Sticky-Key"
UNSEEN = "unknown category, predicted from as unknown"
ID_BYTES = 16
SECRET_BYTES = 32


class PredictionResult(msgspec.Struct, frozen=True):
    """Rows, which version answered them in which role, under which ids, since when (`perf_counter`).

    `key` is what a client sticks to its version by; `explanations` say why, if that was asked; `unseen` names by row
    and column the categories that the model does not know.
    """

    serving: Serving
    rows: Sequence[Row]
    ids: list[str]
    predictions: Predictions
    key: str = ""
    started: float = msgspec.field(default_factory=time.perf_counter)
    explanations: Sequence[Explanation] | None = None
    unseen: Sequence[tuple[int, str]] = ()

    @property
    def variant(self) -> Variant:
        """The role of the version that answered."""
        return self.serving.role

    def records(self) -> list[dict[str, Any]]:
        """Return the answers as the API prints them."""
        answers = self.serving.predictor.as_answers(self.predictions)
        records = [{"id": prediction_id, **answer} for prediction_id, answer in zip(self.ids, answers, strict=True)]
        for record, explanation in zip(records, self.explanations or (), strict=False):
            record["explanation"] = explanation.to_json()
        for row, column in self.unseen:
            records[row].setdefault("warnings", []).append({"column": column, "problem": UNSEEN})
        return records

    def warnings(self) -> dict[str, Any]:
        """Return the warnings of all rows under one key, nothing if there are none, for protocols of arrays."""
        listed = [{"row": row, "column": column, "problem": UNSEEN} for row, column in self.unseen]
        return {"warnings": listed} if listed else {}

    def to_json(self) -> bytes:
        """Return the answer of /predict."""
        model = {"name": self.serving.name, "version": self.serving.version}
        return msgspec.json.encode({"model": model, "predictions": self.records()})


class PredictionService:
    """Answers rows for one app, perhaps from a cache; `subscribers` get each complete result before it is sent."""

    def __init__(
        self,
        count: Callable[[Serving, Predictions], None],
        cached: CachingPredictor | None = None,
        count_unseen: Callable[[str, str, int], None] | None = None,
    ) -> None:
        self.count, self.count_unseen = count, count_unseen
        self.cached = cached
        self.subscribers: list[Callable[[PredictionResult], None]] = []
        self._secret = os.urandom(SECRET_BYTES)  # once: asking the kernel each time lets go of the GIL each time
        self._drawn = itertools.count()

    def answer(self, serving: Serving, rows: Sequence[Row], key: str = "", sticky: str = "") -> PredictionResult:
        """Answer checked rows; a request that is sent again with its idempotency key gets the same ids."""
        started = time.perf_counter()
        predictions = self.cached.predict(serving, rows) if self.cached else serving.predictor.predict(rows)
        self.count(serving, predictions)
        schema = serving.predictor.schema
        unseen = unseen_categories(schema, rows) if schema.open_categories else ()
        if unseen and self.count_unseen:
            for column, values in Counter(column for _, column in unseen).items():
                self.count_unseen(serving.name, column, values)
        return PredictionResult(serving, rows, self._ids(rows, key), predictions, sticky, started, unseen=unseen)

    def publish(self, answered: PredictionResult) -> None:
        """Pass a complete result to its subscribers, such as the prediction log."""
        for subscriber in self.subscribers:
            subscriber(answered)

    def _ids(self, rows: Sequence[Row], key: str) -> list[str]:
        """Return a name for each answer: nobody can guess it, or it is made from the idempotency key and the rows."""
        if key:
            seed = repr((key, rows)).encode("utf-8", "surrogatepass")
        else:
            seed = self._secret + b"%d %d" % (os.getpid(), next(self._drawn))  # unlike that of a forked twin
        drawn = hashlib.shake_256(seed).hexdigest(ID_BYTES * len(rows))
        return [drawn[start : start + 2 * ID_BYTES] for start in range(0, len(drawn), 2 * ID_BYTES)]


def unseen_categories(schema: Schema, rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return row and column of each category that the model does not know and its column does not refuse."""
    return [
        (number, name)
        for index, name, categories in schema.open_categories
        for number, row in enumerate(rows)
        if row[index] not in categories
    ]


def answer(serving: Serving, rows: Sequence[Row], key: str = "") -> PredictionResult:
    """Answer checked rows in the app of the present request, which is logged when its answer is complete."""
    g.answered = from_app(current_app).answer(serving, rows, key, request.headers.get(STICKY, ""))
    return g.answered


def answer_by_chosen(service: ModelService, rows: Callable[[Serving], Sequence[Row]], key: str) -> PredictionResult:
    """Answer rows by the challenger, if the request falls to it and it does so without a fault, else by Production."""
    chosen = service.choose(request.headers.get(STICKY, "") or key) or service.require()
    if chosen.role == "challenger":
        try:
            return answer(chosen, rows(chosen), key)
        except (HTTPException, RowsRefused) as refused:
            log.debug("the challenger refuses: %s", refused)  # Production says what is wrong, if it refuses as well
        except Exception:
            log.exception("the challenger failed on a request, which Production answers")
    production = service.require()
    return answer(production, rows(production), key)


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its way to answer."""
    counts = telemetry.from_app(app)
    app.extensions["prediction_service"] = PredictionService(
        counts.count_predictions, response_cache.from_settings(settings, counts.count_cached), counts.count_unseen
    )


def from_app(app: Flask) -> PredictionService:
    """Return what answers in an app."""
    return app.extensions["prediction_service"]

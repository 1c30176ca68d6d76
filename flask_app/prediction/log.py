"""The app's door to the prediction log: writes down what was answered, and asks the recorder about it."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, g

from flask_app.admission import csrf
from flask_app.models.cache import Identity
from flask_app.observability import telemetry
from flask_app.prediction import prediction_service
from flask_app.prediction.prediction_service import PredictionResult
from lockstep import ipc
from lockstep.config.settings import Settings
from lockstep.errors import StoreError
from lockstep.ipc import NoReply
from lockstep.prediction_log import privacy, url
from lockstep.prediction_log.records import Answer, Label, Record, Scalar
from lockstep.prediction_log.spool import Writer

if TYPE_CHECKING:
    from lockstep.server.recorder import Recorder

ASK_S = 10.0  # How long a question waits for the recorder and its database.
Rows = Callable[[Sequence[Sequence[Scalar]]], list[list[Scalar]] | None]


class PredictionLog:
    """The prediction log as one process of the app sees it."""

    def __init__(self, settings: Settings, on_lost: Callable[[int], None] = lambda count: None) -> None:
        self.settings = settings
        self.kept = privacy.checked(settings.log_rows)
        url.database(settings)
        self._writer = Writer(url.spool(settings), settings.spool_mb << 20, on_lost)
        self._recorder: Recorder | None = None
        self._hiders: dict[Identity, Any] = {}

    @property
    def on(self) -> bool:
        """Tell whether anything is logged."""
        return self.kept != "off"

    def record(self, answered: PredictionResult) -> None:
        """Write an answer down, which is complete by now."""
        predictions, serving = answered.predictions, answered.serving
        self._writer.write(
            Answer(
                at_us=time.time_ns() // 1000,
                model=serving.name,
                version=serving.version,
                variant=answered.variant,
                key=answered.key if self.kept == "plain" or not answered.key else self._hidden(answered.key),
                latency_us=int((time.perf_counter() - answered.started) * 1e6),
                ids=answered.ids,
                rows=self._rows(answered),
                values=predictions.values,
                shares=predictions.shares,
            )
        )

    def label(
        self, prediction: str, label: Scalar, event: str, source: str, value: float | None = None, author: str = ""
    ) -> None:
        """Write down what is said to be the truth about a prediction; `event` names this saying, which counts once."""
        self.write(Label(time.time_ns() // 1000, event, prediction, label, source, value, author or None))

    def write(self, record: Record) -> None:
        """Write any record down."""
        self._writer.write(record)

    def ask(self, operation: str, within_s: float = ASK_S, **arguments: Any) -> Any:
        """Ask the recorder, by `recorder.OPERATIONS`. Raises StoreError: it or its database is out of reach."""
        if not self.settings.recorder_socket:
            return self._here().ask(operation, arguments)
        try:
            return ipc.request(Path(self.settings.recorder_socket), {"ask": operation, "given": arguments}, within_s)
        except NoReply as error:
            raise StoreError(f"the recorder does not answer: {error}", "wait a moment") from None

    @property
    def full(self) -> bool:
        """Tell whether the disk takes nothing now, so that what is written waits in memory, where it may be lost."""
        return self._writer.waiting() > 0

    def close(self) -> None:
        """Leave the spool complete."""
        self._writer.close()

    def _here(self) -> "Recorder":
        """Return a recorder in this process, for an app without a server's, which has shipped what was written."""
        if self._recorder is None:
            from lockstep.server.recorder import Recorder

            self._recorder = Recorder(self.settings)
        while self._recorder.shipper.ship():
            pass
        return self._recorder

    def _rows(self, answered: PredictionResult) -> Any:
        if self.kept == "plain":
            return answered.rows
        if self.kept == "none":
            return None
        serving = answered.serving
        hide = self._hiders.get(serving.identity)
        if hide is None:
            kinds = list(serving.predictor.schema.kinds.values())
            hide = self._hiders[serving.identity] = privacy.hider(kinds, self._secret)
        return [hide(row) for row in answered.rows]

    def _hidden(self, word: str) -> str:
        return privacy.hashed(word, self._secret)

    @cached_property
    def _secret(self) -> bytes:
        return privacy.secret_of(csrf.secret_of(self.settings))


def init_app(app: Flask, settings: Settings) -> None:
    """Give the app its prediction log, and have all that it answers written there.

    Raises ConfigError: a setting of the log says what is not accepted.
    """
    log = PredictionLog(settings, telemetry.from_app(app).lost.inc)
    app.extensions["prediction_log"] = log
    if log.on:
        prediction_service.from_app(app).subscribers.append(log.record)
    app.after_request(_after)


def from_app(app: Flask) -> PredictionLog:
    """Return the prediction log of an app."""
    return app.extensions["prediction_log"]


def _after(response: Response) -> Response:
    """Write down what this request was answered, once the answer is complete and is none that says it failed."""
    if "answered" in g and response.status_code < 400:
        prediction_service.from_app(current_app).publish(g.answered)
    return response

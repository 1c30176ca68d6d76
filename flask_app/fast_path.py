"""Fast path of the WSGI app: valid predictions are answered without Flask's dispatch; Flask answers all else.

Whatever may be invalid goes to Flask, with its body: the views there are complete, and say what is wrong. So this
way has no error answers of its own, and may be taken away without a change to what the app answers.
"""

import io
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from flask_app.admission import guard, headers, limits, transfer
from flask_app.admission.limits import Overloaded
from flask_app.models import model_service
from flask_app.models.model_service import ModelService
from flask_app.observability import telemetry
from flask_app.prediction import prediction_service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON_TYPES = frozenset(["application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"])
# Headers that a program's plain request does not carry.
SLOW_PATH_HEADERS = ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")


class FastPath:
    """WSGI middleware that answers valid predictions, before a Flask app."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._service = prediction_service.from_app(app)
        named = {
            f"/models/{service.name}/predict": ("/models/<name>/predict", service)
            for service in model_service.all_of(app)
        }
        routes = {"/predict": ("/predict", model_service.default(app)), **named}
        self._routes = routes | {app.config["URL_PREFIX"] + path: route for path, route in routes.items()}
        self._count = {rule: telemetry.from_app(app).counter("POST", rule, 200) for rule, _ in self._routes.values()}
        self._headers = [*headers.HEADERS.items(), *headers.UNSTORED.items(), ("Content-Type", "application/json")]
        self._full = {rule: telemetry.from_app(app).counter("POST", rule, 503) for rule, _ in self._routes.values()}
        self._guard = guard.from_app(app)
        self._overloaded = guard.ready_made(app, Overloaded(limits.BUSY_S))
        self._most = int(app.config["MAX_CONTENT_LENGTH"])
        self._most_rows = int(app.config["MAX_ROWS"])

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        route = self._routes.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if route is None or not self._plain(environ) or not self._guard.passes(environ):
            return self.app.wsgi_app(environ, start_response)
        started = time.perf_counter()
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(length)
        whole = len(body) == length
        try:
            answer = self._within_limits(route[1], body, environ) if whole else None
        except Overloaded:
            self._full[route[0]](time.perf_counter() - started)
            start_response(self._overloaded[0], self._overloaded[1])
            return [self._overloaded[2]]
        if answer is None:
            environ["wsgi.input"] = io.BytesIO(body)
            return self.app.wsgi_app(environ, start_response)
        self._count[route[0]](time.perf_counter() - started)
        coding = []
        if len(answer) >= transfer.SMALLEST and transfer.accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            answer, coding = transfer.compressed(answer), [("Content-Encoding", transfer.GZIP)]
        start_response("200 OK", [*self._headers, *coding, ("Content-Length", str(len(answer)))])
        return [answer]

    def _within_limits(self, service: ModelService, body: bytes, environ: "WSGIEnvironment") -> bytes | None:
        """Answer while this request counts as under way; a large one waits for its turn."""
        limiter = self._guard.limiter
        limiter.acquire()
        try:
            if not limits.is_large(0, len(body)):
                return self._answer(service, body, environ)
            with limiter.large_request():
                return self._answer(service, body, environ)
        finally:
            limiter.release()

    def _plain(self, environ: "WSGIEnvironment") -> bool:
        """Tell whether a request is JSON of a known and allowed length, with nothing unusual around it."""
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ.get("CONTENT_TYPE") in JSON_TYPES
            and length.isdecimal()
            and int(length) <= self._most
            and not any(name in environ for name in SLOW_PATH_HEADERS)
            and guard.has_plain_head(environ)
        )

    def _answer(self, service: ModelService, body: bytes, environ: "WSGIEnvironment") -> bytes | None:
        """Return the answer to a valid body, or None."""
        key, sticky = environ.get("HTTP_IDEMPOTENCY_KEY", ""), environ.get("HTTP_X_STICKY_KEY", "")
        serving = service.choose(sticky or key)
        decoded = serving.predictor.decoder.decode(body) if serving else None
        if serving and decoded and decoded.version is not None:
            serving = service.loaded(decoded.version)
            decoded = serving.predictor.decoder.decode(body) if serving else None
        if serving is None or decoded is None or len(decoded.rows) > self._most_rows:
            return None
        try:
            answered = self._service.answer(serving, decoded.rows, key, sticky)
            answer = answered.to_json()
        except Exception:  # noqa: BLE001 - Flask tries again, and tells and logs what is wrong
            return None
        self._service.publish(answered)
        return answer

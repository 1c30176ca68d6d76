"""The WSGI app: flawless predictions are answered at once, without Flask's dispatch; Flask answers all else.

Whatever gives rise to doubt goes to Flask, with its body: the views there are complete, and say what is wrong. So this
way has no error answers of its own, and may be taken away without a change to what the app answers.
"""

import io
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from flask_app import answering, model_service, security, telemetry
from flask_app.answering import Answered
from flask_app.model_service import ModelService

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON_TYPES = frozenset(["application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"])
DOUBTS = ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")
"""Headers that a program's plain request does not carry."""


class Front:
    """Stands before a Flask app."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._answering = answering.of(app)
        service = model_service.of(app)
        self._routes = {
            "/predict": ("/predict", service),
            f"/models/{service.name}/predict": ("/models/<name>/predict", service),
        }
        self._count = {rule: telemetry.of(app).counter("POST", rule, 200) for rule, _ in self._routes.values()}
        self._headers = [*security.HEADERS.items(), *security.UNSTORED.items(), ("Content-Type", "application/json")]
        self._most = int(app.config["MAX_CONTENT_LENGTH"])

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        route = self._routes.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if route is None or not self._plain(environ):
            return self.app.wsgi_app(environ, start_response)
        started = time.perf_counter()
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        answered = self._answer(route[1], body, environ.get("HTTP_IDEMPOTENCY_KEY", ""))
        if answered is None:
            environ["wsgi.input"] = io.BytesIO(body)
            return self.app.wsgi_app(environ, start_response)
        answer = answered.to_json()
        self._count[route[0]](time.perf_counter() - started)
        start_response("200 OK", [*self._headers, ("Content-Length", str(len(answer)))])
        return [answer]

    def _plain(self, environ: "WSGIEnvironment") -> bool:
        """Tell whether a request is JSON of a known and allowed length."""
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ.get("CONTENT_TYPE") in JSON_TYPES
            and length.isdecimal()
            and int(length) <= self._most
            and not any(name in environ for name in DOUBTS)
        )

    def _answer(self, service: ModelService, body: bytes, key: str) -> Answered | None:
        """Return the answer to a flawless body, or None."""
        serving = service.serving()
        asked = serving.predictor.decoder.decode(body) if serving else None
        if serving is None or asked is None or asked.version not in (None, serving.version):
            return None
        try:
            return self._answering.answer(serving, asked.rows, key)
        except Exception:  # noqa: BLE001 - Flask tries again, and tells and logs what is wrong
            return None

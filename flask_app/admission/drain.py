"""Leave without dropping a request: not ready any more, each answer closes its connection, and all are answered."""

from types import FrameType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

RETRY_AFTER_S = 1
CLOSE = ("Connection", "close")


class Leaving(ServiceUnavailable):
    """This server is about to stop, so that new requests should go to another."""

    def __init__(self) -> None:
        super().__init__("This server is about to stop.", retry_after=RETRY_AFTER_S)


class Drain:
    """Whether an app is leaving."""

    def __init__(self) -> None:
        self.on = False

    def begin(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Leave from now on; fit to be a signal's handler."""
        self.on = True

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Return an app whose every answer closes its connection while this one is leaving."""

        def wrapped(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
            if not self.on:
                return app(environ, start_response)

            def closing(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
                return start_response(status, [*headers, CLOSE], *exc_info)

            return app(environ, closing)

        return wrapped


def init_app(app: Flask) -> None:
    """Give an app its way to leave."""
    app.extensions["drain"] = Drain()


def from_app(app: Flask) -> Drain:
    """Return how an app leaves."""
    return app.extensions["drain"]

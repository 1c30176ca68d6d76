"""What every answer says to browsers, and which browser requests are not let in."""

from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
UNSTORED = {"Cache-Control": "no-store"}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OWN_SITES = ("same-origin", "none")


def init_app(app: Flask) -> None:
    """Refuse what another site sends through a browser, and put the headers on every answer."""
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)


def refuse_other_sites() -> None:
    """Answer 403 to a change that a browser sends for another site; programs send no such header and pass.

    `Sec-Fetch-Site` cannot be set by a page; `Origin` stands in where a browser leaves it out, as over plain HTTP.
    This needs no token, no cookie and no secret shared by the workers.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    same_site = site in OWN_SITES if site else origin is None or _host_of(origin) == request.host
    if not same_site:
        raise Forbidden("This request was sent by a page of another site.")


def _host_of(origin: str) -> str:
    """Return the host and port of an Origin, nothing if it is malformed, as `http://[::1`."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def add_headers(response: Response) -> Response:
    """Add the headers; only static files may be stored, and what says so itself."""
    response.headers.update(HEADERS)
    if request.endpoint != "static" and "Cache-Control" not in response.headers:
        response.headers.update(UNSTORED)
    return response

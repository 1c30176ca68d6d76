"""Request admission: allowed hosts, authentication, rate limits and concurrency, before every route."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g, request
from werkzeug import exceptions
from werkzeug.exceptions import BadRequest, HTTPException, NotFound, RequestHeaderFieldsTooLarge, RequestURITooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import RequestRedirect

from flask_app import errors
from flask_app.admission import authentication, headers, limits, transfer
from flask_app.admission.authentication import Access, NoKey
from flask_app.admission.limits import ConcurrencyLimiter, Rate, RateLimit
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

# Under this name a request carries its client once it was let in, so that it is not counted twice.
ADMITTED = "lockstep.client"
MAX_ADDRESS = 8_000
MAX_HEADERS_BYTES = 32_000
MIB = 1024 * 1024
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")

Ready = tuple[str, list[tuple[str, str]], bytes]


class Guard:
    """The admission rules of the settings."""

    def __init__(self, settings: Settings) -> None:
        rate = Rate.parse(settings.rate_limit)
        self.access = Access.from_settings(settings)
        self.limit = RateLimit(rate, Path(settings.state).absolute()) if rate else None
        self.limiter = ConcurrencyLimiter(settings.max_in_flight, settings.queue_s)
        self._hosts = frozenset(host.strip().lower() for host in settings.allowed_hosts.split(",") if host.strip())
        self._hops = settings.trusted_proxies
        self._is_open = not (self.access.keyed or self.limit or self._hosts)

    def passes(self, environ: dict[str, Any]) -> bool:
        """Tell whether a request that needs a key may come in, and count it; if not, `admit` says why."""
        if self._is_open:
            return True
        try:
            self.admit(environ)
        except HTTPException:
            return False
        return True

    def admit(self, environ: dict[str, Any]) -> None:
        """Let in a request that needs a key, once.

        Raises BadRequest: it is meant for another host.
        Raises RateLimited: its client has to wait.
        Raises NoKey: it carries no key that is known.
        """
        if self._is_open or ADMITTED in environ:
            return
        name = self.access.authorized(environ) if self.access.keyed else None
        self._count(environ, name)
        if self.access.keyed and name is None:
            raise NoKey
        environ[ADMITTED] = name or True

    def admit_admin(self, environ: Mapping[str, Any]) -> None:
        """Let in a request that needs the admin token."""
        self._count(environ, None)
        self.access.require_admin(environ.get("HTTP_AUTHORIZATION", ""))

    def _count(self, environ: Mapping[str, Any], name: str | None) -> None:
        """Count a request for its key, or else for where it comes from; this also slows down who tries keys."""
        if self._hosts and host(environ) not in self._hosts:
            raise BadRequest("This host is not served here.")
        if self.limit:
            self.limit.check(name or limits.address(environ, self._hops))


def init_app(app: Flask, settings: Settings) -> None:
    """Put a guard before every route; one that nobody thought of needs a key like the others."""
    app.config["MAX_ROWS"] = _at_least_one(settings.max_rows, "LOCKSTEP_MAX_ROWS")
    size = _at_least_one(settings.max_body_mb, "LOCKSTEP_MAX_BODY_MB") * MIB
    app.config.update(MAX_CONTENT_LENGTH=size, MAX_FORM_MEMORY_SIZE=size)
    _at_least_one(settings.max_in_flight, "LOCKSTEP_MAX_IN_FLIGHT")
    app.extensions["guard"] = Guard(settings)
    app.debug = False  # whatever FLASK_DEBUG says
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_prefix=hops
        )
    app.before_request(admit_request)
    app.before_request(acquire_slot)
    app.teardown_request(release_slot)


def admit_request() -> None:
    """Let a request in, or say why not; probes and static files always may."""
    check_head(request.environ)
    if isinstance(request.routing_exception, RequestRedirect):
        raise NotFound  # it would lead to the host that the client named
    need = _need()
    if need == "key":
        from_app(current_app).admit(request.environ)
    elif need == "admin":
        from_app(current_app).admit_admin(request.environ)


def check_head(environ: Mapping[str, Any]) -> None:
    """Refuse a head that no client of ours sends, where the server let it through.

    Raises HTTPException: it is too long, or two servers might read it differently.
    """
    if _address_length(environ) > MAX_ADDRESS:
        raise RequestURITooLarge
    if _headers_length(environ) > MAX_HEADERS_BYTES:
        raise RequestHeaderFieldsTooLarge
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
        raise exceptions.NotImplemented("The only transfer encoding here is chunked.")
    if not (HOST.fullmatch(environ.get("HTTP_HOST", "")) or _is_old(environ)):
        raise BadRequest("A request needs one Host header, which names a host.")
    if not environ["REQUEST_METHOD"].isupper():
        raise BadRequest("Methods are in capital letters.")


def has_plain_head(environ: Mapping[str, Any]) -> bool:
    """Tell whether `check_head` lets a request pass."""
    try:
        check_head(environ)
    except HTTPException:
        return False
    return True


def _address_length(environ: Mapping[str, Any]) -> int:
    return len(environ.get("PATH_INFO", "")) + len(environ.get("QUERY_STRING", ""))


def _headers_length(environ: Mapping[str, Any]) -> int:
    return sum([len(name) + len(value) for name, value in environ.items() if name.startswith("HTTP_")])


def _is_old(environ: Mapping[str, Any]) -> bool:
    """Tell whether a request is of HTTP/1.0, which knew no Host."""
    return not environ.get("HTTP_HOST") and environ.get("SERVER_PROTOCOL") in ("HTTP/1", "HTTP/1.0")


def acquire_slot() -> None:
    """Count a request as under way as soon as its body is here, however slowly that came; a large one waits its turn.

    Raises BadRequest: the body was cut off.
    Raises Overloaded: as many are under way as may be.
    """
    if request.routing_exception or _need() == "nothing":
        return
    transfer.decode_body()
    body, limiter = request.get_data(), from_app(current_app).limiter
    if request.content_length is not None and len(body) < request.content_length:
        raise BadRequest("The body is shorter than its Content-Length.")
    limiter.acquire()
    g.limiter = limiter
    if limits.is_large(0, len(body)):
        limiter.acquire_permit()


def release_slot(_: BaseException | None) -> None:
    """Give back what the request took."""
    limiter: ConcurrencyLimiter | None = g.pop("limiter", None)
    if limiter:
        limiter.release_permit()
        limiter.release()


def ready_made(app: Flask, error: HTTPException) -> Ready:
    """Return what the app answers a program to an error, to be sent again and again where every microsecond counts."""
    with app.test_request_context():
        response = headers.add_headers(errors.on_http_exception(error))
        return response.status, list(response.headers), response.get_data()


def host(environ: Mapping[str, Any]) -> str:
    """Return the name in the Host header, without a port."""
    value: str = environ.get("HTTP_HOST", "").lower()
    name, colon, port = value.rpartition(":")
    return name if colon and port.isdecimal() else value


def key_of(environ: Mapping[str, Any]) -> str:
    """Return the fingerprint of the API key that a request was let in by, nothing where keys are not set."""
    name = environ.get(ADMITTED)
    return name if isinstance(name, str) else ""


def from_app(app: Flask) -> Guard:
    """Return the guard of an app."""
    return app.extensions["guard"]


def _need() -> authentication.Need:
    return authentication.need_of(request.url_rule.rule if request.url_rule else None)


def _at_least_one(value: int, variable: str) -> int:
    if value < 1:
        raise ConfigError(f"{variable} = {value} leaves no room for anything", "set it to 1 or more")
    return value

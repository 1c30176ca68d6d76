"""CSRF protection of the forms by Flask-WTF: a signed token in the page, its secret in a signed cookie of the browser.

The cookie is the session, so any worker of the same secret key validates the token of any other, and the server holds
nothing. Requests without any mark of a browser carry no ambient authority, so they need no token.
"""

import secrets
from pathlib import Path

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import URLSafeTimedSerializer
from werkzeug.exceptions import Forbidden
from wtforms import ValidationError

from flask_app.admission.transfer import check_transfer
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

FIELD = "csrf_token"
COOKIE = "lockstep_browser"
LIFETIME_S = 12 * 60 * 60
SECRET_FILE = "secret_key"  # noqa: S105 - a name
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
BROWSER_HEADERS = ("Cookie", "Origin", "Referer")
BROWSER_HEADER_PREFIX = "sec-fetch-"
EXPIRED = "This page was open for too long, or its cookie is gone. Your values are kept: please send them again."
INVALID = "This form did not come from a page of this app. Please send it again from here."
# What Flask-WTF calls a page and a cookie that do not belong together any more.
EXPIRED_REASONS = (
    "The CSRF token has expired.",
    "The CSRF session token is missing.",  # the cookie is as old as the page, or was never there
    "The CSRF tokens do not match.",
)


class InvalidToken(Forbidden):
    """A browser's form came without a valid token; the page is shown again with a new one."""


class BrowserSession(SecureCookieSessionInterface):
    """Flask's cookie session, opened for browsers alone; its key is read when the first browser comes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the signer of the cookie, with the secret key that all workers share."""
        app.secret_key = app.secret_key or secret_of(self._settings)
        return super().get_signing_serializer(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the browser's session; a program has an empty one, which is never saved."""
        return super().open_session(app, request) if from_browser() else self.session_class()

    def get_cookie_name(self, app: Flask) -> str:
        """Return a name that, over HTTPS, no other host of the domain can set."""
        return f"__Host-{COOKIE}" if request.is_secure else COOKIE

    def get_cookie_secure(self, app: Flask) -> bool:
        """Return whether the cookie is for HTTPS alone: as the request came."""
        return request.is_secure


def init_app(app: Flask, settings: Settings) -> None:
    """Require a valid token of every form that a browser posts, whatever its address."""
    app.config.update(
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_REFRESH_EACH_REQUEST=False,  # renewed with each token, so that the cookie outlives it
        PERMANENT_SESSION_LIFETIME=LIFETIME_S,
        WTF_CSRF_FIELD_NAME=FIELD,
        WTF_CSRF_TIME_LIMIT=LIFETIME_S,
    )
    app.session_interface = BrowserSession(settings)
    app.before_request(refuse_forged_forms)
    app.jinja_env.globals[FIELD] = token


def token() -> str:
    """Return a token for the page being written, and renew the cookie; a program needs neither."""
    if not from_browser():
        return ""
    session.permanent = session.modified = True
    return generate_csrf()


def refuse_forged_forms() -> None:
    """Validate the token of a browser's form. Raises InvalidToken: it is missing, expired, or of another browser."""
    if request.method != "POST" or request.mimetype not in FORMS or request.routing_exception or not from_browser():
        return
    check_transfer()
    try:
        validate_csrf(request.form.get(FIELD, ""))
    except ValidationError as error:
        raise InvalidToken(EXPIRED if str(error) in EXPIRED_REASONS else INVALID) from None


def from_browser() -> bool:
    """Return whether the request carries any header that a browser adds and a plain program does not."""
    marked = any(name in request.headers for name in BROWSER_HEADERS)
    fetched = any(name.lower().startswith(BROWSER_HEADER_PREFIX) for name, _ in request.headers)
    return marked or fetched or "text/html" in request.accept_mimetypes.values()


def secret_of(settings: Settings) -> str:
    """Return the secret key: the setting, else one that all workers share in the state folder.

    Raises ConfigError: the folder cannot be written.
    """
    if settings.secret_key:
        return settings.secret_key
    path = Path(settings.state).absolute() / SECRET_FILE
    try:
        return path.read_text(encoding="ascii") if path.exists() else _create(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be kept: {error.strerror}", "set LOCKSTEP_SECRET_KEY") from None


def _create(path: Path) -> str:
    """Write a new secret for the owner alone; of several workers that start at once, the first one's counts."""
    secret = secrets.token_hex(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(0o600, exist_ok=False)
    draft.write_text(secret, encoding="ascii")
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    finally:
        draft.unlink()
    return secret

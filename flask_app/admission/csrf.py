"""The token of the forms: what a browser sends must come from a page that this very browser was given.

A cookie holds a random name for the browser, and each page a signed copy of it. Another site can neither read the
page nor write the signature, so it cannot send both. Programs, which carry nothing of a browser, need no token.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path

from flask import Flask, Response, current_app, g, request
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from werkzeug.exceptions import Forbidden

from flask_app.admission.transfer import check_transfer
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

FIELD = "csrf_token"
COOKIE = "lockstep_browser"
LIFETIME_S = 12 * 60 * 60
SECRET_FILE = "secret_key"  # noqa: S105 - a name
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MARKS = ("Cookie", "Origin", "Referer")
MARK_PREFIX = "sec-fetch-"
NAME = re.compile(r"[0-9a-f]{32}")


class Refused(Forbidden):
    """A browser's form came without a token that fits; the page is shown again with a new one."""


def install(app: Flask, settings: Settings) -> None:
    """Ask every form that a browser posts for its token, whatever its address."""
    app.extensions["csrf"] = cache(lambda: URLSafeTimedSerializer(secret_of(settings), salt="form"))
    app.before_request(refuse_forged_forms)
    app.after_request(set_cookie)
    app.jinja_env.globals["csrf_token"] = token


def token() -> str:
    """Return a new token for the page being written, and let its answer carry the cookie; a program needs neither."""
    if not from_browser():
        return ""
    if "browser" not in g:
        g.browser = _browser() or secrets.token_hex(16)
    return _signer().dumps([g.browser, secrets.token_hex(8)])


def refuse_forged_forms() -> None:
    """Let a browser's form in only with the token of a page of ours.

    Raises
    ------
    Refused
        It is missing, too old, changed, or of another browser.
    """
    if request.method != "POST" or request.mimetype not in FORMS or request.routing_exception or not from_browser():
        return
    check_transfer()
    try:
        named, _ = _signer().loads(request.form.get(FIELD, ""), max_age=LIFETIME_S)
    except SignatureExpired:
        raise Refused("This page was open for too long. Your values are kept: please send them again.") from None
    except (BadData, ValueError):
        raise Refused("This form did not come from a page of this app. Please send it again from here.") from None
    if not hmac.compare_digest(named, _browser()):
        raise Refused("The cookie of this page is gone; the form needs it. Please send it again.")


def from_browser() -> bool:
    """Tell whether the request carries anything that a browser adds and a plain program does not."""
    marked = any(name in request.headers for name in MARKS)
    fetched = any(name.lower().startswith(MARK_PREFIX) for name, _ in request.headers)
    return marked or fetched or "text/html" in request.accept_mimetypes.values()


def set_cookie(response: Response) -> Response:
    """Renew the cookie with every page that holds a token, so that it outlives the token."""
    if "browser" in g:
        response.set_cookie(
            _cookie(), g.browser, max_age=LIFETIME_S, secure=request.is_secure, httponly=True, samesite="Strict"
        )
    return response


def _cookie() -> str:
    """Name the cookie so that, over HTTPS, no other host of the domain can set it."""
    return f"__Host-{COOKIE}" if request.is_secure else COOKIE


def _browser() -> str:
    found = request.cookies.get(_cookie(), "")
    return found if NAME.fullmatch(found) else ""


def _signer() -> URLSafeTimedSerializer:
    signer: Callable[[], URLSafeTimedSerializer] = current_app.extensions["csrf"]
    return signer()


def secret_of(settings: Settings) -> str:
    """Return the secret that signs the tokens: the setting, else one kept in the state folder for all workers.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    if settings.secret_key:
        return settings.secret_key
    path = Path(settings.state).absolute() / SECRET_FILE
    try:
        return path.read_text(encoding="ascii") if path.exists() else _keep(secrets.token_hex(32), path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be kept: {error.strerror}", "set LOCKSTEP_SECRET_KEY") from None


def _keep(secret: str, path: Path) -> str:
    """Write the secret for the owner alone; of several workers that start at once, the first one's counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    own.touch(0o600, exist_ok=False)
    own.write_text(secret, encoding="ascii")
    try:
        path.hardlink_to(own)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    finally:
        own.unlink()
    return secret

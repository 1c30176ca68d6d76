"""The URL prefix under which a reverse proxy shows the app: a setting, or X-Forwarded-Prefix of a trusted proxy."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Path segments alone: a prefix never begins with `//`, which would lead to another host.
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class UrlPrefix:
    """Sets SCRIPT_NAME, so that `url_for` names addresses as the client sees them."""

    def __init__(self, app: "WSGIApplication", prefix: str) -> None:
        self._app, self._prefix = app, prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Call the app under the prefix; a proxy that leaves the setting's prefix in the path is served too."""
        forwarded = environ.get("SCRIPT_NAME", "").rstrip("/")  # set by ProxyFix from a trusted header alone
        prefix = environ["SCRIPT_NAME"] = forwarded if PREFIX.fullmatch(forwarded) else self._prefix
        environ["PATH_INFO"] = stripped(environ["PATH_INFO"], self._prefix if prefix == self._prefix else "")
        return self._app(environ, start_response)


def init_app(app: Flask, settings: Settings) -> None:
    """Serve an app under the prefix of the settings."""
    app.config["URL_PREFIX"] = prefix_of(settings)
    if app.config["URL_PREFIX"] or settings.trusted_proxies:
        app.wsgi_app = UrlPrefix(app.wsgi_app, app.config["URL_PREFIX"])  # type: ignore[method-assign]


def prefix_of(settings: Settings) -> str:
    """Return the prefix of the settings, "" for none. Raises ConfigError: it is not a path."""
    prefix = settings.url_prefix.rstrip("/")
    if prefix and not PREFIX.fullmatch(prefix):
        raise ConfigError(f"LOCKSTEP_URL_PREFIX = {settings.url_prefix!r} is not a path", "write it as /ml or /team/ml")
    return prefix


def stripped(path: str, prefix: str) -> str:
    """Return a path without the prefix, if it has one."""
    return path[len(prefix) :] or "/" if prefix and f"{path}/".startswith(f"{prefix}/") else path

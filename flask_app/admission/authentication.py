"""Who may come in: callers with an API key where keys are set, and those who run the service with the admin token."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from werkzeug.exceptions import Forbidden, Unauthorized

from flask_app.errors import wants_page
from lockstep.config.settings import Settings
from lockstep.errors import ConfigError

Need = Literal["nothing", "key", "admin"]

# What load balancers, orchestrators and a browser on its way to the log-in ask, and what tells nothing of the data.
OPEN = frozenset({"/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/static/<path:filename>"})
ADMIN = frozenset({"/retrain", "/retrain/<job>", "/predictions", "/logs/recent"})
ADMIN_FOLDER = "/admin/"

BROWSER = 'Basic realm="Lockstep: an API key as the password", charset="UTF-8"'
PROGRAM = 'Bearer realm="Lockstep"'

SHORTEST = 16
# Printable ASCII without spaces and commas, as it must pass through a header and a list.
SECRET = re.compile(r"[!-+\--~]+")


class NoKey(Unauthorized):
    """A request came without a key that is known; a browser asks its user for one, a program reads how to send it."""

    def __init__(self) -> None:
        super().__init__("Send an API key: `Authorization: Bearer KEY` or `X-API-Key: KEY`.")

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Name the way to send one."""
        return [*super().get_headers(*args, **kwargs), ("WWW-Authenticate", BROWSER if wants_page() else PROGRAM)]


class WrongToken(Unauthorized):
    """A request to run the service came with another token, or none."""

    def __init__(self) -> None:
        super().__init__("Send the admin token: `Authorization: Bearer TOKEN`.")

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Name the way to send it."""
        return [*super().get_headers(*args, **kwargs), ("WWW-Authenticate", PROGRAM)]


class Access:
    """The keys and the token of one app, kept as digests only.

    A key is looked up by a digest under a secret drawn at the start: how long that takes tells nothing of the keys.
    """

    def __init__(self, keys: str, admin_token: str) -> None:
        self._secret = secrets.token_bytes(32)
        self._names = {self._digest(key): fingerprint(key) for key in listed(keys)}
        self._admin = self._digest(checked(admin_token, "LOCKSTEP_ADMIN_TOKEN")) if admin_token else None
        self.keyed = bool(self._names)
        self.governed = self._admin is not None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Access":
        """Return what the settings say."""
        return cls(settings.api_keys, settings.admin_token)

    def authorized(self, environ: Mapping[str, Any]) -> str | None:
        """Return the name of the key that a request carries, in any of three ways, if it is a known one."""
        credential = environ.get("HTTP_X_API_KEY") or credentials(environ.get("HTTP_AUTHORIZATION", ""))
        return self._names.get(self._digest(credential)) if credential else None

    def require_admin(self, authorization: str) -> None:
        """Let in who carries the admin token.

        Raises Forbidden: there is none, so that this is switched off.
        Raises WrongToken: it is another one.
        """
        if self._admin is None:
            raise Forbidden("This is switched off: no admin token is set.")
        scheme, _, secret = authorization.partition(" ")
        fits = hmac.compare_digest(self._digest(secret.strip()), self._admin)
        if not fits or scheme.lower() != "bearer":
            raise WrongToken

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=32).digest()


def need_of(rule: str | None) -> Need:
    """Tell what a route needs where keys are set; one that nobody listed, or no route at all, needs a key."""
    if rule in OPEN:
        return "nothing"
    return "admin" if rule and (rule.startswith(ADMIN_FOLDER) or rule in ADMIN) else "key"


def credentials(authorization: str) -> str:
    """Return the key in an Authorization header: a bearer's token, or a password beside any user name."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def listed(keys: str) -> list[str]:
    """Split a list of keys at commas and line ends. Raises ConfigError: one is too short, or unfit for a header."""
    return [checked(key, "LOCKSTEP_API_KEYS") for key in re.split(r"[,\s]+", keys) if key]


def checked(secret: str, variable: str) -> str:
    """Return a secret that is long enough; a message never shows it."""
    if len(secret) < SHORTEST or not SECRET.fullmatch(secret):
        raise ConfigError(
            f"{variable} holds a secret that is shorter than {SHORTEST} characters, or is not plain ASCII",
            "make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return secret


def fingerprint(key: str) -> str:
    """Return a name for a key which may be shown, as it does not lead back to it."""
    return f"key-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

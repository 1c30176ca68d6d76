"""Which tracking server the settings mean; nothing here talks to it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError

SQLITE = "sqlite:///"


@dataclass(frozen=True)
class TrackingServer:
    """Where runs and versions are kept, and who we are there."""

    uri: str
    username: str = ""
    password: str = field(default="", repr=False)
    kind: Literal["local", "mlflow", "dagshub"] = "mlflow"

    @property
    def shown(self) -> str:
        """The address without what stands before an @."""
        return redacted(self.uri)


def redacted(text: str) -> str:
    """Hide user and password in the addresses that a text holds."""
    return re.sub(r"//[^/@\s]+@", "//***@", text)


def resolve(settings: Settings) -> TrackingServer:
    """Choose the server: the one that is named, else DagsHub, else a database on this machine.

    Raises TrackingError: the address is of a kind that MLflow no longer writes to, or DAGSHUB_REPO is not owner/name.
    """
    if settings.tracking_uri:
        return _from_uri(settings.tracking_uri.strip(), settings)
    if settings.dagshub_repo and settings.dagshub_token:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", settings.dagshub_repo):
            raise TrackingError(f"DAGSHUB_REPO = {settings.dagshub_repo!r} is not owner/name", "write it as owner/name")
        return _dagshub(f"https://dagshub.com/{settings.dagshub_repo}.mlflow", settings)
    return TrackingServer(f"{SQLITE}{paths.current_root() / settings.state / 'mlflow.db'}", kind="local")


def _from_uri(uri: str, settings: Settings) -> TrackingServer:
    parts = urlsplit(uri)
    if parts.scheme == "file" or (not parts.scheme and uri != "databricks"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI = {uri!r} is a folder, and MLflow no longer keeps runs in one",
            "unset it to use a local database, or write sqlite:////absolute/path/mlflow.db or http://host:5000",
        )
    if parts.scheme == "sqlite":
        return TrackingServer(f"{SQLITE}{paths.current_root() / uri.removeprefix(SQLITE)}", kind="local")
    if parts.hostname == "dagshub.com":
        return _dagshub(uri.rstrip("/"), settings)
    return TrackingServer(uri.rstrip("/"), settings.tracking_username, settings.tracking_password)


def _dagshub(uri: str, settings: Settings) -> TrackingServer:
    """DagsHub takes the token as the password, beside the account's name or the token once more."""
    password = settings.tracking_password or settings.dagshub_token
    return TrackingServer(uri, settings.tracking_username or settings.dagshub_token, password, "dagshub")


def database_of(uri: str) -> Path | None:
    """Return the file behind a sqlite address, or None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None

"""Which tracking server the settings mean; nothing here talks to it."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from lockstep import paths
from lockstep.config.settings import Settings
from lockstep.errors import TrackingError

SQLITE = "sqlite:///"
UNFIT = re.compile("[%?#]")
INTERNAL = (".local", ".localhost", ".internal", ".lan", ".svc", ".cluster.local")


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
    return _local(paths.current_root() / settings.state / "mlflow.db")


def _from_uri(uri: str, settings: Settings) -> TrackingServer:
    parts = urlsplit(uri)
    if parts.scheme == "file" or (not parts.scheme and uri != "databricks"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI = {uri!r} is a folder, and MLflow no longer keeps runs in one",
            "unset it to use a local database, or write sqlite:////absolute/path/mlflow.db or http://host:5000",
        )
    if parts.scheme == "sqlite":
        return _local(paths.current_root() / uri.removeprefix(SQLITE))
    if parts.hostname == "dagshub.com":
        return _dagshub(uri.rstrip("/"), settings)
    return TrackingServer(uri.rstrip("/"), settings.tracking_username, settings.tracking_password)


def _local(database: Path) -> TrackingServer:
    """Return the address of a file. Raises TrackingError: its path holds what MLflow reads as a part of an address."""
    if UNFIT.search(str(database)):
        raise TrackingError(
            f"the tracking store cannot be in {str(database.parent)!r}: MLflow finds no files in a path with %, ? or #",
            "rename the folder, or let LOCKSTEP_STATE name one elsewhere",
        )
    return TrackingServer(f"{SQLITE}{database}", kind="local")


def _dagshub(uri: str, settings: Settings) -> TrackingServer:
    """DagsHub takes the token as the password, beside the account's name or the token once more."""
    password = settings.tracking_password or settings.dagshub_token
    return TrackingServer(uri, settings.tracking_username or settings.dagshub_token, password, "dagshub")


def database_of(uri: str) -> Path | None:
    """Return the file behind a sqlite address, or None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def proxy_hint(uri: str) -> str:
    """Say what to set where a proxy gets the requests to a host of this machine or network; empty if none does."""
    parts = urlsplit(uri)
    host, proxies = parts.hostname or "", getproxies()
    proxy = proxies.get(parts.scheme) or (proxies.get("all") if parts.scheme in ("http", "https") else "")
    if not proxy or proxy_bypass(host) or not _is_internal(host):
        return ""
    return f"the proxy {redacted(proxy)} gets the requests to {host}: add it to NO_PROXY, as in NO_PROXY={host}"


def _is_internal(host: str) -> bool:
    """Return whether a host is one that no proxy on the internet reaches."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(INTERNAL)

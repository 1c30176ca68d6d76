"""Files from the web: one connection to a checked address, resumed where it broke off, and never more than allowed."""

import http.client
import logging
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from lockstep import files
from lockstep.config.params import DataIngestion
from lockstep.data.sources.content import MIB
from lockstep.data.sources.network_policy import resolve
from lockstep.errors import DataError
from lockstep.runtime.progress import Progress
from lockstep.runtime.retry import Backoff

BACKOFF = Backoff(attempts=5, first_s=0.5)
REDIRECTS, PIECE = 5, 1 << 18
BROKEN = (OSError, http.client.HTTPException)
RETRIED = (429, 500, 502, 503, 504)
PAGE = (b"<!doctype html", b"<html")
CALLED = {"User-Agent": "lockstep", "Accept": "*/*", "Accept-Encoding": "identity"}

log = logging.getLogger("data_ingestion")


class Interrupted(Exception):
    """A transfer that broke off, or a server that is busy: worth another attempt."""


@dataclass(frozen=True)
class Page:
    """What is asked: the address as written, and what params.yaml says about it."""

    url: str
    params: DataIngestion


def download(page: Page, to: Path) -> dict[str, Any]:
    """Bring a file here, going on where an earlier attempt ended; return what the server says identifies it.

    The partial file and what it is part of stay beside `to` until the file is whole, also between two runs.

    Raises DataError: the address is not accepted, the server refuses, the file is too large or no file of data.
    """
    to.parent.mkdir(parents=True, exist_ok=True)

    def on_failure(error: Exception, attempt: int) -> None:
        if isinstance(error, ssl.SSLCertVerificationError):
            raise DataError(
                f"{page.url}: the certificate is not accepted: {error.verify_message}",
                "check the address; a certificate authority of your own goes into SSL_CERT_FILE",
            ) from None
        log.warning("%s: %s (attempt %d of %d)", page.url, _reason(error), attempt, BACKOFF.attempts)

    try:
        return BACKOFF.call(lambda: _attempt(page, to), (Interrupted, *BROKEN), on_failure)
    except (Interrupted, *BROKEN) as error:
        raise DataError(
            f"{page.url} could not be fetched: {_reason(error)}",
            "run it again, it goes on where it broke off; a slow server needs data_ingestion.timeout_s",
        ) from None


def _reason(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def probe(page: Page) -> dict[str, Any]:
    """Return what the server says identifies the file now, without fetching it."""
    try:
        with _answer(page, {}, "HEAD") as answer:
            if answer.status not in (405, 501):
                _check_status(page, answer)
                return _identity(answer)
        with _answer(page, {"Range": "bytes=0-0"}) as answer:
            _check_status(page, answer)
            return _identity(answer)
    except (Interrupted, *BROKEN) as error:
        raise DataError(f"{page.url} does not answer: {error}", "check the network, and run it again") from None


def _attempt(page: Page, to: Path) -> dict[str, Any]:
    partial, note = to.with_name(f"{to.name}.part"), to.with_name(f"{to.name}.json")
    noted = files.read_json(note) if note.exists() and partial.exists() else {}
    start = partial.stat().st_size if noted else 0
    mark = noted.get("etag", noted.get("last_modified", "")).removeprefix("W/")
    headers = {"Range": f"bytes={start}-", "If-Range": mark} if start and mark else {}
    with _answer(page, headers) as answer:
        if answer.status == 416:
            partial.unlink()
            raise Interrupted("what is here is no part of it any more; starting anew")
        _check_status(page, answer)
        resumed = answer.status == 206 and (answer.getheader("Content-Range") or "").startswith(f"bytes {start}-")
        if answer.status == 206 and not resumed:
            partial.unlink()
            raise Interrupted("the server sent another part than it was asked for")
        start = start if resumed else 0
        identity = noted if resumed else _identity(answer)
        files.write_json(identity, note)
        with partial.open("ab" if resumed else "wb") as stream:
            _receive(page, answer, stream, start)
    _check_kind(page, partial)
    partial.replace(to)
    note.unlink()
    return identity


def _receive(page: Page, answer: http.client.HTTPResponse, stream: Any, start: int) -> None:
    """Write what comes, and tell a whole file from one that broke off."""
    limit, length = page.params.max_mb * MIB, answer.getheader("Content-Length")
    whole = start + int(length) if length and length.isdecimal() else None
    if whole is not None and whole > limit:
        raise _too_large(page)
    here = start
    with Progress("bytes", page.url.partition("?")[0], whole, here) as progress:
        while piece := answer.read(PIECE):
            here += len(piece)
            if here > limit:
                raise _too_large(page)
            stream.write(piece)
            progress.update(here)
    if whole is not None and here < whole:
        raise Interrupted(f"broke off after {here} of {whole} bytes")


def _too_large(page: Page) -> DataError:
    return DataError(
        f"{page.url} is larger than {page.params.max_mb} MiB", "raise data_ingestion.max_mb if it is meant to be so"
    )


def _identity(answer: http.client.HTTPResponse) -> dict[str, Any]:
    """Return the headers that change with the content; of a part, the size of the whole."""
    whole = (answer.getheader("Content-Range") or "").rpartition("/")[2] or answer.getheader("Content-Length")
    headers = {"etag": answer.getheader("ETag"), "last_modified": answer.getheader("Last-Modified"), "size": whole}
    return {name: value for name, value in headers.items() if value}


def _check_status(page: Page, answer: http.client.HTTPResponse) -> None:
    status = answer.status
    if status in (200, 206):
        if answer.getheader("Content-Type", "").startswith("text/html"):
            raise _no_table(page)
        return
    if status in RETRIED:
        raise Interrupted(f"the server answers {status} {answer.reason}")
    hints = {
        401: "it needs a login: fetch it yourself and put it into data/external/",
        403: "it may not be read: fetch it yourself and put it into data/external/",
        404: "check the address in data_ingestion.source",
        410: "it is gone: look for another place, and set data_ingestion.source",
    }
    raise DataError(
        f"{page.url}: the server answers {status} {answer.reason}",
        hints.get(status, "check the address in data_ingestion.source"),
    )


def _check_kind(page: Page, path: Path) -> None:
    with path.open("rb") as stream:
        if stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(PAGE):
            path.unlink()
            raise _no_table(page)


def _no_table(page: Page) -> DataError:
    return DataError(
        f"{page.url} is a web page, not a table", "it may be a login or a preview: take the address of the raw file"
    )


@contextmanager
def _answer(page: Page, headers: Mapping[str, str], method: str = "GET") -> Iterator[http.client.HTTPResponse]:
    """Yield the answer at the end of at most five redirects, each of them checked like the first address."""
    url = page.url
    for _ in range(REDIRECTS + 1):
        connection, target = _connection(url, page)
        try:
            connection.request(method, target, headers={**CALLED, **headers})
            answer = connection.getresponse()
            moved = answer.getheader("Location") if answer.status in (301, 302, 303, 307, 308) else None
            if not moved:
                yield answer
                return
            url = urljoin(url, moved)
        finally:
            connection.close()
    raise DataError(f"{page.url} redirects in circles", "take the address at which the file really lies")


def _connection(url: str, page: Page) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection to the checked address of a URL, and what to ask there."""
    parts = urlsplit(url)
    host, port = _checked(parts, url, page)
    address = resolve(host, port, page.params.allow_private)
    kind = _Secure if parts.scheme == "https" else _Plain
    connection = kind(host, port, timeout=page.params.timeout_s)
    connection.address = address
    return connection, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _checked(parts: SplitResult, url: str, page: Page) -> tuple[str, int]:
    allowed = ("https", "http") if page.params.allow_private else ("https",)
    if parts.scheme not in allowed:
        raise DataError(
            f"{page.url} leads to {parts.scheme}://, which is not read",
            "use https://; http:// is for servers in your own network, with data_ingestion.allow_private: true",
        )
    if parts.username is not None or not parts.hostname:
        raise DataError(
            f"{url.partition('://')[0]}:// address with a user, or without a host", "write https://HOST/PATH"
        )
    try:
        return parts.hostname, parts.port or {"https": 443, "http": 80}[parts.scheme]
    except ValueError:
        raise DataError(f"{url} has no such port", "mend data_ingestion.source") from None


class _Plain(http.client.HTTPConnection):
    """A connection that goes to one address, whatever the name server says meanwhile."""

    address = ""

    def connect(self) -> None:
        """Connect to the address."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _Secure(_Plain):
    """The same over TLS, with the certificate of the host's name."""

    default_port = 443

    def connect(self) -> None:
        """Connect to the address and check the certificate."""
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

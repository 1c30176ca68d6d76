"""A client for programs that ask a Lockstep server: nothing but the standard library, typed, safe to retry.

Example
-------
>>> client = Client("http://127.0.0.1:5000")  # doctest: +SKIP
>>> client.predict([{"text": "a good film"}])[0].prediction  # doctest: +SKIP
'positive'
"""

import http.client
import json
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

from lockstep.runtime.retry import Backoff

Value = float | int | str | None
Row = Mapping[str, Value]

TIMEOUT_S = 10.0
RETRIES = 4
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 20.0  # No wait between two attempts is longer; a server that asks for more is not waited for.
BUSY = frozenset({429, 502, 503, 504})


class ClientError(Exception):
    """A request that got no prediction."""


class Unreachable(ClientError):
    """No server answered, however often it was tried."""


class Answered(ClientError):
    """A server answered with a fault, which problem details describe."""

    def __init__(self, status: int, details: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        self.status = status
        self.title = str(details.get("title", ""))
        self.detail = str(details.get("detail", ""))
        self.retry_after_s = retry_after_s
        super().__init__(f"{status} {self.title}: {self.detail}".rstrip(": "))


class Fault(NamedTuple):
    """What is wrong with one column of one row."""

    row: int
    column: str
    problem: str


class Refused(Answered):
    """The request does not fit; `faults` names every wrong column, as many as the answer held."""

    def __init__(self, status: int, details: Mapping[str, Any], retry_after_s: float | None = None) -> None:
        super().__init__(status, details, retry_after_s)
        errors = details.get("errors", [])
        self.faults = tuple(Fault(error["row"], error["column"], error["problem"]) for error in errors)

    def __str__(self) -> str:
        shown = "".join(f"; row {fault.row}, {fault.column!r}: {fault.problem}" for fault in self.faults[:3])
        return f"{super().__str__()}{shown}"


class Denied(Answered):
    """The key is missing, unknown, or not enough."""


class NotServed(Answered):
    """This server has no such model or address."""


class Busy(Answered):
    """The server has no model yet, or no room, and still had none after the last attempt."""


class Failed(Answered):
    """The server broke, or something that is no Lockstep server answered."""


ERRORS: dict[int, type[Answered]] = {
    **dict.fromkeys((400, 413, 415, 422), Refused),
    **dict.fromkeys((401, 403), Denied),
    404: NotServed,
    **dict.fromkeys(BUSY, Busy),
}


class Model(NamedTuple):
    """A model and its version."""

    name: str
    version: str


@dataclass(frozen=True)
class Prediction:
    """An answer: its id, to give feedback by, what is predicted, and each label's probability if there are labels."""

    id: str
    prediction: str | int | float | bool
    model: Model
    probabilities: Mapping[str, float] = field(default_factory=dict)


class Client:
    """Asks one server; threads may share it, as each has a connection of its own, which is kept open."""

    def __init__(
        self, url: str, api_key: str | None = None, timeout_s: float = TIMEOUT_S, retries: int = RETRIES
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address such as http://127.0.0.1:5000")
        self.timeout_s, self.retries = timeout_s, retries
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "lockstep-client"}
        if api_key:
            self._headers["X-API-Key"] = api_key
        self._own = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connection; another request opens one again."""
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection:
            connection.close()

    def predict(
        self, rows: Sequence[Row], version: str | None = None, model: str | None = None, sticky_key: str = ""
    ) -> list[Prediction]:
        """Answer rows by the version in Production, or another one, of the default model, or another one.

        However often this has to be sent, the predictions of one call have the same ids. While a challenger is tried,
        calls with the same `sticky_key`, plain ASCII, are answered by the same version.

        Raises Refused: rows do not fit the model.
        Raises ClientError: there is no answer for another reason.
        """
        path = f"/models/{quote(model, safe='')}/predict" if model else "/predict"
        content = {"rows": [dict(row) for row in rows]} | ({"version": version} if version else {})
        body = json.dumps(content, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        headers |= {"X-Sticky-Key": sticky_key} if sticky_key else {}
        answer = self._ask("POST", path, body, headers)
        named = Model(**answer["model"])
        return [Prediction(**prediction, model=named) for prediction in answer["predictions"]]

    def feedback(self, id: str, label: str | int | float | bool) -> str:
        """Say what was true after all, and return what that did: new, changed, unchanged, or waiting for the log.

        Raises NotServed: no prediction with this id is logged.
        Raises Refused: the model has no such label.
        Raises ClientError: there is no answer for another reason.
        """
        body = json.dumps({"id": id, "label": label}, allow_nan=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        return str(self._ask("POST", "/feedback", body, headers)["status"])

    def ready(self) -> bool:
        """Tell whether the server can answer predictions; asked once, without retries."""
        try:
            status, _, _ = self._send("GET", "/readyz", None, {})
        except (OSError, http.client.HTTPException):
            self.close()
            return False
        return status == HTTPStatus.OK

    def model(self) -> Model:
        """Return the model that the server answers with by default. Raises ClientError: there is none, or no answer."""
        return Model(**self._ask("GET", "/readyz", None, {})["model"])

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        """Send until there is an answer that another attempt would not better."""
        backoff = Backoff(self.retries + 1, FIRST_WAIT_S, longest_s=LONGEST_WAIT_S, jitter=0.5)
        return backoff.call(lambda: self._exchange(method, path, body, headers), (ClientError,), _wished_pause_s)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        """Send once, and return the content of a good answer."""
        try:
            status, head, content = self._send(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self._host} does not answer: {error or type(error).__name__}") from error
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            return decoded(content)
        raise explained(status, head, content)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._make(self._host, self._port, timeout=self.timeout_s)
        connection.request(method, self._prefix + path, body, {**self._headers, **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def _wished_pause_s(error: Exception, attempt: int) -> float:
    """Return how long a busy server wants no request; raise what another attempt would not better."""
    if not isinstance(error, Answered):
        return 0.0
    pause_s = error.retry_after_s or 0.0
    if error.status not in BUSY or pause_s > LONGEST_WAIT_S:
        raise error
    return pause_s


def decoded(content: bytes) -> Any:
    """Return the JSON of an answer. Raises Failed: it is none."""
    try:
        return json.loads(content)
    except ValueError:
        raise Failed(HTTPStatus.OK, {"title": "OK", "detail": "the answer is not JSON"}) from None


def explained(status: int, headers: http.client.HTTPMessage, content: bytes) -> Answered:
    """Return the error that an answer is."""
    try:
        details = json.loads(content)
    except ValueError:
        details = {}
    details = details if isinstance(details, dict) else {}
    return ERRORS.get(status, Failed)(status, details, seconds(headers.get("Retry-After")))


def seconds(retry_after: str | None) -> float | None:
    """Return how long a Retry-After header asks to wait, given as seconds or as a date."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None

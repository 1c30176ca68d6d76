"""One small application under three interfaces: a constant, and a linear model on 30 numbers.

`GET /` answers the constant with the process's number, `POST /` reads `{"rows": [[30 numbers], ...]}` and answers the
probabilities. Only the interface differs, so differences are due to the servers.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import numpy as np
import orjson

COLUMNS = 30
_draw = np.random.default_rng(42)
WEIGHTS, BIAS = _draw.normal(size=COLUMNS), 0.1
CONSTANT = orjson.dumps({"process": os.getpid(), "probabilities": [0.5]})
JSON = "application/json"


def answer(body: bytes) -> bytes:
    """Return the constant for no body, else the model's probabilities."""
    if not body:
        return CONSTANT
    scores = np.asarray(orjson.loads(body)["rows"], dtype=np.float64) @ WEIGHTS + BIAS
    return orjson.dumps({"process": os.getpid(), "probabilities": (1 / (1 + np.exp(-scores))).tolist()})


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer under WSGI."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    content = answer(environ["wsgi.input"].read(length) if length else b"")
    start_response("200 OK", [("Content-Type", JSON), ("Content-Length", str(len(content)))])
    return [content]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answer under ASGI."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    content = answer(b"".join(parts))
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _live(receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Rsgi:
    """Answer under RSGI, granian's own interface."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        content = answer(await protocol())
        protocol.response_bytes(200, [("content-type", JSON)], content)


rsgi = Rsgi()

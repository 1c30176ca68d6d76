"""Content codings: gzip request bodies within the size limit, and gzip answers where the client accepts them."""

import gzip
import io
import re
import zlib

from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_accept_header
from werkzeug.wsgi import get_input_stream

GZIP = "gzip"
GZIP_WINDOW = 16 + zlib.MAX_WBITS
LEVEL = 4  # Of 9: most of what is to be gained, in a fifth of the time.
SMALLEST = 1024  # Answers shorter than this fit in one packet, compressed or not.
COMPRESSIBLE = re.compile(
    r"text/(html|css|csv|plain|javascript)|application/((problem\+)?json|javascript)|image/svg\+xml"
)


def init_app(app: Flask) -> None:
    """Compress what is large enough, of a kind that shrinks, and accepted in gzip."""
    app.after_request(compress)


def decode_body() -> None:
    """Replace a gzip body by its content, before anything reads it.

    Raises UnsupportedMediaType: it is coded otherwise.
    Raises BadRequest: it is not gzip, or cut off.
    Raises RequestEntityTooLarge: it, or its content, is larger than a body may be.
    """
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return
    if coding not in (GZIP, "x-gzip"):
        raise UnsupportedMediaType("Send the body in Content-Encoding gzip, or without.")
    limit = request.max_content_length or 0
    body = inflated(get_input_stream(request.environ, max_content_length=limit).read(), limit)
    request.environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    request.environ.pop("HTTP_CONTENT_ENCODING")
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)


def inflated(body: bytes, limit: int) -> bytes:
    """Return the content of one gzip member; no more than `limit` bytes are ever unpacked."""
    decoder = zlib.decompressobj(GZIP_WINDOW)
    try:
        content = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise BadRequest("The body is not gzip, as its Content-Encoding says.") from None
    if len(content) > limit:
        raise RequestEntityTooLarge
    if not decoder.eof or decoder.unused_data:
        raise BadRequest("The gzip body is cut off, or goes on after its end.")
    return content


def check_transfer() -> None:
    """Refuse a body of undeclared length that reaches the limit, where it is cut off."""
    if request.content_length is None and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header accepts gzip."""
    return GZIP in accept_encoding and parse_accept_header(accept_encoding)[GZIP] > 0


def compressed(content: bytes) -> bytes:
    """Return content in gzip, the same bytes at any time."""
    return gzip.compress(content, LEVEL, mtime=0)


def compress(response: Response) -> Response:
    """Compress a full answer in place.

    That a page with a token is compressed gives nothing away: the cookie is SameSite=Strict, so no other site can have
    it asked for and measured.
    """
    if not COMPRESSIBLE.fullmatch(response.mimetype or "") or response.status_code != 200 or request.method == "HEAD":
        return response
    if not response.cache_control.no_store:
        response.vary.add("Accept-Encoding")
    if "Content-Encoding" in response.headers or not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return response
    response.direct_passthrough = False
    content = response.get_data()
    if len(content) >= SMALLEST:
        response.set_data(compressed(content))
        response.headers["Content-Encoding"] = GZIP
        etag, _ = response.get_etag()
        if etag:
            response.set_etag(etag, weak=True)
    return response

"""Checks of how a request body is sent: its encoding and its length."""

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType


def check_transfer() -> None:
    """Refuse a body that is compressed, and one of untold length that reaches the limit, where it is cut off."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding.")
    if request.content_length is None and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge

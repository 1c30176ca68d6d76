"""Our own protocol: rows that are objects of column names and values."""

from flask_app.protocols import strict
from flask_app.protocols.strict import Call


def decode(body: bytes) -> Call:
    """Return what a JSON body asks; refusals are those of `strict.enveloped`."""
    return strict.enveloped(body, "rows", "version", strict.by_name)

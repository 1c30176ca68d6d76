"""Our own protocol: rows that are objects of column names and values."""

from flask_app.protocols import strict
from flask_app.protocols.strict import Call

KEYS = ("rows", "version")


def decode(body: bytes) -> Call:
    """Return what a JSON body asks.

    Raises
    ------
    BadRequest
        It is not strict JSON.
    UnprocessableEntity
        It is not an object of rows and perhaps a version.
    """
    content = strict.fields(strict.document(body), KEYS, "The body")
    version = strict.version(content, "version")
    return Call(lambda terms: strict.by_name(content.get("rows"), terms, '"rows"'), version)

"""Our own protocol: rows that are objects of column names and values."""

from werkzeug.exceptions import UnprocessableEntity

from flask_app.protocols import strict_json
from flask_app.protocols.strict_json import Call

KEYS = ("rows", "version", "explain")


def decode(body: bytes) -> Call:
    """Return what a JSON body asks.

    Raises BadRequest: it is not strict JSON.
    Raises UnprocessableEntity: it is no object of these keys, or one of them holds what it should not.
    """
    content = strict_json.fields(strict_json.document(body), KEYS, "The body")
    explain = content.get("explain", False)
    if not isinstance(explain, bool):
        raise UnprocessableEntity('"explain" must be true or false.')
    rows = content.get("rows")
    return Call(
        lambda terms: strict_json.by_name(rows, terms, '"rows"'), strict_json.version(content, "version"), explain
    )

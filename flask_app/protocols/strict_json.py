"""Strict JSON, and rows in each of the shapes that protocols give them."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnprocessableEntity

from flask_app.errors import shown
from lockstep.data.schema import FieldError, Row, RowsRefused, Schema
from lockstep.errors import nearest

MAX_UNKNOWN = 100  # With more unknown columns than this, no time is spent on finding what each may have meant.


# An escape of half a UTF-16 pair; alone it is no character, and no text that UTF-8 could carry.
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
NOT_STRICT = (
    "The body is not strict JSON: one UTF-8 document, no key twice, no NaN or Infinity, no half of a surrogate pair."
)


@dataclass(frozen=True)
class RowLimits:
    """What rows must keep to: a schema, and how many there may be."""

    schema: Schema
    most: int


@dataclass(frozen=True)
class Call:
    """What a request asks: rows to be checked on terms, of which version if it says so, and whether to say why."""

    rows: Callable[[RowLimits], list[Row]]
    version: str | None = None
    explain: bool = False


def enveloped(body: bytes, rows: str, version_key: str, read: Callable[[Any, RowLimits, str], list[Row]]) -> Call:
    """Return what a JSON object asks that holds rows under one key and perhaps a version under another.

    Raises BadRequest: it is not strict JSON.
    Raises UnprocessableEntity: it is no such object.
    """
    content = fields(document(body), (rows, version_key), "The body")
    return Call(lambda terms: read(content.get(rows), terms, f'"{rows}"'), version(content, version_key))


def document(body: bytes) -> Any:
    """Return the content of strict JSON.

    Raises BadRequest: it is not one document in UTF-8, holds NaN, infinity or a lone surrogate, or a key stands twice.
    """
    try:
        content = json.loads(body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_once)
        if SURROGATE.search(body):
            json.dumps(content, ensure_ascii=False).encode()  # fails for one that is not half of a pair
    except (ValueError, RecursionError):
        raise BadRequest(NOT_STRICT) from None
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content


def fields(content: Any, accepted: Sequence[str], what: str) -> dict[str, Any]:
    """Return an object of accepted keys alone. Raises UnprocessableEntity: it is none, or has another key."""
    if not isinstance(content, dict):
        raise UnprocessableEntity(f"{what} must be an object with keys among: {', '.join(accepted)}.")
    for key in content:
        if key not in accepted:
            key = shown(key)
            raise UnprocessableEntity(
                f"{what}: unknown key {key!r}{nearest(key, accepted)}; accepted: {', '.join(accepted)}."
            )
    return content


def options(content: Any, accepted: Sequence[str], what: str) -> dict[str, Any]:
    """Return an object that may be left out or null, and holds nothing but accepted keys."""
    return {} if content is None else fields(content, accepted, what)


def version(content: dict[str, Any], key: str) -> str | None:
    """Return the version that a request names, if it does."""
    named = content.get(key)
    if named is not None and not isinstance(named, str):
        raise UnprocessableEntity(f'"{key}" must be a text, such as "3".')
    return named


def sequence(rows: Any, what: str, most: int) -> list[Any]:
    """Return a list that is neither empty nor too long.

    Raises UnprocessableEntity: it is no list, or empty.
    Raises RequestEntityTooLarge: it has more rows than a request may have.
    """
    if not isinstance(rows, list) or not rows:
        raise UnprocessableEntity(f"{what} must be a list of at least one row.")
    if len(rows) > most:
        raise RequestEntityTooLarge(f"At most {most} rows a request.")
    return rows


def by_name(rows: Any, terms: RowLimits, what: str) -> list[Row]:
    """Return rows that are objects of column names and values, checked."""
    rows = sequence(rows, what, terms.most)
    refuse_floods(rows, terms.schema)
    return terms.schema.check(rows)


def refuse_floods(rows: Sequence[Any], schema: Schema) -> None:
    """Refuse rows with very many unknown columns, before time is spent on finding what each may have meant."""
    unknown: list[FieldError] = []
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            names = islice(row.keys() - schema.kinds.keys(), MAX_UNKNOWN + 1)
            unknown += [FieldError(number, name, "unknown column") for name in names]
        if len(unknown) > MAX_UNKNOWN:
            raise RowsRefused(unknown)


def by_place(rows: Any, terms: RowLimits, what: str) -> list[Row]:
    """Return rows that are lists of values in the order of the columns, checked."""
    return under_header(list(terms.schema.kinds), rows, terms, what)


def under_header(names: Sequence[Any], rows: Any, terms: RowLimits, what: str) -> list[Row]:
    """Return rows that are lists of values in the order of the names, checked."""
    rows = sequence(rows, what, terms.most)
    check_names(names, terms.schema)
    wrong = [
        FieldError(number, "", f"a row here is a list of {len(names)} values, one a column")
        for number, row in enumerate(rows)
        if not isinstance(row, list) or len(row) != len(names)
    ]
    if wrong:
        raise RowsRefused(wrong)
    return terms.schema.check([dict(zip(names, row, strict=True)) for row in rows])


def by_column(columns: Iterable[tuple[Any, Any]], terms: RowLimits) -> list[Row]:
    """Return rows that came as lists of values under column names, checked."""
    columns = list(columns)
    names = [name for name, _ in columns]
    check_names(names, terms.schema)
    lists = [sequence(values, "Each column", terms.most) for _, values in columns]
    wrong = [
        FieldError(0, name, f"{len(values)} values, but {names[0]!r} has {len(lists[0])}")
        for name, values in zip(names, lists, strict=True)
        if len(values) != len(lists[0])
    ]
    if wrong:
        raise RowsRefused(wrong)
    return terms.schema.check([dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)])


def check_names(names: Sequence[Any], schema: Schema) -> None:
    """Refuse names that are not those of the columns, each once.

    Raises RowsRefused: naming each column that is missing, unknown or there twice.
    """
    columns = schema.kinds
    if not all(isinstance(name, str) for name in names):
        raise UnprocessableEntity("The names of the columns must be texts.")
    distinct = set(names)
    unknown = [name for name in dict.fromkeys(names) if name not in columns]
    faults = [FieldError(0, name, "missing column") for name in columns if name not in distinct]
    faults += [
        FieldError(0, name, f"unknown column{nearest(name, columns) if len(unknown) <= MAX_UNKNOWN else ''}")
        for name in unknown
    ]
    if len(names) > len(distinct):
        faults += [FieldError(0, name, "there twice") for name in columns if names.count(name) > 1]
    if faults:
        raise RowsRefused(faults)

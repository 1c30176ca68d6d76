"""JSON decoder compiled from the schema: valid request bodies straight to checked rows.

A body that it refuses is checked again by `Schema.check`, which names every fault. So the rules stand in one place, and
this decoder can only be too strict.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec

from lockstep.data.schema import Column, Row, Schema, as_category, is_boolean

MOST_COLUMNS = 1000
UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')
HIDDEN_QUOTE = b"\\u0022"


class DecodedRequest(msgspec.Struct, frozen=True):
    """A decoded request: checked rows, and the version that it names, if any."""

    rows: list[Row]
    version: str | None = None


class Decoder:
    """Decodes `{"rows": [{...}], "version": ...}` for one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._decoder = _compile(schema) if _is_nameable(schema) else None
        self._texts = [index for index, column in enumerate(schema.columns) if column.kind != "numeric"]
        self._booleans = bool(schema.booleans)
        self._dates = [(index, column.name) for index, column in enumerate(schema.columns) if column.kind == "date"]
        self._row_quotes = 2 * (len(schema.columns) + len(self._texts))

    def decode(self, body: bytes) -> DecodedRequest | None:
        """Return the request of a valid body, or None where there is any doubt."""
        if self._decoder is None or (b"\\" in body and HIDDEN_QUOTE in body):
            return None
        try:
            request = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        rows = list(map(msgspec.structs.astuple, request.rows))
        version = request.version
        if not rows or body.count(b'"') != 2 + self._quotes(rows) + (4 + version.count('"') if version else 0):
            return None
        if self._booleans:
            rows = [self._in_words(row) for row in rows]
        return DecodedRequest(rows, version) if self._dates_fit(rows) else None

    def _quotes(self, rows: Sequence[Row]) -> int:
        """Return how many quotes rows have in JSON if no key stands twice: each key's and text's two, and those within.

        A quote within a text is written as one quote after a backslash, but for the spelling that `decode` leaves out.
        """
        expected = self._row_quotes * len(rows)
        if self._texts:
            for value in chain.from_iterable([row[index] for index in self._texts] for row in rows):
                expected += value.count('"') if isinstance(value, str) else -2
        return expected

    def _in_words(self, row: Row) -> Row:
        """Return a row with `true` and `false` as the categories that they are."""
        return tuple(as_category(value) if isinstance(value, bool) else value for value in row)

    def _dates_fit(self, rows: Sequence[Row]) -> bool:
        return not any(self.schema.problem(name, row[index]) for index, name in self._dates for row in rows)


def _is_nameable(schema: Schema) -> bool:
    """Tell whether msgspec can name the columns."""
    names = [column.name for column in schema.columns]
    return 0 < len(names) <= MOST_COLUMNS and not any(UNNAMEABLE.search(name) for name in names)


def _compile(schema: Schema) -> "msgspec.json.Decoder[Any]":
    names = [f"c{index}" for index in range(len(schema.columns))]
    row = msgspec.defstruct(
        "Row",
        [(name, _type(column)) for name, column in zip(names, schema.columns, strict=True)],
        rename=dict(zip(names, (column.name for column in schema.columns), strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    fields: list[Any] = [("rows", list[row]), ("version", str | None, None)]  # type: ignore[valid-type]
    return msgspec.json.Decoder(msgspec.defstruct("Body", fields, forbid_unknown_fields=True))


def _type(column: Column) -> Any:
    """Return the type of a column's values: nothing is coerced but whole numbers to float."""
    kind: Any = str
    if column.kind == "numeric":
        kind = Annotated[float, msgspec.Meta(ge=-column.largest, le=column.largest)]
    if column.kind == "categorical" and column.unknown == "refuse":
        kind = Literal[column.categories] if column.categories else msgspec.Raw
    if is_boolean(column):
        kind = kind | bool
    return kind | None if column.nullable else kind

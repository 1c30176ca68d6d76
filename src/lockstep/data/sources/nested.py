"""Objects within rows become columns of dotted names; lists become texts of their items between bars, as sets."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

BAR = "|"  # What stands between the items of a list.


def flat(row: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return a row of plain values: `{"a": {"b": 1}}` is `{"a.b": 1}`."""
    return dict(_items(row, above))


def _items(row: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _items(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", joined(value) if isinstance(value, list) else value


def joined(items: Any) -> str | None:
    """Return the items of a list as one text; None for an empty one."""
    return BAR.join(map(_spelled, items)) or None if items is not None else None


def _spelled(item: Any) -> str:
    if isinstance(item, str):
        return item
    return json.dumps(item, ensure_ascii=False, sort_keys=True, default=str)


def flat_table(table: "pa.Table") -> "pa.Table":
    """Return a table of plain columns: structs by dotted names, lists as texts."""
    import pyarrow as pa

    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = pa.array([joined(items) for items in table.column(index).to_pylist()], pa.large_string())
            table = table.set_column(index, field.name, texts)
    return table

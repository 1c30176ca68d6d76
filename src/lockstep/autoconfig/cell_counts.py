"""The distinct cells of a column with their counts, and the words that mean a missing value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

MARKERS = frozenset(
    (
        "?",
        "-",
        "--",
        "---",
        ".",
        "..",
        "...",
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "nan",
        "null",
        "none",
        "nil",
        "#n/a",
        "#na",
        "<na>",
        "\\n",
        "(null)",
        "(none)",
        "missing",
        "unknown",
        "undefined",
        "#value!",
        "#ref!",
        "#div/0!",
        "k.a.",
        "k.a",
        "unbekannt",
    )
) | {"not available", "not applicable", "keine angabe", ""}
"""Texts that stand for a missing value, in lower case, once trimmed."""


@dataclass
class Cells:
    """The distinct cells of a column with their counts, trimmed, without missing markers of the whole file."""

    name: str
    counts: Counter[str]
    padded: bool = False
    words: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def present(self) -> dict[str, int]:
        """Return the distinct cells that are no markers, with their counts."""
        return {cell: count for cell, count in self.counts.items() if cell.casefold() not in MARKERS}

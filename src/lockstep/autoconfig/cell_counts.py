"""The distinct cells of a column with their counts, and the words that mean a missing value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lockstep.autoconfig.spellings import SPELLINGS

MARKERS = frozenset(SPELLINGS["missing"])  # Texts that stand for a missing value, in lower case, once trimmed.


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

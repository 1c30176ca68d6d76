"""The data report as structs: the content of `reports/data.json`, read by the page, the stages and the commands."""

import msgspec

from lockstep.data.record import DataRecord
from lockstep.data_report.association import Relation
from lockstep.drift.results import Distribution
from lockstep.metrics.leakage import Leak


class ColumnFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One feature column in the train rows: range, missing values, distribution, and relation to the target.

    `type` is that of the raw column. Ranges and missing values are those of all train rows, the rest those of the
    sample. `least` to `greatest` are numbers, ISO 8601 dates, or the lengths of texts; `in_order` marks whole numbers
    that only rise from row to row.
    """

    name: str
    kind: str
    type: str = ""
    rows: int
    missing: int
    distinct: int
    most_frequent_share: float = 0.0
    least: float | str | None = None
    middle: float | None = None
    greatest: float | str | None = None
    distribution: Distribution | None = None
    relation: Relation | None = None
    strength: float = 0.0
    in_order: bool = False


class ClassCount(msgspec.Struct, frozen=True):
    """How many train rows a class has."""

    label: str
    rows: int


class TargetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The target in the train rows: classes by frequency, or range and distribution of numbers."""

    rows: int
    missing: int = 0
    classes: list[ClassCount] = []
    least: float | None = None
    middle: float | None = None
    greatest: float | None = None
    distribution: Distribution | None = None


class DataWarning(msgspec.Struct, frozen=True):
    """What a person should look at: its kind, the column it is about ("" for none), and a sentence."""

    kind: str
    column: str
    text: str


class DataReport(DataRecord, frozen=True, kw_only=True):
    """The record of the preprocessing with a description of the train rows, and the columns that leak the target."""

    columns: list[ColumnFacts]
    about_target: TargetFacts
    sampled_rows: int
    warnings: list[DataWarning]
    leaks: dict[str, Leak] = msgspec.field(default_factory=dict)

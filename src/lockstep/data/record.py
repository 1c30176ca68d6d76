"""The record of the preprocessing: how many rows there were, what was dropped, and what the columns hold.

It stands in `reports/data.json`, which `lockstep.data_report` extends with the description of the train rows.
"""

from pathlib import Path
from typing import Any, Self

import msgspec

from lockstep import files, paths
from lockstep.config.params import Kind, Role, Task
from lockstep.errors import DataError


class Dropped(msgspec.Struct, frozen=True):
    """Rows and columns that were left out, by reason; `quarantined` counts rows by rule of the data contract."""

    rows_read: int
    rows_without_target: int = 0
    rows_duplicate: int = 0
    rows_quarantined: int = 0
    rows_on_both_sides: int = 0
    rows_of_rare_classes: int = 0
    columns_left_out: dict[str, Role] = {}
    columns_without_values: list[str] = []
    quarantined: dict[str, int] = {}
    rare_classes: dict[str, int] = {}


class SplitRecord(msgspec.Struct, frozen=True):
    """The column of groups or times that the cross-validation must respect."""

    method: str
    column: str


class OddCells(msgspec.Struct, frozen=True):
    """How many cells of a column are not spelled as its format says, and the most frequent of them."""

    count: int
    examples: tuple[str, ...]


class DataRecord(msgspec.Struct, frozen=True):
    """The rows of a prepared data set: counts, target, task, and the kind of each feature column in order.

    `feedback_test_rows` is the first test row that came as feedback, and that after the last.
    `reader` is how the cells of the source are spelled, by the keys of `data_ingestion.reader`.
    """

    train_rows: int
    test_rows: int
    target: str
    task: Task
    kinds: list[tuple[str, Kind]]
    dropped: Dropped
    feedback_rows: int = 0
    feedback_test_rows: tuple[int, int] = (0, 0)
    split: SplitRecord | None = None
    reader: dict[str, Any] | None = None
    odd_cells: dict[str, OddCells] = {}
    positive: str | int | bool | None = None

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Read a record; fields that an earlier version did not write have their defaults.

        Raises DataError: a field is missing or of another type.
        """
        try:
            return msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise DataError(f"{paths.DATA_REPORT} is damaged: {error}", "run `dvc repro`, which writes it") from None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return msgspec.to_builtins(self)

    @classmethod
    def read(cls, file: Path = paths.DATA_REPORT) -> Self:
        """Read the record of this project. Raises DataError: it is missing or damaged."""
        try:
            return cls.from_json(files.read_json(file))
        except FileNotFoundError:
            raise DataError(f"{file} not found", "run `dvc repro`, which writes it") from None

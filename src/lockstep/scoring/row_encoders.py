"""Row encoders: checked rows to feature matrices without a frame, as the fitted transformers do it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row
from lockstep.features.numeric import SKEW_TRANSFORMS, cosine, sine
from lockstep.features.tokenizer import split_items

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# The parts of `transformers.DATE_PARTS`, of one moment.
PARTS = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "weekday": lambda moment: moment.weekday(),
    "hour": lambda moment: moment.hour,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "yearday": lambda moment: moment.timetuple().tm_yday,
    "month_sin": lambda moment: sine(moment.month, "month"),
    "month_cos": lambda moment: cosine(moment.month, "month"),
    "weekday_sin": lambda moment: sine(moment.weekday(), "weekday"),
    "weekday_cos": lambda moment: cosine(moment.weekday(), "weekday"),
    "hour_sin": lambda moment: sine(moment.hour, "hour"),
    "hour_cos": lambda moment: cosine(moment.hour, "hour"),
}


@dataclass(frozen=True)
class Scaling:
    """Imputation, skew transform and scaling of numbers: arrays (features,) in the unit of each feature.

    `transform` is a name of `numeric.SKEW_TRANSFORMS`, or empty; `fitted` holds its fitted parameters.
    """

    fill: Floats
    center: Floats
    scale: Floats
    transform: str = ""
    fitted: Floats | None = None

    def __call__(self, numbers: Floats) -> Floats:
        """Return rows x features, scaled."""
        missing = np.isnan(numbers)
        if missing.any():
            numbers = np.where(missing, self.fill, numbers)
        if self.transform and self.fitted is not None:
            numbers = SKEW_TRANSFORMS[self.transform](numbers, self.fitted)
        return (numbers - self.center) / self.scale


@dataclass(frozen=True)
class NumericEncoding:
    """Numeric columns, scaled."""

    column_indices: tuple[int, ...]
    scaling: Scaling

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return self.column_indices

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x columns."""
        if self.column_indices == tuple(range(len(rows[0]))):
            return self.scaling(np.array(rows, dtype=np.float64))
        return self.scaling(np.array([[row[index] for index in self.column_indices] for row in rows], dtype=np.float64))


@dataclass(frozen=True)
class MissingIndicators:
    """Missing-value indicators: 1 where a column has no value."""

    column_indices: tuple[int, ...]

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return self.column_indices

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x columns."""
        parts = [[row[index] is None for index in self.column_indices] for row in rows]
        return np.array(parts, dtype=np.float64).reshape(len(rows), len(self.column_indices))


@dataclass(frozen=True)
class TargetMeanEncoding:
    """Target encoding: categorical columns as the means of the target in their categories.

    `tables` hold for each column the row of `means` (categories + 1, answers) that a value has; the last is for others.
    """

    column_indices: tuple[int, ...]
    tables: tuple[dict[str | None, int], ...]
    means: tuple[Floats, ...]
    scaling: Scaling

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return tuple(
            index for index, means in zip(self.column_indices, self.means, strict=True) for _ in range(means.shape[1])
        )

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x (columns * answers)."""
        parts = []
        for index, table, means in zip(self.column_indices, self.tables, self.means, strict=True):
            other = len(means) - 1
            parts.append(means[[table.get(row[index], other) for row in rows]])  # type: ignore[arg-type]
        return self.scaling(np.hstack(parts))


@dataclass(frozen=True)
class CalendarEncoding:
    """Date columns as calendar parts, in UTC."""

    column_indices: tuple[int, ...]
    parts: tuple[str, ...]
    scaling: Scaling

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return tuple(index for index in self.column_indices for _ in self.parts)

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x (columns * parts)."""
        return self.scaling(np.array([self._parts(row) for row in rows], dtype=np.float64))

    def _parts(self, row: Row) -> list[float]:
        parts: list[float] = []
        for index in self.column_indices:
            moment = _moment(row[index])
            parts += [PARTS[part](moment) if moment else np.nan for part in self.parts]
        return parts


@dataclass(frozen=True)
class MultiHotEncoding:
    """A column with several values in one cell: 1 for each item of the table that a cell holds."""

    column_index: int
    separator: str
    table: dict[str, int]

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        return (self.column_index,) * len(self.table)

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x items."""
        features = np.zeros((len(rows), len(self.table)))
        for number, row in enumerate(rows):
            items = split_items(row[self.column_index], self.separator)
            features[number, [self.table[item] for item in items if item in self.table]] = 1.0
        return features


@dataclass(frozen=True)
class OneHotEncoding:
    """One-hot encoding of categorical columns: for each the feature that a value switches on.

    `others` holds what a value not in the table switches on; `width` itself stands for no feature.
    """

    column_indices: tuple[int, ...]
    tables: tuple[dict[str | None, int], ...]
    others: tuple[int, ...]
    width: int

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the index of the column that each feature comes from."""
        owned = {
            code: index
            for index, table in zip(self.column_indices, self.tables, strict=True)
            for code in table.values()
        }
        owned |= dict(zip(self.others, self.column_indices, strict=True))
        return tuple(owned[code] for code in range(self.width))

    def codes(self, rows: Sequence[Row]) -> Codes:
        """Return the feature that each column of each row switches on, rows x columns."""
        each = list(zip(self.column_indices, self.tables, self.others, strict=True))
        return np.array([[table.get(row[index], other) for index, table, other in each] for row in rows])  # type: ignore[arg-type]

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x features, 1 where a feature is on."""
        table = np.zeros((len(rows), self.width + 1))
        np.put_along_axis(table, self.codes(rows), 1.0, axis=1)
        return table[:, : self.width]


ENCODINGS = (NumericEncoding, MissingIndicators, TargetMeanEncoding, CalendarEncoding, MultiHotEncoding, OneHotEncoding)


def _moment(text: float | str | None) -> datetime | None:
    """Read a date; one without a zone is in UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:  # a spelling that only pandas reads: in tables, never in rows that were checked
        import pandas as pd

        moment = pd.to_datetime(str(text), format="ISO8601", utc=True)
    return moment.astimezone(UTC) if moment.tzinfo else moment

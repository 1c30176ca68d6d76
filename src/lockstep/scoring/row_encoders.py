"""Checked rows to numbers without a frame: what the fitted transformers of numbers, dates and categories do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row
from lockstep.features.numeric import BENDS, cosine, sine

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

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
"""The parts of `transformers.DATE_PARTS`, of one moment."""


@dataclass(frozen=True)
class Scaling:
    """Fill a missing number, take the skew out, subtract, divide: arrays (features,) in the unit of each feature.

    `bend` is a name of `bending.BENDS`, or none; `bent` is what it fitted.
    """

    fill: Floats
    center: Floats
    scale: Floats
    bend: str = ""
    bent: Floats | None = None

    def __call__(self, numbers: Floats) -> Floats:
        """Return rows x features, scaled."""
        missing = np.isnan(numbers)
        if missing.any():
            numbers = np.where(missing, self.fill, numbers)
        if self.bend and self.bent is not None:
            numbers = BENDS[self.bend](numbers, self.bent)
        return (numbers - self.center) / self.scale


@dataclass(frozen=True)
class Numbers:
    """Numeric columns: their places in a row."""

    places: tuple[int, ...]
    scaling: Scaling

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each feature comes from."""
        return self.places

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x columns."""
        if self.places == tuple(range(len(rows[0]))):
            return self.scaling(np.array(rows, dtype=np.float64))
        return self.scaling(np.array([[row[place] for place in self.places] for row in rows], dtype=np.float64))


@dataclass(frozen=True)
class Absences:
    """Columns of which a feature says with 1 where a value is missing: their places in a row."""

    places: tuple[int, ...]

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each feature comes from."""
        return self.places

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x columns."""
        found = [[row[place] is None for place in self.places] for row in rows]
        return np.array(found, dtype=np.float64).reshape(len(rows), len(self.places))


@dataclass(frozen=True)
class Means:
    """Categorical columns and the means of the target in their categories: their places in a row.

    `tables` hold for each column the row of `means` (categories + 1, answers) that a value has; the last is for others.
    """

    places: tuple[int, ...]
    tables: tuple[dict[str | None, int], ...]
    means: tuple[Floats, ...]
    scaling: Scaling

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each feature comes from."""
        return tuple(place for place, own in zip(self.places, self.means, strict=True) for _ in range(own.shape[1]))

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x (columns * answers)."""
        parts = []
        for place, table, means in zip(self.places, self.tables, self.means, strict=True):
            other = len(means) - 1
            parts.append(means[[table.get(row[place], other) for row in rows]])  # type: ignore[arg-type]
        return self.scaling(np.hstack(parts))


@dataclass(frozen=True)
class Days:
    """Date columns: their places in a row, and the calendar parts that become features, in UTC."""

    places: tuple[int, ...]
    parts: tuple[str, ...]
    scaling: Scaling

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each feature comes from."""
        return tuple(place for place in self.places for _ in self.parts)

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x (columns * parts)."""
        return self.scaling(np.array([self._parts(row) for row in rows], dtype=np.float64))

    def _parts(self, row: Row) -> list[float]:
        found: list[float] = []
        for place in self.places:
            moment = _moment(row[place])
            found += [PARTS[part](moment) if moment else np.nan for part in self.parts]
        return found


@dataclass(frozen=True)
class Categories:
    """Categorical columns: their places in a row, and for each the feature that a value switches on.

    `others` holds what a value not in the table switches on; `width` itself stands for no feature.
    """

    places: tuple[int, ...]
    tables: tuple[dict[str | None, int], ...]
    others: tuple[int, ...]
    width: int

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each feature comes from."""
        owned = {code: place for place, table in zip(self.places, self.tables, strict=True) for code in table.values()}
        owned |= dict(zip(self.others, self.places, strict=True))
        return tuple(owned[code] for code in range(self.width))

    def codes(self, rows: Sequence[Row]) -> Codes:
        """Return the feature that each column of each row switches on, rows x columns."""
        each = list(zip(self.places, self.tables, self.others, strict=True))
        return np.array([[table.get(row[place], other) for place, table, other in each] for row in rows])  # type: ignore[arg-type]

    def dense(self, rows: Sequence[Row]) -> Floats:
        """Return rows x features, 1 where a feature is on."""
        table = np.zeros((len(rows), self.width + 1))
        np.put_along_axis(table, self.codes(rows), 1.0, axis=1)
        return table[:, : self.width]


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

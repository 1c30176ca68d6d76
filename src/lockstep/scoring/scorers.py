"""Scorers of checked rows: compiled forms of fitted pipelines, and the pipeline itself where there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lockstep.data.schema import Row, Schema
from lockstep.scoring.links import LINKS
from lockstep.scoring.row_encoders import (
    CalendarEncoding,
    Floats,
    MissingIndicators,
    MultiHotEncoding,
    NumericEncoding,
    OneHotEncoding,
    TargetMeanEncoding,
)
from lockstep.scoring.tfidf import StackedTerms, TfidfTerms

Scores = Floats


# What gives features of rows as an array.
DenseForm = (
    NumericEncoding
    | MissingIndicators
    | OneHotEncoding
    | TargetMeanEncoding
    | CalendarEncoding
    | StackedTerms
    | MultiHotEncoding
)


class PipelineScorer:
    """The fitted scikit-learn pipeline itself, for models that nothing faster can stand in for."""

    kind = "pipeline"

    def __init__(self, schema: Schema, pipeline: Any) -> None:
        self.schema = schema
        self.pipeline = pipeline

    def score(self, rows: Sequence[Row]) -> Scores:
        """Score checked rows as a frame."""
        from lockstep.data import frames

        frame = frames.from_rows(list(rows), self.schema)
        if self.schema.labels:
            return np.asarray(self.pipeline.predict_proba(frame), dtype=np.float64)
        return np.asarray(self.pipeline.predict(frame), dtype=np.float64).reshape(-1, 1)

    def one(self, row: Row) -> list[float]:
        """Score one checked row."""
        return first(self.score([row]))


@dataclass(frozen=True)
class LinearScorer:
    """A linear model over columns of any kind: weights are (features, outputs), intercept is (outputs,).

    `expected` (columns, outputs) is the average part of the total by column over the train rows, where that is known.
    """

    link: str
    intercept: Scores
    numbers: tuple[NumericEncoding, Scores] | None = None
    days: tuple[CalendarEncoding, Scores] | None = None
    categories: tuple[OneHotEncoding, Scores] | None = None
    terms: tuple[TfidfTerms, ...] = ()
    more: tuple[tuple[MissingIndicators | TargetMeanEncoding | StackedTerms | MultiHotEncoding, Scores], ...] = ()
    expected: Scores | None = None

    kind = "linear"

    def score(self, rows: Sequence[Row]) -> Scores:
        """Score checked rows; what overflows is infinite or no number, which is for the caller to see."""
        with np.errstate(over="ignore", invalid="ignore"):
            return LINKS[self.link](self._sum(rows))

    def _sum(self, rows: Sequence[Row]) -> Scores:
        total = np.repeat(self.intercept[None, :], len(rows), axis=0)
        for part in (self.numbers, self.days, *self.more):
            if part:
                total += part[0].dense(rows) @ part[1]
        if self.categories:
            codes, weights = self.categories[0].codes(rows), self.category_weights
            total += weights[codes].sum(axis=1)
        for terms in self.terms:
            terms.add_to(total, rows)
        return total

    def one(self, row: Row) -> list[float]:
        """Score one checked row; plain arithmetic beats arrays where there are few numbers and one output."""
        if self._plain is None or None in row:
            return first(self.score([row]))
        total = self._plain[0]
        for value, (center, scale, weight) in zip(row, self._plain[1], strict=True):
            total += (value - center) / scale * weight  # type: ignore[operator]
        if self.link == "identity":
            return [total]
        high = 0.5 * (1 + math.tanh(0.5 * total))
        return [1 - high, high]

    @cached_property
    def _plain(self) -> tuple[float, list[tuple[float, float, float]]] | None:
        """Return the intercept, and each column's center, scale and weight, if all columns are numbers."""
        others = self.days or self.categories or self.terms or self.more
        if len(self.intercept) > 1 or self.numbers is None or others or self.numbers[0].scaling.transform:
            return None
        numbers, weights = self.numbers
        if numbers.column_indices != tuple(range(len(numbers.column_indices))):
            return None
        parts = (numbers.scaling.center, numbers.scaling.scale, weights[:, 0])
        return float(self.intercept[0]), list(zip(*(part.tolist() for part in parts), strict=True))

    @cached_property
    def category_weights(self) -> Scores:
        """Return the weights with a last row of zeros, for values that switch no feature on."""
        assert self.categories is not None  # noqa: S101 - asked for with categories only
        weights = self.categories[1]
        return np.vstack((weights, np.zeros((1, weights.shape[1]))))


@dataclass(frozen=True)
class TreeScorer:
    """An ensemble of trees, run by treelite on the same numbers that scikit-learn's trees were fitted on.

    A forest compares 32-bit numbers and averages shares or values; boosted trees (`boosted`) compare 64-bit numbers,
    and their sum goes through the link, here and not in treelite, which would do that in 32 bits.
    """

    model: bytes
    boosted: bool
    link: str
    parts: tuple[DenseForm, ...] = ()

    kind = "trees"

    def score(self, rows: Sequence[Row]) -> Scores:
        """Score checked rows."""
        import treelite

        parts = [part.dense(rows) for part in self.parts]
        features = parts[0] if len(parts) == 1 else np.hstack(parts)
        if not self.boosted:
            features = features.astype(np.float32).astype(np.float64)
        scores = (
            treelite.gtil.predict(self._trees, np.ascontiguousarray(features), nthread=1, pred_margin=self.boosted)
            .reshape(len(rows), -1)
            .astype(np.float64, copy=False)
        )
        return LINKS[self.link](scores) if self.boosted else scores

    def one(self, row: Row) -> list[float]:
        """Score one checked row."""
        return first(self.score([row]))

    @cached_property
    def _trees(self) -> Any:
        import treelite

        return treelite.Model.deserialize_bytes(self.model)


# What answers rows: probabilities (n, labels), or values (n, 1) for regression.
Scorer = PipelineScorer | LinearScorer | TreeScorer


def first(scores: Scores) -> list[float]:
    """Return the scores of the first row."""
    return scores[0].tolist()


@dataclass(frozen=True)
class Contributions:
    """Contributions to n scores: base (outputs,), columns (n, columns, outputs); the sum goes through `link`.

    `words` hold for each row what the words of its text columns add, by place and word: (outputs,).
    """

    link: str
    base: Floats
    columns: Floats
    words: Sequence[dict[int, dict[str, Floats]]] = ()

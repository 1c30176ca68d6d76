"""From checked rows to scores."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Row, Schema

Scores = NDArray[np.float64]


class Scorer(Protocol):
    """What answers rows: probabilities (n, labels), or values (n, 1) for regression."""

    kind: str

    def score(self, rows: Sequence[Row]) -> Scores:
        """Score checked rows."""


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

"""How long the model takes to answer on this machine: one row at a time, and many at once."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from lockstep.data.schema import Row
from lockstep.inference.predictor import Predictor

ASKED = 200
ENOUGH_S = 0.5
BATCH = 1_000


def measure(predictor: Predictor, rows: Sequence[Row]) -> dict[str, Any]:
    """Return milliseconds for one row, the middle and the slowest of a hundred, and for each row of a batch."""
    answered, own = [], []
    predictor.predict(rows[:1])
    end = time.perf_counter() + ENOUGH_S
    for row in rows[:ASKED]:
        start = time.perf_counter()
        predictor.predict([row])
        own.append(1e3 * (time.perf_counter() - start))
        if time.perf_counter() > end:
            break
    batch = list(rows[:BATCH])
    for _ in range(3):
        start = time.perf_counter()
        predictor.predict(batch)
        answered.append(1e3 * (time.perf_counter() - start) / len(batch))
    return {
        "one_row_ms": statistics.median(own),
        "slow_row_ms": sorted(own)[int(0.99 * (len(own) - 1))],
        "batch_row_ms": min(answered),
        "batch_rows": len(batch),
        "kind": predictor.scorer.kind,
        "note": predictor.note,
    }

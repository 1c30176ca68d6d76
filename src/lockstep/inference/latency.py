"""Serving latency of a model on this machine: of single rows, and of a row in a batch."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from lockstep import paths
from lockstep.inference import predictor
from lockstep.inference.predictor import Predictor

# Single rows are sent this many times, or for this long: enough for a steady median, short enough for a promotion.
CALLS, LONGEST_S = 200, 2.0
BATCH, BATCHES = 1_000, 3


@dataclass(frozen=True)
class MeasuredLatency:
    """Milliseconds, input checks included: median and 99th percentile of one row, and a row's share of a batch."""

    one_row_ms: float
    slow_row_ms: float
    batch_row_ms: float
    batch_rows: int


def measure(model: Predictor, rows: Sequence[Mapping[str, Any]]) -> MeasuredLatency:
    """Measure the latency on rows as the API receives them; zeros without rows."""
    if not rows:
        return MeasuredLatency(0.0, 0.0, 0.0, 0)
    model.answers(rows[:1])  # the first call fills caches
    times: list[float] = []
    end = time.perf_counter() + LONGEST_S
    for row in islice(cycle(rows), CALLS):
        times.append(_milliseconds(model, [row]))
        if time.perf_counter() > end:
            break
    batch = list(islice(cycle(rows), BATCH))
    fastest = min(_milliseconds(model, batch) for _ in range(BATCHES))
    slow = sorted(times)[int(0.99 * (len(times) - 1))]
    return MeasuredLatency(statistics.median(times), slow, fastest / len(batch), len(batch))


def of_bundle(model: Predictor, bundle: Path) -> MeasuredLatency:
    """Measure the latency on the rows that a bundle records with its model."""
    return measure(model, predictor.read_json(bundle / paths.SMOKE.name)["rows"])


def _milliseconds(model: Predictor, rows: Sequence[Mapping[str, Any]]) -> float:
    start = time.perf_counter()
    model.answers(rows)
    return 1e3 * (time.perf_counter() - start)

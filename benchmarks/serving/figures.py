"""Statistics of the samples: percentiles, medians over rounds, ratios, and targets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 2e-6
"""How far an answer may be from the pipeline's: twice the last of the six decimals that our server prints."""

BATCH = "batch"
"""The load that is not a number of connections: batches of 1,000 rows."""


@dataclass(frozen=True)
class Sample:
    """One side under one load in one round. `load` is a number of connections, or batches."""

    model: str
    side: str
    load: str
    round: int
    answers: int
    elapsed_s: float
    server_cpu_s: float
    client_cpu_s: float
    wrong: int
    refused: int
    lost: int
    latencies_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.answers / self.elapsed_s


@dataclass(frozen=True)
class Summary:
    """A side under a load, over all rounds."""

    per_second: float
    lowest: float
    highest: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    client_share: float
    """Processors that the load generator kept busy, as a number of cores."""
    checked: int
    bad: int


@dataclass(frozen=True)
class Target:
    """What ours should reach beside another: a ratio of requests per second, or of p99 turned over."""

    model: str
    measure: str
    against: str
    load: str
    factor: float


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of all values do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


def summarize(samples: Sequence[Sample]) -> Summary:
    """Put the rounds of one side under one load together: medians over rounds, percentiles over all answers."""
    speeds = [sample.per_second for sample in samples]
    latencies = [value for sample in samples for value in sample.latencies_ms]
    return Summary(
        per_second=median(speeds),
        lowest=min(speeds),
        highest=max(speeds),
        p50_ms=percentile(latencies, 0.5),
        p99_ms=percentile(latencies, 0.99),
        cpu_ms=median(1000 * sample.server_cpu_s / max(1, sample.answers) for sample in samples),
        client_share=median(sample.client_cpu_s / sample.elapsed_s for sample in samples),
        checked=sum(len(sample.latencies_ms) for sample in samples),
        bad=sum(sample.wrong + sample.refused + sample.lost for sample in samples),
    )


def ratio(ours: Summary, theirs: Summary, measure: str) -> float:
    """Return how many times better ours is: more requests in a second, or less time at p99."""
    if measure == "p99":
        return theirs.p99_ms / ours.p99_ms if ours.p99_ms else 0.0
    return ours.per_second / theirs.per_second if theirs.per_second else 0.0


def differs(answer: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float = TOLERANCE) -> bool:
    """Return whether the probabilities of an answer are not those of the pipeline."""
    return answer.shape != expected.shape or not bool((np.abs(answer - expected) <= tolerance).all())


def rotated(items: Sequence[Any], by: int) -> list[Any]:
    """Return the items from another start on, so that none always follows the same one."""
    turn = by % len(items) if items else 0
    return [*items[turn:], *items[:turn]]


SPEEDS: Mapping[str, Mapping[str, float]] = {
    "tabular": {"mlflow": 30, "bentoml": 8},
    "reviews": {"mlflow": 6, "bentoml": 5},
    "forest": {"mlflow": 30, "bentoml": 10},
}
BATCHES: Mapping[str, Mapping[str, float]] = {
    "tabular": {"mlflow": 5, "bentoml": 2},
    "reviews": {"mlflow": 1, "bentoml": 1},
}
P99 = 10.0
OF_FLOOR = 1 / 3
START_S = 5.0
MEMORY_MB = 350.0


def targets(loads: Sequence[str], floor: str) -> list[Target]:
    """Return every target on speed: each model, each load, beside each side that has one."""
    targets = []
    for model, factors in SPEEDS.items():
        for load in loads:
            targets += [Target(model, "speed", side, load, factor) for side, factor in factors.items()]
            targets += [Target(model, "p99", side, load, P99) for side in factors]
            targets.append(Target(model, "speed", floor, load, OF_FLOOR))
    for model, factors in BATCHES.items():
        targets += [Target(model, "speed", side, BATCH, factor) for side, factor in factors.items()]
    return targets

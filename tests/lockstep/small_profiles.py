"""A profile with a column of each kind, and windows of its own distribution."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from lockstep.config.params import Monitoring
from lockstep.data.schema import Column, Schema
from lockstep.drift import profile as profiles
from lockstep.drift.detect import RowWindow
from lockstep.drift.profile import EvaluationSample

COLUMNS = (
    Column("size", "numeric", True, 1.0),
    Column("town", "categorical", True, "Ulm"),
    Column("since", "date", True, "2026-01-01"),
    Column("review", "text", True, "good film"),
)
VOCABULARY = [f"word{number}" for number in range(400)]
MEASURED = {"accuracy": 0.9, "interval_95": {"accuracy": [0.87, 0.93]}}


@dataclass
class Source:
    """Rows and scores of a world that a test may change."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))

    def columns(self, count):
        days = self.random.integers(0, 300, count)
        words = np.minimum(self.random.geometric(0.02, (count, 30)) - 1, 399)
        return {
            "size": self.random.normal(10, 2, count).tolist(),
            "town": self.random.choice(["Ulm", "Bonn", "Kiel"], count, p=[0.6, 0.3, 0.1]).tolist(),
            "since": [str(np.datetime64("2026-01-01") + np.timedelta64(int(day), "D")) for day in days],
            "review": [" ".join(VOCABULARY[word] for word in row) for row in words],
        }

    def rows(self, count):
        return list(zip(*self.columns(count).values(), strict=True))

    def shares(self, count, task="binary"):
        if task == "regression":
            return None
        drawn = self.random.dirichlet([2.0] * (2 if task == "binary" else 3), count)
        return drawn.tolist()

    def answers(self, count, task="binary"):
        shares = self.shares(count, task)
        values = self.random.normal(100, 9, count).tolist() if shares is None else np.argmax(shares, axis=1).tolist()
        return values, shares

    def window(self, count, task="binary", **changed):
        values, shares = self.answers(count, task)
        columns = self.columns(count) | changed
        return RowWindow("1", 0.0, 1.0, columns, profiles.scores(task, values, shares), values)


LABELS = {"binary": (0, 1), "multiclass": (0, 1, 2), "regression": ()}


def make_profile(source, task="binary", **thresholds):
    metric = "rmse" if task == "regression" else "accuracy"
    measured = {metric: 0.9, "interval_95": {metric: [0.87, 0.93]}}
    schema = Schema(task, "y", LABELS[task], COLUMNS)
    tested = EvaluationSample(source.rows(400), *source.answers(400, task), metric, measured)
    return profiles.build(schema, source.rows(1500), tested, Monitoring(**thresholds), ["lowercase"])


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def profile(source):
    return make_profile(source)

"""Metrics of predictions. Every metric takes row weights, so a bootstrap resample is a vector of counts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep.config.params import Task
from lockstep.errors import ConfigError, nearest

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """Rows with their truth and a model's predictions.

    For classes, `truth` and `predicted` are codes (n,) into the labels and `probabilities` is (n, labels); for
    regression both are values (n,) in the target's unit and `probabilities` is None.
    """

    truth: NDArray[np.generic]
    predicted: NDArray[np.generic]
    probabilities: Floats | None = None
    positive: int = 1

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.truth)

    @property
    def classes(self) -> int:
        """Return the number of labels; 0 for regression."""
        return 0 if self.probabilities is None else self.probabilities.shape[1]

    @property
    def errors(self) -> Floats:
        """Return predicted less true values (n,), for regression."""
        return self.predicted.astype(np.float64) - self.truth.astype(np.float64)

    def take(self, rows: NDArray[np.bool_] | Codes) -> "Scored":
        """Return some of the rows, by a mask (n,) or by their indices."""
        shares = None if self.probabilities is None else self.probabilities[rows]
        return Scored(self.truth[rows], self.predicted[rows], shares, self.positive)

    def confusion(self, weights: Floats) -> Floats:
        """Return the weighted confusion matrix, truth x predicted."""
        cells = self.truth.astype(np.int64) * self.classes + self.predicted.astype(np.int64)
        table: Floats = np.bincount(cells, weights, self.classes**2).astype(np.float64)
        return table.reshape(self.classes, self.classes)

    @cached_property
    def ranks(self) -> list[tuple[Codes, int]]:
        """For each label, the rank of each row's probability among the distinct ones, and how many there are."""
        assert self.probabilities is not None  # noqa: S101 - classes only
        distinct = [np.unique(column, return_inverse=True) for column in self.probabilities.T]
        return [(rank, len(values)) for values, rank in distinct]

    def by_threshold(self, label: int, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of positives and negatives at each distinct probability of a label, lowest first."""
        rank, count = self.ranks[label]
        positive = self.truth == label
        sides = [np.bincount(rank, weights * side, count).astype(np.float64) for side in (positive, ~positive)]
        return sides[0], sides[1]


def short(value: Any) -> float:
    """Return a number with the six digits that every processor agrees on."""
    return float(f"{float(value):.6g}")


def rarer(codes: NDArray[np.int64]) -> int:
    """Return the code of the positive class of two: the rarer one, or the second if both have as many rows."""
    counts = np.bincount(codes, minlength=2)
    return int(counts[1] <= counts[0]) if len(counts) == 2 else 1


@dataclass(frozen=True)
class Metric:
    """A metric: its tasks, its function, its meaning in a phrase, its direction, and its title on pages."""

    tasks: tuple[Task, ...]
    measure: Callable[[Scored, Floats], float]
    meaning: str
    higher_is_better: bool = True
    title: str = ""


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _accuracy(scored: Scored, weights: Floats) -> float:
    return float(weights[scored.truth == scored.predicted].sum() / weights.sum())


def _recalls(scored: Scored, weights: Floats) -> Floats:
    table = scored.confusion(weights)
    return _ratio(np.diag(table), table.sum(axis=1))


def _balanced_accuracy(scored: Scored, weights: Floats) -> float:
    present = scored.confusion(weights).sum(axis=1) > 0
    return float(_recalls(scored, weights)[present].mean())


def _f1s(scored: Scored, weights: Floats) -> tuple[Floats, Floats]:
    """Return the F1 of each label, ``2 TP / (truths + predictions)``, and the weight of its true rows."""
    table = scored.confusion(weights)
    truths = table.sum(axis=1)
    return _ratio(2 * np.diag(table), truths + table.sum(axis=0)), truths


def _f1_weighted(scored: Scored, weights: Floats) -> float:
    f1s, truths = _f1s(scored, weights)
    return float(f1s @ truths / truths.sum())


def _precision(scored: Scored, weights: Floats) -> float:
    table = scored.confusion(weights)
    return float(_ratio(np.diag(table), table.sum(axis=0))[scored.positive])


def _roc_auc_of(scored: Scored, label: int, weights: Floats) -> float:
    """Return the chance that a positive row scores above a negative one, ties counting half (Mann-Whitney)."""
    positives, negatives = scored.by_threshold(label, weights)
    below = np.cumsum(negatives) - negatives
    pairs = positives.sum() * negatives.sum()
    return float(positives @ (below + negatives / 2) / pairs) if pairs else float("nan")


def _roc_auc(scored: Scored, weights: Floats) -> float:
    labels = [1] if scored.classes == 2 else np.unique(scored.truth.astype(np.int64)).tolist()
    return float(np.mean([_roc_auc_of(scored, label, weights) for label in labels]))


def _average_precision(scored: Scored, weights: Floats) -> float:
    """Return the precision at each threshold, weighted by the recall it adds."""
    positives, negatives = (side[::-1] for side in scored.by_threshold(scored.positive, weights))
    hits = np.cumsum(positives)
    return float((positives * _ratio(hits, hits + np.cumsum(negatives))).sum() / hits[-1]) if hits[-1] else float("nan")


def _log_loss(scored: Scored, weights: Floats) -> float:
    assert scored.probabilities is not None  # noqa: S101 - classes only
    likelihoods = scored.probabilities[np.arange(scored.rows), scored.truth.astype(np.int64)]
    return float(-(weights @ np.log(np.clip(likelihoods, 1e-15, 1))) / weights.sum())


def _brier(scored: Scored, weights: Floats) -> float:
    assert scored.probabilities is not None  # noqa: S101 - classes only
    return float(
        weights @ (scored.probabilities[:, scored.positive] - (scored.truth == scored.positive)) ** 2 / weights.sum()
    )


def _r2(scored: Scored, weights: Floats) -> float:
    truth = scored.truth.astype(np.float64)
    spread = weights @ (truth - weights @ truth / weights.sum()) ** 2
    return float(1 - weights @ scored.errors**2 / spread) if spread else float("nan")


BINARY: tuple[Task, ...] = ("binary",)
CLASSES: tuple[Task, ...] = ("binary", "multiclass")
MANY: tuple[Task, ...] = ("multiclass",)
REGRESSION: tuple[Task, ...] = ("regression",)


def _rmse(scored: Scored, weights: Floats) -> float:
    return float(np.sqrt(weights @ scored.errors**2 / weights.sum()))


def _mae(scored: Scored, weights: Floats) -> float:
    return float(weights @ np.abs(scored.errors) / weights.sum())


METRICS: dict[str, Metric] = {
    "accuracy": Metric(CLASSES, _accuracy, "share of correct predictions"),
    "balanced_accuracy": Metric(CLASSES, _balanced_accuracy, "mean recall of the labels"),
    "f1": Metric(
        BINARY,
        lambda scored, weights: float(_f1s(scored, weights)[0][scored.positive]),
        "harmonic mean of precision and recall of the positive label",
        title="F1",
    ),
    "f1_macro": Metric(
        MANY,
        lambda scored, weights: float(_f1s(scored, weights)[0].mean()),
        "mean F1 of the labels",
        title="F1 (macro)",
    ),
    "f1_weighted": Metric(CLASSES, _f1_weighted, "mean F1 of the labels, weighted by rows", title="F1 (weighted)"),
    "precision": Metric(BINARY, _precision, "share of the predicted positive label that is correct"),
    "recall": Metric(
        BINARY,
        lambda scored, weights: float(_recalls(scored, weights)[scored.positive]),
        "share of the positive label that is found",
    ),
    "roc_auc": Metric(CLASSES, _roc_auc, "probability that a positive row ranks above a negative one", title="ROC AUC"),
    "average_precision": Metric(BINARY, _average_precision, "mean precision over the recall"),
    "log_loss": Metric(CLASSES, _log_loss, "mean negative log-likelihood; lower is better", higher_is_better=False),
    "brier": Metric(
        BINARY,
        _brier,
        "mean squared error of the probability; lower is better",
        higher_is_better=False,
        title="Brier score",
    ),
    "r2": Metric(REGRESSION, _r2, "share of the variance that is explained", title="R²"),
    "rmse": Metric(REGRESSION, _rmse, "root mean squared error; lower is better", higher_is_better=False, title="RMSE"),
    "mae": Metric(
        REGRESSION, _mae, "mean absolute error; lower is better", higher_is_better=False, title="mean absolute error"
    ),
}
DEFAULT: dict[Task, str] = {"binary": "roc_auc", "multiclass": "f1_weighted", "regression": "r2"}


def primary(name: str, task: Task) -> str:
    """Return the metric to choose by: the named one, or the task's default for `auto`."""
    if name == "auto":
        return DEFAULT[task]
    check_name(name, task, "model_building.metric")
    return name


def check_name(name: str, task: Task, key: str) -> None:
    """Refuse a metric that does not exist or is not for the task."""
    fitting = for_task(task)
    if name not in fitting:
        raise ConfigError(
            f"{key}: {name!r} is no metric of {task} targets{nearest(name, fitting)}", f"accepted: {', '.join(fitting)}"
        )


def for_task(task: Task) -> list[str]:
    """Return the names of a task's metrics."""
    return [name for name, metric in METRICS.items() if task in metric.tasks]


def measure(name: str, scored: Scored, weights: Floats | None = None) -> float:
    """Return one metric of scored rows."""
    return METRICS[name].measure(scored, np.ones(scored.rows) if weights is None else weights)


def resamples(scored: Scored, count: int, seed: int) -> Iterator[Floats]:
    """Yield `count` bootstrap resamples as row counts (n,) that sum to n (Efron 1979).

    Rows are drawn within each class, so that no resample lacks a class that has only a few rows.
    """
    random = np.random.default_rng(seed)
    if not scored.classes:
        for _ in range(count):
            yield np.bincount(random.integers(0, scored.rows, scored.rows), minlength=scored.rows).astype(np.float64)
        return
    order = np.argsort(scored.truth, kind="stable")
    _, first, sizes = np.unique(scored.truth[order], return_index=True, return_counts=True)
    start, size = np.repeat(first, sizes), np.repeat(sizes, sizes)
    for _ in range(count):
        drawn = order[start + (random.random(scored.rows) * size).astype(np.int64)]
        yield np.bincount(drawn, minlength=scored.rows).astype(np.float64)


@dataclass(frozen=True)
class BootstrapInterval:
    """A 95 % interval, and the number of resamples in which the metric has a value; NaN bounds if there are none."""

    low: float
    high: float
    draws: int

    @classmethod
    def from_draws(cls, draws: Floats) -> "BootstrapInterval":
        """Return the percentile interval of the values of resamples (draws,), NaN where the metric has none."""
        finite = draws[np.isfinite(draws)]
        low, high = np.quantile(finite, [0.025, 0.975]) if len(finite) else (np.nan, np.nan)
        return cls(float(low), float(high), len(finite))


def intervals(scored: Scored, names: Iterable[str], count: int, seed: int) -> dict[str, BootstrapInterval]:
    """Return the 95 % percentile bootstrap interval of each metric."""
    names = list(names)
    draws = np.asarray([[measure(name, scored, drawn) for name in names] for drawn in resamples(scored, count, seed)])
    return {name: BootstrapInterval.from_draws(draws[:, index]) for index, name in enumerate(names)}


def difference(candidate: Scored, champion: Scored, name: str, count: int, seed: int) -> tuple[float, float, float]:
    """Return how much better the candidate is on the same rows, and its 95 % paired bootstrap interval.

    Better is positive, whichever way the metric points.
    """
    sign = 1.0 if METRICS[name].higher_is_better else -1.0
    draws = [
        sign * (measure(name, candidate, weights) - measure(name, champion, weights))
        for weights in resamples(candidate, count, seed)
    ]
    interval = BootstrapInterval.from_draws(np.asarray(draws))
    return sign * (measure(name, candidate) - measure(name, champion)), interval.low, interval.high

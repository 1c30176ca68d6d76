"""The evaluation record, reports/evaluation.json, as structs; docs/evaluation.md describes it key by key."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lockstep.config.params import Task
from lockstep.errors import ArtifactError

FORMAT = 1


class _Record(msgspec.Struct, frozen=True):
    """Base of the structs; keys that a later version adds are passed over."""


class MetricValue(_Record, frozen=True):
    """A metric on the test rows with its 95 % bootstrap interval.

    `draws` is the number of resamples behind the interval where the metric has no value in others.
    """

    name: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    draws: int | None = None


class RowCounts(_Record, frozen=True):
    """Numbers of train and test rows."""

    train: int
    test: int


class LabelScores(_Record, frozen=True):
    """Precision, recall and F1 of a label, and its test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int


class Confusion(_Record, frozen=True):
    """Confusion matrix: counts of truth x prediction."""

    labels: list[str]
    table: list[list[int]]


class Curve(_Record, frozen=True):
    """Points (x, y) of a curve of one label."""

    label: str
    points: list[list[float]]


class CalibrationBin(_Record, frozen=True):
    """Mean predicted probability of a bin, and the observed frequency with its interval."""

    said: float
    came: float
    low: float
    high: float
    rows: int


class CalibrationCurve(_Record, frozen=True):
    """Reliability diagram of a label."""

    label: str
    bins: list[CalibrationBin]


class ThresholdPoint(_Record, frozen=True):
    """Scores of the second label if a probability of at least `threshold` is required."""

    threshold: float
    precision: float
    recall: float
    f1: float
    accuracy: float
    share: float


class Curves(_Record, frozen=True):
    """Curves of a classifier; `thresholds` is empty for more than two labels."""

    roc: list[Curve]
    precision_recall: list[Curve]
    calibration: CalibrationCurve
    thresholds: list[ThresholdPoint]


class Histogram(_Record, frozen=True):
    """Shares of rows between edges."""

    edges: list[float]
    shares: list[float]


class ErrorSpread(_Record, frozen=True, rename={"least": "from", "most": "to"}):
    """Errors of the rows whose prediction lies between two values: median, and 5 % and 95 % quantiles."""

    least: float
    most: float
    rows: int
    median: float
    low: float
    high: float


class Residuals(_Record, frozen=True):
    """Errors of a regression, predicted less true values."""

    points: list[list[float]]
    histogram: Histogram
    quantiles: dict[str, float]
    by_predicted: list[ErrorSpread]


class SliceLoss(_Record, frozen=True):
    """Loss of a slice with its interval, and its difference from that of the rest."""

    column: str
    name: str
    rows: int
    loss: float
    low: float
    high: float
    rest: float
    difference: float
    difference_low: float
    difference_high: float
    surely_worse: float
    metric: float | None = None


class WeakestSlices(_Record, frozen=True):
    """Slices of the test rows, the weakest first."""

    measure: str
    metric: str
    looked_at: int
    slices: list[SliceLoss]


class WorstRow(_Record, frozen=True):
    """A test row with a large error, and its values; the probabilities are of classes, the error of numbers."""

    row: int
    truth: str | float
    prediction: str | float
    values: dict[str, str | float | None]
    probability: float | UnsetType = UNSET
    probability_of_truth: float | UnsetType = UNSET
    error: float | UnsetType = UNSET


class ColumnImportance(_Record, frozen=True):
    """Mean drop of the metric when a column is shuffled, and its standard deviation over the repeats."""

    column: str
    drop: float
    spread: float


class Importance(_Record, frozen=True):
    """Permutation importance of the columns, the largest first."""

    metric: str
    rows: int
    repeats: int
    columns_in_all: int
    columns: list[ColumnImportance]


class LabelTerms(_Record, frozen=True, rename={"supporting": "for", "opposing": "against"}):
    """Terms of texts with their weights for and against a label."""

    label: str
    supporting: list[tuple[str, float]]
    opposing: list[tuple[str, float]]


class LearningPoint(_Record, frozen=True):
    """Scores of the estimator fitted on `rows` rows; None where they are not finite."""

    rows: int
    train: float | None
    held_out: float | None
    test: float | None


class LearningCurve(_Record, frozen=True):
    """Scores by number of train rows."""

    metric: str
    points: list[LearningPoint]
    train_rows: int
    held_out_rows: int
    test_rows: int


class Reference(_Record, frozen=True):
    """A default estimator on the same rows, and how much better the model is, with the 95 % interval."""

    name: str
    metric: str
    value: float
    difference: float
    low: float
    high: float
    verdict: str


class Evaluation(_Record, frozen=True):
    """Everything that an evaluation measures on the test rows."""

    task: Task
    target: str
    labels: list[str]
    metric: str
    rows: RowCounts
    metrics: list[MetricValue]
    per_class: list[LabelScores]
    confusion: Confusion | None
    curves: Curves | None
    residuals: Residuals | None
    weakest: WeakestSlices
    worst: list[WorstRow]
    importance: Importance | None
    words: list[LabelTerms] | None
    learning_curve: LearningCurve | None
    references: list[Reference] | None
    left_out: str | None
    leaks: dict[str, float]
    model_bytes: int
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """Return the content of reports/evaluation.json."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any], source: str = "the evaluation record") -> "Evaluation":
        """Read what `to_json` wrote. Raises ArtifactError: it is of another format."""
        try:
            if content["format"] == FORMAT:
                return msgspec.convert(content, cls)
            cause = f"format {content['format']!r}, and {FORMAT} is read here"
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            cause = str(error)
        raise ArtifactError(f"{source} is of another format: {cause}", "run `dvc repro`")

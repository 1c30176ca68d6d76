"""Reference profile of a version: baselines of features, scores and predictions, and the thresholds of alarms.

It is a file of the version's bundle, so that whatever serves the version can compare live traffic with it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lockstep import files, paths
from lockstep.config.params import Kind, Monitoring, Task
from lockstep.data.schema import Column, Label, Row, Schema, label_name
from lockstep.drift.numeric_baseline import CategoryBaseline, Floats, NumericBaseline, finite, seconds
from lockstep.drift.results import Distribution, Interval
from lockstep.drift.text_baseline import Vocabulary
from lockstep.errors import ArtifactError
from lockstep.metrics.scores import METRICS

FORMAT = 1
Scalar = str | int | float | bool | None


class TextBaseline(msgspec.Struct, frozen=True):
    """A text column: words a text, the share of unknown words a text (of test rows), and the words themselves."""

    length: NumericBaseline
    unknown: NumericBaseline
    words: Vocabulary


class Feature(msgspec.Struct, frozen=True):
    """One column of the train rows: how many were missing, and the baseline that its kind has."""

    name: str
    kind: Kind
    rows: int
    missing: int
    numbers: NumericBaseline | None = None
    categories: CategoryBaseline | None = None
    text: TextBaseline | None = None


class Profile(msgspec.Struct, frozen=True):
    """Features of the train rows; scores, answers and metric of the test rows; and the thresholds."""

    task: Task
    labels: list[Label]
    features: list[Feature]
    score: NumericBaseline
    mix: CategoryBaseline | None
    metric: str
    higher_is_better: bool
    evaluation: Interval
    thresholds: Monitoring
    format: int = FORMAT
    positive: int = 1

    def columns(self, rows: Sequence[Sequence[Scalar]]) -> dict[str, list[Scalar]]:
        """Return rows, their values in the order of the schema, as columns by name."""
        names = [feature.name for feature in self.features]
        return {name: [row[index] for row in rows] for index, name in enumerate(names)}

    def label_names(self) -> list[str]:
        """Return the labels as text, in the order of the shares."""
        return [label_name(label) for label in self.labels]

    def mix_baseline(self) -> Distribution | None:
        """Return the answers of the test rows, for classes."""
        return self.mix.distributions(Counter())[0] if self.mix else None

    def to_json(self) -> bytes:
        """Return the profile as JSON of one line, the same for the same profile."""
        return msgspec.json.encode(self, enc_hook=_encode_thresholds, order="sorted") + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Profile":
        """Read a profile back. Raises ArtifactError: it is damaged or of another format."""
        try:
            profile = msgspec.json.decode(content, type=cls, dec_hook=_decode_thresholds)
        except (msgspec.DecodeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
            raise ArtifactError(f"{paths.PROFILE.name} is damaged: {error}", "rebuild it with `dvc repro`") from None
        if profile.format != FORMAT:
            raise ArtifactError(
                f"profile format {profile.format!r} is not {FORMAT}", "evaluate the model again with `dvc repro`"
            )
        return profile

    @classmethod
    def load(cls, folder: Path) -> "Profile | None":
        """Read the profile of the bundle in a folder; None where an older version carries none.

        Raises ArtifactError: it is damaged or of another format.
        """
        try:
            return cls.from_json((folder / paths.PROFILE.name).read_bytes())
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class EvaluationSample:
    """The test rows, their predictions, and the metric of the evaluation."""

    rows: Sequence[Row]
    values: Sequence[Any]
    shares: Sequence[Sequence[float]] | None
    metric: str
    measured: Mapping[str, Any]


def build(
    schema: Schema, train: Sequence[Row], sample: EvaluationSample, thresholds: Monitoring, clean: Sequence[str] = ()
) -> Profile:
    """Make the profile of a model from its train rows and its evaluation; `clean` names the text steps it uses."""
    columns = [[row[index] for row in train] for index in range(len(schema.columns))]
    held_out = [[row[index] for row in sample.rows] for index in range(len(schema.columns))]
    features = [_feature(*each, clean) for each in zip(schema.columns, columns, held_out, strict=True)]
    low, high = sample.measured["interval_95"][sample.metric]
    return Profile(
        task=schema.task,
        labels=list(schema.labels),
        features=features,
        score=NumericBaseline.from_values(scores(schema.task, sample.values, sample.shares)),
        mix=CategoryBaseline.from_values(map(label_name, sample.values)) if schema.labels else None,
        metric=sample.metric,
        higher_is_better=METRICS[sample.metric].higher_is_better,
        evaluation=Interval(sample.measured[sample.metric], low, high),
        thresholds=thresholds,
        positive=schema.positive_code,
    )


def write(profile: Profile, path: Path = paths.PROFILE) -> None:
    """Write a profile as a file of the bundle."""
    files.write_bytes(profile.to_json(), path)


def scores(task: Task, values: Sequence[Any], shares: Sequence[Sequence[float]] | None) -> Floats:
    """Return the score (n,) of each answer: the last label's share, the largest of several, or the value itself."""
    if shares is None:
        return np.asarray(values, dtype=np.float64)
    array = np.asarray(shares, dtype=np.float64).reshape(len(values), -1)
    return array[:, -1] if task == "binary" else array.max(axis=1, initial=0.0)


def _feature(column: Column, train: list[Any], test: list[Any], clean: Sequence[str]) -> Feature:
    present = [value for value in train if value is not None]
    feature = Feature(column.name, column.kind, len(train), len(train) - len(present))
    if column.kind == "categorical":
        return msgspec.structs.replace(feature, categories=CategoryBaseline.from_values(present))
    if column.kind == "text":
        return msgspec.structs.replace(feature, text=_text(present, [text for text in test if text is not None], clean))
    values = finite(present) if column.kind == "numeric" else seconds(present)
    return msgspec.structs.replace(feature, numbers=NumericBaseline.from_values(values))


def _text(train: list[str], test: list[str], clean: Sequence[str]) -> TextBaseline:
    """Describe texts; the share of unknown words needs texts that the vocabulary was not learned from."""
    words = Vocabulary.from_texts(train, clean)
    lengths = NumericBaseline.from_values(float(len(words.read(text))) for text in train)
    return TextBaseline(lengths, NumericBaseline.from_values(words.unknown(map(words.read, test))), words)


def _encode_thresholds(value: Any) -> Any:
    return value.model_dump()


def _decode_thresholds(kind: Any, value: Any) -> Any:
    return kind.model_validate(value)

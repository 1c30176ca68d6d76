"""The profile of a version: what its features, scores and answers were like when it was made, and what is an alarm.

It is a file of the version's bundle, so that whatever serves the version can hold live traffic against it.
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
from lockstep.drift.numeric_baseline import Categories, Floats, Numbers, finite, seconds
from lockstep.drift.results import Distribution, Interval
from lockstep.drift.text_baseline import Words
from lockstep.errors import ArtifactError
from lockstep.metrics.scores import METRICS

FORMAT = 1
Scalar = str | int | float | bool | None


class Text(msgspec.Struct, frozen=True):
    """A text column: words a text, the share of unknown words a text (of test rows), and the words themselves."""

    length: Numbers
    unknown: Numbers
    words: Words


class Feature(msgspec.Struct, frozen=True):
    """One column of the train rows: how many were missing, and the baseline that its kind has."""

    name: str
    kind: Kind
    rows: int
    missing: int
    numbers: Numbers | None = None
    categories: Categories | None = None
    text: Text | None = None


class Profile(msgspec.Struct, frozen=True):
    """Features of the train rows; scores, answers and metric of the test rows; and the thresholds."""

    task: Task
    labels: list[Label]
    features: list[Feature]
    score: Numbers
    mix: Categories | None
    metric: str
    higher_is_better: bool
    evaluation: Interval
    thresholds: Monitoring
    format: int = FORMAT
    positive: int = 1

    def columns(self, rows: Sequence[Sequence[Scalar]]) -> dict[str, list[Scalar]]:
        """Return rows, their values in the order of the schema, as columns by name."""
        names = [feature.name for feature in self.features]
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}

    def label_names(self) -> list[str]:
        """Return the labels as text, in the order of the shares."""
        return [label_name(label) for label in self.labels]

    def mix_baseline(self) -> Distribution | None:
        """Return the answers of the test rows, for classes."""
        return self.mix.beside(Counter())[0] if self.mix else None

    def to_json(self) -> bytes:
        """Return the profile as JSON of one line, the same for the same profile."""
        return msgspec.json.encode(self, enc_hook=_written, order="sorted") + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Profile":
        """Read a profile back.

        Raises
        ------
        ArtifactError
            It is damaged or of another format.
        """
        try:
            found = msgspec.json.decode(content, type=cls, dec_hook=_read)
        except (msgspec.DecodeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
            raise ArtifactError(f"{paths.PROFILE.name} is damaged: {error}", "rebuild it with `dvc repro`") from None
        if found.format != FORMAT:
            raise ArtifactError(
                f"profile format {found.format!r} is not {FORMAT}", "evaluate the model again with `dvc repro`"
            )
        return found

    @classmethod
    def load(cls, folder: Path) -> "Profile | None":
        """Read the profile of the bundle in a folder; None where an older version carries none.

        Raises
        ------
        ArtifactError
            It is damaged or of another format.
        """
        try:
            return cls.from_json((folder / paths.PROFILE.name).read_bytes())
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class Evaluated:
    """The test rows, what the model answered them, and the metric of the evaluation."""

    rows: Sequence[Row]
    values: Sequence[Any]
    shares: Sequence[Sequence[float]] | None
    metric: str
    measured: Mapping[str, Any]


def build(
    schema: Schema, train: Sequence[Row], tested: Evaluated, thresholds: Monitoring, clean: Sequence[str] = ()
) -> Profile:
    """Make the profile of a model from its train rows and its evaluation; `clean` names the text steps it uses."""
    columns = [[row[place] for row in train] for place in range(len(schema.columns))]
    held_out = [[row[place] for row in tested.rows] for place in range(len(schema.columns))]
    features = [_feature(*each, clean) for each in zip(schema.columns, columns, held_out, strict=True)]
    low, high = tested.measured["interval_95"][tested.metric]
    return Profile(
        task=schema.task,
        labels=list(schema.labels),
        features=features,
        score=Numbers.of(scores(schema.task, tested.values, tested.shares)),
        mix=Categories.of(map(label_name, tested.values)) if schema.labels else None,
        metric=tested.metric,
        higher_is_better=METRICS[tested.metric].higher_is_better,
        evaluation=Interval(tested.measured[tested.metric], low, high),
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
    made = Feature(column.name, column.kind, len(train), len(train) - len(present))
    if column.kind == "categorical":
        return msgspec.structs.replace(made, categories=Categories.of(present))
    if column.kind == "text":
        return msgspec.structs.replace(made, text=_text(present, [text for text in test if text is not None], clean))
    values = finite(present) if column.kind == "numeric" else seconds(present)
    return msgspec.structs.replace(made, numbers=Numbers.of(values))


def _text(train: list[str], test: list[str], clean: Sequence[str]) -> Text:
    """Describe texts; the share of unknown words needs texts that the vocabulary was not learned from."""
    words = Words.of(train, clean)
    lengths = Numbers.of(float(len(words.read(text))) for text in train)
    return Text(lengths, Numbers.of(words.unknown(map(words.read, test))), words)


def _written(value: Any) -> Any:
    return value.model_dump()


def _read(kind: Any, value: Any) -> Any:
    return kind.model_validate(value)

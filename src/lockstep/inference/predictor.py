"""Predictor: one object for evaluation, batch scoring and the app, so that all run the same code on the same bytes."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from lockstep import files, paths
from lockstep.data.schema import FieldError, Row, RowsRefused, Schema, label_name
from lockstep.errors import ArtifactError, LockstepError, NotExplained
from lockstep.inference import model_card
from lockstep.metrics.scores import Scored
from lockstep.modeling import serialization
from lockstep.registry.bundle import contents
from lockstep.scoring import compiler, contributions
from lockstep.scoring.contributions import Explainer, Explanation
from lockstep.scoring.json_decoder import Decoder
from lockstep.scoring.scorers import LinearScorer, Scorer

if TYPE_CHECKING:
    import pandas as pd

EXTREME = "too extreme: the model gives no number for these values"
LONGEST_SMOKE_ROW = 20_000
# Answers are rounded here, once. Sums may move their last bit with the size of the batch; at these digits the same row
# gets the same answer alone, in a batch, in the form and in reports/predictions.csv.
PROBABILITY_DECIMALS = 6
PROBABILITY_SCALE = 10.0**PROBABILITY_DECIMALS
VALUE_DIGITS = 9


class Predictions(msgspec.Struct, frozen=True):
    """Answers for n rows: labels or values, and the labels' shares, n lists of one a label, or None for regression."""

    values: list[Any]
    shares: list[list[float]] | None

    @property
    def probabilities(self) -> NDArray[np.float64] | None:
        """Return the shares as an array (n, labels)."""
        return None if self.shares is None else np.asarray(self.shares)


@dataclass(frozen=True)
class Bundle:
    """A folder with the files of a version, and their digest."""

    folder: Path
    sha256: str

    def pipeline(self) -> Any:
        """Load the fitted pipeline of the digest. Raises ArtifactError: its files are gone or changed."""
        if digest(self.folder) != self.sha256:
            raise ArtifactError(f"the model in {self.folder} was changed since it was loaded", "fetch it again")
        return serialization.load(self.folder / paths.MODEL.name)


class Predictor:
    """A scorer with the schema of the rows it takes; `note` says why it is not a compiled one.

    `pipeline` fetches the fitted pipeline, which a compiled scorer can do without, and an explanation of trees cannot.
    `card` tells what the version is, if it came with one.
    """

    def __init__(
        self, schema: Schema, scorer: Scorer, note: str = "", pipeline: Callable[[], Any] | None = None
    ) -> None:
        self.card: dict[str, Any] | None = None
        self.schema = schema
        self.scorer = scorer
        self.note = note
        self.pipeline = pipeline

    @classmethod
    def from_pipeline(cls, schema: Schema, pipeline: Any, reference: Sequence[Row] = ()) -> Self:
        """Return the predictor of a fitted pipeline: compiled, if that answers the reference rows as the pipeline does.

        Raises ArtifactError: the pipeline knows other labels than the schema.
        """
        fitted = [item.item() for item in getattr(pipeline, "classes_", np.zeros(0))]
        if fitted != list(schema.labels):
            raise ArtifactError(
                f"the model knows {fitted} but its schema {list(schema.labels)}", "rebuild it with `dvc repro`"
            )
        return cls(schema, *compiler.compile_or_fall_back(schema, pipeline, reference), lambda: pipeline)

    @classmethod
    def load(cls, folder: Path, sha256: str | None = None) -> Self:
        """Load the bundle in a folder, check its digest if one is given, and let it answer its smoke rows.

        Raises ArtifactError: a file is missing, damaged, changed or not allowed, or an answer is not the recorded one.
        """
        actual = digest(folder)
        if sha256 is not None and actual != sha256:
            raise ArtifactError(
                f"the model in {folder} has the digest {actual[:12]}, not {sha256[:12]}",
                "it was changed or cut off: fetch it again",
            )
        from lockstep.features.build import require_functions  # workers with a compiled scorer do without scikit-learn

        schema = Schema.from_json(read_json(folder / paths.SCHEMA.name))
        smoke = read_json(folder / paths.SMOKE.name)
        pipeline = serialization.load(folder / paths.MODEL.name)
        require_functions(pipeline)
        predictor = cls.from_pipeline(schema, pipeline, reference_rows(schema, smoke))
        predictor.check_smoke(smoke)
        predictor.card = model_card.read(folder)
        predictor.scorer = _with_expectations(predictor.scorer, schema, folder)
        return predictor

    def predict(self, rows: Sequence[Row]) -> Predictions:
        """Answer checked rows; a label is the one whose printed probability is highest, the first among equals.

        Raises RowsRefused: the model's arithmetic overflows on a row.
        """
        scores, labels = self._scores(rows), self.schema.labels
        if not labels:
            return Predictions([float(f"{value:.{VALUE_DIGITS}g}") for (value,) in scores], None)
        return Predictions([labels[shares.index(max(shares))] for shares in scores], scores)

    def _scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """Return finite scores, rounded if they are probabilities: plain numbers for one row, arrays for many."""
        if len(rows) == 1:
            scores_of_row = self.scorer.one(rows[0])
            if not math.isfinite(sum(scores_of_row)):
                raise RowsRefused([FieldError(0, "", EXTREME)])
            return [
                [round(share * PROBABILITY_SCALE) / PROBABILITY_SCALE for share in scores_of_row]
                if self.schema.labels
                else scores_of_row
            ]
        scores = self.scorer.score(rows)
        if not np.isfinite(scores).all():
            wrong = np.flatnonzero(~np.isfinite(scores).all(axis=1)).tolist()
            raise RowsRefused([FieldError(row, "", EXTREME) for row in wrong])
        return (np.rint(scores * PROBABILITY_SCALE) / PROBABILITY_SCALE if self.schema.labels else scores).tolist()

    def explain(self, rows: Sequence[Row]) -> list[Explanation]:
        """Say of checked rows what each column adds to the score of the answer.

        Raises NotExplained: the model is one that nothing explains.
        Raises MissingExtra: a package that explains trees is not installed.
        Raises RowsRefused: the model's arithmetic overflows on a row.
        """
        return contributions.explanations(
            self.schema, rows, self.predict(rows).values, self.explainer.contributions(rows)
        )

    @cached_property
    def explainer(self) -> Explainer:
        """Return what takes the scores apart; of trees it is made from the fitted pipeline, which takes seconds."""
        return contributions.build_explainer(self.schema, self.scorer, self._fitted)

    def _fitted(self) -> Any:
        if self.pipeline is None:
            raise NotExplained("the fitted pipeline is not at hand", "load the model from its bundle")
        return self.pipeline()

    def predict_frame(self, frame: "pd.DataFrame") -> Predictions:
        """Answer the rows of a canonical frame."""
        from lockstep.data import frames

        return self.predict(frames.rows_of(frame, self.schema))

    @cached_property
    def decoder(self) -> Decoder:
        """Return what decodes flawless requests."""
        return Decoder(self.schema)

    def answers(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Check rows of column names and values, and answer each as the API prints it.

        Raises RowsRefused: at least one row does not fit the schema.
        """
        return self.as_answers(self.predict(self.schema.check(rows)))

    def as_answers(self, predictions: Predictions) -> list[dict[str, Any]]:
        """Return predictions as the API prints them."""
        if predictions.shares is None:
            return [{"prediction": value} for value in predictions.values]
        names = self.label_names
        return [
            {"prediction": value, "probabilities": dict(zip(names, shares, strict=True))}
            for value, shares in zip(predictions.values, predictions.shares, strict=True)
        ]

    @cached_property
    def label_names(self) -> list[str]:
        """Return the labels as the keys of a JSON object."""
        return [label_name(label) for label in self.schema.labels]

    def score(self, frame: "pd.DataFrame") -> Scored:
        """Answer canonical rows that carry the target, beside the truth."""
        predictions = self.predict_frame(frame)
        truth = frame[self.schema.target]
        if predictions.probabilities is None:
            return Scored(truth.to_numpy(), np.asarray(predictions.values))
        codes = {label: code for code, label in enumerate(self.schema.labels)}
        return Scored(
            np.asarray([codes[label] for label in truth.tolist()]),
            np.asarray([codes[label] for label in predictions.values]),
            predictions.probabilities,
            self.schema.positive_code,
        )

    def smoke(self, frame: "pd.DataFrame") -> dict[str, Any]:
        """Return the rows that fit, but for very long ones, with their answers, which `load` compares."""
        from lockstep.data import frames

        rows = [row for row in self.schema.objects(frames.rows_of(frame, self.schema)) if not self.schema.faults(row)]
        short = [row for row in rows if len(json.dumps(row)) < LONGEST_SMOKE_ROW]
        return {"rows": short, "answers": self.answers(short) if short else []}

    def check_smoke(self, smoke: Any) -> None:
        """Refuse to serve if the recorded rows are not answered as recorded."""
        try:
            same = self.answers(smoke["rows"]) == smoke["answers"]
        except Exception as error:  # a damaged model fails in any way
            raise ArtifactError(f"the model fails on its smoke rows: {error}", "rebuild it with `dvc repro`") from error
        if not same:
            raise ArtifactError(
                "the model answers its smoke rows otherwise than when it was built", "check the library versions"
            )


def _with_expectations(scorer: Scorer, schema: Schema, folder: Path) -> Scorer:
    """Return a linear scorer with what each column usually adds, where the bundle has a profile that says so."""
    if not isinstance(scorer, LinearScorer):
        return scorer
    from lockstep.drift.profile import Profile
    from lockstep.inference import expected_contributions

    try:
        profile = Profile.load(folder)
    except ArtifactError:  # one that cannot be read is for the monitoring to report; rows are answered without it
        return scorer
    return expected_contributions.with_expected_contributions(scorer, schema, profile) if profile else scorer


def reference_rows(schema: Schema, smoke: Any) -> list[Row]:
    """Return the recorded rows that a compiled scorer is held against; none if the record is damaged."""
    try:
        return schema.check(smoke["rows"])
    except (LockstepError, KeyError, TypeError):
        return []


def digest(folder: Path) -> str:
    """Return the sha256 of a bundle: that of the lines `<sha256>  <name>` of its files, the profile only if it has one.

    Raises ArtifactError: a file of the bundle is missing.
    """
    try:
        lines = [f"{files.sha256(folder / name)}  {name}\n" for name in contents(folder)]
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{error.filename} not found", "run `dvc repro`, or `dvc pull` where a remote holds it"
        ) from None
    return files.sha256_bytes("".join(lines).encode())


def holds(folder: Path, sha256: str) -> bool:
    """Return whether a folder holds the bundle of this digest."""
    try:
        return digest(folder) == sha256
    except ArtifactError:
        return False  # the pipeline has not been run here


def read_json(path: Path) -> Any:
    """Read a JSON file of a bundle. Raises ArtifactError: it is missing or damaged."""
    try:
        return files.read_json(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path} not found", "run `dvc repro`") from None
    except ValueError:
        raise ArtifactError(f"{path} is not JSON", "rebuild it with `dvc repro`") from None

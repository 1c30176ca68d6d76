"""Out-of-sample scores on real rows, and the windows sampled from them for the figures of drift detection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from lockstep.config import params as sections
from lockstep.config.params import Kind, Monitoring, Params
from lockstep.data import cleaning, frames
from lockstep.data.schema import Schema
from lockstep.data.sources import read
from lockstep.drift import profile as profiles
from lockstep.drift.detect import RowWindow
from lockstep.drift.profile import Profile
from lockstep.evaluation import test_metrics
from lockstep.features import build
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from lockstep.modeling import catalog

SEED = 20
FOLDS = 5
SMALL = 2_000
TRAIN, TEST = 0.8, 0.2
SPLIT = (0.4, 0.5)
"""A large set is cut into rows to train on, test rows for the score's baseline, and a pool for the windows."""

TILT_SD, LABEL_POINTS, SCALE = 0.4, 0.25, 2.0
MODELS = {
    "breast-cancer": {"estimator": "logistic_regression"},
    "iris": {"estimator": "logistic_regression"},
    "housing": {"estimator": "hist_gradient_boosting"},
    "sentiment": {"estimator": "logistic_regression", "params": {"C": 10.0}},
    "toxicity": {"estimator": "logistic_regression", "params": {"C": 10.0}},
}


@dataclass(frozen=True)
class Pool:
    """Rows with out-of-sample predictions; a fixed profile, or none if each run samples one."""

    schema: Schema
    clean: Sequence[str]
    frame: pd.DataFrame
    scored: Scored
    profile: Profile | None

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The kind of each column."""
        return self.schema.kinds


def prepare(name: str, params: Params) -> Pool:
    """Read an example's rows and predict them out of sample.

    A small set is predicted by cross-fitting, each fold by a model of the others, and is then the whole population:
    train rows, test rows and windows are sampled from it independently with replacement, so that there is no drift. A
    large set is split in three, and windows are sampled from the third part without replacement.
    """
    cleaned = cleaning.clean(read.read(params.data_ingestion).frame, params.data_preprocessing)
    frame = cleaned.frame.sample(frac=1, random_state=SEED).reset_index(drop=True)
    target = params.data_preprocessing.target
    schema = frames.learn(frame, target, cleaned.task, cleaned.kinds, params.feature_engineering)
    fit = Fit(schema, params, MODELS[name])
    if len(frame) <= SMALL:
        folds = np.arange(len(frame)) % FOLDS
        parts = [frame[folds == fold] for fold in range(FOLDS)]
        scored = concatenated([fit.scored(frame.drop(part.index), part) for part in parts])
        return Pool(schema, fit.clean, pd.concat(parts, ignore_index=True), scored, None)
    first, second = (round(part * len(frame)) for part in SPLIT)
    train, test, pool = frame[:first], frame[first:second], frame[second:]
    scored = fit.scored(train, pd.concat([test, pool]))
    fixed = profile_of(schema, train, test, subset(scored, np.arange(len(test))), fit.clean)
    return Pool(
        schema, fit.clean, pool.reset_index(drop=True), subset(scored, np.arange(len(test), scored.rows)), fixed
    )


@dataclass
class Fit:
    """Fits the model of an example."""

    schema: Schema
    params: Params
    model: Mapping[str, Any]
    clean: Sequence[str] = ()

    def scored(self, train: pd.DataFrame, rows: pd.DataFrame) -> Scored:
        """Fit on the train rows and predict others, as the pipeline and the server do."""
        from sklearn.pipeline import Pipeline

        features, matrix = build.fit(train, self.schema, self.params.feature_engineering, {})
        candidate = sections.Candidate(**self.model)
        estimator = catalog.make(candidate, {}, self.schema.task, SEED, not isinstance(matrix, np.ndarray))
        estimator.fit(matrix, frames.target_array(train, self.schema))
        pipeline = Pipeline([("features", features), ("estimator", estimator)])
        self.clean = build.text_steps(pipeline)
        return Predictor.from_pipeline(self.schema, pipeline).score(rows)


def subset(scored: Scored, positions: Any) -> Scored:
    """Return the scored rows at some positions."""
    shares = None if scored.probabilities is None else scored.probabilities[positions]
    return Scored(scored.truth[positions], scored.predicted[positions], shares)


def concatenated(parts: Sequence[Scored]) -> Scored:
    """Concatenate scored rows."""
    shares = None if parts[0].probabilities is None else np.concatenate([part.probabilities for part in parts])
    return Scored(np.concatenate([p.truth for p in parts]), np.concatenate([p.predicted for p in parts]), shares)


def profile_of(
    schema: Schema, train: pd.DataFrame, test: pd.DataFrame, scored: Scored, clean: Sequence[str]
) -> Profile:
    """Build the profile of train rows and scored test rows; the value of the metric is not used here."""
    metric = scores.DEFAULT[schema.task]
    tested = test_metrics.evaluated(test, scored, schema, metric, {metric: 0.5, "interval_95": {metric: [0.4, 0.6]}})
    return profiles.build(schema, frames.rows_of(train, schema), tested, Monitoring(), clean)


def drawn_profile(pool: Pool, random: np.random.Generator) -> Profile:
    """Return the fixed profile of a large set; of a small one, that of train and test rows drawn now."""
    if pool.profile:
        return pool.profile
    size = len(pool.frame)
    train, test = (random.integers(0, size, round(share * size)) for share in (TRAIN, TEST))
    return profile_of(pool.schema, pool.frame.iloc[train], pool.frame.iloc[test], subset(pool.scored, test), pool.clean)


def window(pool: Pool, positions: Any, broken: str = "") -> RowWindow:
    """Return rows of the pool as a window; one column may be broken: numbers times 2, texts cut in half.

    The scores stay those of the whole row, which makes drift harder to see, not easier.
    """
    rows = frames.rows_of(pool.frame.iloc[positions], pool.schema)
    columns = {name: [row[index] for row in rows] for index, name in enumerate(pool.kinds)}
    if broken:
        columns[broken] = [_broken(value) for value in columns[broken]]
    scored = subset(pool.scored, positions)
    if scored.probabilities is None:
        return RowWindow("1", 0.0, 1.0, columns, scored.predicted.astype(np.float64))
    answers = [pool.schema.labels[code] for code in scored.predicted]
    values = profiles.scores(pool.schema.task, answers, scored.probabilities.tolist())
    return RowWindow("1", 0.0, 1.0, columns, values, answers)


def _broken(value: Any) -> Any:
    if value is None:
        return None
    return value[: len(value) // 2] if isinstance(value, str) else value * SCALE


def draw(pool: Pool, rows: int, random: np.random.Generator, weights: Any = None) -> Any:
    """Sample row positions of the pool, with replacement if it is small, by weights if there are any."""
    shares = None if weights is None else weights / weights.sum()
    return random.choice(len(pool.frame), rows, replace=len(pool.frame) <= SMALL, p=shares)


def tilt(pool: Pool, column: str) -> Any:
    """Return weights (n,) that move a column's mean by 0.4 SD: exponential in its normal scores (van der Waerden 1952).

    Of a text it is the length that moves.
    """
    values = pool.frame[column]
    numbers = values.str.len() if pool.kinds[column] == "text" else values
    ranks = stats.rankdata(numbers.fillna(numbers.median()))
    z = stats.norm.ppf((ranks - 0.5) / len(ranks))
    z = (z - z.mean()) / z.std()
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(middle * z)
        low, high = (middle, high) if weights @ z / weights.sum() < TILT_SD else (low, middle)
    return weights


def label_shift(pool: Pool) -> Any:
    """Return weights (n,) that move 25 points of the truth away from the commonest label, or above the median."""
    truth = pool.scored.truth
    common = truth < np.median(truth) if pool.scored.probabilities is None else truth == np.bincount(truth).argmax()
    share = common.mean()
    return np.where(common, (share - LABEL_POINTS) / share, (1 - share + LABEL_POINTS) / (1 - share))

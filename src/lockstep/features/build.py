"""Put the transformers of all columns together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from lockstep.config.params import FeatureEngineering, Kind, Task, Text
from lockstep.data.frames import target_array
from lockstep.data.schema import Schema
from lockstep.errors import ConfigError, nearest
from lockstep.features import derived
from lockstep.features.sets import MultiHot
from lockstep.features.tabular import Absent, StackedRidge, TargetMeans, Unskew
from lockstep.features.tokenizer import CLEANERS
from lockstep.features.transformers import DATE_PARTS, DateParts, TextTfidf

SCALERS = {"standard": StandardScaler, "robust": RobustScaler}
Steps = Sequence[tuple[object, ...]]

# The step of derived columns: a pipeline of their functions and of what turns their results into features.
DERIVED = "derived"


@dataclass(frozen=True)
class TrainFacts:
    """What the train rows decide about transformers: columns of many categories, and groups that stay together."""

    many: frozenset[str] = frozenset()
    groups: NDArray[np.int64] | None = None
    task: Task = "regression"


def build(kinds: Mapping[str, Kind], params: FeatureEngineering, facts: TrainFacts | None = None) -> ColumnTransformer:
    """Return the unfitted transformer of all feature columns."""
    steps: list[tuple[object, ...]] = []
    for kind, make in MAKERS.items():
        if columns := [name for name, kind_of in kinds.items() if kind_of == kind]:
            steps += make(columns, params, facts or TrainFacts())
    return ColumnTransformer(steps, verbose_feature_names_out=False, sparse_threshold=0.3)


def fit(
    train: pd.DataFrame, schema: Schema, params: FeatureEngineering, constraints: Mapping[str, NDArray[np.int64]]
) -> tuple[ColumnTransformer, Any]:
    """Return the transformer fitted on the train rows, and their matrix (rows x features).

    Means of the target are cross-fitted, so that the matrix of the train rows can be cross-validated.
    """

    def build_for(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> ColumnTransformer:
        many = frozenset(name for name, kind in kinds.items() if kind == "categorical" and _many(rows[name], params))
        return build(kinds, params, TrainFacts(many, constraints.get("groups"), schema.task))

    features = build_for(train, schema.kinds)
    if params.functions:
        columns = list(schema.kinds)
        functions = derived.fit(train[columns], params.functions)
        encoded = build_for(functions.transform(train[columns]), functions.kinds_)
        step = Pipeline([("functions", functions), ("features", encoded)])
        features.transformers.append((DERIVED, step, columns))
    matrix = features.fit_transform(train, target_array(train, schema))
    for part in _parts(features):
        if hasattr(part, "groups"):
            part.groups = None  # they are the train rows', and no part of the model
    return features, matrix


def _parts(transformer: Any) -> Iterator[Any]:
    """Yield a transformer and all that it consists of, fitted or not."""
    yield transformer
    for name in ("steps", "transformers", "transformers_"):
        for _, part, *_ in getattr(transformer, name, ()):
            yield from _parts(part)


def require_functions(pipeline: Pipeline) -> None:
    """Import the features.py of a pipeline with derived columns. Raises ArtifactError: it is not here."""
    for name, part, _ in pipeline.named_steps["features"].transformers_:
        if name == DERIVED:
            derived.load(part.named_steps["functions"].sha256)


def _many(values: pd.Series, params: FeatureEngineering) -> bool:
    return values.nunique() > params.categorical.most_levels


def _numeric(columns: list[str], params: FeatureEngineering, facts: TrainFacts) -> Steps:
    bend = [Unskew(params.numeric.transform)] if params.numeric.transform != "none" else []
    absent = [("absent", Absent(), columns)] if params.numeric.indicator else []
    return [("numeric", make_pipeline(_imputer(params), *bend, *_scaler(params)), columns), *absent]


def _imputer(params: FeatureEngineering) -> SimpleImputer:
    zero = params.numeric.impute == "zero"
    strategy = {"strategy": "constant", "fill_value": 0.0} if zero else {"strategy": params.numeric.impute}
    return SimpleImputer(**strategy, keep_empty_features=True)


def _scaler(params: FeatureEngineering) -> list[TransformerMixin]:
    return [SCALERS[params.numeric.scale]()] if params.numeric.scale != "none" else []


def _categorical(columns: list[str], params: FeatureEngineering, facts: TrainFacts) -> Steps:
    chosen = params.categorical
    encoded = [name for name in columns if name in facts.many or chosen.encode == "target"]
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=chosen.min_frequency if chosen.min_frequency > 1 else None,
        max_categories=chosen.max_categories,
        dtype=np.float64,
    )
    means = Pipeline([("means", TargetMeans(chosen.smoothing, groups=facts.groups)), *_named(_scaler(params))])
    plain = [name for name in columns if name not in encoded]
    return [*([("categorical", encoder, plain)] if plain else []), *([("means", means, encoded)] if encoded else [])]


def _named(steps: list[TransformerMixin]) -> list[tuple[str, TransformerMixin]]:
    return [(type(step).__name__.lower(), step) for step in steps]


def _text(columns: list[str], params: FeatureEngineering, facts: TrainFacts) -> Steps:
    chosen, weighting = params.text, _weighting(params.text, facts.task)
    common = (chosen.min_documents, chosen.max_terms, chosen.sublinear)
    units = {"words": chosen.ngrams, "characters": chosen.characters}
    steps: list[tuple[object, ...]] = []
    for number, column in enumerate(columns):
        if column in chosen.sets:
            steps.append((f"text {number} set", MultiHot(chosen.sets[column], chosen.min_documents), column))
            continue
        for unit, lengths in units.items():
            if lengths:
                tfidf = TextTfidf(list(chosen.clean), sorted(lengths), *common, unit=unit, weighting=weighting)
                name = f"text {number}{' characters' if unit == 'characters' else ''}"
                steps.append((name, _stacked(tfidf, facts) if chosen.stack else tfidf, column))
    return steps


def _weighting(chosen: Text, task: Task) -> str:
    """Return the weighting of terms, after a check of what is said about texts."""
    _check_names(chosen.clean, CLEANERS, "feature_engineering.text.clean")
    if chosen.ngrams or not chosen.characters:
        _check_lengths(chosen.ngrams, 3, "ngrams")
    if chosen.characters:
        _check_lengths(chosen.characters, 6, "characters")
    why = "tells classes apart, and the task is regression" if task == "regression" else ""
    why = "learns from the target, which stacked terms must not" if chosen.stack else why
    if chosen.weighting == "naive_bayes" and why:
        raise ConfigError(f"feature_engineering.text.weighting: naive_bayes {why}", "set weighting: tfidf")
    default = "tfidf" if why else "naive_bayes"
    return default if chosen.weighting == "auto" else chosen.weighting


def _stacked(terms: TransformerMixin, facts: TrainFacts) -> Pipeline:
    """Return terms that a ridge regression turns into a few dense features."""
    return Pipeline([("terms", terms), ("stacked", StackedRidge(groups=facts.groups))])


def _check_lengths(lengths: Sequence[int], most: int, key: str) -> None:
    if not lengths or not set(lengths) <= set(range(1, most + 1)):
        raise ConfigError(f"feature_engineering.text.{key} accepts 1 to {most}", "for instance [1, 2]")


def _date(columns: list[str], params: FeatureEngineering, facts: TrainFacts) -> Steps:
    _check_names(params.date.parts, DATE_PARTS, "feature_engineering.date.parts")
    steps = [("parts", DateParts(list(params.date.parts))), *make_pipeline(_imputer(params), *_scaler(params)).steps]
    return [("date", Pipeline(steps), columns)]


MAKERS: dict[Kind, Callable[[list[str], FeatureEngineering, TrainFacts], Steps]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _text,
    "date": _date,
}


def _check_names(names: Sequence[str], accepted: Mapping[str, object], key: str) -> None:
    for name in names:
        if name not in accepted:
            raise ConfigError(f"{key}: unknown {name!r}{nearest(name, accepted)}", f"accepted: {', '.join(accepted)}")


def matrix_metadata(features: ColumnTransformer, schema: Schema) -> dict[str, NDArray[np.int64]]:
    """Return what model selection must know of the train matrix: blocks of `terms`, code of the `positive` class."""
    blocks = term_blocks(features)
    positive = {"positive": np.asarray(schema.positive_code)} if schema.task == "binary" else {}
    return positive | ({"terms": blocks} if len(blocks) else {})


def term_blocks(features: ColumnTransformer) -> NDArray[np.int64]:
    """Return first and last column (blocks, 2) of each block of terms that are weighed by what they tell of classes."""
    blocks = [
        features.output_indices_[name]
        for name, part, _ in features.transformers_
        if isinstance(part, TextTfidf) and part.weighting == "naive_bayes"
    ]
    return np.asarray([(block.start, block.stop) for block in blocks], dtype=np.int64).reshape(-1, 2)


def text_steps(pipeline: Pipeline) -> list[str]:
    """Return the names of the text steps of a fitted pipeline; none without text columns."""
    parts = [part for _, part, _ in pipeline.named_steps["features"].transformers_]
    terms = (getattr(part, "named_steps", {}).get("terms", part) for part in parts)
    return next((list(part.clean) for part in terms if isinstance(part, TextTfidf)), [])

"""Put the transformers of all columns together."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

from lockstep.config import FeatureEngineering, Kind
from lockstep.errors import ConfigError, nearest
from lockstep.features.text import CLEANERS
from lockstep.features.transformers import DATE_PARTS, DateParts, TextTfidf

SCALERS = {"standard": StandardScaler, "robust": RobustScaler}


def build(kinds: Mapping[str, Kind], params: FeatureEngineering) -> ColumnTransformer:
    """Return the unfitted transformer of all feature columns."""
    steps: list[tuple[object, ...]] = []
    for kind, make in MAKERS.items():
        if columns := [name for name, own in kinds.items() if own == kind]:
            steps += make(columns, params)
    return ColumnTransformer(steps, verbose_feature_names_out=False, sparse_threshold=0.3)


def _numeric(columns: list[str], params: FeatureEngineering) -> Sequence[tuple[object, ...]]:
    return [("numeric", _fill_and_scale(params), columns)]


def _fill_and_scale(params: FeatureEngineering) -> Pipeline:
    zero = params.numeric.impute == "zero"
    strategy = {"strategy": "constant", "fill_value": 0.0} if zero else {"strategy": params.numeric.impute}
    imputer = SimpleImputer(**strategy, keep_empty_features=True)
    return make_pipeline(imputer, *([SCALERS[params.numeric.scale]()] if params.numeric.scale != "none" else []))


def _categorical(columns: list[str], params: FeatureEngineering) -> Sequence[tuple[object, ...]]:
    chosen = params.categorical
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=chosen.min_frequency if chosen.min_frequency > 1 else None,
        max_categories=chosen.max_categories,
        dtype=np.float64,
    )
    return [("categorical", encoder, columns)]


def _text(columns: list[str], params: FeatureEngineering) -> Sequence[tuple[object, ...]]:
    chosen = params.text
    _check_names(chosen.clean, CLEANERS, "feature_engineering.text.clean")
    if not chosen.ngrams or not set(chosen.ngrams) <= {1, 2, 3}:
        raise ConfigError("feature_engineering.text.ngrams accepts 1, 2 and 3", "for instance [1, 2]")
    return [
        (
            f"text {number}",
            TextTfidf(
                list(chosen.clean), sorted(chosen.ngrams), chosen.min_documents, chosen.max_terms, chosen.sublinear
            ),
            column,
        )
        for number, column in enumerate(columns)
    ]


def _date(columns: list[str], params: FeatureEngineering) -> Sequence[tuple[object, ...]]:
    _check_names(params.date.parts, DATE_PARTS, "feature_engineering.date.parts")
    steps = [("parts", DateParts(list(params.date.parts))), *_fill_and_scale(params).steps]
    return [("date", Pipeline(steps), columns)]


MAKERS: dict[Kind, Callable[[list[str], FeatureEngineering], Sequence[tuple[object, ...]]]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _text,
    "date": _date,
}


def _check_names(given: Sequence[str], known: Mapping[str, object], key: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{key}: unknown {name!r}{nearest(name, known)}", f"accepted: {', '.join(known)}")


def text_steps(pipeline: Pipeline) -> list[str]:
    """Return the names of the text steps of a fitted pipeline; none without text columns."""
    parts = [part for _, part, _ in pipeline.named_steps["features"].transformers_]
    return next((list(part.clean) for part in parts if isinstance(part, TextTfidf)), [])

"""Compiler from fitted pipelines to scorers; a compiled one serves only where it agrees with the pipeline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Column, Row, Schema
from lockstep.scoring import row_encoders
from lockstep.scoring.scorers import LinearScorer, PipelineScorer, Scorer, Scores, TreeScorer
from lockstep.scoring.tfidf import StackedTerms, TfidfTerms

T = TypeVar("T")

TOLERANCE = 1e-9  # Most that a probability, or a value in relation to its size, may differ from the pipeline's.
MOST_PROBES = 300
NEVER_SEEN = "\x00 a category that no data holds"


class NotCompiled(Exception):
    """There is no compiled form for this pipeline, or it answers otherwise; the text says which."""


@dataclass(frozen=True)
class CompiledStep:
    """A fitted transformer in compiled form, and how many features it gives."""

    form: Any
    width: int


@dataclass(frozen=True)
class TextFeatures:
    """A text column's place in a row and its fitted `TextTfidf`, compiled only with the weights of a linear model."""

    column_index: int
    tfidf: Any

    @property
    def column_of_feature(self) -> tuple[int, ...]:
        """Return the place in a row that each term comes from."""
        return (self.column_index,) * len(self.tfidf.idf_)


def compile_or_fall_back(schema: Schema, pipeline: Any, reference: Sequence[Row]) -> tuple[Scorer, str]:
    """Return the compiled scorer if it answers the reference rows as the pipeline does, else the pipeline and why."""
    slow = PipelineScorer(schema, pipeline)
    try:
        fast = compile_pipeline(schema, pipeline)
        check(fast, slow, [*reference, *probes(schema, reference)])
    except NotCompiled as why:
        return slow, str(why)
    except Exception as error:  # noqa: BLE001 - a damaged model fails in any way, and its smoke rows tell of it
        return slow, f"it cannot be compiled: {type(error).__name__}"
    return fast, ""


def compile_pipeline(schema: Schema, pipeline: Any) -> Scorer:
    """Return the compiled form of a fitted pipeline. Raises NotCompiled: a step of it has none."""
    estimator = pipeline.named_steps["estimator"]
    make = ESTIMATORS.get(type(estimator).__name__)
    if make is None:
        raise NotCompiled(f"{type(estimator).__name__} has no compiled form")
    return make(compiled_steps(schema, pipeline.named_steps["features"]), estimator)


def check(fast: Scorer, slow: Scorer, rows: Sequence[Row]) -> None:
    """Compare two scorers on rows, together and singly. Raises NotCompiled: a label or score differs."""
    expected = slow.score(rows)
    for scores in (fast.score(rows), np.array([fast.one(row) for row in rows])):
        near = np.abs(scores - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))
        same = scores.argmax(axis=1) == expected.argmax(axis=1)
        if not (near.all() and same.all()):
            worst = float(np.abs(scores - expected).max())
            raise NotCompiled(f"the compiled form differs from the pipeline by up to {worst:.1e}")


def probes(schema: Schema, reference: Sequence[Row]) -> list[Row]:
    """Return rows at the edges of what the schema takes: the first reference row with one value changed in each."""
    base = reference[0] if reference else tuple(column.example for column in schema.columns)
    rows = (
        (*base[:index], value, *base[index + 1 :])
        for index, column in enumerate(schema.columns)
        for value in _edges(column)
    )
    return list(islice(rows, MOST_PROBES))


def _edges(column: Column) -> Iterator[float | str | None]:
    if column.nullable:
        yield None
    if column.kind == "numeric":
        yield from (value for value in (0.0, column.minimum, column.maximum) if value is not None)
    if column.kind == "categorical":
        yield from column.categories[:50]
        if column.unknown == "ignore":
            yield NEVER_SEEN
    if column.kind == "text":
        yield from ("", "!", "a", "word", "über <b>Café</b> &amp; 漢字 naïve " * 3)
    if column.kind == "date":
        yield from ("2024-02-29", "1999-12-31T23:30:00-05:00", "2026-01-31T12:00:00Z")


def compiled_steps(schema: Schema, features: Any) -> list[CompiledStep]:
    """Return the compiled form of each transformer, in the order of the matrix's columns."""
    index_of = {column.name: index for index, column in enumerate(schema.columns)}
    compiled_steps = []
    for name, transformer, columns in features.transformers_:
        if transformer == "drop":
            continue
        indices = tuple(index_of[column] for column in ([columns] if isinstance(columns, str) else columns))
        make = TRANSFORMERS.get("text" if name.startswith("text ") else name)
        if make is None:
            raise NotCompiled(f"the transformer {name!r} has no compiled form")
        compiled_steps.append(make(indices, transformer))
    return compiled_steps


def _text(indices: tuple[int, ...], transformer: Any) -> CompiledStep:
    """Compile terms, the few features that a `StackedRidge` makes of them, or the items of a set."""
    if type(transformer).__name__ == "MultiHot":
        table = {item: index for index, item in enumerate(transformer.items())}
        return CompiledStep(row_encoders.MultiHotEncoding(indices[0], transformer.separator, table), len(table))
    if type(transformer).__name__ == "TextTfidf":
        return CompiledStep(TextFeatures(indices[0], transformer), len(transformer.idf_))
    tfidf, stacked = (step for _, step in transformer.steps)
    weights = np.ascontiguousarray(stacked.coef_, dtype=np.float64)
    return CompiledStep(StackedTerms(_terms(TextFeatures(indices[0], tfidf), weights)), weights.shape[1])


def _numbers(indices: tuple[int, ...], pipeline: Any) -> CompiledStep:
    return CompiledStep(
        row_encoders.NumericEncoding(indices, _scaling([step for _, step in pipeline.steps])), len(indices)
    )


def _missing_indicators(indices: tuple[int, ...], indicator: Any) -> CompiledStep:
    with_missing = [
        index for index, name in zip(indices, indicator.feature_names_in_, strict=True) if name in indicator.columns_
    ]
    return CompiledStep(row_encoders.MissingIndicators(tuple(with_missing)), len(with_missing))


def _calendar(indices: tuple[int, ...], pipeline: Any) -> CompiledStep:
    dates, *steps = [step for _, step in pipeline.steps]
    scaling = _scaling(steps)
    return CompiledStep(row_encoders.CalendarEncoding(indices, tuple(dates.parts), scaling), len(scaling.fill))


def _means(indices: tuple[int, ...], pipeline: Any) -> CompiledStep:
    encoder, *steps = [step for _, step in pipeline.steps]
    width = sum(means.shape[1] for means in encoder.means_)
    tables = tuple(
        {name: code for code, name in enumerate(categories)} | {None: len(categories)} for categories in encoder.known()
    )
    scaling = _scaled(np.zeros(width), steps)
    return CompiledStep(row_encoders.TargetMeanEncoding(indices, tables, tuple(encoder.means_), scaling), width)


def _scaling(steps: Sequence[Any]) -> row_encoders.Scaling:
    imputer, *others = steps
    return _scaled(np.asarray(imputer.statistics_, dtype=np.float64), others)


def _scaled(fill: NDArray[np.float64], steps: Sequence[Any]) -> row_encoders.Scaling:
    """Return the scaling that at most one `Unskew` and at most one scaler make, after the filling."""
    plain = row_encoders.Scaling(fill, np.zeros_like(fill), np.ones_like(fill))
    for step in steps:
        if type(step).__name__ == "Unskew":
            plain = replace(plain, transform=step.method, fitted=np.asarray(step.fitted_, np.float64))
            continue
        center = step.mean_ if hasattr(step, "mean_") else step.center_
        plain = replace(plain, center=np.asarray(center, np.float64), scale=np.asarray(step.scale_, np.float64))
    return plain


def _categories(indices: tuple[int, ...], encoder: Any) -> CompiledStep:
    """Ask the encoder which feature each value of each column switches on: all columns at once."""
    import pandas as pd

    levels = [[None if value != value else value for value in values.tolist()] for values in encoder.categories_]
    height = max(map(len, levels)) + 1
    columns = {
        name: [*values, *[NEVER_SEEN] * (height - len(values))]
        for name, values in zip(encoder.feature_names_in_, levels, strict=True)
    }
    matrix = encoder.transform(pd.DataFrame(columns, dtype=object))
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    width = dense.shape[1]
    tables: list[dict[str | None, int]] = []
    others: list[int] = []
    start = 0
    for column, values in enumerate(levels):
        end = start + len(values) - _merged(encoder, column)
        codes = [start + int(row.argmax()) if row.any() else width for row in dense[: len(values) + 1, start:end]]
        tables.append(dict(zip(values, codes[:-1], strict=True)))
        others.append(codes[-1])
        start = end
    return CompiledStep(row_encoders.OneHotEncoding(indices, tuple(tables), tuple(others), width), width)


def _merged(encoder: Any, column: int) -> int:
    """Return by how many features a column is narrower than its categories: the rare ones share one."""
    rare = getattr(encoder, "infrequent_categories_", [None] * (column + 1))[column]
    return len(rare) - 1 if rare is not None else 0


# Forms of which a linear scorer may have several, or which stand beside its main ones.
MORE = (row_encoders.MissingIndicators, row_encoders.TargetMeanEncoding, row_encoders.MultiHotEncoding, StackedTerms)


def _linear(compiled_steps: list[CompiledStep], estimator: Any) -> Scorer:
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    split = np.split(weights, np.cumsum([part.width for part in compiled_steps])[:-1])
    pairs = [(part.form, weights_of_step) for part, weights_of_step in zip(compiled_steps, split, strict=True)]
    return LinearScorer(
        link=_link(estimator),
        intercept=np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64)),
        numbers=_first(pairs, row_encoders.NumericEncoding),
        days=_first(pairs, row_encoders.CalendarEncoding),
        categories=_first(pairs, row_encoders.OneHotEncoding),
        terms=tuple(_terms(form, weights_of_step) for form, weights_of_step in pairs if isinstance(form, TextFeatures)),
        more=tuple(pair for pair in pairs if isinstance(pair[0], MORE)),
    )


def _naive_bayes(compiled_steps: list[CompiledStep], estimator: Any) -> Scorer:
    """Compile naive Bayes over counts as what it is: a linear model of log-probabilities."""
    prior = 0.0 if type(estimator).__name__ == "ComplementNB" else estimator.class_log_prior_
    weights, intercept = estimator.feature_log_prob_, prior + np.zeros(len(estimator.classes_))
    if len(estimator.classes_) == 2:
        weights, intercept = weights[1:] - weights[:1], intercept[1:] - intercept[:1]
    return _linear(compiled_steps, SimpleNamespace(coef_=weights, intercept_=intercept, classes_=estimator.classes_))


def _first(pairs: list[tuple[Any, Scores]], kind: type[T]) -> tuple[T, Scores] | None:
    return next((pair for pair in pairs if isinstance(pair[0], kind)), None)


def _link(estimator: Any) -> str:
    classes = len(getattr(estimator, "classes_", ()))
    return "softmax" if classes > 2 else "sigmoid" if classes else "identity"


def _terms(text: TextFeatures, weights: Scores) -> TfidfTerms:
    tfidf = text.tfidf
    words = tuple(tfidf.words_.split("\n"))
    keys = tuple(np.asarray(part, np.int64) for part in tfidf.keys_)
    chosen = (tuple(tfidf.clean), tuple(tfidf.ngrams), bool(tfidf.sublinear))
    return TfidfTerms(text.column_index, *chosen, words, keys, tfidf.idf_, weights, tfidf.unit)


def _trees(compiled_steps: list[CompiledStep], estimator: Any) -> Scorer:
    import treelite

    if any(isinstance(part.form, TextFeatures) for part in compiled_steps):
        raise NotCompiled("trees over text have no compiled form")
    boosted = "GradientBoosting" in type(estimator).__name__
    model = treelite.sklearn.import_model(estimator).serialize_bytes()
    return TreeScorer(model, boosted, _link(estimator), tuple(part.form for part in compiled_steps))


def _boosted(compiled_steps: list[CompiledStep], estimator: Any) -> Scorer:
    """Compile boosted trees that answer by treelite in the pipeline too."""
    if any(isinstance(part.form, TextFeatures) for part in compiled_steps):
        raise NotCompiled("trees over text have no compiled form")
    if estimator.sparse_:
        raise NotCompiled("trees over a sparse matrix have no compiled form")
    forms = tuple(part.form for part in compiled_steps)
    return TreeScorer(estimator.trees().serialize_bytes(), True, _link(estimator), forms)


def _tree(compiled_steps: list[CompiledStep], estimator: Any) -> Scorer:
    """Compile a single tree as a forest of one."""
    from sklearn import ensemble

    forest = getattr(ensemble, type(estimator).__name__.replace("DecisionTree", "RandomForest"))(n_estimators=1)
    forest.estimators_ = [estimator]
    for name in ("n_features_in_", "n_outputs_", "n_classes_", "classes_"):
        if hasattr(estimator, name):
            setattr(forest, name, getattr(estimator, name))
    return _trees(compiled_steps, forest)


# Compiled forms by the name that `features.build` gives a transformer; adding one is one function and one line.
TRANSFORMERS: Mapping[str, Callable[[tuple[int, ...], Any], CompiledStep]] = {
    "numeric": _numbers,
    "absent": _missing_indicators,
    "categorical": _categories,
    "means": _means,
    "text": _text,
    "date": _calendar,
}

# Compiled forms by the estimator's class; adding one is one function and one line.
ESTIMATORS: Mapping[str, Callable[[list[CompiledStep], Any], Scorer]] = {
    "LogisticRegression": _linear,
    "Ridge": _linear,
    "DecisionTreeClassifier": _tree,
    "DecisionTreeRegressor": _tree,
    "RandomForestClassifier": _trees,
    "RandomForestRegressor": _trees,
    "HistGradientBoostingClassifier": _trees,
    "HistGradientBoostingRegressor": _trees,
    "LightGBMClassifier": _boosted,
    "LightGBMRegressor": _boosted,
    "LinearSVMClassifier": _linear,
    "LinearSVMRegressor": _linear,
    "MultinomialNB": _naive_bayes,
    "ComplementNB": _naive_bayes,
    "XGBoostClassifier": _boosted,
    "XGBoostRegressor": _boosted,
}

"""Turn a fitted pipeline into a compiled scorer, and let it serve only where it answers as the pipeline does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lockstep.data.schema import Column, Row, Schema
from lockstep.scoring.row_encoders import Absences, Categories, Days, Means, Numbers, Scaling
from lockstep.scoring.scorers import LinearScorer, PipelineScorer, Scorer, Scores, TreeScorer
from lockstep.scoring.tfidf import Terms

T = TypeVar("T")

TOLERANCE = 1e-9
"""Most that a probability, or a value in relation to its size, may differ from the pipeline's."""

MOST_PROBES = 300
NEVER_SEEN = "\x00 a category that no data holds"


class NotCompiled(Exception):
    """There is no compiled form for this pipeline, or it answers otherwise; the text says which."""


@dataclass(frozen=True)
class Part:
    """A fitted transformer in compiled form, and how many features it gives."""

    form: Any
    width: int


@dataclass(frozen=True)
class Text:
    """A text column's place in a row and its fitted `TextTfidf`, compiled only with the weights of a linear model."""

    place: int
    tfidf: Any

    @property
    def owners(self) -> tuple[int, ...]:
        """Return the place in a row that each term comes from."""
        return (self.place,) * len(self.tfidf.idf_)


def best(schema: Schema, pipeline: Any, reference: Sequence[Row]) -> tuple[Scorer, str]:
    """Return the compiled scorer if it answers the reference rows as the pipeline does, else the pipeline and why."""
    slow = PipelineScorer(schema, pipeline)
    try:
        fast = compiled(schema, pipeline)
        check(fast, slow, [*reference, *probes(schema, reference)])
    except NotCompiled as why:
        return slow, str(why)
    except Exception as error:  # noqa: BLE001 - a damaged model fails in any way, and its smoke rows tell of it
        return slow, f"it cannot be compiled: {type(error).__name__}"
    return fast, ""


def compiled(schema: Schema, pipeline: Any) -> Scorer:
    """Return the compiled form of a pipeline of features and estimator.

    Raises
    ------
    NotCompiled
        A transformer or the estimator has none.
    """
    estimator = pipeline.named_steps["estimator"]
    make = ESTIMATORS.get(type(estimator).__name__)
    if make is None:
        raise NotCompiled(f"{type(estimator).__name__} has no compiled form")
    return make(parts(schema, pipeline.named_steps["features"]), estimator)


def check(fast: Scorer, slow: Scorer, rows: Sequence[Row]) -> None:
    """Compare two scorers on rows, all at once and one by one.

    Raises
    ------
    NotCompiled
        A label differs, or a score by more than the tolerance.
    """
    expected = slow.score(rows)
    for found in (fast.score(rows), np.array([fast.one(row) for row in rows])):
        near = np.abs(found - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))
        same = found.argmax(axis=1) == expected.argmax(axis=1)
        if not (near.all() and same.all()):
            worst = float(np.abs(found - expected).max())
            raise NotCompiled(f"the compiled form differs from the pipeline by up to {worst:.1e}")


def probes(schema: Schema, reference: Sequence[Row]) -> list[Row]:
    """Return rows at the edges of what the schema takes: the first reference row with one value changed in each."""
    base = reference[0] if reference else tuple(column.example for column in schema.columns)
    rows = (
        (*base[:place], value, *base[place + 1 :])
        for place, column in enumerate(schema.columns)
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


def parts(schema: Schema, features: Any) -> list[Part]:
    """Return the compiled form of each transformer, in the order of the matrix's columns."""
    places = {column.name: place for place, column in enumerate(schema.columns)}
    parts = []
    for name, transformer, columns in features.transformers_:
        if transformer == "drop":
            continue
        own = tuple(places[column] for column in ([columns] if isinstance(columns, str) else columns))
        form = TRANSFORMERS.get("text" if type(transformer).__name__ == "TextTfidf" else name)
        if form is None:
            raise NotCompiled(f"the transformer {name!r} has no compiled form")
        parts.append(form(own, transformer))
    return parts


def _numbers(places: tuple[int, ...], pipeline: Any) -> Part:
    return Part(Numbers(places, _scaling([step for _, step in pipeline.steps])), len(places))


def _absences(places: tuple[int, ...], absent: Any) -> Part:
    own = [place for place, name in zip(places, absent.feature_names_in_, strict=True) if name in absent.columns_]
    return Part(Absences(tuple(own)), len(own))


def _days(places: tuple[int, ...], pipeline: Any) -> Part:
    dates, *steps = [step for _, step in pipeline.steps]
    scaling = _scaling(steps)
    return Part(Days(places, tuple(dates.parts), scaling), len(scaling.fill))


def _means(places: tuple[int, ...], pipeline: Any) -> Part:
    encoder, *steps = [step for _, step in pipeline.steps]
    width = sum(means.shape[1] for means in encoder.means_)
    tables = tuple({name: code for code, name in enumerate(known)} | {None: len(known)} for known in encoder.known())
    scaling = _scaled(np.zeros(width), steps)
    return Part(Means(places, tables, tuple(encoder.means_), scaling), width)


def _scaling(steps: Sequence[Any]) -> Scaling:
    imputer, *others = steps
    return _scaled(np.asarray(imputer.statistics_, dtype=np.float64), others)


def _scaled(fill: NDArray[np.float64], steps: Sequence[Any]) -> Scaling:
    """Return the scaling that at most one `Unskew` and at most one scaler make, after the filling."""
    plain = Scaling(fill, np.zeros_like(fill), np.ones_like(fill))
    for step in steps:
        if type(step).__name__ == "Unskew":
            plain = replace(plain, bend=step.method, bent=np.asarray(step.fitted_, np.float64))
            continue
        center = step.mean_ if hasattr(step, "mean_") else step.center_
        plain = replace(plain, center=np.asarray(center, np.float64), scale=np.asarray(step.scale_, np.float64))
    return plain


def _categories(places: tuple[int, ...], encoder: Any) -> Part:
    """Ask the encoder which feature each value of each column switches on: all columns at once."""
    import pandas as pd

    known = [[None if value != value else value for value in own.tolist()] for own in encoder.categories_]
    height = max(map(len, known)) + 1
    asked = {
        name: [*own, *[NEVER_SEEN] * (height - len(own))]
        for name, own in zip(encoder.feature_names_in_, known, strict=True)
    }
    matrix = encoder.transform(pd.DataFrame(asked, dtype=object))
    dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
    width = dense.shape[1]
    tables: list[dict[str | None, int]] = []
    others: list[int] = []
    start = 0
    for column, own in enumerate(known):
        end = start + len(own) - _merged(encoder, column)
        codes = [start + int(row.argmax()) if row.any() else width for row in dense[: len(own) + 1, start:end]]
        tables.append(dict(zip(own, codes[:-1], strict=True)))
        others.append(codes[-1])
        start = end
    return Part(Categories(places, tuple(tables), tuple(others), width), width)


def _merged(encoder: Any, column: int) -> int:
    """Return by how many features a column is narrower than its categories: the rare ones share one."""
    rare = getattr(encoder, "infrequent_categories_", [None] * (column + 1))[column]
    return len(rare) - 1 if rare is not None else 0


def _linear(parts: list[Part], estimator: Any) -> Scorer:
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    each = np.split(weights, np.cumsum([part.width for part in parts])[:-1])
    pairs = [(part.form, own) for part, own in zip(parts, each, strict=True)]
    return LinearScorer(
        link=_link(estimator),
        intercept=np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64)),
        numbers=_first(pairs, Numbers),
        days=_first(pairs, Days),
        categories=_first(pairs, Categories),
        terms=tuple(_terms(form, own) for form, own in pairs if isinstance(form, Text)),
        more=tuple(pair for pair in pairs if isinstance(pair[0], Absences | Means)),
    )


def _naive_bayes(parts: list[Part], estimator: Any) -> Scorer:
    """Compile naive Bayes over counts as what it is: a linear model of log-probabilities."""
    prior = 0.0 if type(estimator).__name__ == "ComplementNB" else estimator.class_log_prior_
    weights, intercept = estimator.feature_log_prob_, prior + np.zeros(len(estimator.classes_))
    if len(estimator.classes_) == 2:
        weights, intercept = weights[1:] - weights[:1], intercept[1:] - intercept[:1]
    return _linear(parts, SimpleNamespace(coef_=weights, intercept_=intercept, classes_=estimator.classes_))


def _first(pairs: list[tuple[Any, Scores]], kind: type[T]) -> tuple[T, Scores] | None:
    return next((pair for pair in pairs if isinstance(pair[0], kind)), None)


def _link(estimator: Any) -> str:
    classes = len(getattr(estimator, "classes_", ()))
    return "softmax" if classes > 2 else "sigmoid" if classes else "identity"


def _terms(text: Text, weights: Scores) -> Terms:
    tfidf = text.tfidf
    words = tuple(tfidf.words_.split("\n"))
    keys = tuple(np.asarray(part, np.int64) for part in tfidf.keys_)
    chosen = (tuple(tfidf.clean), tuple(tfidf.ngrams), bool(tfidf.sublinear))
    return Terms(text.place, *chosen, words, keys, tfidf.idf_, weights, tfidf.unit)


def _trees(parts: list[Part], estimator: Any) -> Scorer:
    import treelite

    if any(isinstance(part.form, Text) for part in parts):
        raise NotCompiled("trees over text have no compiled form")
    boosted = "GradientBoosting" in type(estimator).__name__
    model = treelite.sklearn.import_model(estimator).serialize_bytes()
    return TreeScorer(model, boosted, _link(estimator), tuple(part.form for part in parts))


def _boosted(parts: list[Part], estimator: Any) -> Scorer:
    """Compile boosted trees that answer by treelite in the pipeline too."""
    if any(isinstance(part.form, Text) for part in parts):
        raise NotCompiled("trees over text have no compiled form")
    if estimator.sparse_:
        raise NotCompiled("trees over a sparse matrix have no compiled form")
    forms = tuple(part.form for part in parts)
    return TreeScorer(estimator.trees().serialize_bytes(), True, _link(estimator), forms)


def _tree(parts: list[Part], estimator: Any) -> Scorer:
    """Compile a single tree as a forest of one."""
    from sklearn import ensemble

    forest = getattr(ensemble, type(estimator).__name__.replace("DecisionTree", "RandomForest"))(n_estimators=1)
    forest.estimators_ = [estimator]
    for name in ("n_features_in_", "n_outputs_", "n_classes_", "classes_"):
        if hasattr(estimator, name):
            setattr(forest, name, getattr(estimator, name))
    return _trees(parts, forest)


TRANSFORMERS: Mapping[str, Callable[[tuple[int, ...], Any], Part]] = {
    "numeric": _numbers,
    "absent": _absences,
    "categorical": _categories,
    "means": _means,
    "text": lambda places, tfidf: Part(Text(places[0], tfidf), len(tfidf.idf_)),
    "date": _days,
}
"""Compiled forms by the name that `features.build` gives a transformer; adding one is one function and one line."""

ESTIMATORS: Mapping[str, Callable[[list[Part], Any], Scorer]] = {
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
"""Compiled forms by the estimator's class; adding one is one function and one line."""

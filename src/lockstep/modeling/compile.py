"""Turn a fitted pipeline into a compiled scorer, and let it serve only where it answers as the pipeline does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from lockstep.data.schema import Column, Row, Schema
from lockstep.modeling.scorers import LinearScorer, PipelineScorer, Scorer, Scores, TreeScorer
from lockstep.modeling.tabular import Categories, Days, Numbers, Scaling
from lockstep.modeling.terms import Terms

TOLERANCE = 1e-9
"""Most that a probability, or a value in relation to its size, may differ from the pipeline's."""

MOST_PROBES = 300
NEVER_SEEN = "\x00 a category that no data holds"


class NotCompiled(Exception):
    """There is no compiled form for this pipeline, or it answers otherwise; the text says which."""


@dataclass
class Parts:
    """The fitted transformers in compiled form, and how many features each kind gives."""

    numbers: Numbers | None = None
    categories: Categories | None = None
    days: Days | None = None
    texts: tuple[tuple[int, Any], ...] = ()

    @property
    def widths(self) -> list[int]:
        """Return the features of numbers, categories, each text, and dates: their order in the matrix."""
        return [
            len(self.numbers.places) if self.numbers else 0,
            self.categories.width if self.categories else 0,
            *(len(tfidf.idf_) for _, tfidf in self.texts),
            len(self.days.scaling.fill) if self.days else 0,
        ]


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
    return make(_parts(schema, pipeline.named_steps["features"]), estimator)


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


def _parts(schema: Schema, features: Any) -> Parts:
    places = {column.name: place for place, column in enumerate(schema.columns)}
    parts = Parts()
    for name, transformer, columns in features.transformers_:
        if transformer == "drop":
            continue
        own = tuple(places[column] for column in ([columns] if isinstance(columns, str) else columns))
        if name == "numeric":
            parts.numbers = Numbers(own, _scaling([step for _, step in transformer.steps]))
        elif name == "categorical":
            parts.categories = _categories(own, transformer)
        elif name == "date":
            dates, *steps = [step for _, step in transformer.steps]
            parts.days = Days(own, tuple(dates.parts), _scaling(steps))
        elif type(transformer).__name__ == "TextTfidf":
            parts.texts += ((own[0], transformer),)
        else:
            raise NotCompiled(f"the transformer {name!r} has no compiled form")
    return parts


def _scaling(steps: Sequence[Any]) -> Scaling:
    imputer, *scalers = steps
    fill = np.asarray(imputer.statistics_, dtype=np.float64)
    if not scalers:
        return Scaling(fill, np.zeros_like(fill), np.ones_like(fill))
    (scaler,) = scalers
    center = scaler.mean_ if hasattr(scaler, "mean_") else scaler.center_
    return Scaling(fill, np.asarray(center, np.float64), np.asarray(scaler.scale_, np.float64))


def _categories(places: tuple[int, ...], encoder: Any) -> Categories:
    """Ask the encoder which feature each value of each column switches on."""
    import pandas as pd

    width = len(encoder.get_feature_names_out())
    plain = [known[0] for known in encoder.categories_]
    tables: list[dict[str | None, int]] = []
    others: list[int] = []
    start = 0
    for column, known in enumerate(encoder.categories_):
        values = [None if value != value else value for value in known.tolist()]
        rows = [[*plain[:column], value, *plain[column + 1 :]] for value in [*values, NEVER_SEEN]]
        matrix = encoder.transform(pd.DataFrame(rows, columns=encoder.feature_names_in_, dtype=object))
        dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
        end = start + len(known) - _merged(encoder, column)
        codes = [start + int(row.argmax()) if row.any() else width for row in dense[:, start:end]]
        tables.append(dict(zip(values, codes[:-1], strict=True)))
        others.append(codes[-1])
        start = end
    return Categories(places, tuple(tables), tuple(others), width)


def _merged(encoder: Any, column: int) -> int:
    """Return by how many features a column is narrower than its categories: the rare ones share one."""
    rare = getattr(encoder, "infrequent_categories_", [None] * (column + 1))[column]
    return len(rare) - 1 if rare is not None else 0


def _linear(parts: Parts, estimator: Any) -> Scorer:
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64)).T
    numbers, categories, *texts, days = np.split(weights, np.cumsum(parts.widths)[:-1])
    return LinearScorer(
        link=_link(estimator),
        intercept=np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64)),
        numbers=(parts.numbers, numbers) if parts.numbers else None,
        days=(parts.days, days) if parts.days else None,
        categories=(parts.categories, categories) if parts.categories else None,
        terms=tuple(_terms(place, tfidf, own) for (place, tfidf), own in zip(parts.texts, texts, strict=True)),
    )


def _link(estimator: Any) -> str:
    classes = len(getattr(estimator, "classes_", ()))
    return "softmax" if classes > 2 else "sigmoid" if classes else "identity"


def _terms(place: int, tfidf: Any, weights: Scores) -> Terms:
    words = tuple(tfidf.words_.split("\n"))
    keys = tuple(np.asarray(part, np.int64) for part in tfidf.keys_)
    return Terms(
        place, tuple(tfidf.clean), tuple(tfidf.ngrams), bool(tfidf.sublinear), words, keys, tfidf.idf_, weights
    )


def _trees(parts: Parts, estimator: Any) -> Scorer:
    import treelite

    if parts.texts:
        raise NotCompiled("trees over text have no compiled form")
    boosted = "GradientBoosting" in type(estimator).__name__
    model = treelite.sklearn.import_model(estimator).serialize_bytes()
    return TreeScorer(model, boosted, _link(estimator), parts.numbers, parts.categories, parts.days)


def _tree(parts: Parts, estimator: Any) -> Scorer:
    """Compile a single tree as a forest of one."""
    from sklearn import ensemble

    forest = getattr(ensemble, type(estimator).__name__.replace("DecisionTree", "RandomForest"))(n_estimators=1)
    forest.estimators_ = [estimator]
    for name in ("n_features_in_", "n_outputs_", "n_classes_", "classes_"):
        if hasattr(estimator, name):
            setattr(forest, name, getattr(estimator, name))
    return _trees(parts, forest)


ESTIMATORS: Mapping[str, Callable[[Parts, Any], Scorer]] = {
    "LogisticRegression": _linear,
    "Ridge": _linear,
    "DecisionTreeClassifier": _tree,
    "DecisionTreeRegressor": _tree,
    "RandomForestClassifier": _trees,
    "RandomForestRegressor": _trees,
    "HistGradientBoostingClassifier": _trees,
    "HistGradientBoostingRegressor": _trees,
}
"""Compiled forms by the estimator's class; adding one is one function and one line."""

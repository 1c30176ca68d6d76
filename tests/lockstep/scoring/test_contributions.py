"""What explanations say adds up to the score, and is what Shapley's formula gives."""

import math
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from lockstep.config.params import Monitoring
from lockstep.data import frames
from lockstep.data.schema import RowsRefused
from lockstep.drift import profile as profiles
from lockstep.errors import NotExplained
from lockstep.inference.expected_contributions import weighted_values, with_expected_contributions
from lockstep.inference.predictor import Predictor
from lockstep.scoring.contributions import MOST_WORDS, Contribution, Explanation, Word
from tests.lockstep.scoring.test_compiler import FEATURES, NAIVE_BAYES, fitted, params_of

SOME = {"default", "means and indicator"}
KINDS = [("multiclass", name) for name in FEATURES] + [
    (task, name) for task in ("binary", "regression") for name in sorted(SOME)
]


def linear(task, **named):
    return fitted(task, "ridge" if task == "regression" else "logistic_regression", **named)


def profile_of(schema, rows):
    features = [
        profiles._feature(column, [row[place] for row in rows], [], ())
        for place, column in enumerate(schema.columns)
        if column.kind != "text"
    ]
    empty = profiles.NumericBaseline.from_values([])
    return profiles.Profile(
        schema.task, list(schema.labels), features, empty, None, "", True, profiles.Interval(0, 0, 0), Monitoring()
    )


def margin(predictor, pipeline, row):
    """Return the score of the answer that the pipeline gives to a row, from its own raw outputs."""
    frame = frames.from_rows([row], predictor.schema)
    if not predictor.schema.labels:
        return float(pipeline.predict(frame)[0])
    raw = pipeline.decision_function(frame)[0]
    outputs = np.array([-raw / 2, raw / 2]) if np.ndim(raw) == 0 else raw
    chosen = predictor.schema.labels.index(predictor.predict([row]).values[0])
    return outputs[chosen] - np.delete(outputs, chosen).mean()


def close(found, expected, tolerance=1e-9):
    assert abs(found - expected) <= tolerance * max(1, abs(expected))


def by_column(explanation):
    return {one.column: one for one in explanation.contributions}


@pytest.mark.parametrize(("task", "name"), [*KINDS, ("binary", "naive bayes")])
def test_a_linear_model_is_taken_apart_exactly(task, name):
    params = NAIVE_BAYES if name == "naive bayes" else FEATURES[name]
    schema, pipeline, rows = linear(task, params=params)
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    rows = [*rows[:4], (None, "Atlantis", "a good good film, GREAT film", None)]
    for row, explanation in zip(rows, predictor.explain(rows), strict=True):
        close(explanation.base + math.fsum(one.amount for one in explanation.contributions), explanation.score)
        close(explanation.score, margin(predictor, pipeline, row))
        assert explanation.label == (predictor.predict([row]).values[0] if schema.labels else None)
        assert explanation.unit == ("log-odds" if schema.labels else "value")
        sizes = [abs(one.amount) for one in explanation.contributions]
        assert sizes == sorted(sizes, reverse=True)
        review = by_column(explanation)["review"]
        assert (review.words is None) == (name == "sets")
        rounding = 1e-6 if name == "stacked" else 1e-9  # of the predictions, which the words sum to
        close(math.fsum(word.amount for word in review.words or ()), 0 if name == "sets" else review.amount, rounding)
        assert predictor.explain([row]) == [explanation]


def shapley(value, count):
    """Return the Shapley value of each of `count` players, by its definition (Shapley 1953)."""
    found = []
    for player in range(count):
        others = [other for other in range(count) if other != player]
        total = 0.0
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            total += weight * sum(
                value(frozenset({*some, player})) - value(frozenset(some)) for some in combinations(others, size)
            )
        found.append(total)
    return found


@pytest.mark.parametrize(
    ("task", "name"),
    [
        *(("multiclass", "default"), ("multiclass", "many levels"), ("multiclass", "ranks and circles")),
        *(("binary", "means and indicator"), ("regression", "few levels"), ("regression", "means and indicator")),
    ],
)
def test_the_parts_of_a_linear_model_are_shapley_values_against_the_train_rows(task, name):
    schema, pipeline, rows = linear(task, text=False, params=FEATURES[name])
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    predictor.scorer = with_expected_contributions(predictor.scorer, schema, profile_of(schema, rows[:40]))
    columns, train = list(range(len(schema.columns))), rows[:40]
    for row in [rows[50], (None, "Atlantis", "2026-05-01")]:
        chosen = predictor.predict([row]).values[0]

        @cache
        def value(held, row=row, chosen=chosen):
            mixed = [tuple(row[c] if c in held else other[c] for c in columns) for other in train]
            frame = frames.from_rows(mixed, schema)
            raw = pipeline.decision_function(frame) if schema.labels else pipeline.predict(frame)
            if task == "regression":
                return raw.mean()
            outputs = np.column_stack([-raw / 2, raw / 2]) if raw.ndim == 1 else raw
            place = schema.labels.index(chosen)
            return (outputs[:, place] - np.delete(outputs, place, axis=1).mean(axis=1)).mean()

        (explanation,) = predictor.explain([row])
        close(explanation.base, value(frozenset()))
        expected = shapley(value, len(columns))
        found = by_column(explanation)
        for column, amount in zip(schema.columns, expected, strict=True):
            close(found[column.name].amount, amount)


def test_many_distinct_numbers_are_remembered_well_enough():
    numbers = np.random.default_rng(0).lognormal(size=20_000)
    feature = profiles.Feature("a", "numeric", 25_000, 5_000, numbers=profiles.NumericBaseline.from_values(numbers))
    values, shares = weighted_values(feature)
    assert len(values) <= 501
    assert values[-1] is None
    assert shares[-1] == 0.2
    assert shares.sum() == pytest.approx(1)
    assert shares[:-1] @ values[:-1] == pytest.approx(0.8 * numbers.mean(), rel=0.02)


def test_words_carry_what_their_column_adds():
    schema, pipeline, rows = linear("binary", params=FEATURES["default"])
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    text = "Great <b>film</b>, and a zyzzyva cast"
    row = (*rows[0][:2], text, rows[0][3])
    words = {one.word: one.amount for one in by_column(predictor.explain([row])[0])["review"].words}
    assert {"great", "film", "cast"} <= set(words) <= {"great", "film", "cast", "and"}
    worse = (*rows[0][:2], text.replace("Great", "awful"), rows[0][3])
    toward = 1 if predictor.predict([row]).values == predictor.predict([worse]).values else -1
    other = {one.word: one.amount for one in by_column(predictor.explain([worse])[0])["review"].words}
    assert (words["great"] > 0) != (toward * other["awful"] > 0)


@pytest.mark.parametrize("text", [None, "", "...", "zyzzyva"])
def test_a_text_without_a_known_word_adds_nothing(text):
    schema, pipeline, rows = linear("binary")
    review = by_column(Predictor.from_pipeline(schema, pipeline, rows).explain([(*rows[0][:2], text, rows[0][3])])[0])[
        "review"
    ]
    assert review == Contribution("review", text, 0.0, ())


def test_what_overflows_is_refused():
    schema, pipeline, rows = linear("binary", text=False)
    pipeline["estimator"].coef_[0, 0] = 1e300
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    fine, far = rows[0], (1e30, *rows[0][1:])
    with pytest.raises(RowsRefused) as refused:
        predictor.explain([fine, far])
    assert [fault.row for fault in refused.value.faults] == [1]


@pytest.mark.parametrize(
    ("task", "estimator"),
    [
        *(("binary", "linear_svm"), ("multiclass", "linear_svm"), ("regression", "linear_svm")),
        *(("binary", "multinomial_naive_bayes"), ("multiclass", "complement_naive_bayes")),
    ],
)
def test_other_linear_models_are_taken_apart_too(task, estimator):
    schema, pipeline, rows = fitted(task, estimator, params=params_of(task, estimator))
    predictor = Predictor.from_pipeline(schema, pipeline, rows)
    for row, explanation in zip(rows[:3], predictor.explain(rows[:3]), strict=True):
        close(explanation.base + math.fsum(one.amount for one in explanation.contributions), explanation.score)
        found = pipeline.predict_proba if schema.labels else pipeline.predict
        shares = np.atleast_1d(found(frames.from_rows([row], schema))[0])
        if schema.labels:
            chosen = schema.labels.index(explanation.label)
            shares = [np.log(shares[chosen]) - np.delete(np.log(shares), chosen).mean()]
        close(explanation.score, shares[0], 1e-7)


def test_neighbors_are_not_explained():
    schema, pipeline, rows = fitted("binary", "k_nearest_neighbors", text=False)
    with pytest.raises(NotExplained, match="linear models and for trees"):
        Predictor.from_pipeline(schema, pipeline, rows).explain(rows[:1])


def test_linear_models_without_a_compiled_form_are_not_explained():
    schema, pipeline, rows = linear("binary", text=False)
    steps = Pipeline([("features", pipeline["features"]), ("estimator", pipeline["estimator"])])
    steps["estimator"].coef_ = steps["estimator"].coef_.astype(str)
    predictor = Predictor.from_pipeline(schema, steps, rows)
    assert predictor.scorer.kind == "pipeline"
    with pytest.raises(NotExplained):
        predictor.explainer  # noqa: B018 - it is made when it is asked for


def test_printed_numbers_have_seven_digits_and_long_lists_end():
    words = tuple(Word(f"w{place}", 1 / 3) for place in range(MOST_WORDS + 3))
    parts = [Contribution("text", "a secret", 1.0, words)]
    parts += [Contribution(f"c{place}", float(place), 1e-12) for place in range(120)]
    printed = Explanation(True, "log-odds", 100.0, 101 + 1 / 7, tuple(parts)).to_json()
    assert printed["label"] is True
    assert printed["score"] == 101.1429
    first = printed["contributions"][0]
    assert (first["column"], first["contribution"], len(first["words"])) == ("text", 1.0, MOST_WORDS)
    assert first["words"][0] == {"word": "w0", "contribution": 0.3333}
    assert first["other_words"] == round(1 - MOST_WORDS / 3, 4)
    assert "value" not in first
    assert printed["contributions"][1] == {"column": "c0", "value": 0.0, "contribution": 0.0}
    assert (len(printed["contributions"]), printed["other"]) == (100, {"columns": 21, "contribution": 0.0})
    assert replace(Explanation(None, "value", 0.0, 0.0, ())).to_json()["score"] == 0.0

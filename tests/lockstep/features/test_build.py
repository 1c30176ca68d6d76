import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.preprocessing import RobustScaler, StandardScaler

from lockstep.config.params import Categorical, Date, FeatureEngineering, Numeric, Text
from lockstep.data import cleaning
from lockstep.errors import ConfigError
from lockstep.features import build

KINDS = {"age": "numeric", "town": "categorical", "review": "text", "since": "date", "size": "numeric"}
ROWS = cleaning.canonical(
    pd.DataFrame(
        {
            "age": [30, 20, 40, None],
            "town": ["Bonn", "Kiel", "Bonn", None],
            "review": ["good film", "bad film", "good cast", None],
            "since": ["2026-01-31", None, "2025-12-24", "2026-01-31"],
            "size": [1.5, 2.5, 0.5, 9.5],
        }
    ),
    KINDS,
)


def fitted(kinds=KINDS, **params):
    features = build.build(kinds, FeatureEngineering(**params))
    return features, features.fit_transform(ROWS[list(kinds)])


def test_each_kind_has_its_columns():
    features, matrix = fitted(text=Text(ngrams=(1,), min_documents=1))
    assert features.get_feature_names_out().tolist() == [
        *("age", "size", "town_Bonn", "town_Kiel", "town_None", "bad", "cast", "film", "good"),
        *("since_year", "since_month", "since_day", "since_weekday", "since_hour"),
    ]
    assert matrix.shape == (4, 14)


@pytest.mark.parametrize("impute", ["median", "mean", "zero"])
@pytest.mark.parametrize(("scale", "scaler"), [("standard", StandardScaler), ("robust", RobustScaler), ("none", None)])
def test_numbers_are_filled_then_scaled(impute, scale, scaler):
    kinds = {"age": "numeric", "size": "numeric"}
    _, matrix = fitted(kinds, numeric=Numeric(impute=impute, scale=scale))
    filled = ROWS[["age", "size"]].fillna({"median": 30.0, "mean": 30.0, "zero": 0.0}[impute]).to_numpy()
    np.testing.assert_allclose(matrix, scaler().fit_transform(filled) if scaler else filled, atol=1e-15)


def test_median_and_mean_differ():
    kinds = {"age": "numeric"}
    rows = pd.DataFrame({"age": [1.0, 2.0, 9.0, np.nan]})
    for impute, expected in (("median", 2.0), ("mean", 4.0)):
        features = build.build(kinds, FeatureEngineering(numeric=Numeric(impute=impute, scale="none")))
        assert features.fit_transform(rows)[3, 0] == expected


@pytest.mark.parametrize("scale", ["standard", "robust", "none"], ids="B30-{}".format)
def test_a_constant_or_empty_column_gives_finite_numbers(scale):
    rows = pd.DataFrame({"B30": [2.0, 2.0, 2.0], "B29": [np.nan] * 3})
    features = build.build({"B30": "numeric", "B29": "numeric"}, FeatureEngineering(numeric=Numeric(scale=scale)))
    matrix = features.fit_transform(rows)
    assert matrix.shape == (3, 2)
    assert np.isfinite(matrix).all()


@pytest.mark.parametrize(
    ("params", "columns", "unseen"),
    [
        pytest.param({}, ["Bonn", "Kiel", "None"], [0, 0, 0], id="each"),
        pytest.param({"min_frequency": 2}, ["Bonn", "infrequent_sklearn"], [0, 1], id="rare-together"),
        pytest.param({"max_categories": 2}, ["Bonn", "infrequent_sklearn"], [0, 1], id="most-two"),
    ],
)
def test_categories(params, columns, unseen):
    features, _ = fitted({"town": "categorical"}, categorical=Categorical(**params))
    assert features.get_feature_names_out().tolist() == [f"town_{name}" for name in columns]
    asked = features.transform(pd.DataFrame({"town": pd.Series(["Bonn", "B42-unseen"], dtype=object)}))
    asked = asked.toarray() if sparse.issparse(asked) else asked
    assert asked.tolist() == [[1] + [0] * (len(columns) - 1), unseen]


@pytest.mark.parametrize("kind", ["numeric", "categorical", "text", "date"], ids="B17-{}".format)
def test_odd_column_names_are_taken(kind):
    names = ["B17 a b", "größe", "x__y", "select", "text", "remainder", "transformers", "0"]
    values = {"numeric": [1.0, 2.0], "date": ["2026-01-31", "2026-02-01"]}.get(kind, ["good film", "good film"])
    rows = cleaning.canonical(pd.DataFrame(dict.fromkeys(names, values)), dict.fromkeys(names, kind))
    features = build.build(dict.fromkeys(names, kind), FeatureEngineering())
    matrix = features.fit_transform(rows)
    assert matrix.shape[1] >= len(names)
    assert (matrix != features.transform(rows)).sum() == 0


def test_each_text_column_has_its_own_words():
    kinds = {"one": "text", "two": "text"}
    rows = pd.DataFrame({"one": ["aa aa", "bb aa"], "two": ["cc", "cc"]})
    features = build.build(kinds, FeatureEngineering(text=Text(ngrams=(1,), min_documents=1)))
    features.fit(rows)
    assert features.get_feature_names_out().tolist() == ["aa", "bb", "cc"]
    asked = features.transform(pd.DataFrame({"one": ["cc"], "two": ["aa"]}))
    assert abs(asked).sum() == 0


def test_params_reach_the_text_step():
    text = Text(clean=("lowercase",), ngrams=(2, 1), min_documents=3, max_terms=9, sublinear=False)
    features = build.build({"review": "text"}, FeatureEngineering(text=text))
    assert features.transformers[0][1].get_params() == {
        "clean": ["lowercase"], "ngrams": [1, 2], "min_documents": 3, "max_terms": 9, "sublinear": False,
        "unit": "words", "weighting": "tfidf",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("params", "problem", "hint"),
    [
        ({"text": Text(clean=("lower",))}, "text.clean: unknown 'lower'; did you mean 'lowercase'?", "strip_tags"),
        ({"text": Text(ngrams=(1, 4))}, "text.ngrams accepts 1 to 3", "[1, 2]"),
        ({"text": Text(ngrams=())}, "text.ngrams accepts 1 to 3", "[1, 2]"),
        ({"date": Date(parts=("years",))}, "date.parts: unknown 'years'; did you mean 'year'?", "weekday"),
    ],
)
def test_build_faults(params, problem, hint):
    with pytest.raises(ConfigError) as refused:
        build.build(KINDS, FeatureEngineering(**params))
    assert problem in refused.value.problem
    assert hint in refused.value.hint

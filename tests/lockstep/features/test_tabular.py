import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import Candidate, Categorical, FeatureEngineering, ModelBuilding, Text
from lockstep.data import frames
from lockstep.features import build
from lockstep.features.tabular import Absent, TargetMeans, Unskew, cross_fitting_folds
from lockstep.modeling import serialization
from lockstep.modeling.search import search

RANDOM = np.random.default_rng(11)
ODD = ["", "=", "\\", "\n", "\\n", "a\\\n\\", "é", "None", " x"]


@pytest.mark.parametrize("method", ["log", "power", "quantile"])
def test_skew_goes_and_missing_numbers_stay(method):
    numbers = np.column_stack([RANDOM.lognormal(size=300), np.full(300, 7.0)])
    numbers[5, 0] = np.nan
    bent = Unskew(method).fit_transform(numbers)
    assert np.isnan(bent[5, 0])
    kept, raw = bent[~np.isnan(bent[:, 0]), 0], numbers[~np.isnan(numbers[:, 0]), 0]
    assert abs(skew(kept)) < 0.5 * abs(skew(raw))
    assert (np.argsort(kept) == np.argsort(raw)).all()
    assert np.ptp(bent[:, 1]) == 0  # B30: a constant column stays one


def skew(values):
    return (((values - values.mean()) / values.std()) ** 3).mean()


def test_only_columns_that_had_missing_values_say_so():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [1.0, 2.0], "c": [np.nan, np.nan]})
    absent = Absent().fit(frame)
    assert absent.get_feature_names_out().tolist() == ["a_absent", "c_absent"]
    assert absent.transform(frame.fillna(0).assign(b=np.nan)).tolist() == [[0, 0], [0, 0]]
    assert Absent().fit_transform(frame[["b"]]).shape == (2, 0)


def towns(*values):
    return pd.DataFrame({"town": pd.Series(values, dtype=object)})


def test_means_are_drawn_to_the_overall_mean():
    means = TargetMeans(smoothing=2).fit(towns("a", "a", "b", None), [1.0, 2.0, 6.0, 7.0])
    expected = [(3 + 2 * 4) / 4, (6 + 2 * 4) / 3, (7 + 2 * 4) / 3, 4]
    np.testing.assert_allclose(means.transform(towns("a", "b", None, "new"))[:, 0], expected)


def test_of_two_classes_the_second_counts_and_of_three_each():
    frame = towns("a", "a", "b")
    assert TargetMeans(0).fit(frame, ["no", "yes", "yes"]).transform(frame).tolist() == [[0.5], [0.5], [1]]
    three = TargetMeans(0).fit(frame, [1, 2, 3]).transform(frame)
    assert three.tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]


def test_a_missing_category_that_training_never_showed_gets_the_overall_mean():
    assert TargetMeans(0).fit(towns("a", "b"), [1.0, 3.0]).transform(towns(None)).tolist() == [[2]]


def test_categories_of_any_spelling_keep_their_means_through_a_file(tmp_path):
    own = TargetMeans(0).fit(towns(*ODD), np.arange(len(ODD), dtype=float))
    serialization.save(own, tmp_path / "means.skops")
    back = serialization.load(tmp_path / "means.skops")
    assert back.transform(towns(*ODD))[:, 0].tolist() == list(range(len(ODD)))
    assert back.known() == [sorted(ODD)]
    assert serialization.dumps(back) == serialization.dumps(own)


def test_train_rows_get_means_that_their_fold_had_no_part_in():
    frame, target = towns(*"abcd" * 30), RANDOM.normal(size=120)
    own = TargetMeans(smoothing=3, seed=1)
    encoded = own.fit_transform(frame, target)
    folds = cross_fitting_folds(120, 1)
    for fold in range(5):
        rest = TargetMeans(smoothing=3).fit(frame[folds != fold], target[folds != fold])
        np.testing.assert_array_equal(encoded[folds == fold], rest.transform(frame[folds == fold]))
    np.testing.assert_array_equal(own.transform(frame), TargetMeans(smoothing=3).fit(frame, target).transform(frame))


@pytest.mark.parametrize("count", [2, 3, 100])
def test_groups_stay_in_one_fold(count):
    groups = RANDOM.integers(0, 30, count)
    folds = cross_fitting_folds(count, 0, groups)
    assert all(len(set(folds[groups == group])) == 1 for group in groups) or len(set(groups)) == 1
    assert len(set(cross_fitting_folds(count, 0, np.zeros(count)))) > 1  # one group cannot teach itself


def noise(count):
    """Return ids and texts that know nothing of the target."""
    words = np.asarray([f"w{number}" for number in range(3000)])
    return pd.DataFrame(
        {
            "id": RANDOM.choice([f"k{number}" for number in range(count // 2)], count),
            "note": [" ".join(RANDOM.choice(words, 12)) for _ in range(count)],
            "y": RANDOM.permutation(["no", "yes"] * (count // 2)),
        }
    )


@pytest.mark.parametrize(
    ("kinds", "params"),
    [
        pytest.param(
            {"id": "categorical"}, FeatureEngineering(categorical=Categorical(smoothing=0)), id="B35-target-means"
        ),
        pytest.param(
            {"note": "text"},
            FeatureEngineering(text=Text(weighting="naive_bayes", ngrams=(1,), min_documents=1)),
            id="naive-bayes",
        ),
        pytest.param(
            {"note": "text"},
            FeatureEngineering(text=Text(stack=True, ngrams=(1,), min_documents=1)),
            id="stacked",
        ),
    ],
)
def test_b36_what_learns_from_the_target_leaks_nothing_into_the_cross_validation(kinds, params):
    frame = noise(1600)
    learned = frames.learn(frame, "y", "binary", kinds, params)
    grid = (Candidate(estimator="logistic_regression", grid={"C": (0.1, 1.0)}),)
    target, building = frames.target_array(frame, learned), ModelBuilding(candidates=grid, folds=4)
    features, honest = build.fit(frame, learned, params, {})
    means = [
        search.choose(matrix, target, "binary", building, marks).best.mean
        for matrix, marks in ((honest, {"terms": build.term_blocks(features)}), (features.transform(frame), {}))
    ]
    assert means[0] < 0.6
    assert means[1] > 0.75  # this is what the cross-fitting is for


def test_b35_ids_of_many_levels_give_one_feature():
    """The schema lists the most frequent, and others are welcome."""
    levels = 3000
    frame = pd.DataFrame({"id": [f"user {number % levels}" for number in range(2 * levels)], "y": [0.5, 1.5] * levels})
    kinds, params = {"id": "categorical"}, FeatureEngineering()
    learned = frames.learn(frame, "y", "regression", kinds, params)
    features, matrix = build.fit(frame, learned, params, {})
    assert matrix.shape == (2 * levels, 1)
    (column,) = learned.columns
    assert (len(column.categories), column.unknown) == (500, "ignore")
    assert learned.problem("id", "user unheard of") is None
    assert len(serialization.dumps(features)) < 40 * levels


def test_groups_are_no_part_of_the_model():
    frame = noise(100)
    kinds, params = {"id": "categorical"}, FeatureEngineering(categorical=Categorical(encode="target"))
    learned = frames.learn(frame, "y", "binary", kinds, params)
    features, _ = build.fit(frame, learned, params, {"groups": np.arange(100) // 5})
    assert features.named_transformers_["means"][0].groups is None
    assert features.transformers[0][1][0].groups is None

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance

from lockstep.config.params import ModelEvaluation
from lockstep.evaluation import importance
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from tests.lockstep.small_models import make

PARAMS = ModelEvaluation.model_validate({"report": {"importance_rows": 1000}})


def measured(made, params=PARAMS):
    metric = scores.primary("auto", made.predictor.schema.task)
    return importance.permutation(made.predictor, made.test, made.predictor.score(made.test), metric, params)


def test_the_column_that_tells_matters_and_the_one_that_does_not_does_not(made):
    found = measured(made)
    drops = {one.column: one.drop for one in found.columns}
    assert found.columns == sorted(found.columns, key=lambda one: -one.drop)
    assert max(drops, key=drops.get) in ("review", "size")
    assert drops["review"] + drops["size"] > 5 * abs(drops["town"])
    assert found == measured(made)
    assert (found.rows, found.columns_in_all) == (len(made.test), 4)


def test_it_is_near_that_of_scikit_learn(binary):
    found = {one.column: one.drop for one in measured(binary).columns}
    names = list(binary.predictor.schema.kinds)
    told = permutation_importance(
        binary.pipeline, binary.test[names], binary.test["y"], scoring="roc_auc", n_repeats=10, random_state=1
    )
    for name, mean, spread in zip(names, told.importances_mean, told.importances_std, strict=True):
        assert found[name] == pytest.approx(mean, abs=3 * spread + 0.002)


def test_it_can_be_left_out(binary):
    assert measured(binary, ModelEvaluation.model_validate({"report": {"importance_rows": 0}})) is None


@pytest.mark.parametrize(
    ("columns", "rows", "expected"), [(30, 500, (500, 30)), (2_000, 700, (200, 15)), (300, 800, (333, 60))]
)
def test_many_columns_stay_within_the_budget(columns, rows, expected, binary):
    random = np.random.default_rng(2)
    frame = pd.DataFrame(random.normal(size=(rows, columns))).rename(columns=str)
    schema = type(binary.predictor.schema)(
        *("regression", "y", ()),
        tuple(type(binary.predictor.schema.columns[0])(str(place), "numeric", True, None) for place in range(columns)),
    )
    told = Scored(np.zeros(rows), frame["7"].to_numpy() * 3)
    found = importance.extent(frame, told, schema, 1_000)
    assert (found.rows, len(found.columns)) == expected
    assert found.rows * len(found.columns) * columns * importance.REPEATS <= importance.BUDGET
    assert columns == len(found.columns) or found.columns[0] == "7"


def test_long_texts_take_fewer_rows(binary):
    frame = pd.DataFrame({"review": ["x" * 300_000] * 400})
    schema = type(binary.predictor.schema)("regression", "y", (), (binary.predictor.schema.columns[2],))
    found = importance.extent(frame, Scored(np.zeros(400), np.zeros(400)), schema, 1_000)
    assert (found.rows, found.columns) == (20, ("review",))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_words_that_decide_are_named_in_both_directions(task):
    made = make(task)
    features = made.pipeline.named_steps["features"]
    (found,) = importance.words(made.pipeline, made.predictor.schema, features.transform(made.test))
    assert found.label == {"binary": "yes", "regression": "a higher y"}[task]
    assert "great" in [term for term, _ in found.supporting[:3]]
    assert "awful" in [term for term, _ in found.opposing[:3]]
    assert all(weight > 0 for side in (found.supporting, found.opposing) for _, weight in side)


def test_a_word_s_weight_is_its_coefficient_times_its_deviation(binary):
    features, estimator = (binary.pipeline.named_steps[name] for name in ("features", "estimator"))
    matrix = features.transform(binary.test)
    dense = np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix)
    (found,) = importance.words(binary.pipeline, binary.predictor.schema, matrix)
    block = features.output_indices_["text 0"]
    terms = features.named_transformers_["text 0"].get_feature_names_out().tolist()
    place = block.start + terms.index(found.supporting[0][0])
    assert found.supporting[0][1] == pytest.approx(estimator.coef_[0][place] * dense[:, place].std(), rel=1e-5)


def test_trees_have_no_words(made):
    if made.predictor.schema.task == "multiclass":
        matrix = made.pipeline.named_steps["features"].transform(made.test)
        assert importance.words(made.pipeline, made.predictor.schema, matrix) is None

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.serving import models
from lockstep.config import params_file


def test_rows_between_others_are_distinct_and_within_them():
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [10.0, 30.0, 20.0]})
    made = models.between(rows, 500)
    assert 300 < len(made) == len(made.drop_duplicates())
    assert ((made >= rows.min()) & (made <= rows.max())).all(axis=None)
    assert all(float(f"{value:.5g}") == value for value in made.to_numpy().ravel())
    pd.testing.assert_frame_equal(made, models.between(rows, 500))


@pytest.mark.parametrize("name", list(models.CASES))
def test_each_model_is_one_that_the_pipeline_takes(name, tmp_path):
    params = params_file.parse(models.CASES[name].params(tmp_path / "reviews.csv"))
    assert params.data_ingestion.source in ("sklearn:breast_cancer", "data/external/reviews.csv")


def test_the_forest_has_a_hundred_trees(tmp_path):
    (candidate,) = yaml.safe_load(models.CASES["forest"].params(tmp_path))["model_building"]["candidates"]
    assert candidate == {"estimator": "random_forest", "params": {"n_estimators": 100}}


def test_the_stand_in_has_as_many_words_and_both_sentiments(tmp_path):
    models.write_stand_in(tmp_path / "made" / "up.csv", rows=40)
    made = pd.read_csv(tmp_path / "made" / "up.csv")
    assert list(made) == ["review", "sentiment"]
    assert made["sentiment"].value_counts().to_dict() == {"positive": 20, "negative": 20}
    assert np.array_equal(made["review"].str.split().str.len(), [180] * 40)
    assert made["review"].is_unique


def test_the_environment_of_a_server_has_no_setting_of_this_machine(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    made = models.environment(LOCKSTEP_LOG_LEVEL="WARNING")
    assert {"MLFLOW_TRACKING_URI", "PYTHONDONTWRITEBYTECODE"}.isdisjoint(made)
    assert (made["OMP_NUM_THREADS"], made["LOCKSTEP_LOG_LEVEL"]) == ("1", "WARNING")

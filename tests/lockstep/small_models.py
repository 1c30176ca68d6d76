from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from lockstep import files
from lockstep.config.params import Candidate, DataPreprocessing, FeatureEngineering, ModelBuilding
from lockstep.data import cleaning, frames
from lockstep.data.split import split
from lockstep.features import build
from lockstep.inference.predictor import Predictor
from lockstep.modeling import serialization
from lockstep.modeling.search import search

WORDS = np.asarray(["good", "bad", "fine", "film", "cast", "été"])
ESTIMATOR = {"binary": "logistic_regression", "multiclass": "decision_tree", "regression": "ridge"}


@dataclass(frozen=True)
class Made:
    """A small model with all kinds of columns, and rows it was not fitted on."""

    predictor: Predictor
    test: pd.DataFrame
    pipeline: Pipeline
    train: pd.DataFrame


def raw(task, count=160):
    random = np.random.default_rng(5)
    score = random.normal(size=count)
    words = [" ".join(random.choice(WORDS, 5)) + (" great" if one > 0 else " awful") for one in score]
    target = {
        "binary": np.where(score > 0, "yes", "no"),
        "multiclass": np.digitize(score, [-0.5, 0.5]),
        "regression": score * 10 + random.normal(size=count),
    }
    return pd.DataFrame(
        {
            "size": np.where(random.random(count) < 0.1, np.nan, score + random.normal(size=count) / 2),
            "town": random.choice(["Bonn", "Kiel", "Ulm"], count),
            "review": words,
            "since": [f"2026-{1 + place % 12:02}-11" for place in range(count)],
            "y": target[task],
        }
    )


def make(task):
    cleaned = cleaning.clean(raw(task), DataPreprocessing(target="y", columns={"text": ("review",)}))
    train, test = split(cleaned, "y", DataPreprocessing(target="y").split)
    learned = frames.learn(train, "y", cleaned.task, cleaned.kinds, FeatureEngineering())
    features, matrix = build.fit(train, learned, FeatureEngineering(), {})
    building = ModelBuilding(candidates=(Candidate(estimator=ESTIMATOR[task]),))
    found = search.choose(matrix, frames.target_array(train, learned), task, building)
    pipeline = Pipeline([("features", features), ("estimator", found.estimator)])
    return Made(Predictor.from_pipeline(learned, pipeline, frames.rows_of(test, learned)), test, pipeline, train)


@pytest.fixture(scope="session", params=list(ESTIMATOR))
def made(request):
    return make(request.param)


@pytest.fixture(scope="session")
def binary():
    return make("binary")


@pytest.fixture
def model_bundle(tmp_path, made):
    """Return a folder with the three files of a version."""
    folder = tmp_path / "bundle"
    serialization.save(made.pipeline, folder / "model.skops")
    files.write_json(made.predictor.schema.to_json(), folder / "schema.json")
    files.write_json(made.predictor.smoke(made.test.head(5)), folder / "smoke.json")
    return folder

"""Choose an estimator by cross-validation, fit it, and join it with the features into one pipeline."""

import logging

from lockstep import files, paths
from lockstep.config.params import ModelBuilding
from lockstep.modeling import serialization
from lockstep.modeling.search import checkpoint, search
from lockstep.modeling.search.checkpoint import Journal
from lockstep.stage import run_stage


def main(params: ModelBuilding) -> None:
    """Read the train matrix and the features; write the model and the record of the search."""
    from sklearn.pipeline import Pipeline  # not at the top: lockstep pins the numeric libraries before they are loaded

    matrix, target = serialization.load_matrix(paths.TRAIN_MATRIX)
    features = serialization.load(paths.FEATURES)
    task = files.read_json(paths.SCHEMA)["task"]

    marks = serialization.load_marks(paths.TRAIN_MATRIX)
    with Journal(paths.SEARCHES, checkpoint.key(files.sha256(paths.TRAIN_MATRIX), task, params)) as kept:
        found = search.choose(matrix, target, task, params, marks, kept)
        model = Pipeline([("features", features), ("estimator", found.estimator)])

        serialization.save(model, paths.MODEL)
        files.write_json(found.to_json(), paths.SEARCH)
        kept.finish(paths.SEARCH, found.timings)
    logging.getLogger("model_building").info("%s %s wins by %s", found.best.estimator, found.best.params, found.metric)


if __name__ == "__main__":
    run_stage("model_building", main)

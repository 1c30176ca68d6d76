"""Choose an estimator by cross-validation, fit it, and join it with the features into one pipeline."""

import logging

from lockstep import files, paths
from lockstep.config.params import ModelBuilding
from lockstep.modeling import serialization
from lockstep.modeling.search import search
from lockstep.modeling.search.checkpoint import Checkpoint, key
from lockstep.stage import run_stage


def main(params: ModelBuilding) -> None:
    """Read the train matrix and the features; write the model and the record of the search."""
    from sklearn.pipeline import Pipeline  # not at the top: lockstep pins the numeric libraries before they are loaded

    matrix, target = serialization.load_matrix(paths.TRAIN_MATRIX)
    features = serialization.load(paths.FEATURES)
    task = files.read_json(paths.SCHEMA)["task"]

    constraints = serialization.load_fold_constraints(paths.TRAIN_MATRIX)
    with Checkpoint(paths.SEARCHES, key(files.sha256(paths.TRAIN_MATRIX), task, params)) as checkpoint:
        result = search.choose(matrix, target, task, params, constraints, checkpoint)
        model = Pipeline([("features", features), ("estimator", result.estimator)])

        serialization.save(model, paths.MODEL)
        files.write_json(result.to_json(), paths.SEARCH)
        checkpoint.finish(paths.SEARCH, result.timings)
    logging.getLogger("model_building").info(
        "%s %s wins by %s", result.best.estimator, result.best.params, result.metric
    )


if __name__ == "__main__":
    run_stage("model_building", main)

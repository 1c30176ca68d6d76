"""Choose an estimator by cross-validation, fit it, and join it with the features into one pipeline."""

import logging

from sklearn.pipeline import Pipeline

from lockstep import artifact, files, paths
from lockstep.modeling import search
from lockstep.sections import ModelBuilding
from lockstep.stage import run_stage


def main(params: ModelBuilding) -> None:
    """Read the train matrix and the features; write the model and the record of the search."""
    matrix, target = artifact.load_matrix(paths.TRAIN_MATRIX)
    features = artifact.load(paths.FEATURES)

    marks = artifact.load_marks(paths.TRAIN_MATRIX)
    found = search.choose(matrix, target, files.read_json(paths.SCHEMA)["task"], params, marks)
    model = Pipeline([("features", features), ("estimator", found.estimator)])

    artifact.save(model, paths.MODEL)
    files.write_json(found.to_json(), paths.SEARCH)
    logging.getLogger("model_building").info("%s %s wins by %s", found.best.estimator, found.best.params, found.metric)


if __name__ == "__main__":
    run_stage("model_building", main)

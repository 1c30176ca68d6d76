"""Learn the schema and fit the features on the train rows."""

import dataclasses
import logging

from lockstep import files, paths
from lockstep.config.params import FeatureEngineering, Reader
from lockstep.data import cleaning, frames, parquet
from lockstep.data.split import folding_marks
from lockstep.features import build
from lockstep.modeling import serialization
from lockstep.stage import run_stage


def main(params: FeatureEngineering) -> None:
    """Read the train rows; write the schema, the fitted features and the train matrix."""
    facts = files.read_json(paths.DATA_REPORT)
    kinds = dict(facts["kinds"])
    train = cleaning.with_kinds(parquet.read(paths.TRAIN), kinds)

    learned = frames.learn(train, facts["target"], facts["task"], kinds, params)
    if "reader" in facts:
        learned = dataclasses.replace(learned, reader=Reader.model_validate(facts["reader"]))
    marks = folding_marks(train, facts.get("split", {}))
    features, matrix = build.fit(train, learned, params, marks)
    if len(blocks := build.term_blocks(features)):
        marks["terms"] = blocks

    files.write_json(learned.to_json(), paths.SCHEMA)
    serialization.save(features, paths.FEATURES)
    serialization.save_matrix(matrix, frames.target_array(train, learned), paths.TRAIN_MATRIX, marks)
    logging.getLogger("feature_engineering").info("%d rows x %d features", *matrix.shape)


if __name__ == "__main__":
    run_stage("feature_engineering", main)

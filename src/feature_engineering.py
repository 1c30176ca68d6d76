"""Infer the schema and fit the features on the train rows."""

import dataclasses
import logging

from lockstep import files, paths
from lockstep.config.params import FeatureEngineering, Reader
from lockstep.data import cleaning, frames, parquet
from lockstep.data.record import DataRecord
from lockstep.data.split import fold_constraints
from lockstep.features import build
from lockstep.modeling import serialization
from lockstep.stage import run_stage


def main(params: FeatureEngineering) -> None:
    """Read the train rows; write the schema, the fitted features and the train matrix."""
    record = DataRecord.read()
    kinds = dict(record.kinds)
    train = cleaning.with_kinds(parquet.read(paths.TRAIN), kinds)

    schema = frames.learn(train, record.target, record.task, kinds, params)
    if record.reader is not None:
        schema = dataclasses.replace(schema, reader=Reader.model_validate(record.reader))
    schema = dataclasses.replace(schema, positive=record.positive)
    constraints = fold_constraints(train, record.split)
    features, matrix = build.fit(train, schema, params, constraints)
    constraints |= build.matrix_metadata(features, schema)

    files.write_json(schema.to_json(), paths.SCHEMA)
    serialization.save(features, paths.FEATURES)
    serialization.save_matrix(matrix, frames.target_array(train, schema), paths.TRAIN_MATRIX, constraints)
    logging.getLogger("feature_engineering").info("%d rows x %d features", *matrix.shape)


if __name__ == "__main__":
    run_stage("feature_engineering", main)

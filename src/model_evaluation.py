"""Ask the model about the test rows, through the predictor that serves, and say how good the answers are."""

import logging

from lockstep import artifact, card, files, gates, paths
from lockstep.data import cleaning, frames, tables, trained_on
from lockstep.data.schema import Schema
from lockstep.features.build import text_steps
from lockstep.gates import Candidate, Rules
from lockstep.modeling import evaluation, facts, leaks, plots, points
from lockstep.modeling.predictor import Predictor
from lockstep.monitoring import profile
from lockstep.sections import ModelEvaluation
from lockstep.stage import run_stage

SMOKE_ROWS = 64


def main(params: ModelEvaluation) -> None:
    """Read test and train rows and the model; write metrics, predictions, plots, smoke rows, profile and the gate."""
    import pandas as pd  # not at the top: lockstep pins the numeric libraries before they are loaded

    schema = Schema.from_json(files.read_json(paths.SCHEMA))
    test = cleaning.with_kinds(tables.read(paths.TEST), schema.kinds)
    train = cleaning.with_kinds(tables.read(paths.TRAIN), schema.kinds)
    pipeline = artifact.load(paths.MODEL)
    predictor = Predictor.of(schema, pipeline, frames.rows_of(test.head(SMOKE_ROWS), schema))

    scored = predictor.score(test)
    measured = evaluation.report(scored, schema, params)
    searched = files.read_json(paths.SEARCH)
    metric = searched["metric"]
    alone = leaks.telling_alone(pd.concat([train, test]), schema)
    examined = evaluation.examine(predictor, test, scored, alone)
    decision = gates.decide(Candidate(schema, examined), None, Rules.of(metric, schema.task, params))
    tested = evaluation.evaluated(test, scored, schema, metric, measured)
    taught = facts.Taught(*artifact.load_matrix(paths.TRAIN_MATRIX), artifact.load_marks(paths.TRAIN_MATRIX))
    found = facts.of(facts.Subject(predictor, pipeline, test, scored, metric), taught, measured, params)
    found |= {"leaks": alone, "model_bytes": paths.MODEL.stat().st_size}
    told = card.Facts(found, searched, files.read_json(paths.DATA_REPORT), files.read_json(paths.SOURCE))
    predictions = evaluation.predictions(test, scored, schema)
    made = profile.build(schema, frames.rows_of(train, schema), tested, params.monitoring, text_steps(pipeline))

    files.write_json(measured, paths.METRICS)
    files.write_csv(evaluation.per_class(scored, schema), paths.PER_CLASS)
    files.write_csv(predictions, paths.PREDICTIONS)
    files.write_json(found, paths.EVALUATION)
    points.write(found, predictions, paths.POINTS)
    files.write_csv(plots.curves(scored, schema), paths.CURVES)
    plots.draw(scored, schema, paths.PLOTS)
    files.write_json(predictor.smoke(test.head(SMOKE_ROWS)), paths.SMOKE)
    profile.write(made)
    files.write_json(card.of(schema, told), paths.CARD)
    trained_on.write(train, schema)
    files.write_json(decision.to_json(), paths.GATE)
    logging.getLogger("model_evaluation").info(
        "%s %.4f; gate %s", metric, measured[metric], "passed" if decision.passed else "; ".join(decision.refusals)
    )


if __name__ == "__main__":
    run_stage("model_evaluation", main)

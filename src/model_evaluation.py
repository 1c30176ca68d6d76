"""Evaluate the model on the test rows through the predictor that serves: metrics, records, gate."""

import logging

from lockstep import files, paths
from lockstep.config.params import ModelEvaluation
from lockstep.data import cleaning, frames, parquet, row_hashes
from lockstep.data.schema import Schema
from lockstep.data_report.record import DataReport
from lockstep.drift import profile
from lockstep.evaluation import facts, plot_data, test_metrics
from lockstep.features.build import text_steps
from lockstep.gate import checks
from lockstep.gate.checks import CandidateEvidence, GateRules
from lockstep.inference import model_card
from lockstep.inference.predictor import Predictor
from lockstep.modeling import serialization
from lockstep.stage import run_stage

SMOKE_ROWS = 64


def main(params: ModelEvaluation) -> None:
    """Read test and train rows and the model; write metrics, predictions, curves, smoke rows, profile and gate."""

    schema = Schema.from_json(files.read_json(paths.SCHEMA))
    test = cleaning.with_kinds(parquet.read(paths.TEST), schema.kinds)
    train = cleaning.with_kinds(parquet.read(paths.TRAIN), schema.kinds)
    pipeline = serialization.load(paths.MODEL)
    predictor = Predictor.from_pipeline(schema, pipeline, frames.rows_of(test.head(SMOKE_ROWS), schema))

    scored = predictor.score(test)
    metrics = test_metrics.report(scored, schema, params)
    search = files.read_json(paths.SEARCH)
    metric = search["metric"]
    test_metrics.require(metrics, metric)
    data = DataReport.read()
    leak_scores = {name: leak.score for name, leak in data.leaks.items()}
    evidence = test_metrics.examine(predictor, test, scored, leak_scores)
    decision = checks.decide(CandidateEvidence(schema, evidence), None, GateRules.of(metric, schema.task, params))
    evaluated = test_metrics.evaluated(test, scored, schema, metric, metrics)
    matrix = facts.TrainMatrix(
        *serialization.load_matrix(paths.TRAIN_MATRIX), serialization.load_fold_constraints(paths.TRAIN_MATRIX)
    )
    subject = facts.EvaluatedModel(predictor, pipeline, test, scored, metric, paths.MODEL.stat().st_size)
    record = facts.evaluate(subject, matrix, metrics, leak_scores, params)
    card_facts = model_card.CardFacts(record, search, data, files.read_json(paths.SOURCE))
    predictions = test_metrics.predictions(test, scored, schema)
    baseline = profile.build(schema, frames.rows_of(train, schema), evaluated, params.monitoring, text_steps(pipeline))

    files.write_json(metrics, paths.METRICS)
    files.write_csv(test_metrics.per_class(scored, schema), paths.PER_CLASS)
    files.write_csv(predictions, paths.PREDICTIONS)
    files.write_json(record.to_json(), paths.EVALUATION)
    plot_data.write(record, predictions, paths.POINTS)
    files.write_csv(plot_data.curves(scored, schema), paths.CURVES)
    files.write_json(predictor.smoke(test.head(SMOKE_ROWS)), paths.SMOKE)
    profile.write(baseline)
    files.write_json(model_card.build(schema, card_facts), paths.CARD)
    row_hashes.write(train, schema)
    files.write_json(decision.to_json(), paths.GATE)
    logging.getLogger("model_evaluation").info(
        "%s %.4f; gate %s", metric, metrics[metric], "passed" if decision.passed else "; ".join(decision.refusals)
    )


if __name__ == "__main__":
    run_stage("model_evaluation", main)

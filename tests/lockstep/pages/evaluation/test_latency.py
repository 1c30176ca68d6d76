from lockstep.data import frames
from lockstep.pages.evaluation import latency


def test_times_are_those_of_answers(made):
    rows = frames.rows_of(made.test, made.predictor.schema)
    found = latency.measure(made.predictor, rows)
    assert 0 < found["one_row_ms"] <= found["slow_row_ms"]
    assert found["batch_row_ms"] > 0
    assert (found["batch_rows"], found["kind"]) == (len(rows), made.predictor.scorer.kind)


def test_one_row_is_enough(made):
    found = latency.measure(made.predictor, frames.rows_of(made.test.head(1), made.predictor.schema))
    assert found["batch_rows"] == 1

import pytest

from lockstep.data import frames
from lockstep.inference import latency
from tests.lockstep.small_models import make


@pytest.mark.parametrize("rows", [1, 30])
def test_latency_is_that_of_answers_to_single_rows_and_to_a_batch(rows):
    made = make("binary")
    schema = made.predictor.schema
    measured = latency.measure(made.predictor, schema.objects(frames.rows_of(made.test.head(rows), schema)))
    assert 0 < measured.one_row_ms <= measured.slow_row_ms
    assert measured.batch_row_ms > 0
    assert measured.batch_rows == latency.BATCH


def test_without_rows_nothing_is_measured():
    assert latency.measure(make("binary").predictor, []) == latency.MeasuredLatency(0, 0, 0, 0)

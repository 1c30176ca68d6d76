import numpy as np
import pytest

from lockstep.metrics import intervals, scores
from lockstep.metrics.intervals import wilson
from lockstep.metrics.scores import Scored


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilson_gives_the_published_intervals(right, rows, low, high):
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3."""
    assert wilson(right, rows) == pytest.approx((low, high), abs=5e-5)


def test_a_metric_has_wilsons_interval_or_that_of_the_bootstrap():
    truth = np.arange(60) % 2
    shares = np.where(np.arange(60) % 5 == 0, 0.4, 0.9)
    chances = np.where(truth == 1, shares, 1 - shares)
    scored = Scored(truth, (chances > 0.5).astype(int), np.column_stack((1 - chances, chances)))
    assert intervals.interval("accuracy", scored) == (0.8, *wilson(48, 60))
    value, low, high = intervals.interval("log_loss", scored)
    assert low < value == scores.measure("log_loss", scored) < high


def test_without_a_value_there_is_no_interval():
    one_label = Scored(np.zeros(9, int), np.zeros(9, int), np.tile([0.9, 0.1], (9, 1)))
    assert intervals.interval("roc_auc", one_label) is None

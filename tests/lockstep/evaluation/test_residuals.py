import numpy as np
import pytest

from lockstep.evaluation import residuals
from lockstep.metrics.scores import Scored


def test_errors_are_counted_by_size_and_by_prediction():
    told = np.arange(100.0)
    error = np.where(told < 50, -1.0, 3.0)
    found = residuals.compute(Scored(told - error, told))
    assert found.quantiles["0.25"] == -1
    assert found.quantiles["0.75"] == 3
    assert sum(found.histogram.shares) == pytest.approx(1)
    assert found.histogram.shares[0] == 0.5
    assert [one.median for one in found.by_predicted] == [-1] * 5 + [3] * 5
    assert [one.rows for one in found.by_predicted] == [10] * 10
    assert (found.by_predicted[0].least, found.by_predicted[-1].most) == (0, 99)
    assert found.points[0] == [1, 0]


def test_a_few_wild_errors_do_not_stretch_the_histogram():
    error = np.r_[np.linspace(-1, 1, 999), 1e9]
    found = residuals.histogram(error)
    assert found.edges[-1] < 2
    assert sum(found.shares) == pytest.approx(1)


@pytest.mark.parametrize("rows", [1, 3, 5_000])
def test_any_number_of_rows_gives_bounded_points(rows):
    values = np.zeros(rows)
    found = residuals.compute(Scored(values, values))
    assert len(found.points) == min(rows, residuals.POINTS)
    assert sum(one.rows for one in found.by_predicted) == rows


def test_classes_have_none():
    assert residuals.compute(Scored(np.zeros(2), np.zeros(2), np.ones((2, 1)))) is None

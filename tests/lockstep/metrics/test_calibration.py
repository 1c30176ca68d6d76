import numpy as np
import pytest

from lockstep.metrics import calibration
from lockstep.metrics.scores import Scored


def drawn(rows, off, classes=2, seed=0):
    """Return rows whose probabilities are off by so much: the model is surer than it is right."""
    random = np.random.default_rng(seed)
    honest = random.uniform(0.5, 0.8, rows)
    right = random.random(rows) < honest
    truth = random.integers(0, classes, rows)
    predicted = np.where(right, truth, (truth + 1) % classes)
    shares = np.full((rows, classes), 0.0)
    shares[np.arange(rows), predicted] = honest + off
    shares[np.arange(rows), (predicted + 1) % classes] = 1 - honest - off
    return Scored(truth, predicted, shares)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("off", [0.0, 0.1, 0.2])
def test_the_error_is_how_far_probabilities_are_off(classes, off):
    found = calibration.measure(drawn(20_000, off, classes), 200, 1)
    assert found.error == pytest.approx(off, abs=0.015)
    assert found.noise < 0.015
    assert found.beyond_noise == max(0.0, found.error - found.noise)


@pytest.mark.parametrize("rows", [30, 300])
def test_calibrated_models_are_within_noise_in_all_but_a_few_cases(rows):
    found = [calibration.measure(drawn(rows, 0.0, seed=seed), 200, 1) for seed in range(200)]
    assert sum(one.beyond_noise > 0 for one in found) <= 12
    assert np.mean([one.error for one in found]) > 0.02


def test_a_table_by_hand():
    shares = np.repeat([[0.9, 0.1], [0.2, 0.8]], 10, axis=0)
    truth = np.asarray([0] * 8 + [1] * 2 + [1] * 5 + [0] * 5)
    found = calibration.measure(Scored(truth, shares.argmax(axis=1), shares), 100, 1)
    assert found.error == pytest.approx((abs(0.2 - 0.1) + abs(0.5 - 0.8)) / 2)


def test_rows_of_one_probability():
    certain = Scored(np.zeros(20, dtype=int), np.zeros(20, dtype=int), np.tile([1.0, 0.0], (20, 1)))
    assert calibration.measure(certain, 100, 1) == calibration.Calibration(0.0, 0.0)

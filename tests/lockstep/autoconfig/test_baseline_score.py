import numpy as np
import pytest

from lockstep.autoconfig.baseline_score import Baseline


@pytest.mark.parametrize(
    ("constant", "reached", "error", "floor"),
    [
        (0.5, 0.9, 0.0, 0.85),
        (0.5, 0.9, 0.01, 0.80),
        (0.5, 0.9, 0.1, 0.70),  # folds that differ so much leave half of the way
        (0.0, 0.5, 0.01, 0.39),
        (0.9, 0.99, 0.001, 0.97),
    ],
)
def test_the_floor_follows_quick_models_less_the_spread_of_folds(constant, reached, error, floor):
    assert Baseline("accuracy", constant, reached, error, 10_000).floor == pytest.approx(floor)


@pytest.mark.parametrize(("rows", "reached"), [(500, 0.8), (500, 0.95), (3000, 0.65), (3000, 0.8), (3000, 0.95)])
def test_a_model_as_good_as_the_quick_ones_misses_the_floor_once_in_fifty_times_at_most(rows, reached):
    draw = np.random.default_rng(rows)
    missed = 0
    for _ in range(1000):
        folds = draw.binomial(rows // 3, reached, 3) / (rows // 3)
        baseline = Baseline("accuracy", 0.5, float(folds.mean()), float(folds.std() / np.sqrt(3)), rows // 5)
        missed += draw.binomial(rows // 5, reached) / (rows // 5) < baseline.floor
    assert missed <= 20

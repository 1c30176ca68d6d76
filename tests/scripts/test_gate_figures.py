import numpy as np
import pytest

from scripts import gate_figures
from scripts.gate_figures import Pair

EQUAL, BETTER = 0.86, 0.88


@pytest.mark.parametrize(("candidate", "disagree"), [(EQUAL, 0.05), (EQUAL, 0.2), (BETTER, 0.1)])
def test_drawn_models_are_as_good_and_disagree_as_much_as_asked(candidate, disagree):
    champion, drawn = gate_figures.draw(Pair(EQUAL, candidate, disagree), 200_000, np.random.default_rng(0))
    for scored, accuracy in ((champion, EQUAL), (drawn, candidate)):
        assert np.mean(scored.truth == scored.predicted) == pytest.approx(accuracy, abs=0.003)
        for low in (0.5, 0.7, 0.9):
            some = (scored.probabilities[:, 1] > low) & (scored.probabilities[:, 1] < low + 0.1)
            assert scored.truth[some].mean() == pytest.approx(scored.probabilities[some, 1].mean(), abs=0.02)
    assert np.mean(champion.predicted != drawn.predicted) == pytest.approx(disagree, abs=0.003)


@pytest.mark.parametrize("disagree", [0.15])
def test_of_two_equal_models_one_is_called_better_in_at_most_a_twentieth(disagree):
    found = gate_figures.verdicts(Pair(EQUAL, EQUAL, disagree), "accuracy", 2000, 200, 400)
    assert found["better"] <= 10
    assert found["worse"] <= 10
    assert found.total() == 200


@pytest.mark.parametrize(("metric", "disagree"), [("accuracy", 0.08), ("log_loss", 0.1)])
def test_two_points_of_accuracy_in_2000_rows_are_seen_in_four_fifths(metric, disagree):
    found = gate_figures.verdicts(Pair(EQUAL, BETTER, disagree), metric, 2000, 200, 100)
    assert found["better"] >= 160
    assert found["worse"] == 0


def test_the_formula_agrees_with_what_is_counted():
    assert gate_figures.power(0.02, 0.10, 2000) == pytest.approx(0.81, abs=0.01)
    assert gate_figures.power(0.0, 0.10, 2000) == pytest.approx(0.025)

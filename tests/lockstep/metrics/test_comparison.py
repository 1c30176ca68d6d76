import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel

from lockstep.metrics import comparison
from lockstep.metrics.comparison import Difference
from lockstep.metrics.scores import Scored
from lockstep.metrics.slices import Slice


def answers(wrong):
    """Return labels that are wrong at the marked rows (n,)."""
    truth = np.zeros(len(wrong), dtype=int)
    return Scored(truth, np.asarray(wrong, dtype=int), np.full((len(wrong), 2), 0.5))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.3, "better"),
        (0.0, 0.3, "the same within noise"),
        (-0.1, 0.3, "the same within noise"),
        (-0.1, 0.0, "the same within noise"),
        (-0.1, -0.01, "worse"),
        (float("nan"), 0.3, "not measurable"),
    ],
)
def test_verdicts(low, high, verdict):
    assert Difference("accuracy", 0.0, low, high, 9).verdict == verdict


@pytest.mark.parametrize(
    ("chances", "rejected"),
    [
        ([], []),
        ([0.05], [0]),
        ([0.051], []),
        ([0.01, 0.04, 0.03, 0.005], [3, 0]),
        ([0.0125, 0.0166, 0.025, 0.05], [0, 1, 2, 3]),
        ([0.02, 0.02, 0.02], []),
    ],
)
def test_holm(chances, rejected):
    assert comparison.holm(chances, 0.05) == rejected


def test_of_values_it_is_the_paired_t_test():
    random = np.random.default_rng(1)
    other, own = random.gamma(2, size=(2, 60))
    expected = ttest_rel(own + 0.2, other, alternative="greater").pvalue
    assert comparison.chance(own + 0.2, other, 0.0, False) == pytest.approx(expected)


def test_of_few_labels_that_differ_it_is_the_sign_test():
    own, other = (np.isin(np.arange(20), places).astype(float) for places in ([0, 1, 2, 3], [9]))
    assert comparison.chance(own, other, 0.0, True) == pytest.approx(binomtest(4, 5, alternative="greater").pvalue)
    assert comparison.chance(own, other, 0.0, False) < 0.1


@pytest.mark.parametrize(("own", "other"), [([0, 0], [1, 1]), ([1, 0], [0, 1]), ([0, 0], [0, 0])])
def test_what_is_no_worse_is_sure_to_be_chance(own, other):
    assert comparison.chance(np.asarray(own * 10, float), np.asarray(other * 10, float), 0.0, True) == 1.0


def test_the_worst_slice_comes_first():
    wrong = np.zeros(90, dtype=bool)
    wrong[:20] = wrong[30:60] = True
    parts = [Slice("x", name, np.arange(90) // 30 == place) for place, name in enumerate("abc")]
    found, asked = comparison.regressed_slices(answers(wrong), answers(np.zeros(90)), parts, 0.02, 0.05)
    assert asked == 3
    assert [(one.part.name, round(one.candidate, 2), one.champion) for one in found] == [("b", 0, 1), ("a", 0.33, 1)]


def test_equal_models_are_refused_for_a_slice_in_few_cases():
    """Of two models of one accuracy that err on other rows, one in twenty may be refused for one of forty slices."""
    random = np.random.default_rng(3)
    parts = [Slice("x", str(place), np.arange(2000) % 40 == place) for place in range(40)]
    refused = 0
    for _ in range(200):
        own, other = random.random((2, 2000)) < 0.15
        refused += bool(comparison.regressed_slices(answers(own), answers(other), parts, 0.0, 0.05)[0])
    assert refused <= 10

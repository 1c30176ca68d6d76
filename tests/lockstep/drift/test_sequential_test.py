import numpy as np
import pytest

from lockstep.config.params import Monitoring
from lockstep.drift import sequential_test
from lockstep.drift.sequential_test import LabelStream, Looks
from scripts import drift_figures

LIMITS = Monitoring()
RUNS = 400


@pytest.mark.parametrize(("accuracy", "share"), [(0.92, 0), (0.92, 50), (0.92, 10), (0.97, 10)])
def test_equal_versions_are_called_different_in_5_of_100_runs_at_most(accuracy, share):
    random = np.random.default_rng(7)
    called = [drift_figures.first_call(random, (accuracy, accuracy), share, 20_000) != 0 for _ in range(RUNS)]

    assert np.mean(called) <= 0.05


@pytest.mark.parametrize("share", [0, 50, 10])
def test_a_true_difference_of_2_points_is_called_within_the_labels_that_were_said(share):
    random = np.random.default_rng(8)
    needed = sequential_test.labels_needed(drift_figures.variance(0.95, 0.97, share), 0.02)
    called = [drift_figures.first_call(random, (0.95, 0.97), share, needed) for _ in range(RUNS)]

    assert np.mean(np.asarray(called) > 0) >= 0.8
    assert np.mean(np.asarray(called) < 0) <= 0.01


@pytest.mark.parametrize("share", [0, 50])
def test_equal_errors_with_heavy_tails_are_rarely_called_different(share):
    random = np.random.default_rng(9)
    called = []
    for _ in range(200):
        truths = np.zeros(2 * 3000)
        values = random.standard_t(4, 2 * 3000)
        sides = [LabelStream(str(side), values[side::2], truths[side::2], np.arange(side, 6000, 2)) for side in (0, 1)]
        called.append(sequential_test.measure("regression", *sides, LIMITS, share).verdict.endswith("better"))

    assert np.mean(called) <= 0.05


def test_the_interval_holds_the_truth_at_every_look():
    random = np.random.default_rng(10)
    missed = 0
    for _ in range(RUNS):
        drawn = random.random(8000)
        looks = sequential_test.paired((drawn < 0.04).astype(float), ((drawn >= 0.04) & (drawn < 0.06)).astype(float))
        low, high = sequential_test.bounds(looks, 0.02, 0.05)
        missed += bool(((low > 0.02) | (high < 0.02)).any())

    assert missed / RUNS <= 0.05


def versions(wrong, rows=3000, shared=True):
    """Answers of two versions, of which so many in a hundred are wrong, on the same or on other rows."""
    place = np.arange(rows)
    return [
        LabelStream(str(side + 1), ["no" if n % 100 < bad else "yes" for n in place], ["yes"] * rows, place + side / 2)
        for side, bad in enumerate(wrong)
    ]


@pytest.mark.parametrize(
    ("wrong", "share", "verdict"),
    [
        ((10, 5), 0, "challenger better"),
        ((5, 10), 0, "production better"),
        ((5, 5), 0, "no difference found"),
        ((12, 5), 50, "challenger better"),
        ((6, 5), 50, "undecided"),
    ],
)
def test_verdicts(wrong, share, verdict):
    found = sequential_test.measure("binary", *versions(wrong), LIMITS, share)

    assert found.verdict == verdict
    assert found.difference.value == pytest.approx((wrong[0] - wrong[1]) / 100, abs=0.002)
    assert (found.labels_production, found.labels_challenger) == (3000, 3000)
    assert found.production_value.value == pytest.approx(1 - wrong[0] / 100)
    assert (found.p < 0.05) == verdict.endswith("better")
    assert found.agreement == (None if share else pytest.approx(1 - abs(wrong[0] - wrong[1]) / 100))


def test_a_verdict_stays():
    """Five points better over 3,000 labels, then equal: the first call stands."""
    first, second = versions((10, 5))
    more = versions((5, 5), 30_000)
    longer = [
        LabelStream(own.version, [*own.values, *late.values], [*own.truths, *late.truths], [*own.at, *(late.at + 3000)])
        for own, late in zip((first, second), more, strict=True)
    ]

    assert sequential_test.measure("binary", *longer, LIMITS).verdict == "challenger better"


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("share", [0, 10])
@pytest.mark.parametrize("rows", [0, 1, 99])
def test_too_few_labels_are_undecided(task, share, rows):
    sides = [LabelStream(str(side), [1.0] * rows, [0.0] * rows, list(range(rows))) for side in (1, 2)]
    few = sequential_test.measure(task, *sides, LIMITS, 0 if share == 0 else share)

    assert few.verdict == "undecided"
    assert rows == 99 or few.difference is None


def test_two_versions_without_any_error_are_undecided():
    sides = [LabelStream(str(side), [1.0] * 500, [1.0] * 500, list(range(500))) for side in (1, 2)]

    assert sequential_test.measure("regression", *sides, LIMITS).verdict == "undecided"


def test_fewer_labels_are_needed_for_larger_differences():
    needed = [sequential_test.labels_needed(0.06, difference) for difference in (0.01, 0.02, 0.05)]

    assert needed == sorted(needed, reverse=True)
    assert all(count % sequential_test.LABELS_A_LOOK == 0 for count in needed)


def test_p_is_below_alpha_just_where_the_interval_excludes_zero():
    looks = Looks(np.array([100]), np.array([0.0]), np.array([1e-4]))
    for mean in np.linspace(0, 0.08, 41):
        at = Looks(looks.labels, np.array([mean]), looks.variances)
        assert (sequential_test.always_valid_p(at, 0.02) < 0.05) == (sequential_test.bounds(at, 0.02, 0.05)[0][0] > 0)

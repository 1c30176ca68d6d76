import numpy as np
import pytest
from scipy import stats

from lockstep.drift import hypothesis_tests
from lockstep.drift.numeric_baseline import NumericBaseline


def samples(kind, random):
    if kind == "continuous":
        return random.normal(size=300), random.normal(0.2, size=200)
    if kind == "ties":
        return random.integers(0, 6, 300).astype(float), random.integers(0, 7, 200).astype(float)
    return random.normal(size=300), np.full(200, 9.0)


@pytest.mark.parametrize("kind", ["continuous", "ties", "apart"])
def test_ks_is_that_of_scipy_for_two_samples(kind):
    baseline, values = samples(kind, np.random.default_rng(1))
    expected = stats.ks_2samp(baseline, values, method="asymp")

    distance, p = hypothesis_tests.kolmogorov_smirnov(NumericBaseline.from_values(baseline), values)

    assert distance == pytest.approx(expected.statistic, abs=1e-12)
    assert p == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


def test_ks_against_few_order_statistics_is_near_that_against_all():
    random = np.random.default_rng(2)
    baseline, values = random.gamma(2, size=30_000), random.gamma(2.2, size=500)
    kept = NumericBaseline.from_values(baseline)

    distance, _ = hypothesis_tests.kolmogorov_smirnov(kept, values)

    assert len(kept.values) <= 500
    assert distance == pytest.approx(stats.ks_2samp(baseline, values).statistic, abs=1 / 500)


def test_ks_against_a_small_baseline_is_calibrated():
    random = np.random.default_rng(3)
    ps = [
        hypothesis_tests.kolmogorov_smirnov(
            NumericBaseline.from_values(random.normal(size=100)), random.normal(size=500)
        )[1]
        for _ in range(1000)
    ]

    assert np.mean(np.asarray(ps) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_chi_square_is_that_of_scipy():
    table = np.array([[300, 100, 50], [90, 60, 30]])
    expected = stats.chi2_contingency(table, correction=False)

    statistic, p, effect = hypothesis_tests.chi_square(*table)

    assert (statistic, p) == pytest.approx((expected.statistic, expected.pvalue))
    assert effect == pytest.approx(stats.contingency.association(table, "cramer"))


@pytest.mark.parametrize(
    ("baseline", "window", "levels"),
    [
        ([900, 90, 5, 3, 2], [90, 9, 1, 0, 0], 2),  # the rare ones join the second, which expects 10 in the window
        ([500, 0, 0], [50, 30, 20], 2),  # new levels stand together
        ([5000, 0, 0], [50, 30, 20], None),  # and still expect too few
        ([100, 0], [60, 0], None),
        ([100, 2], [60, 1], None),
    ],
)
def test_rare_levels_are_pooled(baseline, window, levels):
    found = hypothesis_tests.chi_square(np.asarray(baseline), np.asarray(window))
    pooled = hypothesis_tests._pooled(np.array([baseline, window], dtype=float))
    expected = np.outer(pooled.sum(axis=1), pooled.sum(axis=0)) / pooled.sum()

    assert (found is None) == (levels is None)
    assert levels is None or (pooled.shape[1] == levels and expected.min() >= 5)
    assert pooled.sum() == sum(baseline) + sum(window)


def test_benjamini_hochberg_is_that_of_scipy():
    ps = np.random.default_rng(4).random(40) ** 3

    assert hypothesis_tests.benjamini_hochberg(ps) == pytest.approx(stats.false_discovery_control(ps))
    assert hypothesis_tests.benjamini_hochberg([]) == []


def test_rows_outside_the_range_are_as_frequent_as_said():
    random = np.random.default_rng(5)
    counts = []
    for _ in range(4000):
        train, rows = random.normal(size=100), random.normal(size=200)
        counts.append(int(((rows < train.min()) | (rows > train.max())).sum()))

    for count in (5, 10, 15):
        assert np.mean(np.asarray(counts) >= count) == pytest.approx(
            hypothesis_tests.outside(count, 200, 100), abs=0.025
        )
    assert hypothesis_tests.outside(0, 200, 100) == 1.0


def test_what_was_rare_may_come_as_often_as_chance_allows():
    random = np.random.default_rng(6)
    ps = []
    for _ in range(3000):
        before, now = random.binomial(400, 0.02), random.binomial(200, 0.02)
        ps.append(hypothesis_tests.more_rare(now, 200, before, 400))

    assert np.mean(np.asarray(ps) <= 0.05) <= 0.05
    assert hypothesis_tests.more_rare(40, 200, 8, 400) < 1e-6
    assert hypothesis_tests.more_rare(0, 200, 0, 400) == 1.0


def test_terms_are_rarely_far_out_by_chance():
    """Of 300 terms that 40 of 1,000 texts held, the least p is below 0.01 / 300 in about one window of a hundred."""
    random = np.random.default_rng(7)
    least = []
    for _ in range(150):
        held, seen = random.binomial(1000, 0.04, 300), random.binomial(150, 0.04, 300)
        least.append(hypothesis_tests.terms(held, 1000, seen, 150)[0].min())

    assert np.mean(np.asarray(least) < 0.01 / 300) <= 0.02


@pytest.mark.parametrize(("held", "held_now", "tail"), [(40, 20, "greater"), (200, 9, "less")])
def test_the_p_of_a_term_is_that_of_fisher_whether_it_became_more_frequent_or_rarer(held, held_now, tail):
    ps, effects = hypothesis_tests.terms(np.array([held]), 1000, np.array([held_now]), 150)
    expected = stats.fisher_exact([[held_now, 150 - held_now], [held, 1000 - held]], alternative=tail).pvalue

    assert ps[0] == pytest.approx(2 * expected)
    assert effects[0] == pytest.approx(2 * np.arcsin(np.sqrt(held_now / 150)) - 2 * np.arcsin(np.sqrt(held / 1000)))


@pytest.mark.parametrize("held_now", [8, 4])
def test_the_p_of_a_term_that_is_about_as_frequent_is_the_two_sided_one_of_two_proportions(held_now):
    """Of 150 texts, 6 would be as many: a third more or less is no evidence, and equally little."""
    ps, _ = hypothesis_tests.terms(np.array([40]), 1000, np.array([held_now]), 150)
    pooled = (40 + held_now) / 1150
    z = (held_now / 150 - 0.04) / np.sqrt(pooled * (1 - pooled) * (1 / 1000 + 1 / 150))

    assert ps[0] == pytest.approx(2 * min(stats.norm.cdf(z), stats.norm.sf(z)))
    assert ps[0] > 0.2


@pytest.mark.parametrize("missing_now", [20, 0])
def test_more_missing_values_and_fewer_are_both_another_share(missing_now):
    p = hypothesis_tests.more_missing(60, 1000, missing_now, 150)

    assert p == pytest.approx(stats.fisher_exact([[60, 940], [missing_now, 150 - missing_now]]).pvalue)
    assert p < 0.01

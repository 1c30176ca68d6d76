from collections import Counter

import numpy as np
import pytest

from lockstep.drift.numeric_baseline import OTHER, CategoryBaseline, NumericBaseline, finite, seconds


@pytest.mark.parametrize("count", [1, 7, 500, 501, 20_000])
def test_numbers_keep_shares_exactly_at_their_points(count):
    given = np.random.default_rng(1).normal(size=count).round(2)
    kept = NumericBaseline.from_values(given)

    assert len(kept.values) <= 500
    assert kept.rows == count
    np.testing.assert_allclose(kept.shares[1], [(given <= value).mean() for value in kept.values])
    np.testing.assert_allclose(kept.shares[0], [(given < value).mean() for value in kept.values])


def test_numbers_keep_minimum_and_maximum():
    given = np.random.default_rng(1).normal(size=10_000)
    kept = NumericBaseline.from_values(given)

    assert (kept.values[0], kept.values[-1]) == (given.min(), given.max())


@pytest.mark.parametrize("given", [[3.0] * 40, [0.0, 1.0] * 30, list(range(1000))])
def test_both_distributions_have_the_same_bins_and_add_up_to_one(given):
    then, now = NumericBaseline.from_values(given).distributions(np.asarray([-5.0, 0.0, 1.0, 1e9]))

    assert then.edges == now.edges
    assert len(then.shares) + 1 == len(then.edges)
    assert sum(then.shares) == pytest.approx(1)
    assert sum(now.shares) == pytest.approx(1)


def test_equal_numbers_have_equal_shares():
    given = np.random.default_rng(2).integers(0, 9, 300).astype(float)
    then, now = NumericBaseline.from_values(given).distributions(given)

    assert then.shares == pytest.approx(now.shares)


def test_categories_show_the_frequent_and_the_rest_together():
    known = CategoryBaseline.from_values([f"town {n:02}" for n in range(20) for _ in range(20 - n)])
    then, now = known.distributions(Counter({"town 00": 3, "new": 1}))

    assert then.labels[0] == "town 00"
    assert then.labels[-1] == OTHER
    assert sum(then.shares) == pytest.approx(1)
    assert now.shares[0] == 0.75
    assert now.shares[-1] == pytest.approx(0.25)


def test_dates_are_seconds_in_utc():
    assert seconds(["1970-01-02", None, "1970-01-01T02:00:00+01:00"]).tolist() == [86400.0, 3600.0]


def test_missing_numbers_are_left_out():
    assert finite([1, None, 2.5]).tolist() == [1.0, 2.5]

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lockstep.data.schema import Column, Schema
from lockstep.evaluation import error_analysis
from lockstep.metrics.scores import Scored

RANDOM = np.random.default_rng(8)


def wrong_where(wrong):
    """Return rows of the class 0 of which some are called 1."""
    told = wrong.astype(int)
    shares = np.where(wrong[:, None], [0.2, 0.8], [0.9, 0.1])
    return Scored(np.zeros(len(wrong), int), told, shares)


def schema_of(**kinds):
    return Schema("binary", "y", ("no", "yes"), tuple(Column(name, kind, True, None) for name, kind in kinds.items()))


def test_a_large_weak_slice_comes_before_a_tiny_one_that_looks_worse():
    town = np.repeat(["large", "tiny", "fine"], [400, 20, 1580])
    wrong = np.zeros(2000, bool)
    wrong[:120] = True  # 30 % of the large slice
    wrong[400:407] = True  # 35 % of the tiny one
    wrong[420:500] = True  # 5 % elsewhere
    found = error_analysis.weakest(
        pd.DataFrame({"town": town}), wrong_where(wrong), schema_of(town="categorical"), "accuracy"
    )
    assert [one.name for one in found.slices] == ["large", "tiny", "fine"]
    assert found.slices[0].loss == 0.3
    assert found.slices[0].metric == 0.7
    assert found.slices[0].rest == pytest.approx(87 / 1600, rel=1e-5)
    assert found.slices[0].surely_worse > found.slices[1].surely_worse
    assert found.looked_at == 3


def test_quiet_slices_are_seldom_called_worse():
    alarms = 0
    for _ in range(40):
        frame = pd.DataFrame({name: RANDOM.normal(size=300) for name in "abcdef"})
        found = error_analysis.weakest(
            frame, wrong_where(RANDOM.random(300) < 0.2), schema_of(**dict.fromkeys("abcdef", "numeric")), "accuracy"
        )
        alarms += any(one.surely_worse > 0 for one in found.slices)
    assert alarms <= 6  # 5 % of 40 are 2; more than 6 happens once in 300 times


def test_the_difference_of_shares_is_newcombe_s():
    one, other = np.repeat([1.0, 0.0], [56, 14]), np.repeat([1.0, 0.0], [48, 32])
    found = error_analysis.against_the_rest(one, other, shares=True, looks=1)
    assert found["difference"] == pytest.approx(0.2)
    assert found["difference_low"] == pytest.approx(0.0524, abs=5e-5)  # Newcombe 1998, table II (a), method 10
    assert found["difference_high"] == pytest.approx(0.3339, abs=5e-5)


def test_the_difference_of_means_is_welch_s():
    one, other = RANDOM.exponential(3, 50), RANDOM.exponential(1, 400)
    found = error_analysis.against_the_rest(one, other, shares=False, looks=1)
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found["difference_low"] == pytest.approx(expected.low, rel=1e-5)
    assert found["difference_high"] == pytest.approx(expected.high, rel=1e-5)
    alone = stats.t.interval(0.95, 49, one.mean(), stats.sem(one))
    assert (found["low"], found["high"]) == pytest.approx(alone, rel=1e-5)
    assert found["surely_worse"] == pytest.approx(
        stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.9).low, rel=1e-5
    )


def test_the_surest_mistakes_come_first_and_long_values_are_cut():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "b": ["x" * 500, "y", "z", "w"]})
    shares = np.asarray([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [1.0, 0.0]])
    scored = Scored(np.asarray([1, 0, 0, 0]), shares.argmax(axis=1), shares)
    found = error_analysis.worst(frame, scored, schema_of(a="numeric", b="text"), 2, ["b", "a"])
    assert [one.row for one in found] == [1, 2]
    assert found[0].values == {"b": "y", "a": None}
    assert (found[0].truth, found[0].prediction) == ("no", "yes")
    assert (found[0].probability, found[0].probability_of_truth) == (0.9, 0.1)
    all_of_them = error_analysis.worst(frame, scored, schema_of(a="numeric", b="text"), 20, ["b", "a"])
    assert [one.row for one in all_of_them] == [1, 2, 0]
    assert len(all_of_them[2].values["b"]) == error_analysis.LONGEST
    assert error_analysis.worst(frame, scored, schema_of(a="numeric"), 0, ["a"]) == []


def test_the_largest_errors_of_numbers_come_first():
    scored = Scored(np.asarray([1.0, 2.0, 3.0]), np.asarray([1.5, 2.0, -7.0]))
    schema = Schema("regression", "y", (), (Column("a", "numeric", True, None),))
    found = error_analysis.worst(pd.DataFrame({"a": [1.0, 2.0, 3.0]}), scored, schema, 5, ["a"])
    assert [(one.row, one.error) for one in found] == [(2, -10), (0, 0.5)]

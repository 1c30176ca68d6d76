import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import Split
from lockstep.data.cleaning import CleanTable
from lockstep.data.split import group_codes, split, time_ranks
from lockstep.errors import ConfigError, DataError


def rows(*counts):
    """Return rows of as many classes as counts, mixed, each with a number of its own."""
    labels = [label for label, count in zip("abcdef", counts, strict=False) for _ in range(count)]
    frame = pd.DataFrame({"n": np.arange(len(labels), dtype=float), "y": labels})
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


def divide(frame, task, params, by=None, late=None):
    kinds = {name: "numeric" for name in frame.columns if name != "y"}
    values = None if by is None else pd.Series(by, name=params.column)
    return split(CleanTable(frame, kinds, task, split_key=values), "y", params, late)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [0.1, 0.25, 0.5, 0.9])
def test_shares_are_those_of_the_whole_and_no_row_stands_twice(size, seed):
    frame = rows(100, 40, 20)
    train, test = divide(frame, "multiclass", Split(test_size=size, seed=seed))
    assert test["y"].value_counts().to_dict() == {"a": 100 * size, "b": 40 * size, "c": 20 * size}
    assert sorted([*train["n"], *test["n"]]) == list(range(160))


@pytest.mark.parametrize("size", [0.01, 0.5, 0.99])
def test_every_class_stands_on_both_sides(size):
    train, test = divide(rows(50, 2, 3), "multiclass", Split(test_size=size))
    assert set(train["y"]) == set(test["y"]) == {"a", "b", "c"}


def test_rows_keep_the_order_of_the_source():
    frame = rows(30, 30)
    for side in divide(frame, "binary", Split()):
        places = [frame["n"].tolist().index(number) for number in side["n"]]
        assert places == sorted(places)
        assert side.index.tolist() == list(range(len(side)))


def test_the_same_seed_gives_the_same_rows_and_another_others():
    frame = rows(30, 30)
    one, same, other = (divide(frame, "binary", Split(seed=seed))[1] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert one["n"].tolist() != other["n"].tolist()


@pytest.mark.parametrize(
    ("task", "method"), [("regression", "auto"), ("regression", "random"), ("multiclass", "random")]
)
def test_a_random_split_takes_its_share_of_the_whole(task, method):
    train, test = divide(rows(5, 5).assign(y=[1.0, 2.0] * 5), task, Split(method=method, test_size=0.3))
    assert (len(train), len(test)) == (7, 3)


@pytest.mark.parametrize("seed", range(10))
def test_b27_a_class_of_one_row_can_only_teach_in_a_random_split(seed):
    train, test = divide(rows(10, 10, 1), "multiclass", Split(method="random", test_size=0.6, seed=seed))
    assert "c" in set(train["y"])
    assert len(test)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_no_group_stands_on_both_sides(task, seed):
    frame = rows(150, 50)
    patients = np.random.default_rng(seed).integers(0, 40, 200)
    by = pd.Series(patients).where(patients > 0)  # rows without a group are groups of their own
    if task == "regression":
        frame["y"] = frame["n"] * 2
    train, test = divide(frame, task, Split(method="group", column="patient", seed=seed), by)
    assert not set(train["patient"].dropna()) & set(test["patient"].dropna())
    assert abs(len(test) - 40) <= 8
    assert len(train) + len(test) == 200
    if task == "binary":
        assert abs((test["y"] == "b").mean() - 0.25) < 0.1


def test_the_groups_of_a_feature_are_divided_too():
    frame = rows(20, 20).assign(g=np.arange(40.0) // 4)
    train, test = divide(frame, "binary", Split(method="group", column="g"), frame["g"])
    assert not set(train["g"]) & set(test["g"])
    assert list(test.columns) == list(frame.columns)


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(np.arange(100) // 10, id="numbers"),
        pytest.param([f"2026-03-{1 + n // 10:02}" for n in range(100)], id="days"),
        pytest.param([f"2026-03-29T0{n // 20}:30:00+01:00" for n in range(100)], id="B34-daylight-saving"),
        pytest.param([f"0001-01-{1 + n // 10:02}" for n in range(100)], id="B34-year-1"),
    ],
)
def test_train_rows_come_before_test_rows_and_equal_moments_stay_together(moments):
    order = np.random.default_rng(3).permutation(100)
    by = pd.Series(moments)[order].reset_index(drop=True)
    train, test = divide(rows(60, 40), "binary", Split(method="time", column="when", test_size=0.25), by)
    assert train["when"].max() < test["when"].min()
    assert len(test) in (20, 30)


def test_equal_moments_are_equal_whatever_their_time_zone():
    same = pd.Series(["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:01Z"])
    assert time_ranks(same).tolist() == [0, 0, 1]


@pytest.mark.parametrize("wanted", [(2,), ("2",), (2.0,)])
def test_a_column_says_which_rows_are_tests(wanted):
    train, test = divide(rows(30, 30), "binary", Split(method="column", column="fold", test=wanted), np.arange(60) % 3)
    assert (len(train), len(test)) == (40, 20)
    assert "fold" not in train


@pytest.mark.parametrize("size", [0.2, 0.5])
@pytest.mark.parametrize(
    ("params", "by"),
    [
        pytest.param({}, None, id="stratified"),
        pytest.param({"method": "random"}, None, id="random"),
        pytest.param({"method": "group", "column": "g"}, np.arange(120) % 40, id="group"),
        pytest.param({"method": "time", "column": "g"}, np.arange(120), id="time"),
        pytest.param({"method": "column", "column": "g", "test": (1,)}, np.arange(120) % 5, id="column"),
        pytest.param({"method": "file", "path": "x"}, np.arange(120) % 4 == 0, id="file"),
    ],
)
def test_b37_duplicates_never_stand_on_both_sides(params, by, size):
    """Many rows stand twice; zeros of either sign are the same row."""
    frame, more = rows(30, 18), rows(12, 12).assign(n=lambda more: more["n"] + 100)
    again = frame.assign(n=frame["n"].where(frame["n"] != 0, -0.0))
    frame = pd.concat([frame, again, more], ignore_index=True)
    train, test = divide(frame, "binary", Split(test_size=size, **params), by)
    assert len(test)
    assert not set(train["n"]) & set(test["n"])
    if params.get("method") in (None, "random", "group"):
        assert len(train) + len(test) == len(frame)  # they go together, none is left out


def test_b43_groups_and_times_do_not_hang_on_the_order_of_rows():
    values = pd.Series(["b", None, "a", "b", None])
    assert group_codes(values).tolist() == [1, 2, 0, 1, 3]
    assert time_ranks(pd.Series(["2026-02-01", "2026-01-01"])).tolist() == [1, 0]


@pytest.mark.parametrize("more", [0, 30])
@pytest.mark.parametrize("by", [None, "known", "new", "unknown"])
def test_feedback_keeps_its_side_however_much_more_comes(by, more):
    own, late = rows(30, 30), rows(25, 25).assign(n=lambda frame: frame["n"] + 100)
    some, all_of_it = late.head(20), late.head(20 + more)
    groups = {
        "known": [n % 10 for n in range(50)],
        "new": [100 + n % 10 for n in range(50)],
        "unknown": [None] * 50,
        None: None,
    }[by]
    params = Split(method="group", column="g") if by else Split()
    sides = []
    for added in (some, all_of_it):
        frame = pd.concat([own, added], ignore_index=True)
        values = None if by is None else pd.Series([*(n % 10 for n in range(60)), *groups[: len(added)]], dtype=object)
        _, test = divide(frame, "binary", params, values, np.arange(len(frame)) >= 60)
        sides.append(set(test["n"]))
    assert sides[1] & {*own["n"], *some["n"]} == sides[0]
    assert 0 < len(sides[0] & set(some["n"])) < 20


FAULTS = {
    "B27-class-of-one-row": (rows(5, 1), "binary", {}, "class 'b' has one row", "split.method: random"),
    "stratified-regression": (rows(5, 5), "regression", {"method": "stratified"}, "cannot be stratified", "random"),
    "B38-no-rows": (rows(), "regression", {}, "0 rows cannot be split", "bring more rows"),
    "one-row": (rows(1), "regression", {}, "1 rows cannot be split with test_size 0.2", "bring more rows"),
}


@pytest.mark.parametrize(("frame", "task", "params", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_split_faults(frame, task, params, problem, hint):
    with pytest.raises(DataError) as refused:
        divide(frame, task, Split(**params))
    assert problem in refused.value.problem
    assert hint in refused.value.hint


SIX = rows(3, 3).sort_values("n", ignore_index=True)
BY_FAULTS = {
    "one-group": ({"method": "group", "column": "g"}, [1] * 6, "'g' makes 1 group", "another"),
    "one-moment": ({"method": "time", "column": "g"}, [1] * 6, "'g' holds one moment only", "another"),
    "B34-no-date": ({"method": "time", "column": "g"}, ["2026-01-31"] * 5 + ["31.1.26"], "hold '31.1.26'", "dates"),
    "no-time": ({"method": "time", "column": "g"}, ["2026-01-31"] * 5 + [None], "but 1 rows hold", "drop these"),
    "never-held": (
        {"method": "column", "column": "g", "test": ("tset",)},
        ["test", "train"] * 3,
        "never holds 'tset'; did you mean 'test'?",
        "it holds test, train",
    ),
    "class-in-test-only": (
        {"method": "time", "column": "g", "test_size": 0.5},
        [1, 2, 3, 4, 5, 6],
        "class 'b' stands among the test rows only",
        "drop the class",
    ),
    "B26-one-class-in-test": (
        {"method": "file", "path": "x"},
        [1, 0, 0, 0, 0, 0],
        "the test rows hold 1 class",
        "other test rows",
    ),
    "B37-all-twice": (
        {"method": "file", "path": "x"},
        [0] * 6 + [1] * 6,
        "all 6 test rows repeat train rows",
        "other test rows",
    ),
    "B38-no-test-rows": ({"method": "file", "path": "x"}, [0] * 6, "6 rows cannot be split", "more rows"),
}


@pytest.mark.parametrize(("params", "by", "problem", "hint"), BY_FAULTS.values(), ids=BY_FAULTS.keys())
def test_faults_of_the_column_that_divides(params, by, problem, hint):
    with pytest.raises(DataError) as refused:
        divide(pd.concat([SIX] * (len(by) // 6), ignore_index=True), "binary", Split(**params), by)
    assert problem in refused.value.problem
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"method": "group"}, "split.column is missing with method: group"),
        ({"method": "time"}, "split.column is missing with method: time"),
        ({"method": "column", "column": "g"}, "split.test is missing with method: column"),
        ({"column": "g"}, "split.column has no meaning with method: auto"),
        ({"method": "random", "path": "x.csv"}, "split.path has no meaning with method: random"),
    ],
)
def test_a_method_gets_what_it_needs_and_no_more(params, problem):
    with pytest.raises(ConfigError, match=problem):
        Split(**params)

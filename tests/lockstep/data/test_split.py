import numpy as np
import pandas as pd
import pytest

from lockstep.config import Split
from lockstep.data.split import split
from lockstep.errors import DataError


def rows(*counts):
    """Return rows of as many classes as counts, mixed, each with a number of its own."""
    labels = [label for label, count in zip("abcdef", counts, strict=False) for _ in range(count)]
    frame = pd.DataFrame({"n": np.arange(len(labels), dtype=float), "y": labels})
    return frame.sample(frac=1, random_state=1).reset_index(drop=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [0.1, 0.25, 0.5, 0.9])
def test_shares_are_those_of_the_whole_and_no_row_stands_twice(size, seed):
    frame = rows(100, 40, 20)
    train, test = split(frame, "y", "multiclass", Split(test_size=size, seed=seed))
    assert test["y"].value_counts().to_dict() == {"a": 100 * size, "b": 40 * size, "c": 20 * size}
    assert sorted([*train["n"], *test["n"]]) == list(range(160))


@pytest.mark.parametrize("size", [0.01, 0.5, 0.99])
def test_every_class_stands_on_both_sides(size):
    train, test = split(rows(50, 2, 3), "y", "multiclass", Split(test_size=size))
    assert set(train["y"]) == set(test["y"]) == {"a", "b", "c"}


def test_rows_keep_the_order_of_the_source():
    frame = rows(30, 30)
    for side in split(frame, "y", "binary", Split()):
        places = [frame["n"].tolist().index(number) for number in side["n"]]
        assert places == sorted(places)
        assert side.index.tolist() == list(range(len(side)))


def test_the_same_seed_gives_the_same_rows_and_another_others():
    frame = rows(30, 30)
    one, same, other = (split(frame, "y", "binary", Split(seed=seed))[1] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert one["n"].tolist() != other["n"].tolist()


@pytest.mark.parametrize(
    ("task", "method"), [("regression", "auto"), ("regression", "random"), ("multiclass", "random")]
)
def test_a_random_split_takes_its_share_of_the_whole(task, method):
    train, test = split(rows(1, 1, 1, 1, 1, 5).assign(y=range(10)), "y", task, Split(method=method, test_size=0.3))
    assert (len(train), len(test)) == (7, 3)


FAULTS = {
    "B27-class-of-one-row": (rows(5, 1), "binary", {}, "class 'b' has one row", "split.method: random"),
    "stratified-regression": (rows(5, 5), "regression", {"method": "stratified"}, "cannot be stratified", "random"),
    "B38-no-rows": (rows(), "regression", {}, "0 rows cannot be split", "bring more rows"),
    "one-row": (rows(1), "regression", {}, "1 rows cannot be split with test_size 0.2", "bring more rows"),
}


@pytest.mark.parametrize(("frame", "task", "params", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_split_faults(frame, task, params, problem, hint):
    with pytest.raises(DataError) as refused:
        split(frame, "y", task, Split(**params))
    assert problem in refused.value.problem
    assert hint in refused.value.hint

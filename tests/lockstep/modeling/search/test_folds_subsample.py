import numpy as np
import pytest

from lockstep.modeling.search import folds

CLASSES = np.repeat(["a", "b", "c"], [600, 90, 2])


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5])
def test_each_class_keeps_its_share_and_none_is_lost(share):
    chosen = folds.stratified_rows(CLASSES, "multiclass", share, 1)
    assert (np.diff(chosen) > 0).all()
    counts = {name: int((CLASSES[chosen] == name).sum()) for name in "abc"}
    assert counts == {"a": round(600 * share), "b": round(90 * share), "c": 1}


def test_a_smaller_part_lies_within_a_larger_one():
    parts = [set(folds.stratified_rows(CLASSES, "multiclass", share, 1)) for share in (1 / 9, 1 / 3, 1)]
    assert parts[0] < parts[1] < parts[2]
    assert len(parts[2]) == len(CLASSES)


def test_seeds_differ_and_values_have_no_classes():
    values = np.arange(100.0)
    one, again, other = (folds.stratified_rows(values, "regression", 0.2, seed) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist() != other.tolist()
    assert len(one) == 20

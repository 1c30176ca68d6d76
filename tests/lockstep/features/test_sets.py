import random

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MultiLabelBinarizer

from lockstep.features.sets import MultiHot

ITEMS = ["Drama", "Film noir", "été", "科幻", "C++", "a.b"]


@pytest.mark.parametrize("separator", ["|", ";", ",", "/"])
@pytest.mark.parametrize("seed", range(10))
def test_items_are_those_of_scikit_learn_s_binarizer(separator, seed):
    draw = random.Random(seed)
    sets = [draw.sample(ITEMS, draw.randint(0, 4)) for _ in range(60)]
    blanks = [draw.choice(["", " ", "  "]) for _ in sets]
    cells = [f"{blank}{separator}{blank}".join(items) for items, blank in zip(sets, blanks, strict=True)]
    expected = MultiLabelBinarizer().fit_transform(sets)
    fitted = MultiHot(separator, min_cells=1).fit(cells)
    np.testing.assert_array_equal(fitted.transform(pd.Series(cells)), expected)
    assert fitted.get_feature_names_out().tolist() == sorted(set().union(*sets))


def test_rare_items_and_those_beyond_the_most_are_left_out():
    cells = ["a|b|c"] * 3 + ["a|d", "a|b", None, ""]
    assert MultiHot("|").fit(cells).items() == ["a", "b", "c"]
    assert MultiHot("|", most=2).fit(cells).items() == ["a", "b"]
    assert MultiHot("|", min_cells=9).fit(cells).transform(cells).shape == (7, 0)

import numpy as np
import pandas as pd
import pytest

from lockstep.autoconfig import leaks

DRAW = np.random.default_rng(0)
N = 400
X, Z = DRAW.normal(size=N), DRAW.integers(0, 9, N)
CLASS = np.where(X + DRAW.normal(size=N) > 0, "yes", "no")
VOTES = DRAW.integers(0, 4, (N, 3))
VOTES[np.arange(N), DRAW.integers(0, 3, N)] += 4
PRICE = 50 + 9 * X + Z

CASES = {
    "B36-copy-in-other-words": ({"x": X, "left": CLASS == "yes"}, CLASS, "binary", {"left"}),
    "B36-codes": ({"x": X, "code": np.where(CLASS == "yes", "A1", "B7")}, CLASS, "binary", {"code"}),
    "B36-size": ({"x": X, "refund": np.where(CLASS == "yes", 0, 5 + Z + X**2)}, CLASS, "binary", {"refund"}),
    "B36-missing-tells": ({"x": X, "ended": np.where(CLASS == "yes", "2026", None)}, CLASS, "binary", {"ended"}),
    "votes": (
        {"x": X, "a": VOTES[:, 0], "b": VOTES[:, 1], "c": VOTES[:, 2], "all": VOTES.sum(axis=1)},
        VOTES.argmax(axis=1), "multiclass", {"a", "b", "c", "all"},
    ),
    "B36-other-unit": ({"x": X, "cents": PRICE * 100}, PRICE, "regression", {"cents"}),
    "B36-parts": ({"x": X, "z": Z, "rent": PRICE - Z}, PRICE, "regression", {"z", "rent"}),
    "good-features": ({"x": X, "z": Z, "near": X + DRAW.normal(size=N) / 9}, CLASS, "binary", set()),
    "good-features-of-a-price": ({"x": X, "z": Z, "near": PRICE + DRAW.normal(size=N)}, PRICE, "regression", set()),
    "a-category-that-tells-nearly-all": (
        {"x": X, "odor": np.where(np.arange(N) % 50 == 0, "n", CLASS)}, CLASS, "binary", set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "target", "task", "expected"), CASES.values(), ids=CASES.keys())
def test_what_gives_the_target_away(columns, target, task, expected):
    frame = pd.DataFrame({**columns, "target": target})
    assert set(leaks.find(frame, list(columns), "target", task)) == expected


def test_few_rows_tell_nothing():
    frame = pd.DataFrame({"copy": [0, 1] * 20, "target": [0, 1] * 20})
    assert leaks.find(frame, ["copy"], "target", "binary") == {}

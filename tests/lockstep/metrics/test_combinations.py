import numpy as np
import pandas as pd
import pytest

from lockstep.metrics import combinations

ROWS = 300
FORMULAS = {
    "sum": (lambda a, b, c: a + b + c, "abc", "add up to"),
    "difference": (lambda a, b, c: a - c, "ac", "add up to"),
    "product": (lambda a, b, c: a * b, "ab", "multiplied give"),
    "ratio": (lambda a, b, c: a / b, "ab", "divided give"),
    "ratio-to-a-square": (lambda a, b, c: a / c**2, "ac", "divided give"),
    "rate-of-a-product": (lambda a, b, c: 100 * a * b / c, "abc", "divided give"),
}


def drawn(seed):
    draw = np.random.default_rng(seed)
    return draw, pd.DataFrame(
        {name: draw.gamma(3, scale, ROWS) + 0.5 for name, scale in zip("abcd", (2, 5, 1, 3), strict=True)}
    )


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("of", "names", "how"), FORMULAS.values(), ids=FORMULAS.keys())
def test_a_formula_of_several_columns_is_found_in_spite_of_rounding(of, names, how, seed):
    _, frame = drawn(seed)
    target = np.round(of(frame["a"], frame["b"], frame["c"]).to_numpy(), 3)
    columns, words = combinations.formula(frame, target)
    assert (sorted(columns), words) == (sorted(names), how)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("of", [lambda a, b: 3 * a + 0.5 * b, lambda a, b: a**0.5 * b**0.7], ids=["weights", "powers"])
def test_what_noise_or_weights_belong_to_is_no_formula(of, seed):
    draw, frame = drawn(seed)
    assert combinations.formula(frame, of(frame["a"], frame["b"]).to_numpy())[0] == []
    noisy = (frame["a"] / frame["b"] * np.exp(draw.normal(0, 0.1, ROWS))).to_numpy()
    assert combinations.formula(frame, noisy)[0] == []


def test_a_ratio_of_columns_that_may_be_zero_is_left_alone():
    _, frame = drawn(0)
    frame["b"] = frame["b"].round() * (np.arange(ROWS) % 2)
    assert combinations.formula(frame, frame["a"].to_numpy() * frame["b"].to_numpy()) == ([], "")

import numpy as np
import pandas as pd
import pytest

from lockstep.metrics import leakage

ROWS = 400


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("parts", [2, 3, 4, 5])
def test_several_columns_that_add_up_to_the_target_leak_it(seed, parts):
    draw = np.random.default_rng(seed)
    columns = {f"part {number}": draw.gamma(2, 3 * (1 + number), ROWS).round(2) for number in range(parts)}
    total = (sum(columns.values()) + draw.normal(0, 0.005, ROWS)).round(2)
    frame = pd.DataFrame({**columns, "other": draw.normal(size=ROWS), "y": total})
    kinds = dict.fromkeys([*columns, "other"], "numeric")
    assert set(leakage.verdict(frame, kinds, "y", "regression").leaks) == set(columns)


@pytest.mark.parametrize("seed", range(10))
def test_features_of_a_noisy_total_are_fair(seed):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({name: draw.normal(size=ROWS) for name in "abc"})
    frame["y"] = frame.sum(axis=1) + draw.normal(0, 0.3, ROWS)
    assert leakage.verdict(frame, dict.fromkeys("abc", "numeric"), "y", "regression").leaks == {}


@pytest.mark.parametrize("seed", range(10))
def test_a_column_that_is_filled_for_one_class_alone_leaks_it(seed):
    draw = np.random.default_rng(seed)
    mood = draw.choice(["positive", "neutral", "negative"], ROWS)
    reason = np.where(
        (mood == "negative") & (draw.random(ROWS) < 0.8), draw.choice(["late", "rude", "lost"], ROWS), None
    )
    chance = np.where(draw.random(ROWS) < 0.3, "x", None)
    frame = pd.DataFrame({"a": draw.normal(size=ROWS), "reason": reason, "chance": chance, "mood": mood})
    kinds = {"a": "numeric", "reason": "categorical", "chance": "categorical"}
    leaks = leakage.verdict(frame, kinds, "mood", "multiclass").leaks
    assert set(leaks) == {"reason"}
    assert "'negative'" in leaks["reason"].reason


@pytest.mark.parametrize("seed", range(10))
def test_a_ratio_of_two_columns_leaks(seed):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"price": draw.gamma(4, 50, ROWS), "area": draw.gamma(3, 30, ROWS) + 5})
    frame["other"] = draw.normal(size=ROWS)
    frame["y"] = (frame["price"] / frame["area"]).round(2)
    leaks = leakage.verdict(frame, dict.fromkeys(["price", "area", "other"], "numeric"), "y", "regression").leaks
    assert set(leaks) == {"price", "area"}
    assert leaks["price"].reason == "price and area divided give y"


@pytest.mark.parametrize("seed", range(10))
def test_a_number_that_goes_along_with_the_target_is_a_near_copy(seed):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"total": draw.gamma(9, 3, ROWS), "weak": draw.normal(size=ROWS)})
    frame["part"] = frame["total"] * 0.7 + draw.normal(0, 1.5, ROWS)
    frame["half"] = frame["total"] + draw.normal(0, 9, ROWS)
    verdict = leakage.verdict(frame, dict.fromkeys(["part", "half", "weak"], "numeric"), "total", "regression")
    assert (set(verdict.leaks), set(verdict.near)) == (set(), {"part"})

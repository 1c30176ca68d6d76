"""B36: a column that gives the target away is found, and a good column is not taken for one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from lockstep.data import cleaning
from lockstep.gate import checks
from lockstep.metrics import leakage

RANDOM = np.random.default_rng(9)
COUNT = 300
CLASSES = RANDOM.choice(["no", "so", "yes"], COUNT, p=[0.5, 0.45, 0.05])
VALUES = RANDOM.lognormal(size=COUNT)
CODES = np.searchsorted(["no", "so", "yes"], CLASSES)

LEAKS = {
    "copy": ("categorical", CLASSES),
    "code": ("numeric", CODES * 1.0),
    "code-with-noise": ("numeric", CODES + RANDOM.normal(size=COUNT) / 100),
    "only-there-for-one": ("numeric", np.where(CLASSES == "no", np.nan, CODES + RANDOM.random(COUNT) / 9)),
    "text": ("text", [f"this row was marked as {label} by hand" for label in CLASSES]),
    "date": ("date", [f"20{20 + code}-05-{1 + place % 28:02}" for place, code in enumerate(CODES)]),
}
NO_LEAKS = {
    "nearly": ("categorical", np.where(np.arange(COUNT) < 3, CLASSES[::-1], CLASSES)),
    "id": ("categorical", [f"k{place}" for place in range(COUNT)]),
    "noise": ("numeric", RANDOM.normal(size=COUNT)),
    "constant": ("numeric", np.ones(COUNT)),
    "good": ("numeric", CODES + RANDOM.normal(size=COUNT) / 3),
    "missing": ("numeric", np.full(COUNT, np.nan)),
}


def leaks_of(kind, values, target, task):
    frame = cleaning.with_kinds(pd.DataFrame({"x": values, "y": target}), {"x": kind})
    return leakage.verdict(frame, {"x": kind}, "y", task).leaks


@pytest.mark.parametrize(("kind", "values"), LEAKS.values(), ids=LEAKS.keys())
def test_b36_a_leak_is_found(kind, values):
    assert list(leaks_of(kind, values, CLASSES, "multiclass")) == ["x"]


@pytest.mark.parametrize(("kind", "values"), NO_LEAKS.values(), ids=NO_LEAKS.keys())
@pytest.mark.parametrize(("target", "task"), [(CLASSES, "multiclass"), (VALUES, "regression")])
def test_b36_what_is_only_good_is_no_leak(kind, values, target, task):
    assert leaks_of(kind, values, target, task) == {}


@pytest.mark.parametrize("change", [lambda y: y, lambda y: 3 - 2 * y, lambda y: np.log(y)], ids=["copy", "line", "log"])
def test_b36_a_copy_of_a_number_is_found(change):
    assert list(leaks_of("numeric", change(VALUES), VALUES, "regression")) == ["x"]


def test_b36_a_number_of_much_noise_is_no_leak():
    assert leaks_of("numeric", VALUES + RANDOM.normal(size=COUNT) / 5, VALUES, "regression") == {}


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_honest_data_has_no_leak(load):
    data = load(as_frame=True)
    kinds = dict.fromkeys(data.feature_names, "numeric")
    frame = cleaning.with_kinds(data.frame, kinds)
    task = "multiclass" if frame["target"].nunique() > 2 else "binary"
    assert leakage.verdict(frame, kinds, "target", task).leaks == {}


def test_few_rows_tell_nothing():
    few = np.arange(20)
    assert leaks_of("numeric", few % 2.0, np.where(few % 2, "a", "b"), "binary") == {}


def test_b36_the_gate_refuses_unless_the_column_is_trusted():
    refused = checks.no_leak({"votes": 1.0, "age": 0.9995}, ["age"])
    assert not refused.passed
    assert "'votes' (1)" in refused.reason
    assert "'age'" not in refused.reason
    assert "columns.ignore" in refused.reason
    assert checks.no_leak({"votes": 1.0}, ["votes"]).passed


def copied(task, noise):
    """Return innocent columns and a copy of the target with noise: shares of flipped labels, or deviations."""
    random = np.random.default_rng(4)
    y = random.normal(size=600) if task == "regression" else (random.random(600) < 0.4).astype(int)
    columns = {f"innocent {place}": y + random.normal(size=600) * 2 for place in range(3)}
    if noise.startswith("flip"):
        copy = np.where(random.random(600) < float(noise[5:]), 1 - y, y).astype(str)
        kinds = dict.fromkeys(columns, "numeric") | {"copy": "categorical"}
    else:
        copy = y + random.normal(size=600) * float(noise[6:])
        kinds = dict.fromkeys([*columns, "copy"], "numeric")
    frame = cleaning.with_kinds(pd.DataFrame({**columns, "copy": copy, "y": y}), kinds)
    return frame, kinds, "y", task


@pytest.mark.parametrize(
    ("task", "noise"),
    [
        *(("binary", noise) for noise in ("flip 0", "flip 0.01", "noise 0.1", "noise 0.2")),
        *(("regression", noise) for noise in ("noise 0.01", "noise 0.05")),
    ],
)
def test_b36_a_copy_with_noise_is_found_and_refused(task, noise):
    assert list(leakage.verdict(*copied(task, noise)).leaks) == ["copy"]


@pytest.mark.parametrize(
    ("task", "noise"), [("binary", "flip 0.05"), ("binary", "noise 0.3"), ("regression", "noise 0.1")]
)
def test_what_may_be_a_copy_or_a_good_feature_is_named_and_not_refused(task, noise):
    verdict = leakage.verdict(*copied(task, noise))
    assert (list(verdict.leaks), list(verdict.near)) == ([], ["copy"])


@pytest.mark.parametrize(
    ("task", "noise"),
    [("binary", "flip 0.2"), ("binary", "noise 1"), ("regression", "noise 0.2"), ("regression", "noise 0.5")],
)
def test_b36_what_tells_much_but_not_nearly_all_is_no_copy(task, noise):
    assert leakage.verdict(*copied(task, noise)).leaks == {}


def test_b36_of_two_columns_that_tell_alike_neither_is_taken_for_a_copy():
    frame, *subject = copied("binary", "noise 0.3")
    twin = frame.assign(**{"innocent 0": frame["y"] + np.random.default_rng(1).normal(size=600) * 0.35})
    assert leakage.verdict(twin, *subject).leaks == {}

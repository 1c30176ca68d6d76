"""One verdict on leakage: `init`, the data report and the gate agree on 30 synthetic frames."""

import numpy as np
import pandas as pd
import pytest

from lockstep.autoconfig import inspect
from lockstep.autoconfig.inspect import InitOptions
from lockstep.config.params import DataIngestion, DataPreprocessing
from lockstep.data.prepare import prepare
from lockstep.data.raw import RawData
from lockstep.data_report import facts
from lockstep.gate import checks

DRAW = np.random.default_rng(0)
N = 2000
X, Z, NOISE = DRAW.normal(size=N), DRAW.integers(0, 9, N), DRAW.normal(size=N)
BINARY = np.where(X + DRAW.normal(size=N) > 0.2, "yes", "no")
YES = BINARY == "yes"
CODES = np.digitize(X + DRAW.normal(size=N), [-0.7, 0.7])
CLASSES = np.array(["low", "middle", "high"])[CODES]
PRICE = 50 + 9 * X + Z + 3 * NOISE
VOTES = DRAW.integers(0, 4, (N, 3))
VOTES[np.arange(N), CODES] += 4
AGAINST, FOR = DRAW.integers(0, 5, N) + 5 * ~YES, DRAW.integers(0, 5, N) + 5 * YES
SHUFFLED = np.array([3, 17, 8, 11, 5, 2, 13, 19, 7, 1, 16, 4, 10, 14, 9, 12, 0, 18, 6, 15])
DAYS = (pd.Timestamp("2024-01-01") + pd.to_timedelta(DRAW.integers(0, 600, N), unit="D")).strftime("%Y-%m-%d")


def flipped(values, count):
    at = DRAW.choice(N, count, replace=False)
    changed = values.copy()
    changed[at] = np.where(values[at] == "yes", "no", "yes")
    return changed


def with_gaps(values, share):
    return np.where(DRAW.random(N) < share, None, values)


def codes_of(positive):
    """Twenty codes without an order, half of them for each class."""
    return SHUFFLED[np.where(positive, DRAW.integers(0, 10, N), DRAW.integers(10, 20, N))]


def sentences(labels):
    return [f"the case was closed and the clerk has marked it as {label} on the form" for label in labels]


FRAMES = {
    "copy": (BINARY, {"copy": BINARY}, {"copy"}),
    "copy-in-other-words": (BINARY, {"copy": np.where(YES, "A1", "B7")}, {"copy"}),
    "copy-as-number": (BINARY, {"copy": YES * 1}, {"copy"}),
    "copy-4-flips-of-2000": (BINARY, {"copy": flipped(BINARY, 4)}, {"copy"}),
    "copy-40-flips": (BINARY, {"copy": flipped(BINARY, 40)}, {"copy"}),
    "copy-500-flips": (BINARY, {"near": flipped(BINARY, 500)}, set()),
    "copy-with-gaps": (BINARY, {"copy": with_gaps(BINARY, 0.2)}, {"copy"}),
    "copy-with-noise": (BINARY, {"copy": YES + 0.1 * NOISE}, {"copy"}),
    "copy-in-noise": (BINARY, {"near": YES + 0.8 * NOISE}, set()),
    "codes": (BINARY, {"code": codes_of(YES)}, {"code"}),
    "size": (BINARY, {"refund": np.where(YES, 0.0, 5 + Z + X**2)}, {"refund"}),
    "missing-for-one-class": (BINARY, {"ended": np.where(YES, "closed", None)}, {"ended"}),
    "number-missing-for-one-class": (BINARY, {"ended": np.where(YES, 1 + X**2, np.nan)}, {"ended"}),
    "missing-at-random": (BINARY, {"gaps": with_gaps(Z, 0.3)}, set()),
    "date-after-the-fact": (BINARY, {"closed": np.where(YES, "2025-03-04", DAYS)}, {"closed"}),
    "dates": (BINARY, {"opened": DAYS}, set()),
    "text-with-the-label": (BINARY, {"note": sentences(BINARY)}, {"note"}),
    "text": (BINARY, {"note": sentences(Z)}, set()),
    "identifier": (BINARY, {"customer": [f"C{number:05}" for number in DRAW.permutation(N)]}, set()),
    "strong-feature": (BINARY, {"strong": X}, set()),
    "two-votes": (BINARY, {"against": AGAINST, "in_favour": FOR}, {"against", "in_favour"}),
    "classes-copy": (CLASSES, {"copy": CODES}, {"copy"}),
    "classes-votes": (
        CLASSES, {"a": VOTES[:, 0], "b": VOTES[:, 1], "c": VOTES[:, 2], "all": VOTES.sum(axis=1)}, set("abc") | {"all"},
    ),
    "classes-one-of-three": (CLASSES, {"high": (CODES == 2) * 1}, set()),
    "classes-strong-feature": (CLASSES, {"strong": X, "near": X + NOISE / 9}, set()),
    "number-in-another-unit": (PRICE, {"cents": 100 * PRICE}, {"cents"}),
    "number-monotone": (PRICE, {"curve": -np.exp(PRICE / 20)}, {"curve"}),
    "number-copy-with-gaps": (PRICE, {"copy": np.where(Z == 0, np.nan, PRICE)}, {"copy"}),
    "number-copy-with-noise": (PRICE, {"copy": PRICE + 0.5 * NOISE}, {"copy"}),
    "number-strong-feature": (PRICE, {"near": PRICE + 4 * DRAW.normal(size=N)}, set()),
    "number-parts": (PRICE, {"fee": Z * 1.5, "rent": PRICE - Z * 1.5}, {"fee", "rent"}),
    "number-bands": (PRICE, {"band": pd.qcut(PRICE, 4, labels=["a", "b", "c", "d"]).astype(str)}, set()),
}  # fmt: skip


def leaks_of_init(path):
    survey = inspect.survey(DataIngestion(source=str(path)), InitOptions(target="y"))
    return {decision.about for decision in survey.decisions if decision.decided == "left out: a leak"}


def leaks_of_report(report):
    return {warning.column for warning in report.warnings if warning.kind == "leak"}


def leaks_of_gate(report):
    leaks = {name: leak.score for name, leak in report.leaks.items()}
    check = checks.no_leak(leaks, ())
    return {name for name in leaks if f"'{name}'" in check.reason and not check.passed}


@pytest.mark.parametrize(("target", "columns", "expected"), FRAMES.values(), ids=FRAMES.keys())
def test_init_report_and_gate_agree(tmp_path, target, columns, expected):
    weak = {"weak": NOISE + DRAW.normal(size=N), "other": DRAW.integers(0, 30, N)}
    rows = pd.DataFrame({**weak, **columns, "y": target})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    prepared = prepare(RawData(rows, {"source": "rows.csv"}), DataPreprocessing(target="y"))
    report = facts.describe(prepared.train, prepared.record, {})
    verdicts = (leaks_of_init(tmp_path / "rows.csv"), leaks_of_report(report), leaks_of_gate(report))
    assert verdicts == (expected, expected, expected)

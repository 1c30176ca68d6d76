import numpy as np
import pandas as pd
import pytest

from lockstep.autoconfig import column_roles

N = 300
EACH = np.arange(N)
WORDS = np.array(["red", "blue", "green", "house", "garden", "boat", "tall", "small"])
PICKED = WORDS[np.random.default_rng(0).integers(0, 8, (N, 9))]

CASES = {
    "B29-empty": ("a", [None] * N, "ignore"),
    "B30-constant": ("a", ["x"] * N, "ignore"),
    "constant-or-missing": ("a", ["x" if i % 2 else None for i in EACH], "categorical"),
    "nearly-empty": ("a", ["some words of it" if i % 100 == 0 else None for i in EACH], "ignore"),
    "row-numbers": ("Unnamed: 0", EACH, "id"),
    "counts-the-rows": ("a", EACH + 7, "id"),
    "named-id": ("customer_id", (EACH * 7919) % 100_003, "id"),
    "named-id-in-one-word": ("PassengerId", (EACH * 7919) % 100_003, "id"),
    "B35-names-of-things": ("store_id", EACH % 90, "id"),
    "no-identifier": ("amount_paid", EACH % 90, "numeric"),
    "no-identifier-either": ("paid", EACH * 3, "numeric"),
    "names-of-few-things": ("store_id", EACH % 9, "categorical"),
    "unique-amount": ("salary", (EACH * 7919) % 100_003, "numeric"),
    "numbers": ("a", EACH / 3, "numeric"),
    "booleans": ("a", EACH % 2 == 0, "categorical"),
    "B35-codes": ("a", [f"K{i * 7919 % 100_003}" for i in EACH], "id"),
    "B35-many-codes": ("a", [f"K{i * 7919 % 200}" for i in EACH], "id"),
    "some-codes": ("a", [f"K{i % 40}" for i in EACH], "categorical"),
    "text": ("a", [" ".join(words) for words in PICKED], "text"),
    "short-text": ("a", [" ".join(words[:5]) for words in PICKED], "text"),
    "sentences-that-repeat": (
        "a",
        [["not so good at all", "very good indeed, yes"][i % 2] for i in EACH],
        "categorical",
    ),
    "dates": ("a", [f"2026-01-{1 + i % 28:02d}" for i in EACH], "date"),
    "moments": ("a", pd.date_range("2026-01-01", periods=N, freq="h"), "date"),
    "links": ("a", [f"http://www.example.com/title/{i}?x" for i in EACH], "ignore"),
    "files": ("a", [f"images/cat_{i}.png" for i in EACH], "ignore"),
    "product-names": ("a", [f"{WORDS[i % 4]} {WORDS[4 + i % 3]} X{i * 7919 % 100_003}" for i in EACH], "text"),
    "several-values": ("a", ["|".join(sorted(set(words[:4]))) for words in PICKED], "text"),
    "script-without-blanks": (
        "a",
        ["".join(chr(0x4E00 + ord(word[0])) * 2 for word in words) for words in PICKED],
        "text",
    ),
}


@pytest.mark.parametrize(("name", "values", "expected"), CASES.values(), ids=CASES.keys())
def test_the_role_of_a_column(name, values, expected):
    assert column_roles.role(pd.Series(values, name=name)).role == expected


def test_an_identifier_with_several_rows_each_is_a_group():
    frame = pd.DataFrame({"patient_id": EACH // 6, "x": EACH % 7, "y": EACH % 2})
    assert column_roles.groups(frame, column_roles.roles(frame, "y"), "y") == ["patient_id"]


@pytest.mark.parametrize("seed", range(10))
def test_what_other_columns_do_not_change_within_is_a_group(seed):
    draw = np.random.default_rng(seed)
    person = draw.permutation(np.repeat(np.arange(30), 10))
    ages = draw.integers(20, 90, 30)
    frame = pd.DataFrame({"subject#": person, "age": ages[person], "score": draw.normal(size=N), "y": EACH % 2})
    frame["rooms"] = draw.integers(1, 9, N)
    assert column_roles.groups(frame, column_roles.roles(frame, "y"), "y") == ["subject#"]

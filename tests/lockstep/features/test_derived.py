import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import FeatureEngineering
from lockstep.data import cleaning, frames
from lockstep.data.schema import RowsRefused
from lockstep.errors import ArtifactError, ConfigError, DataError
from lockstep.features import build, derived
from lockstep.features.derived import DerivedColumns
from lockstep.modeling import serialization

KINDS = {"price": "numeric", "floor area": "numeric", "town": "categorical"}
CODE = """
import math
from textwrap import dedent

def per_area(rows):
    return rows["price"] / rows["floor area"]

def is_dear(rows):
    return rows["price"] > 30

def initial(rows):
    return rows["town"].str[:1]

def centred(rows):
    return rows["price"] - rows["price"].mean()

def filled(rows):
    return rows["floor area"].fillna(rows["floor area"].median())

def position(rows):
    return rows["price"] * 0 + rows.index

def clipped(rows):
    return rows["price"].clip(upper=rows["price"].quantile(0.99))

def clipped_far(rows):
    return rows["price"].clip(upper=rows["price"].nlargest(2).min())

def shorter(rows):
    return rows["price"].head(1)

def ordered(rows):
    return rows["price"].sort_values(ascending=False)

def plain(rows):
    return 1.0

def dated(rows):
    return rows["price"].map(lambda value: object())

def cautious(rows):
    return rows["price"].map(lambda value: 1 / (value - 13.0))

def logarithm(rows):
    import numpy as np
    return np.log(rows["price"] - 13.0)

def infinite(rows):
    return rows["price"].map(lambda value: math.inf if value == 13.0 else value)

def broken(rows):
    raise KeyError("pricee")
"""


def frame(rows=40):
    table = pd.DataFrame(
        {
            "price": [20.0 + number for number in range(rows)],
            "floor area": [None, *(2.0 + number % 7 for number in range(rows - 1))],
            "town": [None if number == 3 else ("Bonn", "Kiel", "Ulm")[number % 3] for number in range(rows)],
            "target": ["yes" if number % 2 else "no" for number in range(rows)],
        }
    )
    return cleaning.canonical(table, {**KINDS, "target": "categorical"})


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features.py").write_text(CODE)
    derived.load.cache_clear()
    return tmp_path


def fit(functions, **params):
    params = FeatureEngineering(functions=functions, **params)
    schema = frames.learn(frame(), "target", "binary", KINDS, params)
    return build.fit(frame(), schema, params, {})


def derived_of(name, rows):
    return DerivedColumns({"new": name}, derived.archive()).fit(frame()[list(KINDS)]).transform(rows)["new"]


def test_derived_columns_become_features_beside_the_others(project):
    functions = {"price per area": "per_area", "dear": "is_dear", "initial": "initial"}
    features, matrix = fit(functions, numeric={"scale": "none"}, missing="fill")
    _, plain = fit({}, numeric={"scale": "none"}, missing="fill")
    assert matrix.shape[1] == plain.shape[1] + 2 + 4  # two numbers; initials B, K, U and none
    expected = frame()["price"] / frame()["floor area"]
    added = matrix[:, plain.shape[1] :]
    np.testing.assert_allclose(added[1:, 0], expected[1:])
    assert added[0, 0] == expected.median()  # a missing value is imputed as in any column
    np.testing.assert_array_equal(added[:, 1], frame()["price"] > 30)
    row = frame()[list(KINDS)].iloc[[5]]
    np.testing.assert_array_equal(features.transform(row)[0], matrix[5])


def test_a_saved_model_carries_the_digest_and_not_the_code(project):
    features, matrix = fit({"price per area": "per_area"})
    serialization.save(features, project / "features.skops")
    content = (project / "features.skops").read_bytes()
    assert derived.archive().encode() in content and b"def per_area" not in content
    loaded = serialization.load(project / "features.skops")
    np.testing.assert_array_equal(loaded.transform(frame()[list(KINDS)]), matrix)


@pytest.mark.parametrize("name", ["centred", "filled", "position", "clipped"])
def test_a_function_of_other_rows_is_refused(project, name):
    with pytest.raises(
        ConfigError, match=rf"functions.new: {name}\(\) of features.py gives .* for it alone"
    ) as refused:
        fit({"new": name})
    assert "the row itself only" in refused.value.hint


def test_a_function_that_treats_the_largest_value_otherwise_is_found_among_many_rows(project):
    train = frame(4000)[list(KINDS)]
    train["price"] = np.roll(train["price"], 1777)  # the largest one stands at no place of an even sample
    with pytest.raises(ConfigError, match=r"clipped_far\(\) of features.py gives .* for train row 1776 beside"):
        derived.fit(train, {"new": "clipped_far"})


@pytest.mark.parametrize("name", ["self", "0", "new"])
def test_columns_may_have_any_name(project, name):
    train = frame()[list(KINDS)].rename(columns={"town": name})
    fitted = derived.fit(train, {"price per area": "per_area"})
    assert fitted.transform(train.iloc[[1]])["price per area"].tolist() == [10.5]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("shorter", r"shorter\(\) of features.py fails: ValueError: it returned 1 values for 40 rows"),
        ("ordered", r"ordered\(\) of features.py fails: ValueError: it returned 40 values for 40 rows"),
        ("plain", r"train row 0, column 'new': plain\(\) of features.py fails: TypeError"),
        ("broken", r"train row 0, column 'new': broken\(\) of features.py fails: KeyError"),
        ("dated", "functions.new returns object"),
        ("per_aera", "defines no function 'per_aera'; did you mean 'per_area'"),
        ("math", "defines no function 'math'"),
        ("dedent", "defines no function 'dedent'"),
    ],
)
def test_what_a_function_may_not_do(project, name, problem):
    with pytest.raises((ConfigError, DataError), match=problem):
        fit({"new": name})


def test_a_derived_column_may_not_hide_a_column(project):
    with pytest.raises(ConfigError, match="'price' is a column of the data"):
        fit({"price": "is_dear"})


@pytest.mark.parametrize("name", ["cautious", "logarithm", "infinite"])
@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_the_row_that_fails_is_named(project, name, rows):
    for wrong in range(rows):
        table = frame(rows)[list(KINDS)].assign(**{"floor area": 2.0, "town": "Bonn"})
        table.loc[wrong, "price"] = 13.0
        with pytest.raises(RowsRefused) as refused:
            derived_of(name, table)
        assert [(fault.row, fault.column) for fault in refused.value.faults] == [(wrong, "new")]
        assert f"{name}() of features.py" in refused.value.faults[0].problem


def test_the_code_of_a_model_is_found_by_its_digest(project):
    first = derived.archive()
    (project / "features.py").write_text("def per_area(rows):\n    return rows['price'] * 0\n")
    second = derived.archive()
    rows = frame()[list(KINDS)].tail(1)
    for sha256, expected in ((first, 59.0 / 5.0), (second, 0.0)):
        fitted = DerivedColumns({"new": "per_area"}, sha256).fit(rows)
        assert fitted.transform(rows)["new"].tolist() == [expected]


def test_code_of_another_content_is_refused_by_digest(project):
    mine = derived.archive()
    with pytest.raises(ArtifactError, match=f"needs features.py with digest {'a' * 12}; this server has {mine[:12]}"):
        derived.load("a" * 64)
    (project / "features.py").unlink()
    with pytest.raises(ConfigError, match=r"there is no features.py"):
        derived.archive()


def test_code_that_cannot_be_imported_is_named(project):
    (project / "features.py").write_text("import surely_not_installed\n")
    with pytest.raises(ArtifactError, match=r"features.py fails at its import: ModuleNotFoundError"):
        fit({"new": "per_area"})

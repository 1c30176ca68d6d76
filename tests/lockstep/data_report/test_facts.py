import json

import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import Columns, DataPreprocessing
from lockstep.data.prepare import prepare
from lockstep.data_report import facts as report
from lockstep.pages import data_report
from tests.lockstep.pages.test_monitoring import checked, text_of

ROWS = 600
PARAMS = DataPreprocessing(target="churned")
NAMED = DataPreprocessing(target="churned", columns=Columns(categorical=("ticket", "city"), numeric=("row",)))
"""What a person may have named wrongly, so that the report must tell."""


def raw_rows():
    """Rows with something of each kind, and one thing wrong with most columns."""
    random = np.random.default_rng(5)
    hidden = random.normal(size=ROWS)
    churned = hidden + random.normal(size=ROWS) > 2.4
    rows = pd.DataFrame(
        {
            "age": np.where(random.random(ROWS) < 0.6, np.nan, random.integers(18, 90, ROWS)),
            "income": np.exp(10 + 0.5 * hidden),
            "row": np.arange(ROWS),
            "city": [f"city {number}" for number in random.integers(0, 200, ROWS)],
            "plan": random.choice(["free", "<b>paid</b>"], ROWS),
            "flag": ["no"] * (ROWS - 2) + ["yes"] * 2,
            "since": (pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) % 700, unit="D")).strftime(
                "%Y-%m-%d"
            ),
            "comment": ["word " * number for number in random.integers(10, 30, ROWS)],
            "ticket": [f"T{number:05}" for number in range(ROWS)],
            "nothing": [None] * ROWS,
            "leaving_fee": np.where(churned, 20.0, 0.0),
            "churned": np.where(churned, "yes", "no"),
        }
    )
    return pd.concat([rows, rows.head(20)], ignore_index=True)


def facts_of(rows, params=None):
    made = prepare(rows, {"source": "sklearn:iris"}, params or PARAMS)
    return made.record | report.describe(made.train, report.Subject.of(made.record, rows), made.record["dropped"])


@pytest.fixture(scope="module")
def facts():
    return facts_of(raw_rows(), NAMED)


def column(facts, name):
    return next(one for one in facts["columns"] if one["name"] == name)


def test_warnings_name_what_is_wrong_with_each_column(facts):
    assert {(one["kind"], one["column"]) for one in facts["warnings"]} == {
        ("leak", "leaving_fee"),
        ("duplicate rows", ""),
        ("imbalance", ""),
        ("missing", "age"),
        ("id-like", "row"),
        ("high cardinality", "city"),
        ("near-constant", "flag"),
        ("id-like", "ticket"),
    }
    assert facts["warnings"][0]["kind"] == "leak"


def test_b36_a_leaking_column_is_named(facts):
    assert column(facts, "leaving_fee")["tells_all"]
    assert not column(facts, "income")["tells_all"]


def test_sound_rows_give_no_warning():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"a": random.normal(size=200), "b": random.choice(["x", "y"], 200)})
    rows["churned"] = np.where(rows["a"] + random.normal(size=200) > 0, "yes", "no")
    assert facts_of(rows)["warnings"] == []


def test_each_column_has_range_missing_distribution_and_relation(facts):
    age, city, since, comment = (column(facts, name) for name in ("age", "city", "since", "comment"))
    assert (age["least"], age["greatest"]) == (18, 89)
    assert 0.5 < age["missing"] / age["rows"] < 0.7
    assert len(age["distribution"]["shares"]) == 20
    assert sum(age["distribution"]["shares"]) == pytest.approx(1, abs=1e-4)
    assert city["distribution"]["labels"][-1].endswith(" other")
    assert since["distribution"]["labels"][0] == "2024-01"
    assert sum(since["distribution"]["shares"]) == pytest.approx(1, abs=1e-4)
    assert since["least"].startswith("2024-01-0")
    assert since["type"] == "str"
    assert (comment["least"], comment["greatest"]) == (50, 145)
    assert column(facts, "income")["relation"]["measure"] == "AUC"
    assert column(facts, "income")["relation"]["value"] > 0.75


def test_only_train_rows_are_described():
    rows = raw_rows().head(ROWS)
    known = facts_of(rows, NAMED)
    test = prepare(rows, {"source": "sklearn:iris"}, NAMED).test
    rows.loc[rows["ticket"].isin(test["ticket"]), "income"] = 1e9
    assert column(facts_of(rows, NAMED), "income") == column(known, "income")


def test_of_many_rows_a_sample_is_drawn_but_ranges_are_those_of_all(facts, monkeypatch):
    monkeypatch.setattr(report, "SAMPLE_ROWS", 100)
    some = facts_of(raw_rows(), NAMED)
    assert some["sampled_rows"] <= 100 < some["train_rows"]
    for name in ("least", "middle", "greatest", "missing"):
        assert column(some, "income")[name] == column(facts, "income")[name]


def test_a_regression_target_is_drawn():
    rows = pd.DataFrame({"a": np.arange(50.0) % 7, "city": ["x", "y"] * 25, "churned": np.arange(50.0) + 0.5})
    facts = facts_of(rows)
    assert len(facts["about_target"]["distribution"]["shares"]) == 20
    assert column(facts, "city")["relation"]["measure"] == "correlation ratio"
    assert "half of them up to" in text_of(data_report.html(facts))


def test_dates_far_apart_are_counted_by_decade():
    counted = report._of_periods(pd.Series([f"{year}-01-01" for year in range(1900, 2000)]))
    assert counted["labels"][0] == "1900s"
    assert len(counted["labels"]) == 10


def test_the_page_is_one_file_that_needs_nothing_else(facts):
    page = data_report.html(facts)
    assert checked(page).fetched == []
    assert "<b>paid" not in page
    assert "&lt;b&gt;paid&lt;/b&gt;" in page
    shown = text_of(page)
    for words in ("20 of 620 rows equal an earlier one", "nothing it holds no value", "AUC 1.000", "rows read 620"):
        assert words in shown, words


def test_the_same_facts_give_the_same_bytes_and_fit_into_json(facts):
    again = facts_of(raw_rows(), NAMED)
    assert json.dumps(facts, allow_nan=False, sort_keys=True) == json.dumps(again, allow_nan=False, sort_keys=True)
    assert data_report.html(again) == data_report.html(json.loads(json.dumps(facts)))


def test_counts_that_preprocessing_adds_later_are_shown(facts):
    dropped = facts["dropped"] | {"rows_quarantined": 7, "rows_odd": 3, "quarantined": {"age: below 0": 7}}
    shown = text_of(data_report.html(facts | {"dropped": dropped}))
    assert "rows quarantined 7" in shown
    assert "age: below 0 7" in shown
    assert "rows odd 3" in shown


def test_of_many_columns_the_most_telling_are_drawn(facts, monkeypatch):
    monkeypatch.setattr(data_report, "MOST_DRAWN", 3)
    page = data_report.html(facts)
    assert page.count('<article class="feature') == 3
    assert "7 more columns are in the table only" in text_of(page)

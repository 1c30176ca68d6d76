import msgspec
import numpy as np
import pandas as pd
import pytest

from lockstep import files
from lockstep.config.params import Columns, DataPreprocessing
from lockstep.data.prepare import prepare
from lockstep.data.raw import RawData
from lockstep.data_report import facts
from lockstep.data_report.record import DataReport
from lockstep.errors import DataError
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


def report_of(rows, params=None):
    made = prepare(RawData(rows, {"source": "sklearn:iris"}), params or PARAMS)
    return facts.describe(made.train, made.record, {str(name): str(dtype) for name, dtype in rows.dtypes.items()})


@pytest.fixture(scope="module")
def report():
    return report_of(raw_rows(), NAMED)


def column(report, name):
    return next(column for column in report.columns if column.name == name)


def test_warnings_name_what_is_wrong_with_each_column(report):
    assert {(warning.kind, warning.column) for warning in report.warnings} == {
        ("leak", "leaving_fee"),
        ("duplicate rows", ""),
        ("imbalance", ""),
        ("missing", "age"),
        ("id-like", "row"),
        ("high cardinality", "city"),
        ("near-constant", "flag"),
        ("id-like", "ticket"),
    }
    assert report.warnings[0].kind == "leak"


def test_b36_a_leaking_column_is_named(report):
    assert list(report.leaks) == ["leaving_fee"]


def test_sound_rows_give_no_warning():
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"a": random.normal(size=200), "b": random.choice(["x", "y"], 200)})
    rows["churned"] = np.where(rows["a"] + random.normal(size=200) > 0, "yes", "no")
    assert report_of(rows).warnings == []


def test_each_column_has_range_missing_distribution_and_relation(report):
    age, city, since, comment = (column(report, name) for name in ("age", "city", "since", "comment"))
    assert (age.least, age.greatest) == (18, 89)
    assert 0.5 < age.missing / age.rows < 0.7
    assert len(age.distribution.shares) == 20
    assert sum(age.distribution.shares) == pytest.approx(1, abs=1e-4)
    assert city.distribution.labels[-1].endswith(" other")
    assert since.distribution.labels[0] == "2024-01"
    assert sum(since.distribution.shares) == pytest.approx(1, abs=1e-4)
    assert since.least.startswith("2024-01-0")
    assert since.type == "str"
    assert (comment.least, comment.greatest) == (50, 145)
    assert column(report, "income").relation.measure == "AUC"
    assert column(report, "income").relation.value > 0.75


def test_only_train_rows_are_described():
    rows = raw_rows().head(ROWS)
    known = report_of(rows, NAMED)
    test = prepare(RawData(rows, {"source": "sklearn:iris"}), NAMED).test
    rows.loc[rows["ticket"].isin(test["ticket"]), "income"] = 1e9
    assert column(report_of(rows, NAMED), "income") == column(known, "income")


def test_of_many_rows_a_sample_is_drawn_but_ranges_are_those_of_all(report, monkeypatch):
    monkeypatch.setattr(facts, "SAMPLE_ROWS", 100)
    some = report_of(raw_rows(), NAMED)
    assert some.sampled_rows <= 100 < some.train_rows
    for name in ("least", "middle", "greatest", "missing"):
        assert getattr(column(some, "income"), name) == getattr(column(report, "income"), name)


def test_a_regression_target_is_drawn():
    rows = pd.DataFrame({"a": np.arange(50.0) % 7, "city": ["x", "y"] * 25, "churned": np.arange(50.0) + 0.5})
    report = report_of(rows)
    assert len(report.about_target.distribution.shares) == 20
    assert column(report, "city").relation.measure == "correlation ratio"
    assert "half of them up to" in text_of(data_report.html(report))


def test_dates_far_apart_are_counted_by_decade():
    counted = facts._period_shares(pd.Series([f"{year}-01-01" for year in range(1900, 2000)]))
    assert counted.labels[0] == "1900s"
    assert len(counted.labels) == 10


def test_the_page_is_one_file_that_needs_nothing_else(report):
    page = data_report.html(report)
    assert checked(page).fetched == []
    assert "<b>paid" not in page
    assert "&lt;b&gt;paid&lt;/b&gt;" in page
    shown = text_of(page)
    for words in ("20 of 620 rows equal an earlier one", "nothing it holds no value", "AUC 1.000", "rows read 620"):
        assert words in shown, words


def test_the_same_rows_give_the_same_bytes_and_the_record_reads_back(report, tmp_path):
    again = report_of(raw_rows(), NAMED)
    files.write_json(report.to_json(), tmp_path / "data.json")
    files.write_json(again.to_json(), tmp_path / "again.json")
    assert (tmp_path / "data.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert DataReport.read(tmp_path / "data.json") == report
    page = data_report.draw(tmp_path / "data.json", tmp_path / "data.html")
    assert page.read_text() == data_report.html(report)


EARLIER = {
    "about_target": {"classes": [{"label": "b", "rows": 40}, {"label": "m", "rows": 20}], "rows": 60},
    "columns": [
        {
            "distinct": 3, "distribution": {"labels": ["x", "y"], "shares": [0.5, 0.5]}, "in_order": False,
            "kind": "categorical", "missing": 0, "most_frequent_share": 0.5, "name": "plan",
            "relation": {"measure": "share of information", "value": 0.1}, "rows": 60, "strength": 0.1,
            "tells_all": False, "type": "str",
        }
    ],
    "dropped": {"columns_left_out": {"k": "id"}, "columns_without_values": [], "rows_duplicate": 2, "rows_read": 82,
                "rows_without_target": 0},
    "kinds": [["plan", "categorical"]], "sampled_rows": 60, "target": "y", "task": "binary", "test_rows": 20,
    "train_rows": 60, "warnings": [{"column": "", "kind": "duplicate rows", "text": "2 of 82 rows"}],
}  # fmt: skip
"""A record as earlier versions wrote it: without leaks, and without the counts that were 0."""


def test_a_record_of_an_earlier_version_still_reads():
    report = DataReport.from_json(EARLIER)
    assert (report.leaks, report.split, report.dropped.rows_quarantined) == ({}, None, 0)
    assert "rows read 82" in text_of(data_report.html(report))


def test_a_damaged_record_is_refused():
    with pytest.raises(DataError, match=r"reports/data.json is damaged: .*train_rows"):
        DataReport.from_json({name: value for name, value in EARLIER.items() if name != "train_rows"})


def test_quarantined_rows_are_shown_by_reason(report):
    dropped = msgspec.structs.replace(report.dropped, rows_quarantined=7, quarantined={"age: below 0": 7})
    shown = text_of(data_report.html(msgspec.structs.replace(report, dropped=dropped)))
    assert "rows quarantined 7" in shown
    assert "age: below 0 7" in shown


def test_of_many_columns_the_most_telling_are_drawn(report, monkeypatch):
    monkeypatch.setattr(data_report, "MAX_DRAWN", 3)
    page = data_report.html(report)
    assert page.count('<article class="feature') == 3
    assert "7 more columns are in the table only" in text_of(page)


def test_a_near_copy_of_the_target_is_a_warning_and_no_leak():
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"y": draw.normal(size=400), "x": draw.normal(size=400)})
    rows["near"] = rows["y"] + draw.normal(0, 0.3, 400)
    report = report_of(rows, DataPreprocessing(target="y"))
    assert [(warning.kind, warning.column) for warning in report.warnings] == [("near copy", "near")]
    assert report.leaks == {}

import datetime as dt
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.config.params import CellFormat, Reader
from lockstep.data import cells
from lockstep.data.sources import column_values

CASES = {
    "money": ("$70,950.67 ", {"kind": "number", "thousands": ",", "units": {"$": 1.0}}, 70950.67),
    "money-behind": (
        "16.823,29 €", {"kind": "number", "decimal": ",", "thousands": ".", "units": {"€": 1.0}}, 16823.29,
    ),
    "negative-in-brackets": ("($1,234)", {"kind": "number", "thousands": ",", "units": {"$": 1.0}}, -1234.0),
    "thousands-of-dollars": ("$3.5k", {"kind": "number", "units": {"$": 1.0, "k": 1000.0}}, 3500.0),
    "percent": ("40%", {"kind": "number", "units": {"%": 1.0}}, 40.0),
    "groups-that-training-lacked": ("1.009,73", {"kind": "number", "decimal": ","}, 1009.73),
    "blanks-that-training-lacked": (
        "1\u202f009,73 €", {"kind": "number", "decimal": ",", "units": {"€": 1.0}}, 1009.73,
    ),
    "range": ("1133 - 1384", {"kind": "number"}, 1258.5),
    "range-that-is-missing": ("10-20", {"kind": "number", "ranges": "missing"}, cells.ODD),
    "indian-groups": ("12,34,567", {"kind": "number", "thousands": ","}, 1234567.0),
    "wrong-groups": ("1,5", {"kind": "number", "thousands": ","}, cells.ODD),
    "minus-behind": ("1,234.50-", {"kind": "number", "thousands": ","}, -1234.5),
    "minus-behind-a-unit": ("12.50 EUR-", {"kind": "number", "units": {"EUR": 1.0}}, cells.ODD),
    "minus-alone": ("-", {"kind": "number"}, cells.ODD),
    "limit": ("< 0.05", {"kind": "number", "units": {"<": 1.0}}, 0.05),
    "score": ("4.5 / 5", {"kind": "number", "units": {"/ 5": 1.0}}, 4.5),
    "infinity": ("inf", {"kind": "number"}, cells.ODD),
    "no-break-space": ("1\u202f234,5", {"kind": "number", "decimal": ",", "thousands": " "}, 1234.5),
    "large-whole": ("570306133677761227", {"kind": "number"}, 570306133677761227),
    "marker-of-the-column": ("-200", {"kind": "number", "missing": ["-200"]}, None),
    "german-month": ("9. Mai 2015", {"kind": "date", "dates": ["%d. %B %Y"]}, "2015-05-09"),
    "french-month": ("mar 3 févr. 2015", {"kind": "date", "dates": ["%a %d %b %Y"]}, "2015-02-03"),
    "march-is-no-tuesday": ("Mar 03, 2015", {"kind": "date", "dates": ["%b %d, %Y"]}, "2015-03-03"),
    "spanish-month": ("24 de febrero de 2015", {"kind": "date", "dates": ["%d de %B de %Y"]}, "2015-02-24"),
    "twitter": (
        "Tue Feb 24 00:01:00 +0000 2015", {"kind": "date", "dates": ["%a %b %d %H:%M:%S %z %Y"]},
        "2015-02-24T00:01:00+00:00",
    ),
    "second-format": ("3/18/2009", {"kind": "date", "dates": ["%m-%d-%y", "%m/%d/%Y"]}, "2009-03-18"),
    "no-such-day": ("31.02.2026", {"kind": "date", "dates": ["%d.%m.%Y"]}, cells.ODD),
    "epoch": ("1424736000", {"kind": "epoch"}, "2015-02-24T00:00:00"),
    "epoch-of-milliseconds": ("1424736000500", {"kind": "epoch", "ticks": "ms"}, "2015-02-24T00:00:00.500"),
    "time-of-day": ("1:30 pm", {"kind": "time"}, 13.5),
    "no-time-of-day": ("25:00", {"kind": "time"}, cells.ODD),
    "duration": ("1h 30m", {"kind": "duration"}, 5400.0),
    "duration-in-words": ("2 days, 3 hours and 5 min", {"kind": "duration"}, 183900.0),
    "duration-of-a-clock": ("36:15:00", {"kind": "duration"}, 130500.0),
    "duration-iso": ("PT1H30M", {"kind": "duration"}, 5400.0),
    "code": ("02139", {}, "02139"),
    "one-spelling": ("YES ", {"spellings": {"YES": "yes"}, "strip": True}, "yes"),
    "truth": ("Y", {"kind": "boolean", "true": ["y", "true"], "false": ["no"]}, True),
    "no-truth": ("maybe", {"kind": "boolean", "true": ["y"], "false": ["no"]}, cells.ODD),
    "empty": ("  ", {"kind": "number"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("text", "described", "value"), CASES.values(), ids=CASES.keys())
def test_a_cell_is_read_by_the_format_of_its_column(text, described, value):
    assert cells.parser(CellFormat.model_validate(described))(text) == value


MARKS = [(".", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (",", "")]


@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20), st.sampled_from(MARKS))
def test_any_spelling_of_numbers_gives_the_same_numbers(numbers, marks):
    decimal, thousands = marks
    swapped = str.maketrans({",": thousands or None, ".": decimal})
    texts = [f"{number:,.2f}".translate(swapped) for number in numbers]
    read = cells.parser(CellFormat(kind="number", decimal=decimal, thousands=thousands))
    assert [read(text) for text in texts] == [float(number) for number in numbers]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_cell_is_the_number_that_pandas_reads(numbers):
    text = "a\n" + "\n".join(map(repr, numbers))
    read = cells.parser(CellFormat(kind="number"))
    assert pd.read_csv(io.StringIO(text))["a"].tolist() == [read(repr(number)) for number in numbers]


@given(st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)), st.sampled_from(["%d.%m.%Y", "%B %d, %Y", "%Y%m%d"]))
def test_any_spelling_of_a_date_gives_the_same_date(day, spelled):
    assert cells.date(day.strftime(spelled), spelled) == day.isoformat()


def test_a_column_has_the_type_of_its_values():
    reader = Reader(columns={"a": CellFormat(kind="number", odd="missing")})
    for texts, kind in (
        (["1", "2"], "int64"),
        (["1", "x"], "float64"),
        (["1", "2.5"], "float64"),
        (["1", None], "float64"),
    ):
        values, _ = column_values.column_values(pd.Series(texts, dtype="str"), reader.columns["a"], reader)
        assert values.dtype == kind


@given(
    st.text("0123456789.,' -+($€%)eE\u202f", max_size=14), st.sampled_from(MARKS), st.sampled_from(["", "$", "€", "%"])
)
def test_the_usual_pattern_reads_a_cell_as_the_long_way_does(text, marks, unit):
    described = CellFormat(kind="number", decimal=marks[0], thousands=marks[1], units={unit: 1.0} if unit else {})
    usual = cells._usual(described).fullmatch(text)
    if usual and len(usual[3]) <= 15:
        long_way = cells._with_unit(text, [(unit, 1.0)], described) if unit else cells._grouped(text, described)
        assert cells.parser(described)(text) == long_way

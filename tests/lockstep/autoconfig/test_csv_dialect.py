import pytest

from lockstep.autoconfig import csv_dialect, value_formats

PLAIN = ["age,town,bought"] + [f"{20 + i},{'Köln' if i % 2 else 'Bonn'},{i % 2}" for i in range(40)]


def text(lines, encoding="utf-8"):
    return ("\n".join(lines) + "\n").encode(encoding)


WRITTEN = {
    "plain": (text(PLAIN), ("utf-8", ",", '"', True)),
    "B09-mark": (b"\xef\xbb\xbf" + text(PLAIN), ("utf-8", ",", '"', True)),
    "B10-utf-16": (text(PLAIN, "utf-16"), ("utf-16", ",", '"', True)),
    "B10-utf-16-without-mark": (text(PLAIN, "utf-16-le"), ("utf-16-le", ",", '"', True)),
    "B08-latin-1": (text(PLAIN, "latin-1"), ("cp1252", ",", '"', True)),
    "B14-crlf": (text(PLAIN).replace(b"\n", b"\r\n"), ("utf-8", ",", '"', True)),
    "B06-semicolons-and-commas": (
        text(["a;b", *[f"{i},5;{i % 7},25" for i in range(40)]]), ("utf-8", ";", '"', True),
    ),
    "tabs": (text(line.replace(",", "\t") for line in PLAIN), ("utf-8", "\t", '"', True)),
    "bars": (text(line.replace(",", "|") for line in PLAIN), ("utf-8", "|", '"', True)),
    "blanks": (text(f"  {i}.0   {i * 3}  {i % 2}" for i in range(40)), ("utf-8", r"\s+", "", False)),
    "no-header-of-numbers": (text(PLAIN[1:]), ("utf-8", ",", '"', False)),
    "no-header-of-words": (text([f"{'ab'[i % 2]},{'xyz'[i % 3]}" for i in range(40)]), ("utf-8", ",", '"', False)),
    "header-of-words": (text(["c,d", *[f"{'ab'[i % 2]},{'xy'[i % 2]}" for i in range(40)]]), ("utf-8", ",", '"', True)),
    "quoted": (
        text(["text,y", *[f'"one, ""two""\n{i % 3 * ","}three",{i % 2}' for i in range(40)]]),
        ("utf-8", ",", '"', True),
    ),
    "quotes-in-text": (
        text([f"{'ab'[i % 2]}\t{'' if i % 5 else chr(34)}word {i}" for i in range(40)]), ("utf-8", "\t", "", False),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sample", "expected"), WRITTEN.values(), ids=WRITTEN.keys())
def test_how_a_table_is_written(sample, expected):
    found = csv_dialect.inspect(sample, whole=True)
    assert (found.encoding, found.separator, found.quote, found.header) == expected
    assert {len(row) for row in found.rows} == {len(found.rows[0])}
    assert len(found.values) == 40


SPELLED = {
    "B33-comma": (["0,5", "12,25", "-3,1"], {"decimal": ",", "thousands": ""}),
    "B33-points-and-comma": (["1.234,56", "999,10", "12.000,00"], {"decimal": ",", "thousands": "."}),
    "B33-always-points-and-comma": (["1.234,56", "2.999,10", "12.000,00"], {"decimal": ",", "thousands": "."}),
    "B33-commas": (["1,234", "999", "12,000,000"], {"decimal": ".", "thousands": ","}),
    "B33-swiss": (["1'234.5", "999", "12'000"], {"decimal": ".", "thousands": "'"}),
    "plain": (["1.5", "2", "1e3", "-.5"], {"decimal": ".", "thousands": ""}),
    "words": (["1,5 kg", "2", "x"], {"decimal": ".", "thousands": ""}),
    "marked": (["1", "2", "?", "3", "4", "5", "6"], {"missing": "?"}),
    "marked-by-a-word": (["1", "2", "unknown", "3", "4", "5", "6"], {"missing": "unknown"}),
    "blank": (["1", "2", " ", "3", "4", "5", "6"], {"missing": " "}),
    "B34-day-first": (["31/12/2025", "01/02/2026"], {"dates": {"a": "%d/%m/%Y"}}),
    "B34-month-first": (["12/31/2025", "01/02/2026"], {"dates": {"a": "%m/%d/%Y"}}),
    "B34-points-and-time": (["31.12.2025 23:59", "01.02.2026 00:00"], {"dates": {"a": "%d.%m.%Y %H:%M"}}),
    "B34-year-1": (["0001/01/01", "2026/02/03"], {"dates": {"a": "%Y/%m/%d"}}),
    "B34-iso": (["2025-12-31", "2026-02-01"], {"dates": {}}),
    "versions": (["1.2.3", "4.5.6"], {"dates": {}, "thousands": ""}),
}


@pytest.mark.parametrize(("cells", "expected"), SPELLED.values(), ids=SPELLED.keys())
def test_how_values_are_spelled(cells, expected):
    found = value_formats.inspect(["a", "b"], [[cell, "x"] for cell in cells * 5])
    for what, value in expected.items():
        if what == "missing":
            assert value in found.missing
        else:
            assert getattr(found, what) == value


def test_a_date_that_no_value_tells_is_pointed_out():
    found = value_formats.inspect(["a"], [[f"0{1 + i % 9}/0{1 + i % 5}/2026"] for i in range(20)])
    assert found.dates == {"a": "%d/%m/%Y"}
    assert "%d/%m/%Y or %m/%d/%Y" in found.decisions[-1].look


def test_blanks_after_commas_are_cut_off():
    found = value_formats.inspect(["a", "b", "c"], [["1", " x", " ?"], ["2", " y", " 3"]] * 20)
    assert (found.trim, found.missing[-1]) == (True, "?")

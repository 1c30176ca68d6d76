import datetime
import decimal
import gzip
import hashlib
import io
import json
import os
import zipfile

import pandas as pd
import pytest

from lockstep.config.params import DataIngestion, DataPreprocessing, Reader
from lockstep.data import cleaning, parquet
from lockstep.data.sources import content
from lockstep.data.sources import read as sources
from lockstep.data.sources.column_values import OddCells
from lockstep.errors import DataError

LINES = ["age,town,bought"] + [f"{20 + i},{'Łódź' if i % 2 else 'Bonn'},{i % 2}" for i in range(40)]
TEXT = "\n".join(LINES) + "\n"
TABLE = pd.DataFrame(
    {"age": range(20, 60), "town": ["Bonn", "Łódź"] * 20, "bought": [0, 1] * 20},
)


def parquet_bytes(table=TABLE):
    return table.to_parquet(index=False)


def zipped(members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def read(path, **reader):
    return sources.read(DataIngestion(source=str(path), reader=Reader(**reader)))


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


GOOD = {
    "plain": ("rows.csv", TEXT, {}),
    "upper-case-ending": ("ROWS.CSV", TEXT, {}),
    "B09-byte-order-mark": ("rows.csv", b"\xef\xbb\xbf" + TEXT.encode(), {}),
    "B10-utf-16-declared": ("rows.csv", TEXT.encode("utf-16"), {"encoding": "utf-16"}),
    "B14-crlf": ("rows.csv", TEXT.replace("\n", "\r\n"), {}),
    "B14-cr": ("rows.csv", TEXT.replace("\n", "\r"), {}),
    "B14-no-newline-at-the-end": ("rows.csv", TEXT.rstrip("\n"), {}),
    "blank-lines": ("rows.csv", TEXT.replace("\n", "\n\n"), {}),
    "semicolons": ("rows.csv", TEXT.replace(",", ";"), {"separator": ";"}),
    "tabs": ("rows.tsv", TEXT.replace(",", "\t"), {"separator": "\t"}),
    "spaces": ("rows.txt", TEXT.replace(",", "  "), {"separator": r"\s+"}),
    "latin-2-declared": ("rows.csv", TEXT.encode("iso8859-2"), {"encoding": "iso8859-2"}),
    "no-header": ("rows.data", TEXT.partition("\n")[2], {"header": False, "names": ("age", "town", "bought")}),
    "header-replaced": ("rows.csv", TEXT.replace("age,", "AGE,"), {"names": ("age", "town", "bought")}),
    "gzip": ("rows.csv.gz", gzip.compress(TEXT.encode(), mtime=0), {}),
    "blanks-around": ("rows.csv", TEXT.replace(",", " , "), {"trim": True}),
    "zip": ("rows.zip", zipped({"rows.csv": TEXT}), {}),
    "zip-with-a-folder": ("rows.zip", zipped({"in/": "", "in/rows.csv": TEXT, "__MACOSX/in/._rows.csv": "x"}), {}),
    "gzip-without-its-ending": ("rows.csv", gzip.compress(TEXT.encode(), mtime=0), {}),
    "parquet-in-gzip": ("rows.parquet.gz", gzip.compress(parquet_bytes(), mtime=0), {}),
    "json-lines": ("rows.jsonl", TABLE.to_json(orient="records", lines=True, force_ascii=False), {}),
    "parquet": ("rows.parquet", parquet_bytes(), {}),
    "pq": ("rows.pq", parquet_bytes(), {}),
    "parquet-named-csv": ("rows.csv", parquet_bytes(), {}),
}


@pytest.mark.parametrize(("name", "content", "reader"), GOOD.values(), ids=GOOD.keys())
def test_good_sources_give_the_same_rows(tmp_path, name, content, reader):
    path = written(tmp_path, name, content)
    rows = read(path, **reader)
    pd.testing.assert_frame_equal(rows.frame, TABLE)
    assert rows.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["B14-crlf", "B14-cr"])
def test_line_ends_do_not_change_the_raw_file(tmp_path, end):
    for name, text in (("one", TEXT), ("other", TEXT.replace("\n", end))):
        parquet.write(read(written(tmp_path, f"{name}.csv", text)).frame, tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_row_numbers_without_a_name_are_read_and_are_no_feature(tmp_path):
    """B16: what exporting tools write in front, as in the toxicity data."""
    (tmp_path / "rows.csv").write_text(TABLE.to_csv())
    frame = sources.read(DataIngestion(source=str(tmp_path / "rows.csv"))).frame
    assert frame.columns.tolist() == [cleaning.ROW_NUMBERS, *TABLE.columns]
    roles = cleaning.decide_roles(frame, DataPreprocessing(target=TABLE.columns[-1]))
    assert roles[cleaning.ROW_NUMBERS] == "id"


@pytest.mark.parametrize("name", ["B17.csv"])
def test_odd_column_names_are_kept(tmp_path, name):
    names = ["a b", "größe", "x__y", "select", "; drop table rows", '"quoted"', "0"]
    frame = pd.DataFrame([[float(i) for i in range(len(names))]] * 3, columns=names)
    path = tmp_path / name
    frame.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read(path).frame, frame)


def test_only_the_named_markers_are_missing(tmp_path):
    path = written(tmp_path, "rows.csv", "a,b\nNA,1\nNone,2\n,3\n-,4\n")
    assert read(path).frame["a"].isna().tolist() == [True, False, True, False]
    assert read(path, missing=("-",)).frame["a"].tolist()[:3] == ["NA", "None", ""]
    assert not read(path, missing=()).frame["a"].isna().any()


def test_a_headless_file_without_names_numbers_its_columns(tmp_path):
    path = written(tmp_path, "rows.csv", "1,2\n3,4\n")
    assert read(path, header=False).frame.to_dict("list") == {"0": [1, 3], "1": [2, 4]}


FAULTS = {
    "B03-empty": ("rows.csv", "", {}, "is empty (0 bytes)", "how the file came here"),
    "B03-white-space": ("rows.csv", "  \n\n", {}, "is not a table", "data_ingestion.reader"),
    "B04-header-only": ("rows.csv", LINES[0] + "\n", {}, "holds a header and no rows", "check the file"),
    "B06-separator": ("rows.csv", TEXT.replace(",", ";"), {}, "one column, 'age;town;bought'", "reader.separator"),
    "separator-of-two": ("rows.csv", TEXT, {"separator": "::"}, "separators > 1 char", "reader: separator"),
    "B08-latin-2-as-utf-8": (
        "rows.csv",
        TEXT.encode("iso8859-2"),
        {},
        "is not utf-8",
        "encoding, for instance to latin-1",
    ),
    "B08-no-such-encoding": (
        "rows.csv",
        TEXT,
        {"encoding": "klingon"},
        "unknown encoding 'klingon'",
        "utf-8 or latin-1",
    ),
    "B10-utf-16": ("rows.csv", TEXT.encode("utf-16"), {}, "is not utf-8", "utf-16"),
    "B12-unclosed-quote": ("rows.csv", f'{TEXT}1,"Bonn,0\n2,Bonn,1\n', {}, "is not a table", "data_ingestion.reader"),
    "B13-long-row": (
        "rows.csv",
        f"{TEXT}1,Bonn,0,9\n",
        {},
        "line 42 holds 4 values, not 3",
        "mend the line",
    ),
    "B13-long-first-row": (
        "rows.csv",
        TEXT.replace("Bonn,0", "Bonn,0,9", 1),
        {},
        "more values than there are",
        "header",
    ),
    "B13-all-rows-long": (
        "rows.csv",
        TEXT.replace(",0\n", ",0,9\n").replace(",1\n", ",1,9\n"),
        {},
        "more values",
        "names",
    ),
    "B13-too-few-names": (
        "rows.csv",
        TEXT,
        {"names": ("age", "town")},
        "more values than there are column names",
        "names",
    ),
    "B07-mixed-separators": (
        "rows.csv",
        f"{TEXT}1;Bonn;0\n",
        {},
        "line 42 holds 1 values, not 3, perhaps because ';' separates",
        "as many",
    ),
    "B07-mixed-inside": ("rows.csv", f"{TEXT}1,Bonn;0\n2,Bonn,1\n", {}, "line 42 holds 2 values, not 3", "as many"),
    "B11-nul": ("rows.csv", TEXT.replace("Bonn", "Bo\0nn", 3), {}, "line 2 holds a NUL byte", "damaged or no text"),
    "B11-nul-far-in": ("rows.csv", f"{TEXT}1,Bo\0nn,0\n", {}, "line 42 holds a NUL byte", "damaged or no text"),
    "B13-short-row": ("rows.csv", f"{TEXT}1,Bonn\n", {}, "line 42 holds 2 values, not 3", "as many values"),
    "B13-short-row-quoted": ("rows.csv", f'{TEXT}1,"Bo\nnn"\n', {}, "line 43 holds 2 values, not 3", "as many values"),
    "B13-short-row-of-blanks": (
        "rows.txt",
        f"{TEXT}1,Bonn\n".replace(",", "  "),
        {"separator": r"\s+"},
        "line 42 holds 2 values, not 3",
        "as many",
    ),
    "B20-zip-damaged": ("rows.zip", zipped({"rows.csv": TEXT})[:-40], {}, "is no zip file", "fetch it again"),
    "B21-member-outside": (
        "rows.zip",
        zipped({"../rows.csv": TEXT}),
        {},
        "'../rows.csv', which points out",
        "do not trust",
    ),
    "B21-absolute-member": (
        "rows.zip",
        zipped({"/etc/rows.csv": TEXT}),
        {},
        "'/etc/rows.csv', which points out",
        "trust",
    ),
    "B21-member-of-windows": ("rows.zip", zipped({"a\\..\\..\\x.csv": TEXT}), {}, "which points out", "do not trust"),
    "zip-of-two": ("rows.zip", zipped({"a.csv": TEXT, "b.csv": TEXT}), {}, "holds 2 files: a.csv, b.csv", "*.csv"),
    "json-not": ("rows.jsonl", '{"a": 1, "b": 2}\n{"a": 1,\n', {}, "line 2 is not JSON", "one object on each line"),
    "json-list": ("rows.jsonl", "[1, 2]\n", {}, "line 1 is no object", "one object on each line"),
    "B32-json-mixed": ("rows.jsonl", '{"a": 1, "b": 1}\n{"a": "x", "b": 1}\n', {}, "column 'a' mixes", "one type"),
    "B34-no-such-date": (
        "rows.csv",
        "day,x\n31.12.2025,1\n31.02.2026,2\n",
        {"dates": {"day": "%d.%m.%Y"}},
        "'31.02.2026', which is no date",
        "dates",
    ),
    "B34-no-such-column": ("rows.csv", TEXT, {"dates": {"tow": "%Y"}}, "did you mean 'town'?", "reader.dates"),
    "B15-twice": ("rows.csv", TEXT.replace("town", "age"), {}, "the column name 'age' stands twice", "mend the header"),
    "B15-twice-in-names": ("rows.csv", TEXT, {"names": ("a", "a", "b")}, "Duplicate names", "names"),
    "B16-no-name": ("rows.csv", TEXT.replace("town", ""), {}, "column 2 has no name", "reader.names"),
    "B18-half": ("rows.parquet", parquet_bytes()[:500], {}, "is not a readable Parquet file", "fetch it again"),
    "B18-four-bytes": ("rows.parquet", parquet_bytes()[:4], {}, "is not a readable Parquet file", "fetch it again"),
    "B18-damaged-inside": (
        "rows.parquet",
        parquet_bytes()[:8] + b"\xff" * 60 + parquet_bytes()[68:],
        {},
        "is not a readable Parquet file",
        "fetch it again",
    ),
    "B22-csv-named-parquet": ("rows.parquet", TEXT, {}, "is not a readable Parquet file", "data_ingestion.format"),
    "gzip-cut-off": ("rows.csv.gz", gzip.compress(TEXT.encode())[:-20], {}, "is no whole gzip file", "fetch it again"),
    "gzip-damaged": (
        "rows.csv.gz",
        gzip.compress(TEXT.encode())[:40] + b"\xff" * 20 + gzip.compress(TEXT.encode())[60:],
        {},
        "is no whole gzip file",
        "fetch it again",
    ),
    "gzip-that-is-none": ("rows.csv.gz", TEXT, {}, "is no whole gzip file: Not a gzipped file", "fetch it again"),
    "other-ending": ("rows.docx", TEXT, {}, ".docx tells no format", "data_ingestion.format to csv, jsonl"),
    "sheet-that-is-none": ("rows.xlsx", TEXT, {}, "is no readable spreadsheet", "save it anew"),
    "json-without-rows": ("rows.json", '{"a": 1}', {}, "holds no list of objects", "one object"),
    "json-cut-off": ("rows.json", '[{"a": 1}', {}, "is not JSON in UTF-8", "format: jsonl"),
    "odd-cell": (
        "rows.csv",
        "x,y\n1,2\nmany,3\n",
        {"columns": {"x": {"kind": "number"}}},
        "column 'x' holds 'many', which is no number",
        "odd: missing",
    ),
    "described-column-gone": ("rows.csv", TEXT, {"columns": {"tow": {}}}, "did you mean 'town'?", "reader.columns"),
    "no-ending": ("rows", TEXT, {}, "no ending tells no format", "data_ingestion.format"),
}


@pytest.mark.parametrize(("name", "content", "reader", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_source_faults(tmp_path, name, content, reader, problem, hint):
    path = written(tmp_path, name, content)
    with pytest.raises(DataError) as refused:
        read(path, **reader)
    assert problem in refused.value.problem
    assert hint in refused.value.hint
    assert name in refused.value.problem or "encoding" in problem


@pytest.mark.parametrize(
    ("source", "problem", "hint"),
    [
        pytest.param(
            "row.csv", "'row.csv' not found", "did you mean 'rows.csv'? Or set data_ingestion.source", id="B01-typo"
        ),
        pytest.param("zzz.bin", "not found", "set data_ingestion.source to an existing file", id="B01-missing"),
        pytest.param("no/rows.csv", "not found", "there is no folder 'no'; set data_ingestion", id="B01-no-folder"),
        pytest.param("folder", "'folder' is a folder", "name one CSV or Parquet file", id="B02-folder"),
        pytest.param(
            "sklearn:iriss", "not a bundled data set; did you mean 'iris'?", "breast_cancer, diabetes", id="B01-bundled"
        ),
    ],
)
def test_source_faults_without_a_file(tmp_path, monkeypatch, source, problem, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    written(tmp_path, "rows.csv", TEXT)
    with pytest.raises(DataError) as refused:
        sources.read(DataIngestion(source=source))
    assert problem in refused.value.problem
    assert hint in refused.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_source_that_may_not_be_read(tmp_path):
    path = written(tmp_path, "B05.csv", TEXT)
    path.chmod(0)
    with pytest.raises(PermissionError, match=r"B05\.csv"):
        read(path)


def test_a_stated_format_wins_over_the_ending(tmp_path):
    path = written(tmp_path, "rows.dat", TEXT)
    pd.testing.assert_frame_equal(sources.read(DataIngestion(source=str(path), format="csv")).frame, TABLE)


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "rows.csv", TEXT)
    pd.testing.assert_frame_equal(sources.read(DataIngestion(source="~/rows.csv")).frame, TABLE)


@pytest.mark.parametrize("name", sources.BUNDLED)
def test_bundled_data_sets_have_a_target_and_repeat(name):
    one, other = (sources.read(DataIngestion(source=f"sklearn:{name}")) for _ in range(2))
    assert "target" in one.frame.columns
    assert one.digest == other.digest
    assert all(isinstance(column, str) for column in one.frame.columns)


def test_bundled_classes_have_their_names():
    frame = sources.read(DataIngestion(source="sklearn:breast_cancer")).frame
    assert frame["target"].value_counts().to_dict() == {"benign": 357, "malignant": 212}


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.zip", "rows.parquet.gz"])
def test_b20_more_than_allowed_does_not_come_out_of_an_archive(tmp_path, name):
    body = b"a,b\n" + b"0,0\n" * 600_000
    if name == "rows.parquet.gz":
        body = b"PAR1" + body
    path = written(tmp_path, name, gzip.compress(body) if name.endswith("gz") else zipped({"rows.csv": body}))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="unpacks to more than 1 MiB") as refused:
        sources.read(DataIngestion(source=str(path), max_mb=1))
    assert "data_ingestion.max_mb" in refused.value.hint


def test_b20_no_absurd_multiple_of_an_archive_comes_out_whatever_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(content, "SMALL", 1 << 20)
    path = written(tmp_path, "rows.csv.gz", gzip.compress(b"a,b\n" + b"0,0\n" * 600_000))
    with pytest.raises(DataError, match="unpacks to more than 1 MiB"):
        sources.read(DataIngestion(source=str(path)))


DATES = {
    "B34-day-first": ("%d.%m.%Y", ["31.12.2025", "01.02.2026", ""], ["2025-12-31", "2026-02-01", None]),
    "B34-month-first": ("%m/%d/%Y", ["12/31/2025", "2/1/2026"], ["2025-12-31", "2026-02-01"]),
    "B34-zone": ("%d/%m/%Y %H:%M %z", ["29/03/2026 02:30 +0100"], ["2026-03-29T02:30:00+01:00"]),
    "B34-hour-that-daylight-saving-skips": ("%Y/%m/%d %H:%M", ["2026/03/29 02:30"], ["2026-03-29T02:30:00"]),
    "B34-year-1": ("%Y/%m/%d", ["0001/01/01", "9999/12/31"], ["0001-01-01", "9999-12-31"]),
}


@pytest.mark.parametrize(("spelled", "given", "expected"), DATES.values(), ids=DATES.keys())
def test_dates_are_read_as_iso_8601(tmp_path, spelled, given, expected):
    path = written(tmp_path, "rows.csv", "day,x\n" + "".join(f"{day},{place}\n" for place, day in enumerate(given)))
    days = read(path, dates={"day": spelled}).frame["day"]
    assert [None if pd.isna(day) else day for day in days] == expected


NUMBERS = {
    "B33-comma": ({"decimal": ","}, "1,5", 1.5),
    "B33-comma-and-points": ({"decimal": ",", "thousands": "."}, "1.234,5", 1234.5),
    "B33-commas": ({"thousands": ","}, "1,234.5", 1234.5),
    "B33-swiss": ({"thousands": "'"}, "1'234.5", 1234.5),
    "B33-blanks": ({"thousands": " ", "decimal": ","}, "1 234,5", 1234.5),
}


@pytest.mark.parametrize(("reader", "given", "expected"), NUMBERS.values(), ids=NUMBERS.keys())
def test_numbers_are_read_as_they_are_spelled(tmp_path, reader, given, expected):
    path = written(tmp_path, "rows.csv", f"a;b\n{given};x\n-{given};y\n")
    assert read(path, separator=";", **reader).frame["a"].tolist() == [expected, -expected]
    assert read(path, separator=";").frame["a"].tolist() == [given, f"-{given}"]


def test_quotes_may_be_part_of_the_text(tmp_path):
    path = written(tmp_path, "rows.tsv", 'kind\ttext\nham\t"so she said\nspam\t"win" now\nham\tok"\n')
    assert read(path, separator="\t", quote="").frame["text"].tolist() == ['"so she said', '"win" now', 'ok"']


def test_a_last_value_may_be_missing_in_a_whole_row(tmp_path):
    path = written(tmp_path, "rows.csv", "a,b\n1,\n2,x\n\n3,NA\n")
    assert read(path).frame["b"].isna().tolist() == [True, False, True]


def test_a_pattern_and_a_list_read_one_file_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b", "a", "c"):
        written(tmp_path, f"{name}.csv", f"x,name\n1,{name}\n")
    written(tmp_path, "d.jsonl", '{"name": "d", "x": 4}')
    assert sources.read(DataIngestion(source="[a-c].csv")).frame["name"].tolist() == ["a", "b", "c"]
    rows = sources.read(DataIngestion(source=["c.csv", "d.jsonl"]))
    assert rows.frame.to_dict("list") == {"x": [1, 4], "name": ["c", "d"]}
    assert set(rows.origin["files"]) == {"c.csv", "d.jsonl"}
    with pytest.raises(DataError, match="no file fits 'z"):
        sources.read(DataIngestion(source="z*.csv"))
    written(tmp_path, "d.jsonl", '{"nam": "d", "x": 4}')
    with pytest.raises(DataError, match=r"d\.jsonl and c\.csv do not have the same columns: 'nam'"):
        sources.read(DataIngestion(source=["c.csv", "d.jsonl"]))


def test_dates_and_decimals_of_parquet_become_text_and_numbers(tmp_path):
    table = pd.DataFrame({"day": [datetime.date(2026, 1, 2), None], "price": [decimal.Decimal("1.50"), None]})
    frame = read(written(tmp_path, "rows.parquet", table.to_parquet(index=False))).frame
    assert frame["day"].tolist()[0] == "2026-01-02"
    assert (frame["price"].dtype, frame["price"].tolist()[0]) == ("float64", 1.5)


def test_a_file_that_dvc_does_not_copy_for_an_experiment_is_told_as_that(tmp_path, monkeypatch):
    copy = tmp_path / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "rows.csv").write_text("a\n1\n")
    monkeypatch.chdir(copy)
    with pytest.raises(DataError, match="neither in git nor in DVC") as caught:
        sources.read(DataIngestion(source="rows.csv"))
    assert "--copy-paths rows.csv" in caught.value.hint


def test_objects_and_lists_within_rows_become_columns(tmp_path):
    rows = [{"age": 1, "at": {"town": "Bonn", "geo": {"lat": 1.5}}, "tags": ["a", "b"]},
            {"age": 2, "at": {"town": "Kiel", "geo": {"lat": 2.5}}, "tags": []}]  # fmt: skip
    expected = {"age": [1, 2], "at.town": ["Bonn", "Kiel"], "at.geo.lat": [1.5, 2.5], "tags": ["a|b", None]}
    sources_of = {
        "rows.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "rows.json": json.dumps(rows, indent=1).encode(),
        "page.json": json.dumps({"count": 2, "rows": rows}).encode(),
        "rows.parquet": pd.DataFrame(rows).to_parquet(index=False),
    }
    for name, text in sources_of.items():
        frame = read(written(tmp_path, name, text)).frame
        assert frame.astype(object).where(frame.notna(), None).to_dict("list") == expected, name


COLUMNS = {
    "pay": {"kind": "number", "decimal": ",", "thousands": ".", "units": {"€": 1.0}, "odd": "missing"},
    "day": {"kind": "date", "dates": ["%d.%m.%Y", "%d-%b-%y"]},
    "zip": {"kind": "text"},
    "ok": {"kind": "boolean", "true": ["yes", "y"], "false": ["no"]},
}
ODD_ROWS = """Report of 2026
pay;day;zip;ok
1.234,50 €;31.01.2026;02139;YES
many;01-Feb-26;10001;no
7;;00501;y
Total;;;
"""


def test_columns_are_read_as_they_are_described(tmp_path):
    path = written(tmp_path, "rows.csv", ODD_ROWS)
    rows = read(path, separator=";", skip=1, footer=1, columns=COLUMNS)
    frame = rows.frame.astype(object).where(rows.frame.notna(), None)
    assert frame.to_dict("list") == {
        "pay": [1234.5, None, 7.0], "day": ["2026-01-31", "2026-02-01", None], "zip": ["02139", "10001", "00501"],
        "ok": [True, False, True],
    }  # fmt: skip
    assert rows.odd == {"pay": OddCells(1, ("many",))}
    assert rows.columns["pay"].unit == "€"


def test_comment_lines_are_passed_over(tmp_path):
    path = written(tmp_path, "rows.csv", "# one\nage,town,bought\n" + "\n# more\n".join(LINES[1:]) + "\n")
    pd.testing.assert_frame_equal(read(path, comment="#").frame, TABLE)

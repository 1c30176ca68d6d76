"""Bad data through two stages: one line that names the cause, nothing half-written, and a rerun as if clean."""

import gzip
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockstep import stage
from lockstep.config import params_file
from tests.lockstep.data.sources.test_read import parquet_bytes, zipped

STAGES = ("data_ingestion", "data_preprocessing")
PARAMS = """
data_ingestion: {{source: data/external/{name}{more}}}
data_preprocessing: {{target: bought{prep}}}
feature_engineering: {{}}
model_building: {{candidates: [{{estimator: logistic_regression}}]}}
model_evaluation: {{}}
register_model: {{model_name: faults}}
"""
DRAW = np.random.default_rng(0)
LINES = [f"{20 + i},{DRAW.random():.3f},{'Łódź' if i % 3 else 'Bonn'},{i % 2}" for i in range(60)]
HEAD = "age,income,town,bought"
GOOD = "\n".join([HEAD, *LINES]) + "\n"
BOMB = b"0," * 2_000_000
COMMAS = [line.split(",") for line in LINES]
LOCK = "schema: '2.0'\n"


def changed(old, new, count=-1):
    return GOOD.replace(old, new, count)


def targets(make):
    return "\n".join([HEAD, *[f"{line.rpartition(',')[0]},{make(i)}" for i, line in enumerate(LINES)]]) + "\n"


FAULTS = {
    "B01-missing": (None, {}, "source 'data/external/rows.csv' not found"),
    "B02-folder": ("folder", {}, "'data/external/rows.csv' is a folder"),
    "B03-empty": ("", {}, "is empty (0 bytes)"),
    "B04-header-only": (f"{HEAD}\n", {}, "holds a header and no rows"),
    "B06-separator": (GOOD.replace(",", ";"), {}, "has one column, 'age;income;town;bought'"),
    "B07-mixed-separators": (changed(",", ";", 40), {}, "rows.csv"),
    "B07-one-line": (f"{GOOD}1;2;Bonn;0\n", {}, "line 62 holds 1 values, not 4, perhaps because ';'"),
    "B08-latin-2": (GOOD.encode("iso8859-2"), {}, "is not utf-8"),
    "B10-utf-16": (GOOD.encode("utf-16"), {}, "is not utf-8"),
    "B11-nul": (changed("Bonn", "Bo\0nn", 1), {}, "holds a NUL byte"),
    "B12-unclosed-quote": (f'{GOOD}1,2,"Bonn,0\n2,1,Bonn,1\n', {}, "is not a table"),
    "B13-long-row": (f"{GOOD}1,2,Bonn,0,9\n", {}, "line 62 holds 5 values, not 4"),
    "B13-short-row": (f"{GOOD}1,2,Bonn\n", {}, "line 62 holds 3 values, not 4"),
    "B15-twice": (changed("income", "age", 1), {}, "the column name 'age' stands twice"),
    "B16-no-name": (changed("income", "", 1), {}, "column 2 has no name"),
    "B18-truncated": (parquet_bytes()[:500], {"name": "rows.parquet"}, "is not a readable Parquet file"),
    "B20-gzip-bomb": (gzip.compress(BOMB), {"name": "rows.csv.gz", "more": ", max_mb: 1"}, "more than 1 MiB"),
    "B20-zip-bomb": (zipped({"r.csv": BOMB}), {"name": "rows.zip", "more": ", max_mb: 1"}, "more than 1 MiB"),
    "B21-outside": (zipped({"../rows.csv": GOOD}), {"name": "rows.zip"}, "'../rows.csv', which points out"),
    "B22-csv-as-parquet": (GOOD, {"name": "rows.parquet"}, "is not a readable Parquet file"),
    "B23-target-missing": (GOOD, {"prep": "s"}, "target column 'boughts' not found; did you mean 'bought'?"),
    "B24-target-all-null": (targets(lambda i: ""), {}, "target column 'bought' holds no value"),
    "B26-single-class": (targets(lambda i: 1), {}, "target 'bought' has one value only"),
    "B27-class-of-one": (targets(lambda i: "z" if i == 0 else "ab"[i % 2]), {}, "class 'z' has one row"),
    "B28-not-numeric": (targets(lambda i: "ab"[i % 2]), {"prep": ", task: regression"}, "'bought' is not numeric"),
    "B33-undeclared": (
        "\n".join([HEAD, *[f'{a},"{b.replace(".", ",")}",{c},{d}' for a, b, c, d in COMMAS]]),
        {"prep": ", columns: {numeric: [income]}"},
        "column 'income' is numeric but holds '0,",
    ),
    "B34-no-such-day": (
        changed("Bonn", "31.02.2026").replace("Łódź", "1.2.2026"),
        {"more": ", reader: {dates: {town: '%d.%m.%Y'}}"}, "'31.02.2026', which is no date",
    ),
}  # fmt: skip


def lay_out(folder, content, name="rows.csv", more="", prep=""):
    (folder / "data" / "external").mkdir(parents=True, exist_ok=True)
    text = PARAMS.format(name=name, more=more, prep=prep)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    (folder / "dvc.lock").write_text(LOCK, encoding="utf-8")
    path = folder / "data" / "external" / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def run():
    """Run the stages one after the other until one fails; return its name, or none."""
    for name in STAGES:
        main = importlib.import_module(name).main
        if stage.guarded(lambda main=main, name=name: main(getattr(params_file.load(), name)), name):
            return name
    return None


RAW = {f"data/raw/{name}" for name in ("contract.json", "data.parquet", "source.json", "test.parquet")}


def made():
    found = [path for top in ("data/raw", "data/interim", "reports") for path in sorted(Path(top).rglob("*"))]
    return {path.as_posix(): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """What the stages make of the good rows in a folder where nothing ever failed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("clean"))
        lay_out(Path(), GOOD)
        assert run() is None
        return made()


@pytest.mark.parametrize(("content", "change", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_bad_data_end_a_stage_with_one_line_and_leave_nothing(
    tmp_path, monkeypatch, capsys, clean, content, change, told
):
    monkeypatch.delenv("LOCKSTEP_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, content, **change)
    failed = run()
    problem, hint = capsys.readouterr().err.splitlines()
    assert problem.startswith(f"{failed}: ")
    assert told in problem
    assert hint.startswith("  hint: ") and len(hint) > 20
    left = made()
    assert set(left) <= (RAW if failed == STAGES[1] else set())
    assert not list(tmp_path.rglob("*partial*"))
    assert (tmp_path / "dvc.lock").read_text(encoding="utf-8") == LOCK
    if content == "folder":
        (tmp_path / "data/external/rows.csv").rmdir()
    lay_out(tmp_path, GOOD)
    assert run() is None
    assert made() == clean


def test_b25_rows_without_a_target_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, targets(lambda i: "" if i < 7 else i % 2))
    assert run() is None
    assert '"rows_without_target": 7' in Path("reports/data.json").read_text()
    assert not pd.read_parquet("data/interim/train.parquet")["bought"].isna().any()


def test_b33_numbers_in_an_undeclared_spelling_are_pointed_out(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    lines = [f'{age},"{income.replace(".", ",")}",{town},{bought}' for age, income, town, bought in COMMAS]
    lay_out(tmp_path, "\n".join([HEAD, *lines]))
    assert run() is None
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told.startswith("column 'income' is text, but holds numbers such as '0,")


ACCEPTED = {
    "B09-byte-order-mark": (b"\xef\xbb\xbf" + GOOD.encode(), {}),
    "B10-utf-16-declared": (GOOD.encode("utf-16"), {"more": ", reader: {encoding: utf-16}"}),
    "B14-crlf": (GOOD.replace("\n", "\r\n"), {}),
    "B14-cr": (GOOD.replace("\n", "\r"), {}),
}


@pytest.mark.parametrize(("content", "change"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_other_bytes_of_the_same_rows_give_the_same_files(tmp_path, monkeypatch, clean, content, change):
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, content, **change)
    assert run() is None
    left = made()
    records = {"data/raw/source.json"} | ({"reports/data.json"} if change else set())  # the file's sha256; its encoding
    assert {name for name in clean if left[name] != clean[name]} == records


def test_b17_odd_names_are_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["drop table rows;--", "größe in cm", "a__b"]
    lay_out(tmp_path, GOOD.replace("age,income,town", ",".join(names)))
    assert run() is None
    assert list(pd.read_parquet("data/interim/train.parquet").columns) == [*names, "bought"]


def test_b05_what_may_not_be_read_is_named(tmp_path, monkeypatch, capsys):
    """Root may read every file, so the refusal of the system is made up for it."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, GOOD)
    path, opened = Path("data/external/rows.csv"), Path.open
    path.chmod(0)

    def refuse(own, *given, **more):
        if own == path:
            raise PermissionError(13, "Permission denied", str(own))
        return opened(own, *given, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert run() == "data_ingestion"
    problem, hint = capsys.readouterr().err.splitlines()
    assert problem == "data_ingestion: Permission denied: data/external/rows.csv"
    assert "that you may use it" in hint
    assert made() == {}

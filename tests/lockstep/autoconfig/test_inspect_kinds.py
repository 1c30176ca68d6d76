"""What people bring, in generated variants: every kind of column and of file is read as it is meant."""

import csv
import io
import json
import random

import numpy as np
import pandas as pd
import pytest

from lockstep.autoconfig import inspect
from lockstep.autoconfig.inspect import InitOptions
from lockstep.config.params import DataIngestion, DataPreprocessing
from lockstep.data import cleaning
from scripts import odd_tables, spreadsheets
from scripts.odd_columns import KINDS, SCRIPTS

LONG = pytest.mark.long("draws each kind ten times instead of three times")
SEEDS = [*range(3), *(pytest.param(seed, marks=LONG) for seed in range(3, 10))]
ROWS = 150


def look_at(path, target="y", **options):
    options = InitOptions(target=target, **options)
    sample = inspect.read_sample(DataIngestion(source=str(path)), options)
    return sample, inspect.make_draft(sample.frame, options)


def values_of(series):
    return [None if value is None or value != value else value for value in series]


def same(values, expected):
    return all(
        a == b or (isinstance(a, float | int) and isinstance(b, float | int) and abs(a - b) <= 1e-9 * max(1, abs(b)))
        for a, b in zip(values_of(values), expected, strict=True)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "silent"])
def test_a_column_has_the_role_and_the_values_that_a_careful_person_gives_it(tmp_path, kind, seed):
    draw = np.random.default_rng(seed)
    script = SCRIPTS[list(SCRIPTS)[seed % len(SCRIPTS)]]
    column = odd_tables.planted(draw, KINDS[kind][0](draw, 4 * ROWS, script))
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = zip(draw.normal(size=4 * ROWS).round(3), column.cells, draw.choice(["no", "yes"], 4 * ROWS), strict=True)
        csv.writer(stream).writerows([["x", kind, "y"], *rows])
    sample, draft = look_at(path)
    assert draft.plan.roles[kind] == column.role
    if column.role not in ("id", "date"):
        expected = [value.lower() if value in ("True", "False") else value for value in column.values]
        assert same(cleaning.canonical(sample.frame, {kind: column.role})[kind], map(spelled(column.role), expected))
    if column.role == "date":
        moments = pd.to_datetime(sample.frame[kind], format="ISO8601", utc=True)
        assert same(moments, values_of(pd.to_datetime(pd.Series(column.values), format="ISO8601", utc=True)))


def spelled(role):
    if role == "numeric":
        return lambda value: value
    return lambda value: str(value).lower() if isinstance(value, bool) else value


def table(draw):
    """Return the names and rows of a plain table: a number, a category, and the target."""
    rows = [
        (round(draw.gauss(0, 3) + 50, 3), draw.choice(["red", "blue", "green"]), draw.choice(["no", "yes"]))
        for _ in range(ROWS)
    ]
    return ["a", "c", "y"], rows


def text(head, rows, separator=",", **options):
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n", **options)
    writer.writerows([head, *rows] if head else rows)
    return stream.getvalue()


def with_comma(rows):
    return [(str(a).replace(".", ","), c, y) for a, c, y in rows]


def objects(head, rows):
    return [dict(zip(head, row, strict=True)) for row in rows]


def nested(head, rows):
    return [{"id": {"a": a}, "meta": {"c": c}, "y": y} for a, c, y in rows]


FILES = {
    "excel-sep-line": ("csv", lambda h, r: "\ufeffsep=;\n" + text(h, r, ";")),
    "semicolons-and-decimal-commas": ("csv", lambda h, r: text(h, with_comma(r), ";")),
    "title": ("csv", lambda h, r: "Report of sales 2024\n\n" + text(h, r)),
    "title-with-separators": ("csv", lambda h, r: "Report of sales 2024,,\n" + text(h, r)),
    "comments": ("csv", lambda h, r: "# exported 2024-01-01\n# by a tool\n" + text(h, r)),
    "comments-after-a-mark": ("csv", lambda h, r: "\ufeff# exported 2024-01-01\n" + text(h, r)),
    "total": ("csv", lambda h, r: text(h, r) + "Total,,\n"),
    "blanks-in-the-header": ("csv", lambda h, r: text([f" {name} " for name in h], r)),
    "blanks-after-commas": ("csv", lambda h, r: text(h, r).replace(",", ", ")),
    "single-quotes": ("csv", lambda h, r: text(h, r, quotechar="'", quoting=csv.QUOTE_ALL)),
    "all-quoted": ("csv", lambda h, r: text(h, r, quoting=csv.QUOTE_ALL)),
    "tabs": ("txt", lambda h, r: text(h, r, "\t")),
    "bars": ("data", lambda h, r: text(h, r, "|")),
    "windows-lines": ("csv", lambda h, r: text(h, r).replace("\n", "\r\n")),
    "old-mac-lines": ("csv", lambda h, r: text(h, r).replace("\n", "\r")),
    "row-numbers-without-a-name": ("csv", lambda h, r: text(["", *h], [(i, *row) for i, row in enumerate(r)])),
    "row-names-of-r": ("csv", lambda h, r: text(h, []) + text(None, [(i, *row) for i, row in enumerate(r)])),
    "array": ("json", lambda h, r: json.dumps(objects(h, r))),
    "array-in-an-object": ("json", lambda h, r: json.dumps({"rows": objects(h, r), "count": len(r)})),
    "json-lines": ("jsonl", lambda h, r: "\n".join(map(json.dumps, objects(h, r)))),
    "nested-json-lines": ("jsonl", lambda h, r: "\n".join(map(json.dumps, nested(h, r)))),
}  # fmt: skip


def is_read(path, rows, **options):
    sample, draft = look_at(path, **options)
    names = {name.rpartition(".")[2]: name for name in sample.frame}
    for index, name in enumerate("acy"):
        assert same(sample.frame[names[name]], [row[index] for row in rows])
    return sample, draft


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("ending", "make"), FILES.values(), ids=FILES.keys())
def test_a_file_is_read_whatever_stands_around_its_rows(tmp_path, ending, make, seed):
    head, rows = table(random.Random(seed))
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(make(head, rows).encode("utf-8"))
    is_read(path, rows)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_a_file_in_another_unicode_is_read(tmp_path, encoding, seed):
    head, rows = table(random.Random(seed))
    path = tmp_path / "rows.csv"
    path.write_bytes(text(head, rows).encode(encoding))
    is_read(path, rows)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ending", ["xlsx", "ods", "parquet", "nested.parquet"])
def test_a_file_with_types_is_read(tmp_path, ending, seed):
    head, rows = table(random.Random(seed))
    path = tmp_path / f"rows.{ending}"
    if ending.endswith("parquet"):
        document = nested(head, rows) if "nested" in ending else objects(head, rows)
        pd.DataFrame(document).to_parquet(path)
    else:
        spreadsheets.write(path, "Tabelle 1", [head, *rows])
    is_read(path, rows)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_without_a_header_is_read_by_numbers(tmp_path, seed):
    _, rows = table(random.Random(seed))
    path = tmp_path / "uci.data"
    path.write_text(text(None, rows).replace(",", ", "), encoding="utf-8")
    sample, draft = look_at(path, target="3")
    assert draft.target == "column_3"
    assert list(sample.frame) == ["column_1", "column_2", "column_3"]
    assert same(sample.frame["column_1"], [row[0] for row in rows])


def spoiled(draw, label):
    ways = (str.upper, str.title, lambda text: f"{text} ", lambda text: f" {text}")
    return draw.choice(ways)(label) if draw.random() < 0.15 else label


TARGETS = {
    "blanks-and-cases": (lambda draw: draw.choice(["yes", "no"]), spoiled, "binary", {"yes", "no"}),
    "true-and-false": (lambda draw: draw.choice(["True", "False"]), None, "binary", {True, False}),
    "many-words-of-truth": (
        lambda draw: draw.choice(["Y", "yes", "true", "N", "no", "false"]), None, "binary", {True, False},
    ),
    "whole-numbers-with-a-point": (lambda draw: draw.choice(["1.0", "0.0"]), None, "binary", {1, 0}),
    "missing-in-some-rows": (lambda draw: draw.choice(["1", "0", "0", ""]), None, "binary", {1, 0}),
    "below-zero": (lambda draw: draw.choice(["-1", "1", "1", ""]), None, "binary", {-1, 1}),
    "many-classes": (lambda draw: f"class {draw.randint(1, 12)}", spoiled, "multiclass", None),
    "money": (lambda draw: f"${draw.uniform(1, 5000):,.2f} ", None, "regression", None),
    "decimal-commas": (lambda draw: f"{draw.uniform(1, 5000):.2f}".replace(".", ","), None, "regression", None),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("label", "spoil", "task", "labels"), TARGETS.values(), ids=TARGETS.keys())
def test_a_target_is_read_in_one_spelling(tmp_path, label, spoil, task, labels, seed):
    draw = random.Random(seed)
    clean = [label(draw) for _ in range(2 * ROWS)]
    cells = [spoil(draw, one) if spoil else one for one in clean]
    path = tmp_path / "rows.csv"
    path.write_text(text(["x", "y"], [(draw.gauss(0, 1), cell) for cell in cells]), encoding="utf-8")
    sample, draft = look_at(path)
    assert draft.plan.task == task
    target = cleaning.canonical_target(sample.frame["y"].dropna(), task)
    expected = labels or ({one.lower() for one in clean} if task == "multiclass" else set(target))
    assert {value.lower() if isinstance(value, str) else value for value in target.unique()} == expected
    if task == "multiclass":
        assert target.nunique() == len(set(clean))
    params = DataPreprocessing(target="y", task=task, positive=draft.plan.positive)
    if task == "binary":
        assert cleaning.positive_label(target, params) in expected


SPECIAL = ["self", "csrf_token", "prediction", "rows", "index", "target", "id", "model", "version", "probability",
           "a.b", "c[0]", "größe (cm)", "日本 列", '"z"', "x<y>&", "it's", "%s", "{1}", "true", "null"]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_may_be_called_anything(tmp_path, seed):
    draw = random.Random(seed)
    names = draw.sample(SPECIAL, 8)
    rows = [[draw.gauss(0, 1) for _ in names] for _ in range(ROWS)]
    path = tmp_path / "rows.csv"
    path.write_text(text([*names, "y"], [(*row, draw.choice("ab")) for row in rows]), encoding="utf-8")
    sample, draft = look_at(path)
    assert draft.plan.of("numeric") == names
    assert sample.frame[names].to_numpy().tolist() == rows


@pytest.mark.parametrize("seed", SEEDS)
def test_links_are_left_out_and_ids_of_many_digits_stay_whole(tmp_path, seed):
    draw = random.Random(seed)
    ids = [draw.randrange(10**17, 10**18) for _ in range(ROWS)]
    rows = [
        (number, f"http://www.example.com/{number}?x={i}", draw.gauss(0, 1), draw.choice("ab"))
        for i, number in enumerate(ids)
    ]
    path = tmp_path / "rows.csv"
    path.write_text(text(["tweet_id", "link", "x", "y"], rows), encoding="utf-8")
    sample, draft = look_at(path)
    assert sample.frame["tweet_id"].tolist() == ids
    assert (draft.plan.of("id"), draft.plan.of("ignore"), draft.plan.of("numeric")) == (["tweet_id"], ["link"], ["x"])
    assert any("links or file names" in choice.why for choice in draft.choices)


@pytest.mark.parametrize("seed", SEEDS)
def test_texts_of_many_lines_with_signs_are_one_column(tmp_path, seed):
    draw = random.Random(seed)
    words = ["bad 😡", "good 😀", 'so "so"', "fine, thanks", "really\ngood", "one two three four"]
    rows = [(" ".join(draw.choices(words, k=6)) + str(i), draw.choice("ab")) for i in range(ROWS)]
    path = tmp_path / "rows.csv"
    path.write_text(text(["msg", "y"], rows), encoding="utf-8")
    sample, draft = look_at(path)
    assert sample.frame["msg"].tolist() == [row[0] for row in rows]
    assert draft.plan.of("text") == ["msg"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_table_of_few_rows_that_repeat_stays_one(tmp_path, seed):
    draw = random.Random(seed)
    few = [(draw.gauss(0, 1), draw.choice("rg"), "ab"[i % 2]) for i in range(30)]
    path = tmp_path / "rows.csv"
    path.write_text(text(["a", "c", "y"], [few[0], few[1]] * 60), encoding="utf-8")
    assert not look_at(path)[1].plan.drop_duplicates
    path.write_text(text(["a", "c", "y"], few), encoding="utf-8")
    assert look_at(path)[1].plan.task == "binary"


def test_numbers_among_too_many_texts_are_named(tmp_path):
    draw = random.Random(3)
    cells = [f"{draw.gauss(50, 10):.2f}" if draw.random() < 0.75 else f"see note {row}" for row in range(600)]
    rows = [(cell, draw.choice(["no", "yes"])) for cell in cells]
    (tmp_path / "rows.csv").write_text(text(["a", "y"], rows), "utf-8")
    _, draft = look_at(tmp_path / "rows.csv")
    (said,) = [choice.look for choice in draft.choices if "cells are numbers" in choice.look]
    share = sum("see" not in cell for cell in cells) / len(cells)
    assert said.startswith("a: ") and f"{share:.0%}" in said and "'see note " in said


@pytest.mark.parametrize("labels", [("<=50K", ">50K"), ("<18", "18-65", ">65"), ("~5", "~10")])
def test_names_of_ranges_stay_classes_and_categories(tmp_path, labels):
    draw = random.Random(1)
    rows = [(draw.choice(labels), draw.choice(labels)) for _ in range(200)]
    (tmp_path / "rows.csv").write_text(text(["a", "y"], rows), "utf-8")
    sample, draft = look_at(tmp_path / "rows.csv")
    if "18-65" not in labels:  # a third of which are ranges: their middle is a number
        assert set(sample.frame["y"]) == set(labels)
        assert (draft.plan.task, draft.plan.roles["a"]) == ("binary", "categorical")
    else:
        assert draft.plan.task == "multiclass"

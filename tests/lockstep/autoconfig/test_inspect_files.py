"""Files as programs write them: escaped quotes, line breaks in names, separators at line ends, compression, layouts."""

import bz2
import gzip
import json
import lzma
import random

import pytest

from lockstep.autoconfig import inspect
from lockstep.autoconfig.inspect import InitOptions
from lockstep.config.params import DataIngestion
from lockstep.errors import DataError, QuestionError

SEEDS = range(10)
NAMES = ("x", "c", "y")


def rows(draw):
    """Return rows of a number, a text with a word of Latin letters, and a label."""
    words = ["röd", "blå", "grön", "gul"]
    return [(round(draw.gauss(50, 9), 2), draw.choice(words), draw.choice(["yes", "no"])) for _ in range(80)]


def text(body, separator=",", head=None, end="\n"):
    lines = [separator.join(head or NAMES), *(separator.join(map(str, row)) for row in body)]
    return end.join(lines) + end


def frame_of(path, **options):
    sample = inspect.read_sample(DataIngestion(source=str(path)), InitOptions(target="y", **options))
    return sample.frame


def check(path, body, names=NAMES):
    frame = frame_of(path)
    assert [str(name) for name in frame.columns][: len(names)] == list(names)
    for index, name in enumerate(names):
        assert frame[name].tolist() == [row[index] for row in body]


@pytest.mark.parametrize("seed", SEEDS)
def test_quotes_behind_backslashes(tmp_path, seed):
    draw = random.Random(seed)
    body = [(x, f'say "{c}", or {draw.choice(["a", "b"])}', y) for x, c, y in rows(draw)]
    path, separator = tmp_path / "rows.csv", draw.choice([",", ";", "\t"])
    quoted = [(x, '"' + c.replace('"', '\\"') + '"', y) for x, c, y in body]
    path.write_text(text(quoted, separator), "utf-8")
    check(path, body)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_backslash_before_a_closing_quote_is_part_of_a_path(tmp_path, seed):
    draw = random.Random(seed)
    body = [(x, f"C:\\data\\{c}\\", y) for x, c, y in rows(draw)]
    path = tmp_path / "rows.csv"
    path.write_text(text([(x, f'"{c}"', y) for x, c, y in body]), "utf-8")
    check(path, body)


@pytest.mark.parametrize("seed", SEEDS)
def test_names_with_line_breaks(tmp_path, seed):
    draw = random.Random(seed)
    body, path = rows(draw), tmp_path / "rows.csv"
    name = draw.choice(["x\n(mm)", "x\n\nin mm", "first\nx, in mm"])
    path.write_text(text(body, head=(f'"{name}"', "c", "y")), "utf-8")
    check(path, body, (name, "c", "y"))


@pytest.mark.parametrize("seed", SEEDS)
def test_lines_that_end_in_a_separator(tmp_path, seed):
    draw = random.Random(seed)
    body, path = rows(draw), tmp_path / "rows.csv"
    separator = draw.choice([",", ";", "|"])
    path.write_text(text([(*row, "") for row in body], separator), "utf-8")
    check(path, body)


@pytest.mark.parametrize("seed", SEEDS)
def test_compressed_files(tmp_path, seed):
    draw = random.Random(seed)
    body, (suffix, compress) = (
        rows(draw),
        [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)][seed % 3],
    )
    path = tmp_path / f"rows.csv{suffix}"
    packed = compress(text(body).encode())
    path.write_bytes(packed)
    check(path, body)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"is no whole (gzip|bzip2|xz) file"):
        frame_of(path)


@pytest.mark.parametrize("layout", ["split", "columns", "index", "lists", "records", "wrapped"])
def test_layouts_of_json(tmp_path, layout):
    body = rows(random.Random(layout))
    records = [dict(zip(NAMES, row, strict=True)) for row in body]
    columns = list(zip(*body, strict=True))
    page = {
        "split": {"columns": NAMES, "index": list(range(len(body))), "data": body},
        "columns": {name: dict(enumerate(values)) for name, values in zip(NAMES, columns, strict=True)},
        "index": dict(enumerate(records)),
        "lists": dict(zip(NAMES, columns, strict=True)),
        "records": records,
        "wrapped": {"count": len(body), "rows": records},
    }[layout]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(page))
    check(path, body)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_lines_of_another_encoding_are_a_question(tmp_path, seed):
    draw = random.Random(seed)
    lines = text(rows(draw)).splitlines(keepends=True)
    odd = [*sorted(draw.sample(range(1, len(lines) - 1), 2)), len(lines) - 1]
    encoded = [line.encode("cp1252" if number in odd else "utf-8") for number, line in enumerate(lines)]
    path = tmp_path / "rows.csv"
    path.write_bytes(b"".join(encoded).removesuffix(b"\n"))
    wrong = [number + 1 for number in odd if not encoded[number].isascii()]
    if not wrong:
        pytest.fail("the lines hold no letter beyond ASCII")
    with pytest.raises(QuestionError, match=f"mixes encodings: lines? {', '.join(map(str, wrong))} "):
        frame_of(path)
    assert len(frame_of(path, encoding="cp1252")) == len(lines) - 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_with_too_many_values_is_named(tmp_path, seed):
    draw = random.Random(seed)
    lines = text(rows(draw)).splitlines()
    line = draw.randrange(5, len(lines))
    lines[line] += ",more"
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match=f"line {line + 1} holds 4 values, not 3"):
        frame_of(path)

"""The fast decoder takes what `Schema.check` takes, gives the same rows, and leaves every doubt to it."""

import json
import random

import pytest

from lockstep.data.schema import Column, RowsRefused, Schema
from lockstep.scoring.json_decoder import Decoder

SCHEMA = Schema(
    "binary",
    "y",
    ("no", "yes"),
    (
        Column("age", "numeric", False, 30.0, 20.0, 40.0, 1.0),
        Column("size <cm> é", "numeric", True, 1.5),
        Column("town", "categorical", True, "Bonn", categories=("Bonn", 'Łódź "2"'), unknown="refuse"),
        Column("review", "text", False, "good"),
        Column("since", "date", True, "2026-01-31"),
        Column("mood", "categorical", False, "calm", categories=("calm",), unknown="ignore"),
    ),
)
DECODER = Decoder(SCHEMA)
ROW = {"age": 30, "size <cm> é": 1.5, "town": "Bonn", "review": "good", "since": "2026-01-31", "mood": "calm"}
ALL_NONE = {"size <cm> é": None, "town": None, "since": None}


def spelled(row, **options):
    return json.dumps({"rows": [row]}, **options).encode()


GOOD = {
    "plain": ROW,
    "nulls": ROW | ALL_NONE,
    "whole number": ROW | {"age": 2**62},
    "negative zero": ROW | {"age": -0.0},
    "other order": dict(reversed(ROW.items())),
    "quotes in a value": ROW | {"review": 'she said "no" \\" twice', "town": 'Łódź "2"'},
    "any text": ROW | {"review": "\t\n\x00漢字 \U0001f600 \\ / \u2028"},
    "a category of its own": ROW | {"mood": "never seen"},
    "key within a value": ROW | {"review": '{"age":5}'},
}


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize("row", GOOD.values(), ids=GOOD)
def test_good_rows_are_decoded_as_they_are_checked(row, ascii_only):
    asked = DECODER.decode(spelled(row, ensure_ascii=ascii_only))
    assert asked.rows == SCHEMA.check([row])
    assert asked.version is None


def test_a_version_and_many_rows():
    body = json.dumps({"version": '3"', "rows": [ROW, ROW | ALL_NONE] * 50}).encode()
    asked = DECODER.decode(body)
    assert (asked.version, asked.rows) == ('3"', SCHEMA.check([ROW, ROW | ALL_NONE] * 50))


GOOD_BODY = spelled(ROW).decode()
DOUBTFUL = {
    "number in quotes": spelled(ROW | {"age": "30"}),
    "bool for a number": spelled(ROW | {"age": True}),
    "null where none was": spelled(ROW | {"age": None}),
    "beyond a float": spelled(ROW | {"age": 10**400}),
    "overflowing exponent": GOOD_BODY.replace("30", "1e999").encode(),
    "NaN": spelled(ROW | {"age": float("nan")}),
    "infinity": spelled(ROW | {"age": float("inf")}),
    "unknown category": spelled(ROW | {"town": "Paris"}),
    "number for a text": spelled(ROW | {"review": 5}),
    "no such day": spelled(ROW | {"since": "2026-02-30"}),
    "missing column": spelled({name: value for name, value in ROW.items() if name != "age"}),
    "unknown column": spelled(ROW | {"y": "no"}),
    "list for a row": spelled(list(ROW.values())),
    "lone surrogate": spelled(ROW | {"review": "\ud800"}),
    "hidden quote": GOOD_BODY.replace("good", "\\u0022").encode(),
    "key twice": GOOD_BODY.replace('"age": 30', '"age": 31, "age": 30').encode(),
    "key twice, hidden by a quote": GOOD_BODY.replace('"age": 30', '"age": 31, "age": 30')
    .replace("good", "\\u0022\\u0022")
    .encode(),
    "rows twice": (GOOD_BODY[:-1] + "," + GOOD_BODY[1:]).encode(),
    "no rows": b'{"rows": []}',
    "rows null": b'{"rows": null}',
    "unknown key": (GOOD_BODY[:-1] + ', "explain": true}').encode(),
    "version null": (GOOD_BODY[:-1] + ', "version": null}').encode(),
    "version a number": (GOOD_BODY[:-1] + ', "version": 3}').encode(),
    "list": b"[]",
    "empty": b"",
    "two documents": GOOD_BODY.encode() * 2,
    "trailing comma": GOOD_BODY.replace("]}", "],}").encode(),
    "byte order mark": b"\xef\xbb\xbf" + GOOD_BODY.encode(),
    "UTF-16": GOOD_BODY.encode("utf-16"),
    "broken UTF-8": GOOD_BODY.replace("good", "g\udcff").encode(errors="surrogateescape"),
    "deep": b'{"rows":' + b"[" * 100_000,
}


@pytest.mark.parametrize("body", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_is_in_doubt_is_left_to_the_schema(body):
    assert DECODER.decode(body) is None


@pytest.mark.parametrize("name", ['a "b"', "a\\b", "a\nb"])
def test_a_column_that_cannot_be_named_is_left_to_the_schema(name):
    odd = Schema("regression", "y", (), (Column(name, "numeric", False, 1.0),))
    assert Decoder(odd).decode(spelled({name: 1})) is None


def test_a_schema_too_wide_to_compile_is_left_alone():
    wide = Schema("regression", "y", (), tuple(Column(f"x{n}", "numeric", False, 1.0) for n in range(1001)))
    assert Decoder(wide).decode(json.dumps({"rows": [{f"x{n}": 1 for n in range(1001)}]}).encode()) is None


def test_whatever_it_takes_the_schema_takes():
    """Change a good body at random: decoded rows must be those that strict JSON and the schema give."""
    draw = random.Random(11)
    pieces = [
        '"',
        "\\",
        "\\u0022",
        ",",
        ":",
        "{",
        "}",
        "null",
        "true",
        "1e5",
        "-",
        "0",
        " ",
        "é",
        '"age": 1,',
        "[",
        "]",
    ]
    taken = 0
    for _ in range(20_000):
        text = json.dumps({"rows": [draw.choice(list(GOOD.values()))]})
        for _ in range(draw.randrange(3)):
            start = draw.randrange(len(text))
            text = text[:start] + draw.choice(pieces) + text[start + draw.randrange(3) :]
        asked = DECODER.decode(text.encode())
        if asked:
            taken += 1
            assert asked.rows == SCHEMA.check(json.loads(text, object_pairs_hook=_once)["rows"])
    assert taken > 2000


def _once(pairs):
    assert len(dict(pairs)) == len(pairs), "a key stands twice"
    return dict(pairs)


def test_it_is_the_schema_that_says_what_is_wrong():
    with pytest.raises(RowsRefused, match="age"):
        SCHEMA.check([ROW | {"age": "30"}])

"""Ways to spoil a body, all driven by one source of chance."""

import json
import random
from collections.abc import Callable
from typing import Any

TOKENS = [
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"0"),
    *(
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b'\\"',
        b"\\u0022",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\0",
    ),
    *(b"9" * 400, b"[" * 200, b'{"a":' * 200, b"1" + b"0" * 5000, b" " * 100, b"\r\n", b"\n", b"\r", b"\t"),
    *(
        b"--limit",
        b"--limit--",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; name=",
        b'; filename="',
        b"name*=utf-8''%ff",
    ),
    *(
        b"&",
        b"=",
        b"%",
        b"%00",
        b"%ff",
        b"+",
        b";",
        b'"rows"',
        b'"version"',
        b'"inputs"',
        b'"data"',
        b'"shape"',
        b'"datatype"',
    ),
    *(b"2026-01-31", b"2026-02-30", b"0001-01-01", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"1_000", b"\xef\xbc\x91"),
]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        2**64,
        -(2**63),
        10**400,
        1.5,
        -0.0,
        5e-324,
        1.7e308,
        "",
        "a",
        "1",
        "NaN",
    ),
    *([], {}, [[]], [{}], {"": None}, [None], "\ud800", "\0", "é", "😀", "2026-01-31", "0001-01-01T00:00:00+14:00"),
    *("FP64", "BYTES", "INT8", [1, 2, 3], {"rows": []}, "a" * 300, [0] * 300, float("nan"), float("inf")),
]
Mutator = Callable[[bytes, bytes, random.Random], bytes]


def mutate(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return a body spoilt in up to four ways; parts of the other may stand in it."""
    for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 2, 3, 4))):
        body = chance.choice(MUTATORS)(body, other, chance)
    return body


def flip(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a bit."""
    if not body:
        return body
    changed = bytearray(body)
    changed[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Take a part out."""
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:start] + body[min(end, start + 40) :]


def repeat(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Write a part twice."""
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:end] + body[start:]


def insert(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put in something that means much to a parser."""
    place = chance.randrange(len(body) + 1)
    return body[:place] + chance.choice(TOKENS) + body[place:]


def overwrite(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Write something over a part."""
    place = chance.randrange(len(body) + 1)
    token = chance.choice(TOKENS)
    return body[:place] + token + body[place + len(token) :]


def noise(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Put in random bytes, or send nothing else."""
    drawn = chance.randbytes(chance.randrange(1, 40))
    place = chance.randrange(len(body) + 1)
    return drawn if chance.random() < 0.1 else body[:place] + drawn + body[place:]


def splice(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Go on with the other body from somewhere."""
    return body[: chance.randrange(len(body) + 1)] + other[chance.randrange(len(other) + 1) :]


def restructure(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a value, a key or a list of a JSON body, so that it stays JSON."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return insert(body, other, chance)
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = _changed(content, chance)
    return json.dumps(content, ensure_ascii=chance.random() < 0.7).encode("utf-8", "surrogatepass")


def _changed(content: Any, chance: random.Random) -> Any:
    """Walk down by chance and change what is there."""
    if not isinstance(content, dict | list) or not content or chance.random() < 0.15:
        return chance.choice(VALUES)
    if isinstance(content, list):
        return _changed_list(content, chance)
    key = chance.choice(list(content))
    way = chance.random()
    if way < 0.1:
        return {name: value for name, value in content.items() if name != key}
    if way < 0.2:
        return content | {chance.choice((key + " ", key.upper(), "", "\ud800", "a" * 200, "version")): content[key]}
    return content | {key: _changed(content[key], chance)}


def _changed_list(content: list[Any], chance: random.Random) -> list[Any]:
    place = chance.randrange(len(content))
    way = chance.random()
    if way < 0.1:
        return content[:place] + content[place + 1 :]
    if way < 0.2:
        return [*content, content[place]]
    return [*content[:place], _changed(content[place], chance), *content[place + 1 :]]


MUTATORS: tuple[Mutator, ...] = (
    flip,
    cut,
    repeat,
    insert,
    overwrite,
    noise,
    splice,
    restructure,
    restructure,
    restructure,
)

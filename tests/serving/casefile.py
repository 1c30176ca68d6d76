"""The cases of `cases/*.yaml`: read, and written out as the bytes of a request for one model and one protocol."""

import base64
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.serving.model import Facts, Model
from tests.serving.wire import Pieces

FOLDER = Path(__file__).parent / "cases"
COMPRESSIONS = {"gzip": lambda body: gzip.compress(body, mtime=0), "deflate": zlib.compress}
FORM = "application/x-www-form-urlencoded"


class Inapplicable(Exception):
    """The case speaks of something that this model, protocol or server does not have."""


@dataclass(frozen=True)
class Case:
    """One request, and what must be answered; `cases/README.md` explains the fields."""

    id: str
    kind: str
    says: str
    status: int | list[int]
    server: str = "plain"
    only: str = ""
    method: str = "POST"
    path: str = "$predict"
    line: str = ""
    headers: dict[str, Any] = field(default_factory=dict)
    set: dict[str, str] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    twice: dict[str, str] = field(default_factory=dict)
    body: str | list[Any] = ""
    form: bool = False
    charset: str = "utf-8"
    compress: str = ""
    chunked: int = 0
    cut: int | None = None
    pause: dict[str, float] = field(default_factory=dict)
    names: list[str] | str = ""
    answers: str = ""
    library: bool = False
    replies: int = 1
    flood: int = 1
    predictions: int = 0
    same: bool = True
    has: dict[str, Any] = field(default_factory=dict)
    sends: dict[str, str] = field(default_factory=dict)
    contains: list[str] | str = ""
    lacks: list[str] | str = ""

    @property
    def statuses(self) -> list[int]:
        """The statuses that are right."""
        return self.status if isinstance(self.status, list) else [self.status]


def load(folder: Path = FOLDER) -> list[Case]:
    """Read every case; an unknown field or an id given twice is refused.

    Raises
    ------
    ValueError
        A file does not fit.
    """
    found = [case for path in sorted(folder.glob("*.yaml")) for case in _read(path)]
    ids = [case.id for case in found]
    if len(set(ids)) < len(ids):
        raise ValueError(f"ids given twice: {sorted({name for name in ids if ids.count(name) > 1})}")
    return found


def _read(path: Path) -> Iterator[Case]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {each.name for each in fields(Case)}
    for entry in content["cases"]:
        merged = {"kind": content["kind"], **content.get("defaults", {}), **entry}
        if merged.keys() - known:
            raise ValueError(f"{path.name}, {merged.get('id')}: unknown fields {sorted(merged.keys() - known)}")
        yield Case(**merged)


def as_list(value: list[str] | str) -> list[str]:
    """Return one text as a list of it, and nothing as an empty list."""
    return value if isinstance(value, list) else [value] if value else []


def fill(text: str, facts: Mapping[str, str]) -> str:
    """Put the facts in for their placeholders.

    Raises
    ------
    Inapplicable
        There is no such fact here.
    """
    try:
        return Template(text).substitute(facts)
    except KeyError as missing:
        raise Inapplicable(f"no ${missing.args[0]} here") from None


def request(case: Case, model: Model, facts: Facts) -> Pieces:
    """Write a case out as bytes and pauses.

    Raises
    ------
    Inapplicable
        It speaks of what this model or protocol does not have.
    """
    body = _body(case, model, facts)
    head = _head(case, facts, body).encode("latin-1")
    if case.chunked:
        sizes = range(0, len(body), case.chunked)
        chunks = [body[at : at + case.chunked] for at in sizes]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    if case.cut is not None:
        body = body[: case.cut]
    if not case.pause:
        open_head = head.replace(b"Connection: close", b"Connection: keep-alive")
        return [(open_head + body) * (case.replies - 1) + head + body]
    step = int(case.pause["bytes"])
    pieces: list[bytes | float] = [head]
    for at in range(0, len(body), step):
        pieces += [float(case.pause["seconds"]), body[at : at + step]]
    return pieces


def _head(case: Case, facts: Facts, body: bytes) -> str:
    path = fill(case.path, facts.quoted)
    media = FORM if case.form else "application/json"
    headers: dict[str, Any] = {"Host": facts.raw["host"], "Connection": "close"}
    if body or case.method == "POST":
        headers |= {"Content-Type": media}
        headers |= {"Transfer-Encoding": "chunked"} if case.chunked else {"Content-Length": str(len(body))}
    headers |= case.headers
    line = fill(case.line, facts.quoted) if case.line else f"{case.method} {path} HTTP/1.1"
    return "".join([f"{line}\r\n", *_header_lines(headers, facts), "\r\n"])


def _header_lines(headers: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    """Yield a line for each value; null leaves a header out, a list repeats it."""
    for name, given in headers.items():
        for value in given if isinstance(given, list) else [] if given is None else [given]:
            yield f"{name}: {fill(_header_value(value), facts.raw)}\r\n"


def _header_value(value: Any) -> str:
    """Return the text of a value, which may be `{text, times}`."""
    return value["text"] * value["times"] if isinstance(value, dict) else str(value)


def _body(case: Case, model: Model, facts: Facts) -> bytes:
    pairs = _pairs(case, model, facts)
    if case.form and not case.body:
        body = urlencode(pairs).encode()
    elif case.body or case.method == "POST":
        texts = {**facts.json, **model.spelled(pairs)}
        body = b"".join(_part(part, texts, case.charset) for part in _parts(case, facts))
    else:
        body = b""
    return COMPRESSIONS[case.compress](body) if case.compress else body


def _parts(case: Case, facts: Facts) -> list[Any]:
    return case.body if isinstance(case.body, list) else [case.body or facts.envelope]


def _part(part: Any, texts: Mapping[str, str], charset: str) -> bytes:
    """Write one part: a text, `{text, times, between}` with # for the number, or `{base64}` for bytes as they are."""
    if isinstance(part, str):
        return fill(part, texts).encode(charset, "surrogatepass")
    if "base64" in part:
        return base64.b64decode(part["base64"])
    once, between = fill(part["text"], texts), part.get("between", "")
    if "#" not in once:
        return between.join([once] * part["times"]).encode(charset)
    return between.join(once.replace("#", str(number)) for number in range(part["times"])).encode(charset)


def _pairs(case: Case, model: Model, facts: Facts) -> list[tuple[str, str]]:
    """Return the good row after the changes of the case: JSON texts, or what is typed into a form."""
    good = model.typed if case.form else model.row
    dropped = {fill(name, facts.raw) for name in case.drop}
    changed = {fill(name, facts.raw): fill(value, facts.raw) for name, value in case.set.items()}
    row = {name: value for name, value in good.items() if name not in dropped} if "*" not in dropped else {}
    twice = [(fill(name, facts.raw), fill(value, facts.raw)) for name, value in case.twice.items()]
    return [*(row | changed).items(), *twice]

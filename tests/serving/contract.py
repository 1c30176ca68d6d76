"""What every answer must keep to, and what is wrong with one that does not."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.serving.casefile import Case, as_list, fill
from tests.serving.wire import Reply

MOST_BYTES = 8192
LOOKED_AT = 100_000
PROBLEM = "application/problem+json"
LEAKS = {
    "a traceback": r"Traceback|File \"|line \d+, in ",
    "a path": r"site-packages|/(?:home|root|tmp|usr|opt|var|srv|app)/[\w.-]|(?<![\w.-])[\w-]{1,60}\.py(?![\w-])",
    "SQL": r"\bSELECT\b|\bINSERT INTO\b|sqlalchemy|sqlite3?\.",
    "a library": r"(?i)\b(werkzeug|flask|granian|gunicorn|uvicorn|hyper|python|numpy|pandas|sklearn|scikit-learn|"
    r"orjson|msgspec|pydantic|mlflow)[/ =-]+v?\d",
    "an exception": r"\b[A-Z]\w+(?:Error|Exception)\b",
}


def wrong(case: Case, replies: list[Reply], facts: Mapping[str, str]) -> list[str]:
    """Return what an answer does that the contract does not allow; nothing if all is well."""
    if not replies:
        return [] if case.library else ["the connection was closed without an answer"]
    if len(replies) != case.replies:
        return [f"{len(replies)} answers where {case.replies} are due: {[reply.status for reply in replies]}"]
    return [fault for reply in replies for fault in _wrong(case, reply, facts)]


def roughly_right(case: Case, replies: list[Reply], facts: Mapping[str, str]) -> bool:
    """Tell whether another server refuses what it should, with any status of 400 to 499, and answers the rest right."""
    if not replies:
        return case.library
    due = {status // 100 for status in case.statuses}
    if len(replies) != case.replies or any(reply.status // 100 not in due for reply in replies):
        return False
    answered = [reply for reply in replies if reply.status == 200 and case.predictions]
    return not [fault for reply in answered for fault in _answered(case, reply, facts)]


def _wrong(case: Case, reply: Reply, facts: Mapping[str, str]) -> Iterator[str]:
    yield from leaks(reply)
    if reply.status not in case.statuses:
        yield f"status {reply.status} where {case.statuses} is due: {reply.text[:300]}"
    if reply.status >= 400:
        yield from _refused(case, reply)
    elif case.predictions:
        yield from _answered(case, reply, facts)
    if (case.library and not reply.body) or case.method == "HEAD":
        return
    yield from _content(case, reply, facts)


def leaks(reply: Reply) -> Iterator[str]:
    """Yield what an answer tells of the inside."""
    text = "\n".join([*(value for _, value in reply.headers), reply.text])[:LOOKED_AT]
    for what, pattern in LEAKS.items():
        found = re.search(pattern, text) if reply.status >= 400 else None
        if found:
            yield f"{what} leaves the server: {found[0]!r}"
    if re.search(r"\d", reply.header("Server") or ""):
        yield f"a version leaves the server: {reply.header('Server')!r}"


def _refused(case: Case, reply: Reply) -> Iterator[str]:
    page = case.answers == "page" or (case.answers == "either" and reply.media_type == "text/html")
    if len(reply.body) > MOST_BYTES and not page:
        yield f"{len(reply.body)} bytes where {MOST_BYTES} are the most"
    if reply.status == 405 and not reply.header("Allow"):
        yield "405 without Allow"
    if reply.status in (429, 503) and not (reply.header("Retry-After") or "").isdigit():
        yield f"{reply.status} without Retry-After"
    if reply.status == 401 and not reply.header("WWW-Authenticate"):
        yield "401 without WWW-Authenticate"
    if case.method == "HEAD" or (case.library and not reply.body):
        return
    yield from _page(reply) if page else _problem(reply)


def _page(reply: Reply) -> Iterator[str]:
    if reply.media_type != "text/html":
        yield f"{reply.media_type} where a page is due"


def _problem(reply: Reply) -> Iterator[str]:
    if reply.media_type != PROBLEM:
        yield f"media type {reply.media_type!r} where {PROBLEM} is due"
    content = strict(reply)
    if not isinstance(content, dict):
        yield f"not a JSON object: {reply.text[:100]}"
        return
    for name in ("type", "title", "detail"):
        if not (isinstance(content.get(name), str) and content[name]):
            yield f"no {name}"
    if content.get("status") != reply.status:
        yield f"its status is {content.get('status')}"


def strict(reply: Reply) -> Any:
    """Return the JSON of a body, or the word for what is wrong with it."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        return json.loads(reply.body.decode("utf-8"), parse_constant=refuse)
    except ValueError as error:
        return f"not strict JSON: {error}"


def _answered(case: Case, reply: Reply, facts: Mapping[str, str]) -> Iterator[str]:
    content = strict(reply)
    found = content.get("predictions") if isinstance(content, dict) else None
    if not isinstance(found, list) or len(found) != case.predictions:
        yield f"no {case.predictions} predictions in {reply.text[:200]}"
        return
    if case.same and "good" in facts:
        expected = json.loads(facts["good"])
        others = [each for each in found if not _holds(each, expected)]
        if others:
            yield f"{others[0]} where {expected} is due"


def _holds(answer: Any, expected: Any) -> bool:
    """Tell whether an answer is the expected one, beside an id of its own."""
    if isinstance(expected, dict) and isinstance(answer, dict):
        return {**answer, **expected} == answer
    return bool(answer == expected)


def _content(case: Case, reply: Reply, facts: Mapping[str, str]) -> Iterator[str]:
    text = html.unescape(reply.text) if reply.media_type == "text/html" else reply.text
    named = json.dumps(strict(reply), ensure_ascii=False) if reply.media_type == PROBLEM else text
    for name in (fill(name, facts) for name in as_list(case.names)):
        if json.dumps(name, ensure_ascii=False)[1:-1] not in named and name not in named:
            yield f"does not name {name!r}: {reply.text[:300]}"
    for part in as_list(case.contains):
        if fill(part, facts) not in text:
            yield f"lacks {fill(part, facts)!r}: {reply.text[:300]}"
    for part in as_list(case.lacks):
        if fill(part, facts) in reply.text:
            yield f"holds {fill(part, facts)!r}"
    yield from _stated(case, reply, facts)


def _stated(case: Case, reply: Reply, facts: Mapping[str, str]) -> Iterator[str]:
    """Yield the headers and the keys of the JSON that are not as the case says."""
    for name, part in case.sends.items():
        value = reply.header(name)
        if (part == "" and value is not None) or (part and fill(part, facts).lower() not in (value or "").lower()):
            yield f"header {name} is {value!r}, not {part!r}"
    content = strict(reply) if case.has else {}
    for key, value in case.has.items():
        found = content.get(key) if isinstance(content, dict) else None
        if found != (fill(value, facts) if isinstance(value, str) else value):
            yield f"{key} is {found!r}, not {value!r}"

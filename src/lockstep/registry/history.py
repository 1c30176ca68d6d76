"""Promotion history: events as values, as registry tags, and as a stack for rollbacks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from lockstep.decision import Decision

PREFIX = "lockstep.event."
LONGEST_VALUE = 4_900
LONGEST_WORD, LONGEST_DECISION = 200, 2_400

Action = Literal["promote", "rollback", "refused"]


@dataclass(frozen=True)
class Event:
    """One move of Production, or a refusal; the registry fills action, version, previous and at.

    `forced`: the move went against the gate, or brought a version back that once did. `decision` is what the gate
    answered, as `Decision.to_json` writes it; moves from before it was kept have none.
    """

    action: Action = "promote"
    version: str = ""
    previous: str = ""
    actor: str = ""
    at: str = ""
    reason: str = ""
    forced: bool = False
    git_commit: str = ""
    dvc_lock: str = ""
    data_digest: str = ""
    decision: Mapping[str, Any] | None = None


def moment(ms: int) -> str:
    """Write milliseconds since 1970 as an ISO time in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def key(ms: int, version: str) -> str:
    """Name the tag of an event so that names sort by time."""
    return f"{PREFIX}{ms:015d}.{version}"


def milliseconds(tag: str) -> int:
    """Read the time back from a tag's name."""
    return int(tag.removeprefix(PREFIX).split(".")[0])


def encode(event: Event) -> str:
    """Write an event as compact JSON below the length that every server takes; decision and reason give way."""
    content = {
        name: value[:LONGEST_WORD] if isinstance(value, str) and name != "reason" else value
        for name, value in asdict(event).items()
        if name != "decision" or value
    }
    if event.decision:
        content["decision"] = Decision.from_json(event.decision).within(LONGEST_DECISION)
    while len(text := json.dumps(content, separators=(",", ":"))) > LONGEST_VALUE:
        if len(content["reason"]) <= LONGEST_WORD and content.pop("decision", None):
            continue
        surplus = len(text) - LONGEST_VALUE
        content["reason"] = content["reason"][: -max(4, surplus // 12 + 4)] + "..."
    return text


def decode(text: str) -> Event | None:
    """Read an event; None for a tag that something else wrote."""
    try:
        content = json.loads(text)
        names = {field.name for field in fields(Event)}
        return Event(**{name: value for name, value in content.items() if name in names})
    except (ValueError, AttributeError):
        return None


def tags_in_order(tags: Mapping[str, str]) -> list[str]:
    """Return the names of the event tags, oldest first."""
    return sorted(tag for tag in tags if tag.startswith(PREFIX) and tag[len(PREFIX) :].split(".")[0].isdecimal())


def read(tags: Mapping[str, str]) -> list[Event]:
    """Return the events that stand in a model's tags, newest first."""
    events = [(name, decode(tags[name])) for name in reversed(tags_in_order(tags))]
    return [event if event.at else replace(event, at=moment(milliseconds(name))) for name, event in events if event]


def stack(newest_first: Iterable[Event]) -> list[str]:
    """Fold the events: a promotion pushes its version, a rollback pops down to the one it restored."""
    versions: list[str] = []
    for event in reversed(list(newest_first)):
        if event.action == "promote" and versions[-1:] != [event.version]:
            versions.append(event.version)
        elif event.action == "rollback":
            while versions and versions[-1] != event.version:
                versions.pop()
            versions = versions or [event.version]
    return versions


def restorable(newest_first: Iterable[Event], current: str) -> str | None:
    """Return the version that a rollback restores, or None; without a current one, the last on record was it."""
    versions = stack(newest_first)
    current = current or "".join(versions[-1:])
    while versions and versions[-1] == current:
        versions.pop()
    return versions[-1] if versions else None


def rolled_back(newest_first: Iterable[Event], version: str) -> Event | None:
    """Return the rollback that took a version out of Production, unless it was promoted again since."""
    for event in newest_first:
        if event.action == "promote" and event.version == version:
            return None
        if event.action == "rollback" and version in (event.version, event.previous):
            return event if event.version != version else None
    return None


def rolled_back_spans(newest_first: Iterable[Event]) -> list[tuple[int, int]]:
    """Return for each rollback when the version that it restored had gone live, and when it was, in us since 1970.

    Whatever came between may have made the version that was rolled back.
    """
    live: dict[str, int] = {}
    spans = []
    for event in reversed(list(newest_first)):
        at_us = int(datetime.fromisoformat(event.at).timestamp() * 1e6)
        if event.action == "promote":
            live[event.version] = at_us
        elif event.action == "rollback":
            spans.append((live.get(event.version, 0), at_us))
    return spans

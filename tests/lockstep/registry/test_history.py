import json

import pytest

from lockstep import decision as decisions
from lockstep.decision import Check, Decision
from lockstep.registry import history as events
from lockstep.registry.history import Event


def moves(*texts):
    """Make events from words such as 'promote 1', oldest first, and return them newest first."""
    return [Event(action=text.split()[0], version=text.split()[1]) for text in reversed(texts)]


@pytest.mark.parametrize(
    ("history", "current", "restored"),
    [
        ([], "", None),
        (["promote 1"], "1", None),
        (["promote 1", "promote 2"], "2", "1"),
        (["promote 1", "promote 2", "promote 2"], "2", "1"),
        (["promote 1", "promote 2", "refused 3"], "2", "1"),
        (["promote 1", "promote 2", "promote 3", "rollback 2"], "2", "1"),
        (["promote 1", "promote 2", "promote 3", "rollback 2", "rollback 1"], "1", None),
        (["promote 1", "promote 2", "rollback 1", "promote 3"], "3", "1"),
        (["promote 1", "promote 2", "promote 1"], "1", "2"),
        (["promote 1", "promote 2", "promote 1", "rollback 2"], "2", "1"),
        (["promote 1"], "7", "1"),
        (["promote 1", "promote 2"], "", "1"),
        (["rollback 4"], "9", "4"),
    ],
)
def test_a_rollback_goes_down_the_stack_of_promotions(history, current, restored):
    assert events.restorable(moves(*history), current) == restored


def test_an_event_reads_back_as_written():
    event = Event("rollback", "2", "3", "ann", "2026-01-01T00:00:00.000+00:00", "wörse\n", True, "abc", "def", "123")
    assert events.read({events.key(5, "2"): events.encode(event)}) == [event]


@pytest.mark.parametrize("reason", ["x" * 50_000, "é" * 50_000, '"' * 50_000, "\U0001f600" * 50_000, "\x00" * 9_000])
def test_a_long_reason_gives_way(reason):
    text = events.encode(Event(reason=reason, actor="a" * 10_000, git_commit="abc"))
    assert len(text) < 5_000
    assert len(json.loads(text)["reason"]) > 300
    assert json.loads(text)["git_commit"] == "abc"


def test_events_sort_by_time_and_foreign_tags_are_passed_over():
    tags = {
        events.key(10, "9"): events.encode(Event(version="9")),
        events.key(9, "10"): events.encode(Event(version="10")),
        f"{events.PREFIX}yesterday.1": "{}",
        f"{events.PREFIX}000000000000011.1": "not JSON",
        f"{events.PREFIX}000000000000012.1": "[1]",
        "lockstep.production": "9",
    }
    assert [event.version for event in events.read(tags)] == ["9", "10"]


def test_an_event_without_a_time_takes_it_from_its_tag():
    assert events.read({events.key(0, "1"): '{"version": "1", "later": 1}'})[0].at == "1970-01-01T00:00:00.000+00:00"


def told(*texts):
    """Make events from words such as 'rollback 1 from 2', oldest first, and return them newest first."""
    words = [text.split() for text in reversed(texts)]
    return [Event(action=own[0], version=own[1], previous=own[3] if len(own) > 2 else "") for own in words]


@pytest.mark.parametrize(
    ("history", "out"),
    [
        (["promote 1", "promote 2 from 1"], []),
        (["promote 1", "promote 2 from 1", "rollback 1 from 2"], ["2"]),
        (["promote 1", "promote 2 from 1", "rollback 1 from 2", "refused 2 from 1"], ["2"]),
        (["promote 1", "promote 2 from 1", "rollback 1 from 2", "promote 3 from 1"], ["2"]),
        (["promote 1", "promote 2 from 1", "rollback 1 from 2", "promote 2 from 1"], []),
        (["promote 1", "promote 2", "promote 3", "rollback 2 from 3", "rollback 1 from 2"], ["2", "3"]),
        (["promote 1", "promote 2", "promote 1", "rollback 2 from 1"], ["1"]),
    ],
)
def test_what_was_rolled_back_stays_so_until_it_is_promoted_again(history, out):
    assert [version for version in "123" if events.rolled_back(told(*history), version)] == out


@pytest.mark.parametrize("reason", ["", "why", "\U0001f600" * 9_000])
@pytest.mark.parametrize("answer", ["fine", "\U0001f600" * 9_000])
def test_a_decision_goes_along_and_gives_way(reason, answer):
    decision = Decision(tuple(Check(f"check {place}", place > 0, answer) for place in range(12)), "worse", "7")
    text = events.encode(Event(reason=reason, decision=decision.to_json()))
    assert len(text) < 5_000
    read = decisions.read(events.decode(text).decision)
    assert [(check.name, check.passed) for check in read.checks] == [(c.name, c.passed) for c in decision.checks]
    assert read.verdict == "worse"
    assert len(answer) > 9 or read == decision


def test_an_absurdly_long_event_drops_its_decision_and_ends():
    odd = "\U0001f600" * 200
    decision = Decision(tuple(Check(f"check {place}", True, odd) for place in range(12))).to_json()
    text = events.encode(Event(actor=odd, git_commit=odd[:80], reason=odd, decision=decision))
    assert len(text) < 5_000

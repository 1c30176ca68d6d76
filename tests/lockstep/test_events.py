import json

import pytest

from lockstep import events
from lockstep.events import Event


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

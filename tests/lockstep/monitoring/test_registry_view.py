from dataclasses import replace

import pytest

from lockstep import decision
from lockstep.decision import Check, Decision, Forced
from lockstep.errors import TrackingError
from lockstep.monitoring.registry_view import RegistryView
from lockstep.registry.history import Event
from lockstep.registry.model_registry import Version

FORCED = Forced("2026-01-02T03:04:05+00:00", "ann", "the old one harms", "f1 is low").to_tag()
DECISION = decision.tag(Decision((Check("no skew", True, "none"), Check("size", False, "20 MB")), "worse", "7"))
VERSION = Version("demo", "8", "", "", "ab" * 32)


class Registry:
    """What a registry says of one version."""

    def __init__(self, tags, moves):
        self.tags, self.moves = tags, moves

    def production(self):
        return replace(VERSION, tags=self.tags)

    def challenger(self):
        return None

    def history(self):
        return self.moves


@pytest.mark.parametrize(
    ("tags", "moves", "forced", "reason"),
    [
        pytest.param({}, [], False, "", id="nothing-known"),
        pytest.param({}, [Event(version="8")], False, "", id="as-the-gate-said"),
        pytest.param({}, [Event(version="8", forced=True)], True, "", id="forced-before-there-were-tags"),
        pytest.param(
            {"forced": FORCED}, [Event(version="8", forced=True)], True, "the old one harms (ann)", id="forced"
        ),
        pytest.param({"forced": FORCED}, [Event(version="8")], True, "the old one harms (ann)", id="and-passed-later"),
    ],
)
def test_a_version_that_was_forced_stays_so(tmp_path, tags, moves, forced, reason):
    known = RegistryView(lambda name: Registry(tags, moves), tmp_path).look("demo")
    assert (known.production.forced, known.production.forced_reason) == (forced, reason)


def test_the_answers_of_the_gate_come_along(tmp_path):
    gate = RegistryView(lambda name: Registry({"decision": DECISION}, []), tmp_path).look("demo").production.gate
    assert [(check.name, check.passed, check.reason) for check in gate.checks] == [
        ("no skew", True, "none"),
        ("size", False, "20 MB"),
    ]
    assert (gate.verdict, gate.against) == ("worse", "7")


def test_a_registry_that_does_not_answer_is_told_once_and_not_at_each_look(tmp_path, caplog):
    caplog.set_level("INFO")
    registry = Registry({}, [])
    view = RegistryView(lambda name: registry, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        for problem in ("no module", "no module", "no module", "no answer"):
            patch.setattr(registry, "production", lambda problem=problem: failing(problem))
            view.look("demo")
    assert view.look("demo").production.version == "8"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "production", lambda: failing("no answer"))
        view.look("demo")
    said = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert said == ["no module", "no answer", "no answer"]


def failing(problem):
    raise TrackingError(problem)


def test_a_version_from_before_has_no_answers(tmp_path):
    assert RegistryView(lambda name: Registry({"decision": "odd"}, []), tmp_path).look("demo").production.gate is None

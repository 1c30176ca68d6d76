import json

import pytest

from lockstep import decision as decisions
from lockstep.decision import LONGEST_TAG, Check, Decision, Forced, GateRecord

GOOD, BAD = Check("a", True, "fine"), Check("b", False, "b is poor")


def test_a_decision_passes_if_every_check_does():
    assert Decision((GOOD, GOOD)).passed
    decision = Decision((GOOD,), "worse", "7").also(BAD)
    assert (decision.passed, decision.refusals) == (False, ["b is poor"])
    content = json.loads(json.dumps(decision.to_json()))
    assert (content["passed"], content["verdict"], content["against"]) == (False, "worse", "7")
    assert Decision.from_json(content) == decision


def test_without_a_champion_nothing_is_said_of_one():
    assert list(Decision((GOOD,)).to_json()) == ["passed", "checks"]


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600", "\x00", '"'])
def test_a_tag_is_never_too_long_and_reasons_of_refusals_stay_longest(letter):
    decision = Decision((Check("a", True, letter * 9_000), Check("b", False, letter * 300)), "worse", "7")
    text = decisions.tag(decision)
    assert len(text) <= LONGEST_TAG
    read = decisions.from_tag(text)
    assert [(check.name, check.passed) for check in read.checks] == [("a", True), ("b", False)]
    assert read.checks[1].reason == letter * 300
    assert (read.verdict, read.against) == ("worse", "7")


def test_what_fits_is_not_cut():
    decision = Decision(tuple(Check(f"check {place}", True, "r" * 100) for place in range(20)))
    assert decisions.from_tag(decisions.tag(decision)) == decision


def test_too_many_names_are_cut_at_last():
    decision = Decision(tuple(Check(f"{place}" * 60, False, "r" * 100) for place in range(200)))
    content = decision.within()
    assert 10 < len(content["checks"]) < 200
    assert len(json.dumps(content)) < LONGEST_TAG * 1.2


def test_a_record_reads_back_as_written():
    forced = Forced("2026-01-01T00:00:00+00:00", "ann", 'a "drill"', "b is poor")
    tags = {"decision": decisions.tag(Decision((BAD,))), "forced": forced.to_tag()}
    assert decisions.gate_record(tags) == GateRecord(Decision((BAD,)), forced)


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "7", "null", '{"checks": 3}', '{"checks": [{"name": "a"}]}', '{"at": 1}']
)
def test_what_another_hand_wrote_counts_as_nothing(text):
    assert decisions.gate_record({"decision": text, "forced": text}) == GateRecord()
    assert decisions.gate_record({}) == GateRecord()


def test_a_forced_tag_is_never_too_long():
    assert len(Forced("2026", "é" * 9_000, "é" * 9_000, "é" * 9_000).to_tag()) < LONGEST_TAG

"""The list of planted faults stays true: each text stands once in its file, and its tests are there."""

import pytest

from scripts import planted_faults
from scripts.planted_faults import FAULTS
from tests.root import ROOT


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_can_be_planted_and_its_tests_are_there(name):
    fault = FAULTS[name]
    whole = (ROOT / fault.file).read_text(encoding="utf-8")
    compile(planted_faults.planted(whole, name), fault.file, "exec")
    assert [path for path in fault.tests.split() if not (ROOT / path).exists()] == []


def test_there_are_thirty_over_the_whole_product():
    assert len(FAULTS) >= 30
    assert len({fault.file for fault in FAULTS.values()}) >= 25


def test_a_text_that_stands_twice_is_refused():
    name = "gate: floors"
    with pytest.raises(ValueError, match="stands 2 times"):
        planted_faults.planted(FAULTS[name].old * 2, name)


@pytest.mark.long("plants every fault")
def test_every_fault_turns_its_tests_red():
    assert planted_faults.main([]) == 0

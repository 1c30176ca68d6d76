"""FAULTS (a): every case of `cases/`, sent as raw bytes to the real server, is answered as the contract says."""

import collections
import itertools
from pathlib import Path

import pytest
import yaml

from tests.serving import casefile
from tests.serving.casefile import Inapplicable

pytestmark = pytest.mark.server

CASES = casefile.load()
MODELS = ("default", "mixed", "text")
PENDING = yaml.safe_load((Path(__file__).parent / "pending.yaml").read_text(encoding="utf-8")) or {}
"""Cases that the server does not yet answer as it should, and why; one that it answers must go from there."""

LEAST = {
    "broken JSON": 16,
    "envelope": 17,
    "columns": 11,
    "values": 29,
    "HTTP itself": 36,
    "form and token": 22,
    "own routes": 23,
    "good": 10,
}


def played(servers, case):
    """Play a case against the first model that has what it speaks of."""
    for model in MODELS:
        try:
            return servers.target(model, case.server).play(case)
        except Inapplicable as error:
            reason = error
    raise AssertionError(f"no model fits: {reason}")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.id} {case.says}" for case in CASES])
def test_answered_as_the_contract_says(servers, case):
    found = played(servers, case)
    if case.id in PENDING:
        assert found, "this is right now: take it out of pending.yaml"
        pytest.xfail(f"{PENDING[case.id]}: {found[0].splitlines()[0]}")
    assert found == []


def test_enough_of_each_kind():
    counts = collections.Counter(case.kind for case in CASES)
    assert {kind: counts[kind] for kind in LEAST if counts[kind] < LEAST[kind]} == {}
    assert len(CASES) >= 160


def test_pending_names_cases():
    assert set(PENDING) - {case.id for case in CASES} == set()


def test_ids_begin_with_the_letters_of_their_file():
    for kind, each in itertools.groupby(CASES, lambda case: case.kind):
        assert len({case.id[0] for case in each}) == (4 if kind == "protocols" else 1), kind

"""The cases bite: an app as tutorials write it answers the good ones and fails most of the others."""

import collections

import pytest

from tests.serving import casefile, naive
from tests.serving.casefile import Inapplicable
from tests.serving.model import Model
from tests.serving.replay import Target

SCHEMA = {
    "target": "price",
    "columns": [{"name": name, "kind": "numeric", "nullable": False} for name in ("size", "rooms")],
}
MOST_RIGHT = {"broken JSON": 0, "envelope": 0, "columns": 0, "values": 3, "own routes": 4}
HEAVY = ("J21", "J22", "J23", "C16", "C17", "C24", "V19", "V20", "V31", "E23", "E25", "E26", "E32")
"""A development server takes seconds for these."""


@pytest.fixture(scope="module")
def target():
    with naive.running() as port:
        yield Target("127.0.0.1", port, Model(SCHEMA, {"size": "50.5", "rooms": "3.0"}), "naive")


@pytest.fixture(scope="module")
def played(target):
    """How many cases of each kind were played, and how many were right."""
    counts = collections.defaultdict(lambda: [0, 0])
    for case in casefile.load():
        if case.kind in {*MOST_RIGHT, "good"} and case.id not in HEAVY:
            try:
                right = target.play(case) == []
            except Inapplicable:
                continue
            counts[case.kind][0] += 1
            counts[case.kind][1] += right
    return counts


@pytest.mark.parametrize("kind", MOST_RIGHT)
def test_a_naive_app_fails_them(played, kind):
    count, right = played[kind]
    assert count >= 10
    assert right <= MOST_RIGHT[kind]


def test_a_naive_app_answers_good_ones(played):
    count, right = played["good"]
    assert right == count >= 20

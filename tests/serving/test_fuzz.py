"""Requests made up by chance crash nothing, and are answered alike with and without the short way in front."""

import random

import pytest

from tests.serving import fuzz, mutation


@pytest.fixture(scope="module", params=fuzz.TASKS)
def subject(request, tmp_path_factory):
    return fuzz.Subject(request.param, tmp_path_factory.mktemp("fuzz"))


def test_nothing_crashes(subject, request):
    runs = request.config.getoption("--fuzz-runs") // len(fuzz.TASKS)
    statuses = fuzz.fuzz(subject, runs, seed=runs)
    assert statuses[200] > 0
    assert {400, 415, 422} <= statuses.keys() <= {200, 400, 401, 403, 404, 405, 413, 415, 422}


CRASHES = {"flask_app.errors.listing": "ZeroDivisionError", "lockstep.data.schema.Schema.check": "status 500"}


@pytest.mark.parametrize("crashing", CRASHES)
def test_a_crash_is_seen(subject, monkeypatch, crashing):
    def crash(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(crashing, crash)
    with pytest.raises(fuzz.Crashed, match=CRASHES[crashing]):
        fuzz.fuzz(subject, 2000, seed=1)


def test_the_same_seed_makes_the_same_bodies():
    made = [mutation.mutate(b'{"rows": [{"a": 1}]}', b"a=1&b=2", random.Random(seed)) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("mutator", mutation.MUTATORS, ids=lambda mutator: mutator.__name__)
@pytest.mark.parametrize("body", [b"", b"x", b'{"rows": [{"a": 1, "b": null}]}'])
def test_every_mutator_takes_every_body_and_changes_some(mutator, body):
    made = {mutator(body, b'{"rows": []}', random.Random(seed)) for seed in range(30)}
    assert len(made) > 1 or len(body) < 2

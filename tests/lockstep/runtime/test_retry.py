import pytest

from lockstep.runtime import retry
from lockstep.runtime.retry import Backoff


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that were slept, none of them really."""
    slept = []
    monkeypatch.setattr(retry.time, "sleep", slept.append)
    return slept


def failing(times, error=OSError):
    """Return a function that fails so many times before it returns how often it was called."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            raise error(f"call {len(calls)}")
        return len(calls)

    return call


def test_a_call_is_repeated_with_pauses_that_double_up_to_the_longest(pauses):
    assert Backoff(attempts=6, first_s=1.0, longest_s=5.0).call(failing(5), (OSError,)) == 6
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_error_of_the_last_attempt_is_raised(pauses):
    with pytest.raises(OSError, match="call 3"):
        Backoff(attempts=3, first_s=2.0, factor=1.0).call(failing(9), (OSError,))
    assert pauses == [2.0, 2.0]


def test_other_errors_are_not_retried(pauses):
    with pytest.raises(ValueError, match="call 1"):
        Backoff(attempts=3, first_s=1.0).call(failing(1, ValueError), (OSError,))
    assert pauses == []


def test_the_least_pause_that_the_other_side_wants_is_kept(pauses):
    reports = []
    Backoff(attempts=3, first_s=1.0).call(failing(2), (OSError,), lambda error, attempt: reports.append(attempt) or 1.5)
    assert (reports, pauses) == ([1, 2], [1.5, 2.0])


def test_a_failure_may_end_the_attempts(pauses):
    def give_up(error, attempt):
        raise LookupError("no use")

    with pytest.raises(LookupError):
        Backoff(attempts=3, first_s=1.0).call(failing(2), (OSError,), give_up)
    assert pauses == []


def test_jitter_draws_a_part_of_the_pause():
    pauses = {Backoff(attempts=3, first_s=8.0, jitter=0.5).pause_s(1) for _ in range(200)}
    assert min(pauses) >= 4.0 and max(pauses) <= 8.0 and max(pauses) - min(pauses) > 2.0

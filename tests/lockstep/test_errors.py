import inspect

import pytest

from lockstep import errors
from lockstep.errors import LockstepError, nearest


def test_an_error_carries_its_cause_and_its_hint():
    error = errors.DataError("rows.csv is empty", "fetch it again")
    assert (str(error), error.problem, error.hint) == ("rows.csv is empty", "rows.csv is empty", "fetch it again")


def test_every_error_is_of_one_tree():
    own = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(own) >= 7
    assert all(issubclass(kind, LockstepError) for kind in own)


@pytest.mark.parametrize(
    ("word", "accepted", "said"),
    [
        ("accuray", ["recall", "accuracy"], "; did you mean 'accuracy'?"),
        ("Target", ["target", "other"], "; did you mean 'target'?"),
        ("x", ["accuracy"], ""),
        ("", [], ""),
    ],
)
def test_nearest(word, accepted, said):
    assert nearest(word, iter(accepted)) == said

"""What asks for an optional package that is not there says which extra brings it."""

import sys

import pytest

from lockstep import cluster
from lockstep.errors import LockstepError
from lockstep.modeling import catalog, treeshap
from lockstep.sections import Candidate


def make(estimator):
    return catalog.make(Candidate(estimator=estimator), {}, "binary", 0, sparse=False)


def connect():
    with cluster.connected("tcp://127.0.0.1:9"):
        pass


@pytest.mark.parametrize(
    ("package", "ask"),
    [
        ("xgboost", lambda: make("xgboost")),
        ("lightgbm", lambda: make("lightgbm")),
        ("shap", lambda: treeshap._by_shap(None)),
        ("distributed", connect),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package, ask):
    monkeypatch.setitem(sys.modules, package, None)  # as the import system marks what is not there
    with pytest.raises(LockstepError, match=package) as caught:
        ask()
    assert "setup-extras" in caught.value.hint

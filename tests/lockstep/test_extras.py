"""What asks for an optional package that is not there says which extra brings it."""

import sys

import pytest

from lockstep.compute import dask
from lockstep.config.params import Candidate
from lockstep.errors import LockstepError
from lockstep.modeling import catalog
from lockstep.scoring import tree_contributions


def make(estimator):
    return catalog.make(Candidate(estimator=estimator), {}, "binary", 0, sparse=False)


def connect():
    with dask.connected("tcp://127.0.0.1:9"):
        pass


@pytest.mark.parametrize(
    ("package", "ask"),
    [
        ("xgboost", lambda: make("xgboost")),
        ("lightgbm", lambda: make("lightgbm")),
        ("shap", lambda: tree_contributions._by_shap(None)),
        ("distributed", connect),
    ],
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package, ask):
    monkeypatch.setitem(sys.modules, package, None)  # as the import system marks what is not there
    with pytest.raises(LockstepError, match=package) as caught:
        ask()
    assert "setup-extras" in caught.value.hint

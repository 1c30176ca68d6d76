import numpy as np
import pytest

from lockstep.config.params import Candidate
from lockstep.errors import ConfigError
from lockstep.modeling import catalog

TASKS = ("binary", "multiclass", "regression")
RANDOM = np.random.default_rng(1)
FEW_TREES = {"hist_gradient_boosting": {"max_iter": 3}, "xgboost": {"n_estimators": 3}, "lightgbm": {"n_estimators": 3}}
MATRIX = RANDOM.normal(size=(60, 3))


def make(name, task="binary", params=None, point=None, sparse=False):
    return catalog.make(Candidate(estimator=name, params=params or {}), point or {}, task, 7, sparse)


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, task) for name, entry in catalog.ESTIMATORS.items() for task in TASKS if task in entry.tasks],
)
def test_every_estimator_fits_its_tasks_with_its_seed(name, task):
    estimator = make(name, task, FEW_TREES.get(name))
    assert estimator.get_params().get("random_state", 7) == 7
    target = {"binary": MATRIX[:, 0] > 0, "multiclass": np.digitize(MATRIX[:, 0], [-1, 1])}.get(task, MATRIX[:, 0])
    matrix = MATRIX if catalog.find(name, task).negative else np.abs(MATRIX)
    fitted = estimator.fit(matrix, target)
    assert hasattr(fitted, "predict_proba") == (task != "regression")
    assert fitted.predict(matrix).shape == (60,)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_choice_and_a_sparse_one(task):
    fitting = [entry for entry in catalog.ESTIMATORS.values() if task in entry.tasks]
    assert len(fitting) >= 4
    assert any(entry.sparse for entry in fitting)


def test_a_point_of_the_grid_wins_over_fixed_params():
    estimator = make("logistic_regression", params={"C": 1.0, "tol": 0.5}, point={"C": 3.0})
    assert (estimator.C, estimator.tol) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        pytest.param(
            {"name": "logistic_regresion"},
            "'logistic_regresion' is not in the catalog; did you mean 'logistic_regression'?",
            "for this target: logistic_regression, linear_svm",
            id="unknown-estimator",
        ),
        pytest.param(
            {"name": "ridge"},
            "'ridge' is not for binary targets",
            "for this target: logistic_regression",
            id="other-task",
        ),
        pytest.param(
            {"name": "logistic_regression", "task": "regression"},
            "'logistic_regression' is not for regression targets",
            "for this target: ridge",
            id="other-task-yet",
        ),
        pytest.param(
            {"name": "random_forest", "params": {"n_estimator": 5}},
            "random_forest has no parameter 'n_estimator'; did you mean 'n_estimators'?",
            "max_depth",
            id="unknown-param",
        ),
        pytest.param(
            {"name": "decision_tree", "point": {"depth": 5}},
            "decision_tree has no parameter 'depth'",
            "max_depth",
            id="unknown-param-in-the-grid",
        ),
        pytest.param(
            {"name": "hist_gradient_boosting", "sparse": True},
            "hist_gradient_boosting takes no sparse matrix",
            "logistic_regression or ridge",
            id="sparse",
        ),
        pytest.param(
            {"name": "k_nearest_neighbors", "sparse": True},
            "k_nearest_neighbors takes no sparse matrix",
            "logistic_regression or ridge",
            id="sparse-neighbors",
        ),
    ],
)
def test_catalog_faults(arguments, problem, hint):
    with pytest.raises(ConfigError) as refused:
        make(**arguments)
    assert problem in refused.value.problem
    assert hint in refused.value.hint

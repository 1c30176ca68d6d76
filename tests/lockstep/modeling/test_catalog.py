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


@pytest.mark.parametrize("name", ["rbf_svm", "polynomial_svm"])
def test_kernel_machines_separate_what_a_line_cannot_and_say_what_is_likely(name):
    matrix = RANDOM.normal(size=(1200, 2))
    likely = 1 / (1 + np.exp(4 * (1.2 - np.hypot(*matrix.T))))
    target = RANDOM.random(len(matrix)) < likely
    fitted = make(name).fit(matrix[:600], target[:600])
    said = fitted.predict_proba(matrix[600:])[:, 1]
    linear = make("linear_svm").fit(matrix[:600], target[:600]).predict_proba(matrix[600:])[:, 1]
    assert np.abs(said - likely[600:]).mean() < 0.07 < 0.2 < np.abs(linear - likely[600:]).mean()


@pytest.mark.parametrize("name", ["rbf_svm", "polynomial_svm"])
def test_kernel_machines_answer_in_the_unit_of_the_target(name):
    matrix = RANDOM.uniform(-1, 1, size=(400, 2))
    target = 5e6 + 1e6 * matrix[:, 0] ** 2 - 1e6 * matrix[:, 1]
    fitted = make(name, "regression", params={"C": 10.0}).fit(matrix[:200], target[:200])
    assert np.abs(fitted.predict(matrix[200:]) - target[200:]).mean() < 1e5


def test_a_kernel_machine_of_too_many_rows_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="at most 20,000 train rows, not 20,001: its cost grows") as refused:
        catalog.check_values("rbf_svm", "binary", np.zeros((20_001, 2)))
    assert "linear_svm" in refused.value.hint
    catalog.check_values("rbf_svm", "binary", np.zeros((20_000, 2)))

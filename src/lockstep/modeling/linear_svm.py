"""Linear support vector machines whose margins became probabilities, or values in the target's unit.

The fitted state is the weights of one linear map, as of logistic regression: what explains or compiles that one takes
these as they are. The import path of the classes stands in every model that holds one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.utils.validation import check_is_fitted

Floats = NDArray[np.float64]
FOLDS = 3


def calibrate(machine: Any, X: Any, y: NDArray[Any], seed: int | None) -> LogisticRegression:
    """Return the logistic regression of the classes (rows,) on a machine's margins of held-out rows.

    Raises ValueError: a class has one row only, so that no margin of it can be held out.
    """
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise ValueError(f"class {classes[counts.argmin()]!r} has one row, too few to calibrate margins")
    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
    margins = cross_val_predict(machine, X, y, cv=folds, method="decision_function").reshape(len(y), -1)
    return LogisticRegression(max_iter=1000).fit(margins, y)


class LinearSVMClassifier(ClassifierMixin, BaseEstimator):
    """A linear SVM, calibrated by a logistic regression of the classes on its margins of held-out rows.

    For two classes that is Platt's scaling (Platt 1999), for more its matrix form (Guo et al. 2017). Both are linear
    in the margins, so they are folded into `coef_` (outputs, features) and `intercept_` (outputs,).

    >>> from sklearn.datasets import load_iris
    >>> matrix, target = load_iris(return_X_y=True)
    >>> LinearSVMClassifier().fit(matrix, target).predict_proba(matrix).shape
    (150, 3)
    """

    def __init__(
        self, C: float = 1.0, tol: float = 1e-4, max_iter: int = 10_000, random_state: int | None = None
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: NDArray[Any]) -> "LinearSVMClassifier":
        """Fit on a matrix (rows x features) and classes (rows), of which each needs two rows.

        Raises ValueError: a class has one row only, so that no margin of it can be held out.
        """
        machine = LinearSVC(C=self.C, tol=self.tol, max_iter=self.max_iter, random_state=self.random_state)
        outer = calibrate(machine, X, y, self.random_state)
        self.classes_ = outer.classes_
        machine.fit(X, y)
        self.coef_ = outer.coef_ @ machine.coef_
        self.intercept_ = outer.coef_ @ machine.intercept_ + outer.intercept_
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return the log-odds (rows,) of two classes, or a score for each of more (rows, classes)."""
        check_is_fitted(self)
        scores: Floats = np.asarray(X @ self.coef_.T) + self.intercept_
        return scores.ravel() if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class (rows, classes)."""
        scores = self.decision_function(X)
        if scores.ndim == 1:
            high = 0.5 * (1 + np.tanh(0.5 * scores))
            return np.column_stack((1 - high, high))
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class LinearSVMRegressor(RegressorMixin, BaseEstimator):
    """A linear support vector regression on the target in units of its own spread, so that C means the same everywhere.

    `epsilon`, the error that costs nothing, is in those units too; `coef_` (features,) and `intercept_` are in the
    target's.
    """

    def __init__(
        self,
        C: float = 1.0,
        epsilon: float = 0.0,
        tol: float = 1e-4,
        max_iter: int = 10_000,
        random_state: int | None = None,
    ) -> None:
        self.C = C
        self.epsilon = epsilon
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: Any, y: NDArray[Any]) -> "LinearSVMRegressor":
        """Fit on a matrix (rows x features) and values (rows)."""
        values = np.asarray(y, dtype=np.float64)
        center, spread = float(values.mean()), float(values.std()) or 1.0
        machine = LinearSVR(
            C=self.C,
            epsilon=self.epsilon,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=self.random_state,
            loss="squared_epsilon_insensitive",
        ).fit(X, (values - center) / spread)
        self.coef_ = machine.coef_ * spread
        self.intercept_ = np.ravel(machine.intercept_) * spread + center
        return self

    def predict(self, X: Any) -> Floats:
        """Return a value for each row, in the target's unit."""
        check_is_fitted(self)
        return np.asarray(X @ self.coef_) + self.intercept_

"""Support vector machines with an RBF or a polynomial kernel, calibrated as the linear one is.

The import path of the classes stands in every model that holds one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.svm import SVC, SVR

from lockstep.modeling.linear_svm import Floats, calibrate

CACHE_MB = 500
CONSTANT = 1.0
"""What a polynomial kernel adds to the inner product, so that it holds the lower powers too."""


class KernelSVM(BaseEstimator):
    """The parameters of both machines, by scikit-learn's names."""

    def __init__(
        self,
        kernel: str = "rbf",
        C: float = 1.0,
        gamma: float | str = "scale",
        degree: int = 3,
        random_state: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.degree = degree
        self.random_state = random_state

    def _kernel(self) -> dict[str, Any]:
        shape = {name: getattr(self, name) for name in ("kernel", "C", "gamma", "degree")}
        return {**shape, "coef0": CONSTANT, "cache_size": CACHE_MB}


class KernelSVMClassifier(ClassifierMixin, KernelSVM):
    """An SVM with a kernel, calibrated by a logistic regression of the classes on its margins of held-out rows."""

    def fit(self, X: Any, y: NDArray[Any]) -> "KernelSVMClassifier":
        """Fit on a matrix (rows x features) and classes (rows), of which each needs two rows."""
        self.machine_ = SVC(**self._kernel())
        self.calibration_ = calibrate(self.machine_, X, y, self.random_state)
        self.classes_ = self.calibration_.classes_
        self.machine_.fit(X, y)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class (rows, classes)."""
        return np.asarray(self.calibration_.predict_proba(self.machine_.decision_function(X).reshape(len(X), -1)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class KernelSVMRegressor(RegressorMixin, KernelSVM):
    """A support vector regression with a kernel, on the target in units of its own spread."""

    def fit(self, X: Any, y: NDArray[Any]) -> "KernelSVMRegressor":
        """Fit on a matrix (rows x features) and values (rows)."""
        values = np.asarray(y, dtype=np.float64)
        self.center_, self.spread_ = float(values.mean()), float(values.std()) or 1.0
        self.machine_ = SVR(**self._kernel()).fit(X, (values - self.center_) / self.spread_)
        return self

    def predict(self, X: Any) -> Floats:
        """Return a value for each row, in the target's unit."""
        return np.asarray(self.machine_.predict(X)) * self.spread_ + self.center_

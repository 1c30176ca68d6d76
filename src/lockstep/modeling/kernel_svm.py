"""Support vector machines with a kernel, calibrated as the linear one is; their import paths stand in saved models."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC, SVR

from lockstep.modeling.linear_svm import Floats, calibrate


class KernelSVMClassifier(SVC):
    """An SVM with a kernel, calibrated by a logistic regression of the classes on its margins of held-out rows."""

    def fit(self, X: Any, y: NDArray[Any]) -> "KernelSVMClassifier":
        """Fit on a matrix (rows x features) and classes (rows), of which each needs two rows."""
        self.calibration_ = calibrate(SVC(**self.get_params()), X, y, self.random_state)
        super().fit(X, y)
        return self

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class (rows, classes)."""
        return np.asarray(self.calibration_.predict_proba(self.decision_function(X).reshape(len(X), -1)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


class KernelSVMRegressor(SVR):
    """A support vector regression with a kernel, on the target in units of its own spread, as is `epsilon`."""

    def fit(self, X: Any, y: NDArray[Any]) -> "KernelSVMRegressor":
        """Fit on a matrix (rows x features) and values (rows)."""
        values = np.asarray(y, dtype=np.float64)
        self.center_, self.spread_ = float(values.mean()), float(values.std()) or 1.0
        super().fit(X, (values - self.center_) / self.spread_)
        return self

    def predict(self, X: Any) -> Floats:
        """Return a value for each row, in the target's unit."""
        return np.asarray(super().predict(X)) * self.spread_ + self.center_

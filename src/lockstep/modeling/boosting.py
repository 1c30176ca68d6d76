"""Boosted trees of XGBoost and LightGBM, which only fit them: treelite answers, here as in the server.

So a server needs neither package, and what was evaluated is what answers. The fitted state is the package's own text of
the model, as bytes in an array. The import path of the classes stands in every model that holds one.
"""

import tempfile
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from lockstep.scoring.scorers import LINKS

Floats = NDArray[np.float64]
NO_PARAMS = ("n_estimators", "random_state")  # What goes to the packages under another name than ours.


class Boosted(BaseEstimator):
    """What both packages share: state that is text, and answers that treelite gives."""

    def __init__(
        self,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_lambda: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.random_state = random_state

    def fit(self, X: Any, y: NDArray[Any]) -> Any:
        """Fit on a matrix (rows x features) and classes or values (rows), with one thread: the same bytes each time."""
        codes, classes = self._codes(y)
        self.model_ = np.frombuffer(self._train(X, codes, classes).encode(), dtype=np.uint8)
        self.sparse_ = hasattr(X, "indptr")
        self.__dict__.pop("_trees", None)
        return self

    def margins(self, X: Any) -> Floats:
        """Return the sums of the trees (rows, outputs), before they become probabilities."""
        import treelite

        check_is_fitted(self)
        matrix = X.tocsr() if hasattr(X, "tocsr") else np.ascontiguousarray(X)
        margins = treelite.gtil.predict(self.trees(), matrix.astype(np.float64), nthread=1, pred_margin=True)
        return np.asarray(margins, dtype=np.float64).reshape(matrix.shape[0], -1)

    def trees(self) -> Any:
        """Return the trees as treelite holds them."""
        if "_trees" not in self.__dict__:
            self._trees = self._opened(self.model_.tobytes())
        return self._trees

    def __getstate__(self) -> Any:
        """Leave out what is made from the text."""
        return {name: value for name, value in super().__getstate__().items() if name != "_trees"}

    def _codes(self, y: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Return what is fitted, and the number of classes; 0 for values."""
        return np.asarray(y, dtype=np.float64), 0

    @abstractmethod
    def _train(self, X: Any, codes: NDArray[Any], classes: int) -> str:
        """Return the text of a fitted model."""

    @abstractmethod
    def _opened(self, text: bytes) -> Any:
        """Return the trees of a text."""


class _Classes(ClassifierMixin):
    """Probabilities from the margins of boosted trees."""

    def _codes(self, y: NDArray[Any]) -> tuple[NDArray[Any], int]:
        self.classes_, codes = np.unique(y, return_inverse=True)
        return codes, len(self.classes_)

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each class (rows, classes)."""
        link = LINKS["softmax" if len(self.classes_) > 2 else "sigmoid"]
        return link(self.margins(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class _Values(RegressorMixin):
    """Values from the margins of boosted trees."""

    def predict(self, X: Any) -> Floats:
        """Return a value for each row."""
        return self.margins(X).ravel()


class XGBoost(Boosted):
    """Boosted trees by XGBoost; in a sparse matrix it takes an absent cell for a missing value."""

    OBJECTIVES: ClassVar = {0: "reg:squarederror", 2: "binary:logistic"}

    def __init__(
        self,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        max_depth: int = 6,
        min_child_weight: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_lambda: float = 1.0,
        random_state: int | None = None,
    ) -> None:
        super().__init__(n_estimators, learning_rate, subsample, colsample_bytree, reg_lambda, random_state)
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight

    def _train(self, X: Any, codes: NDArray[Any], classes: int) -> str:
        import xgboost

        chosen = {name: value for name, value in self.get_params().items() if name not in NO_PARAMS}
        fixed: dict[str, Any] = {"nthread": 1, "tree_method": "hist", "verbosity": 0, "seed": self.random_state or 0}
        fixed |= {"objective": self.OBJECTIVES.get(classes, "multi:softprob")}
        fixed |= {"num_class": classes} if classes > 2 else {}
        rows = xgboost.DMatrix(X, label=codes, nthread=1)
        booster = xgboost.train(chosen | fixed, rows, num_boost_round=self.n_estimators)
        return bytes(booster.save_raw("json")).decode()

    def _opened(self, text: bytes) -> Any:
        import treelite

        return treelite.frontend.from_xgboost_json(text)


class LightGBM(Boosted):
    """Boosted trees by LightGBM."""

    OBJECTIVES: ClassVar = {0: "regression", 2: "binary"}

    def __init__(
        self,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        num_leaves: int = 31,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_lambda: float = 0.0,
        random_state: int | None = None,
    ) -> None:
        super().__init__(n_estimators, learning_rate, subsample, colsample_bytree, reg_lambda, random_state)
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples

    def _train(self, X: Any, codes: NDArray[Any], classes: int) -> str:
        import lightgbm

        chosen = {name: value for name, value in self.get_params().items() if name not in NO_PARAMS}
        fixed: dict[str, Any] = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
        fixed |= {"seed": self.random_state or 0, "subsample_freq": 1}
        fixed |= {"objective": self.OBJECTIVES.get(classes, "multiclass")}
        fixed |= {"num_class": classes} if classes > 2 else {}
        try:
            rows = lightgbm.Dataset(X, label=codes, params={"verbosity": -1})
            booster = lightgbm.train(chosen | fixed, rows, num_boost_round=self.n_estimators)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(str(error)) from None
        return str(booster.model_to_string())

    def _opened(self, text: bytes) -> Any:
        import treelite

        with tempfile.NamedTemporaryFile() as file:
            file.write(text)
            file.flush()
            return treelite.frontend.load_lightgbm_model(file.name)


class XGBoostClassifier(_Classes, XGBoost):
    """XGBoost for classes."""


class XGBoostRegressor(_Values, XGBoost):
    """XGBoost for values."""


class LightGBMClassifier(_Classes, LightGBM):
    """LightGBM for classes."""


class LightGBMRegressor(_Values, LightGBM):
    """LightGBM for values."""

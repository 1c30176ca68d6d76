"""Transformers of numbers and categories of our own. Their import paths stand in models: never move or rename them."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from lockstep.features.numeric import SKEW_TRANSFORMS, STACKED_DECIMALS, Floats

POINTS = 101  # Quantiles kept of each column.
FOLDS = 5


class Unskew(TransformerMixin, BaseEstimator):
    """Take the skew out of columns of numbers; missing ones stay missing.

    Parameters
    ----------
    method : a name of `numeric.SKEW_TRANSFORMS`.

    Examples
    --------
    >>> Unskew("log").fit_transform(np.array([[0.0], [np.e - 1], [1 - np.e]])).round(6).tolist()
    [[0.0], [1.0], [-1.0]]
    """

    def __init__(self, method: str = "power") -> None:
        self.method = method

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn each column's lambda or quantiles from rows x columns; a column without spread stays as it is."""
        numbers = np.asarray(X, dtype=np.float64)
        self.width_ = numbers.shape[1]
        columns = [column[np.isfinite(column)] for column in numbers.T]
        if self.method == "power":
            self.fitted_ = np.array([[_shape(column) for column in columns]]).reshape(1, self.width_)
        elif self.method == "quantile":
            steps = np.linspace(0, 1, POINTS)
            quantiles = [np.quantile(column, steps) if len(column) else np.zeros(POINTS) for column in columns]
            self.fitted_ = np.stack(quantiles, axis=1) if quantiles else np.zeros((POINTS, 0))
        else:
            self.fitted_ = np.zeros((0, self.width_))
        return self

    def transform(self, X: Any) -> Floats:
        """Return rows x columns."""
        return SKEW_TRANSFORMS[self.method](np.asarray(X, dtype=np.float64), self.fitted_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the columns' own names."""
        names = range(self.width_) if input_features is None else input_features
        return np.asarray(list(map(str, names)), dtype=object)


def _shape(column: Floats) -> float:
    """Return the lambda of greatest likelihood, from -2 to 4, which keeps far values finite."""
    from scipy import optimize, stats

    if len(column) < 2 or column.min() == column.max():
        return 1.0
    optimum = optimize.minimize_scalar(
        lambda shape: -stats.yeojohnson_llf(shape, column), bounds=(-2, 4), method="bounded", options={"xatol": 1e-6}
    )
    return float(optimum.x)


class Absent(TransformerMixin, BaseEstimator):
    """Say with 1 where a value is missing, for the columns that had missing values in training.

    Examples
    --------
    >>> Absent().fit_transform(pd.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]})).tolist()
    [[0.0], [1.0]]
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember which columns had missing values."""
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.columns_ = [str(name) for name in X.columns if X[name].isna().any()]
        return self

    def transform(self, X: pd.DataFrame) -> Floats:
        """Return rows x those columns."""
        return X[self.columns_].isna().to_numpy(dtype=np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return `column_absent` for each output column."""
        return np.asarray([f"{name}_absent" for name in self.columns_], dtype=object)


class TargetMeans(TransformerMixin, BaseEstimator):
    """Turn each category into the mean of the target in it, drawn to the overall mean where its rows are few.

    The mean of a category of n rows weighs n / (n + smoothing), the overall mean the rest (Micci-Barreca 2001). Of two
    classes the second counts, of more each in a column of its own. `fit_transform` is cross-fitted: the train rows get
    means that their own fold had no part in, so that the target does not leak into what is learned from them.
    A missing or unknown category gets the overall mean, if none was missing in training.

    Parameters
    ----------
    smoothing : rows that the overall mean weighs as much as.
    seed : seed of the folds.
    groups : (n,) rows of one group stay in one fold; None takes each row for itself.

    Examples
    --------
    >>> towns = pd.DataFrame({"town": ["Bonn", "Bonn", "Kiel", None]})
    >>> TargetMeans(smoothing=0).fit(towns, [1.0, 3.0, 8.0, 4.0]).transform(towns).tolist()
    [[2.0], [2.0], [8.0], [4.0]]
    """

    def __init__(self, smoothing: float = 10.0, seed: int = 42, groups: Any = None) -> None:
        self.smoothing = smoothing
        self.seed = seed
        self.groups = groups

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Learn the means of all rows; `y` (n,) holds classes or numbers."""
        answers = target_columns(y)
        self._learn(X, answers, answers.mean(axis=0))
        return self

    def fit_transform(self, X: pd.DataFrame, y: Any, **fit_params: Any) -> Floats:
        """Learn the means of all rows, and return those that each row's own fold had no part in."""
        answers = target_columns(y)
        self._learn(X, answers, answers.mean(axis=0))
        folds = cross_fitting_folds(len(X), self.seed, self.groups)
        encoded = np.empty((len(X), len(X.columns) * answers.shape[1]))
        for number in np.unique(folds):
            in_fold = folds == number
            rest = TargetMeans(self.smoothing)
            rest._learn(X[~in_fold], answers[~in_fold], answers[~in_fold].mean(axis=0))
            encoded[in_fold] = rest.transform(X[in_fold])
        return encoded

    def transform(self, X: pd.DataFrame) -> Floats:
        """Return rows x (columns * answers)."""
        return np.hstack([means[codes] for codes, means in zip(self._codes(X), self.means_, strict=True)])

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return `column_mean`, or `column_mean_class` of several classes, for each output column."""
        width = self.means_[0].shape[1]
        ends = ["_mean"] if width == 1 else [f"_mean_{number}" for number in range(width)]
        return np.asarray([f"{name}{end}" for name in self.columns_ for end in ends], dtype=object)

    def _learn(self, X: pd.DataFrame, answers: Floats, overall: Floats) -> None:
        self.columns_ = [str(name) for name in X.columns]
        self.categories_, self.means_ = [], []
        for name in X.columns:
            codes, categories = pd.factorize(X[name].astype(object), sort=True)
            codes = np.where(codes < 0, len(categories), codes)
            counts = np.bincount(codes, minlength=len(categories) + 2).astype(np.float64)
            sums = np.stack([np.bincount(codes, answer, minlength=len(categories) + 2) for answer in answers.T], axis=1)
            weight = counts + self.smoothing
            drawn = (sums + self.smoothing * overall) / np.where(weight > 0, weight, 1.0)[:, None]
            drawn[counts == 0] = overall
            self.categories_.append("\n".join(map(_escaped, categories)))
            self.means_.append(drawn)

    def _codes(self, X: pd.DataFrame) -> list[NDArray[np.int64]]:
        """Return for each column the row of its means (n,): its category's, the missing one's, or the unknown one's."""
        codes = []
        for name, categories in zip(self.columns_, self.known(), strict=True):
            table = {category: code for code, category in enumerate(categories)} | {None: len(categories)}
            values = [None if value != value else value for value in X[name].tolist()]
            codes.append(
                np.fromiter((table.get(value, len(categories) + 1) for value in values), np.int64, len(values))
            )
        return codes

    def known(self) -> list[list[str]]:
        """Return the categories of each column, in the order of its means; then come missing and unknown."""
        return [[_plain(text) for text in joined.split("\n")] if joined else [] for joined in self.categories_]


def target_columns(y: Any) -> Floats:
    """Return the target as numbers (n, answers): 1 for the second of two classes, or a column for each of several."""
    target = np.asarray(y)
    if target.dtype != np.float64:
        labels = np.unique(target)
        target = target[:, None] == (labels[1:] if len(labels) == 2 else labels)
    return target.astype(np.float64).reshape(len(target), -1)


class StackedRidge(TransformerMixin, BaseEstimator):
    """Turn a wide matrix into the predictions of a ridge regression, a feature for each answer (Wolpert 1992).

    So texts stand beside numbers in a dense matrix, which every estimator takes. `fit_transform` is cross-fitted, as in
    `TargetMeans`. The answers are centred and scaled to a variance of 1, so that rows without a term get 0; predictions
    are rounded, so that the compiled form gives the very same numbers.

    Parameters
    ----------
    alphas : penalties, of which the one of least squared error on the first fold is taken.
    seed : seed of the folds.
    groups : (n,) rows of one group stay in one fold; None takes each row for itself.

    Examples
    --------
    >>> words = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> StackedRidge(alphas=(1.0,)).fit(words, [2.0, 2.0, 4.0, 4.0]).transform(words[1:3]).tolist()
    [[-0.66666667], [0.66666667]]
    """

    def __init__(self, alphas: Sequence[float] = (1.0, 3.0, 10.0, 30.0), seed: int = 42, groups: Any = None) -> None:
        self.alphas = alphas
        self.seed = seed
        self.groups = groups

    def fit(self, X: Any, y: Any) -> Self:
        """Learn weights (features, answers) from rows x features; `y` (n,) holds classes or numbers."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any, **fit_params: Any) -> Floats:
        """Learn from all rows, and return predictions that each row's own fold had no part in."""
        answers = target_columns(y)
        spread = answers.std(axis=0)
        answers = (answers - answers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        folds = cross_fitting_folds(X.shape[0], self.seed, self.groups)
        first = [_cross_fitted(X, answers, np.where(folds == folds[0], 0, -1), alpha) for alpha in self.alphas]
        errors = [float(((answers - predicted)[folds == folds[0]] ** 2).sum()) for predicted in first]
        best = self.alphas[int(np.argmin(errors))]
        self.coef_ = _ridge(X, answers, best)
        return _cross_fitted(X, answers, folds, best).round(STACKED_DECIMALS)

    def transform(self, X: Any) -> Floats:
        """Return rows x answers."""
        return np.asarray(X @ self.coef_).round(STACKED_DECIMALS)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return `stacked_0` and so on for the output columns."""
        return np.asarray([f"stacked_{number}" for number in range(self.coef_.shape[1])], dtype=object)


def _cross_fitted(X: Any, answers: Floats, folds: NDArray[np.int64], alpha: float) -> Floats:
    """Return the predictions of each row (n, answers) from those of other folds; rows of the fold -1 get none."""
    predicted = np.zeros_like(answers)
    for number in np.unique(folds[folds >= 0]):
        held_out = folds == number
        predicted[held_out] = X[held_out] @ _ridge(X[~held_out], answers[~held_out], alpha)
    return predicted


def _ridge(X: Any, answers: Floats, alpha: float) -> Floats:
    """Return the weights (features, answers) of a ridge regression without an intercept."""
    from sklearn.linear_model import Ridge

    solver = "sparse_cg" if hasattr(X, "tocsr") else "cholesky"
    fitted = Ridge(alpha, fit_intercept=False, solver=solver, tol=1e-4).fit(X, answers)
    return np.asarray(fitted.coef_, dtype=np.float64).reshape(answers.shape[1], X.shape[1]).T.copy()


def _escaped(category: str) -> str:
    return "=" + category.replace("\\", "\\\\").replace("\n", "\\n")


def _plain(text: str) -> str:
    parts = text[1:].split("\\\\")
    return "\\".join(part.replace("\\n", "\n") for part in parts)


def cross_fitting_folds(count: int, seed: int, groups: Any = None) -> NDArray[np.int64]:
    """Return the fold of each row (n,), drawn by chance; rows of one group share it."""
    codes = np.arange(count)
    if groups is not None and len(distinct := np.unique(groups)) > 1:
        codes = np.searchsorted(distinct, groups)
    return np.asarray((np.random.default_rng(seed).permutation(int(codes.max(initial=0)) + 1) % FOLDS)[codes])
